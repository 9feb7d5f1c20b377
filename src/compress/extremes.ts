// Smallest and largest value of each position of chosen axes over a data set, found inside the graph; may depend on model, runtime,
// axis-rows and calibrate.
import type { ModelGraph } from "../model/graph.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { knownVariables, RowNodes, variablesKey, type Variables } from "./axis-rows.ts";
import { watchTensors, type WatchOptions } from "./calibrate.ts";
import { GraphDraft } from "./rewrite/draft.ts";

export interface Extremes {
  /** `[width]` each. */
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/**
 * Extremes over every sample of `data`, by `variablesKey`; tensors whose rank or width is not known in advance are left out.
 *
 * @throws LightfootError as `watchTensors`
 */
export async function axisExtremes(
  model: ModelGraph,
  wanted: readonly Variables[],
  data: Dataset,
  options: WatchOptions,
): Promise<Map<string, Extremes>> {
  const draft = new GraphDraft(model);
  const into = new Map<string, { readonly values: Float32Array; readonly sign: 1 | -1 }>();
  const result = new Map<string, Extremes>();
  for (const known of await knownVariables(model, wanted)) {
    const nodes = new RowNodes(draft, known);
    const [low, high] = [-1, -1].map(() => new Float32Array(known.width).fill(Number.NEGATIVE_INFINITY));
    // A pool knows the largest only; the smallest is the largest of the negative.
    into.set(nodes.emit("GlobalMaxPool", [nodes.channels]), { values: high, sign: 1 });
    into.set(nodes.emit("GlobalMaxPool", [nodes.emit("Neg", [nodes.channels])]), { values: low, sign: -1 });
    result.set(variablesKey(known.variables), { low, high });
  }
  if (into.size === 0) return result;
  await watchTensors(draft.finish(), [...into.keys()], data, options, (name, { data: values }) => {
    const largest = into.get(name)!.values;
    for (let at = 0; at < largest.length; at++) {
      const value = Number(values[at]);
      // NaN is no constant: it stays and is equal to nothing.
      if (!(value <= largest[at])) largest[at] = value;
    }
  });
  for (const { values, sign } of into.values()) if (sign === -1) values.forEach((value, at) => (values[at] = -value));
  return result;
}
