// Layer dropping: takes out the residual blocks whose output points most nearly where their input does; may depend on model,
// rewrite, structure, recovery and retrain.
import type { ModelGraph } from "../../model/graph.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { findResidualBlocks, withoutBlocks } from "../structure/residual-blocks.ts";
import { cosines } from "../structure/cosines.ts";
import type { RecoveryContext } from "./recovery.ts";
import { retrained, type RetrainChoice } from "./retrain.ts";
import { refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export interface DropLayersOptions extends RetrainChoice {
  /** Share of the residual blocks that stays, 0 … 1. */
  readonly ratio: number;
}

/**
 * Removes the residual blocks x + f(x) with the highest mean cosine between x and x + f(x) on calibration data, until the share
 * `ratio` of them is left; whatever read x + f(x) then reads x. With training data the model is then distilled from the original.
 */
export async function dropLayers(
  model: ModelGraph,
  options: DropLayersOptions,
  context: RecoveryContext & Pick<TechniqueContext, "calibration">,
): Promise<TechniqueResult> {
  const { ratio } = options;
  const { calibration, train, threads, signal } = context;
  const data = calibration ?? train;
  if (data === undefined) return refused("what a block changes is seen on data, and none was given");
  const blocks = await findResidualBlocks(model);
  if (blocks.length === 0) return refused("no residual block with weights, whose input has the shape of its output");
  const count = blocks.length - Math.round(blocks.length * ratio);
  if (count === 0) return refused(`${ratio} of ${blocks.length} residual blocks are all of them`);
  const likeness = await cosines(model, blocks, data, { threads, signal });
  const order = blocks.filter(({ output }) => likeness.has(output));
  order.sort((left, right) => likeness.get(right.output)! - likeness.get(left.output)!);
  const gone = order.slice(0, count);
  const draft = new GraphDraft(model);
  withoutBlocks(draft, gone);
  const notes = gone.map(({ title, output }) => `${title} dropped, cosine ${likeness.get(output)!.toFixed(4)}`);
  return retrained(draft.finish(), notes, context, options);
}
