// Trains a model that lost structure to answer like the original, where it can be trained; may depend on errors, model and recovery.
import { LightfootError } from "../../errors/index.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { recover, type RecoveryContext, type RecoveryDetails, type RecoveryOptions } from "./recovery.ts";
import { made, type TechniqueResult } from "./technique.ts";

/** The options that every technique which takes structure out takes. */
export interface RetrainChoice extends RecoveryOptions {
  /** False: fitting is all, also where there is training data. Left out, true. */
  readonly retrain?: boolean;
}

/**
 * Recovers `smaller` with the original as teacher. Without training data, and where an operator has no gradient, it stays as it is
 * and the notes say so.
 *
 * @param notes what was done to it before
 * @param kept where units that are left stood in the original, by layer
 */
export async function retrained(
  smaller: ModelGraph,
  notes: readonly string[],
  context: RecoveryContext,
  { retrain = true, ...options }: RetrainChoice,
  kept?: RecoveryDetails["kept"],
): Promise<TechniqueResult> {
  if (!retrain) return made(smaller, notes);
  if (context.train === undefined) return made(smaller, [...notes, "not retrained: no training data was given"]);
  try {
    const { model, note } = await recover(smaller, context.train, options, context, { kept });
    return made(model, [...notes, note]);
  } catch (thrown) {
    if (!(thrown instanceof LightfootError) || thrown.code !== "E_GRADIENT") throw thrown;
    return made(smaller, [...notes, `not retrained: ${thrown.message}`]);
  }
}
