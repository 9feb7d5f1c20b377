// A layer cut out of its model as a model of its own, so that it can be compressed, run and timed alone; may depend on model and rewrite.
import { model as build, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import type { LinearLayer } from "../rewrite/linear.ts";

/**
 * The layer's nodes with their weights: `layer.input` → `layer.output`, the first axis free.
 *
 * @param shape of the input as the whole model feeds it
 * @param initializer finds a constant by its name
 */
export function layerModel(
  whole: ModelGraph,
  layer: LinearLayer,
  shape: readonly number[],
  initializer: (name: string) => TensorRef | undefined,
): ModelGraph {
  const names = new Set(layer.nodes.flatMap(({ inputs }) => inputs));
  const initializers = [...names].flatMap((name) => initializer(name) ?? []);
  return build(
    {
      nodes: layer.nodes,
      inputs: [tensorInfo(layer.input, "float32", ["n", ...shape.slice(1)])],
      outputs: [tensorInfo(layer.output, "float32", undefined)],
      initializers,
    },
    Object.fromEntries(whole.opsets),
  );
}
