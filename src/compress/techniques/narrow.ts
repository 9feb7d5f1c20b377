// Structured pruning: takes the least important neurons, channels or attention heads out of a model, fits what is left and retrains
// it; may depend on rewrite, structure, fewer-inputs, recovery and retrain.
import type { ModelGraph } from "../../model/graph.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers } from "../rewrite/linear.ts";
import { countAt } from "../structure/choose.ts";
import { findCoupling } from "../structure/coupling.ts";
import { cutUnits, keptPositions } from "../structure/cut.ts";
import { findRows, type Row, type RowKind } from "../structure/rows.ts";
import { thin } from "../structure/thin.ts";
import type { RecoveryContext } from "./recovery.ts";
import { withFewerInputs } from "./fewer-inputs.ts";
import { retrained, type RetrainChoice } from "./retrain.ts";
import { refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export interface NarrowOptions extends RetrainChoice {
  /** Share of each row's units that stays, 0 … 1. */
  readonly ratio: number;
  /** Share of the inputs that dense layers still read where these cannot be narrowed themselves (see `fewer-inputs`); 1 if left out. */
  readonly inputs?: number;
  /** Output tensors of the layers to cut; left out, all. */
  readonly layers?: readonly string[];
}

export type NarrowContext = RecoveryContext & Pick<TechniqueContext, "calibration">;

/** Reasons that a refusal lists; the rest of a large model says the same again. */
const MOST_REASONS = 3;

async function withoutUnits(
  model: ModelGraph,
  kinds: readonly RowKind[],
  options: NarrowOptions,
  context: NarrowContext,
): Promise<TechniqueResult> {
  const { ratio, inputs = 1, layers } = options;
  const { calibration, train, threads, signal } = context;
  const data = train ?? calibration;
  const watch = { threads, signal };
  const choice = layers === undefined ? {} : { layers };
  // A name that is no layer's is a recipe of another model, not a wish for nothing.
  chosenLayers(findLinearLayers(new GraphDraft(model)), choice);
  const read =
    inputs === 1 || data === undefined
      ? { model, notes: [] }
      : await withFewerInputs(model, { ratio: inputs, ...choice }, data, watch);
  const coupling = await findCoupling(read.model);
  const found = findRows(coupling);
  const chosen = (row: Row) => layers === undefined || row.layers.some((layer) => layers.includes(layer));
  const rows = found.rows.filter((row) => {
    return kinds.includes(row.kind) && chosen(row) && countAt(ratio, row.units.length) < row.units.length;
  });
  if (rows.length === 0 && read.notes.length === 0) {
    const reasons = found.left.slice(0, MOST_REASONS).map(({ title, reason }) => `${title}: ${reason}`);
    return refused([`no ${kinds.join(" or ")} that could be taken out`, ...reasons].join("; "));
  }
  const { gone, weights, notes } = await thin(coupling, rows, ratio, data, watch);
  const positions = keptPositions(coupling, gone);
  const kept = Object.fromEntries(coupling.producers.map(({ node, atoms }) => [node.outputs[0], positions(atoms)]));
  return retrained(cutUnits(coupling, gone, weights), [...read.notes, ...notes], context, options, kept);
}

/**
 * Keeps the given share of the hidden neurons and convolution channels of every row, those that say most to what follows beyond
 * what the others say (see `mostWanted`). The weights that read the rest get their least-squares values for
 * it; with training data the model is then distilled from the original.
 */
export function narrow(model: ModelGraph, options: NarrowOptions, context: NarrowContext): Promise<TechniqueResult> {
  return withoutUnits(model, ["neurons", "channels"], options, context);
}

/** The same for attention heads; those that share a key and value head go together. */
export function pruneHeads(
  model: ModelGraph,
  options: NarrowOptions,
  context: NarrowContext,
): Promise<TechniqueResult> {
  return withoutUnits(model, ["heads"], options, context);
}
