// Fewer inputs: the first layers read only the positions of the model's input that tell most, fitted to stand for the others; may
// depend on model, runtime, calibrate, rewrite, second-moments, structure, recovery and retrain.
import type { ModelGraph } from "../../model/graph.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import { variablesKey } from "../axis-rows.ts";
import type { WatchOptions } from "../calibrate.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { layerName, type LayerChoice } from "../rewrite/linear.ts";
import { momentsBySegment } from "../second-moments.ts";
import { mostTelling } from "../structure/choose.ts";
import { findCoupling } from "../structure/coupling.ts";
import { ColumnPicker, findReadings } from "../structure/input-columns.ts";
import { mergedWeights } from "../structure/reconstruct.ts";
import type { RecoveryContext } from "./recovery.ts";
import { retrained, type RetrainChoice } from "./retrain.ts";
import { refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export interface FewerInputsOptions extends LayerChoice, RetrainChoice {
  /** Share of each input's positions that stays, 0 … 1. */
  readonly ratio: number;
}

/** Color channels and the like: too few to choose among. */
const FEWEST = 32;
/** Choosing and fitting cost the cube of the width. */
const WIDEST = 4096;

/**
 * The model with every dense layer whose input cannot be made narrower at its source (pixels, features of a table) reading only the
 * given share of it: the positions that say most to the layer beyond what those chosen before say. The weights of the rest are merged
 * into theirs by least squares.
 *
 * @returns no notes and the same model where nothing could be left out
 */
export async function withFewerInputs(
  model: ModelGraph,
  { ratio, ...choice }: LayerChoice & { readonly ratio: number },
  data: Dataset,
  options: WatchOptions,
): Promise<{ readonly model: ModelGraph; readonly notes: readonly string[] }> {
  const { atoms, contractions } = await findCoupling(model);
  // What can be cut at its source is a neuron of `narrow`.
  const pinned = new Set(contractions.filter((each) => !atoms.isFree(each.atoms)).map(({ node }) => node.outputs[0]));
  const draft = new GraphDraft(model);
  const picker = new ColumnPicker(draft);
  const readings = (await findReadings(model, draft, choice)).filter(({ layer, width }) => {
    return layer.kind === "dense" && pinned.has(layer.nodes[0].outputs[0]) && width >= FEWEST && width <= WIDEST;
  });
  const notes: string[] = [];
  for await (const found of momentsBySegment(model, readings, data, { ...options, kind: "products" })) {
    for (const reading of readings) {
      const moments = found.get(variablesKey(reading));
      if (moments === undefined) continue;
      const { weight, width, bias } = reading;
      const kept = await mostTelling(reading, moments, Math.max(1, Math.round(ratio * width)));
      if (kept.length === width || !picker.saves(reading, kept)) continue;
      const [merged, shifted] = await mergedWeights(reading, weight, bias, moments, kept);
      if (shifted !== undefined) draft.setInitializer(shifted);
      picker.keepOnly(reading, kept, merged);
      notes.push(`${layerName(reading.layer)}: inputs ${width} → ${kept.length}`);
    }
  }
  return { model: notes.length === 0 ? model : draft.finish(), notes };
}

/** Reads fewer inputs (see `withFewerInputs`) and, with training data, distils from the original. */
export async function fewerInputs(
  model: ModelGraph,
  options: FewerInputsOptions,
  context: RecoveryContext & Pick<TechniqueContext, "calibration">,
): Promise<TechniqueResult> {
  const { calibration, train, threads, signal } = context;
  const data = train ?? calibration;
  if (data === undefined) return refused("which inputs tell most is seen on data, and none was given");
  const fewer = await withFewerInputs(model, options, data, { threads, signal });
  if (fewer.notes.length === 0) {
    return refused("no dense layer reads an input of which leaving positions out would save bytes");
  }
  return retrained(fewer.model, fewer.notes, context, options);
}
