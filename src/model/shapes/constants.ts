// Reads the small constant tensors that shapes may depend on, before inference starts; may depend on graph and tensor data.
import { subgraphsOf } from "../attributes.ts";
import { isFloat } from "../dtype.ts";
import type { Graph, ModelGraph, Node, TensorRef } from "../graph.ts";
import { readFloats, readTensor } from "../tensor-data.ts";
import { elementCount } from "../tensor-value.ts";
import type { KnownValue } from "./call.ts";

/** Larger integer tensors are data, not shapes. */
export const VALUE_LIMIT = 2048;
/** Floats steer shapes only as `scales` of a Resize or bounds of a Range. */
const FLOAT_LIMIT = 16;

/** INT64_MAX means "to the end" and INT64_MIN "before the start": clamped to the safe range they keep that meaning. */
export function toSafe(value: bigint): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}

function mayShape(tensor: TensorRef): boolean {
  const count = elementCount(tensor.shape);
  if (isFloat(tensor.dtype)) return count <= FLOAT_LIMIT;
  return ["int64", "int32", "bool", "uint8", "int8", "uint64", "uint32"].includes(tensor.dtype) && count <= VALUE_LIMIT;
}

function collect(nodes: readonly Node[], found: Set<TensorRef>): void {
  for (const node of nodes) {
    for (const attribute of node.attributes.values()) {
      if (attribute.type === "tensor" && mayShape(attribute.value)) found.add(attribute.value);
    }
    for (const { graph } of subgraphsOf(node)) collectGraph(graph, found);
  }
}

function collectGraph(graph: Graph, found: Set<TensorRef>): void {
  for (const tensor of graph.initializers.values()) if (mayShape(tensor)) found.add(tensor);
  collect(graph.nodes, found);
}

async function load(tensor: TensorRef): Promise<KnownValue> {
  const { dtype, shape } = tensor;
  if (isFloat(dtype)) return { dtype, shape, elements: [...(await readFloats(tensor))] };
  const { data } = await readTensor(tensor);
  const elements = Array.from(data as ArrayLike<number | bigint>, (element) =>
    typeof element === "bigint" ? toSafe(element) : element,
  );
  return { dtype, shape, elements };
}

/** Values of all small initializers and tensor attributes of a model, subgraphs and functions included. */
export async function loadConstants(model: ModelGraph): Promise<ReadonlyMap<TensorRef, KnownValue>> {
  const found = new Set<TensorRef>();
  collectGraph(model.graph, found);
  for (const definition of model.functions) collect(definition.nodes, found);
  const loaded = new Map<TensorRef, KnownValue>();
  for (const tensor of found) loaded.set(tensor, await load(tensor));
  return loaded;
}
