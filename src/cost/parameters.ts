// Which stored tensors are parameters, how many elements and bytes they have, and which node uses each; may depend on model.
import { intAttribute, subgraphsOf } from "../model/attributes.ts";
import { constantTensor } from "../model/constant.ts";
import { DTYPES, isFloat } from "../model/dtype.ts";
import type { Graph, ModelGraph, Node, SparseTensorRef, TensorRef } from "../model/graph.ts";
import { tensorByteLength } from "../model/tensor-data.ts";
import { elementCount } from "../model/tensor-value.ts";
import type { RebuiltWeights } from "./load-time.ts";

export interface ParameterCount {
  /** Elements. */
  readonly parameters: number;
  /** Bytes as stored. */
  readonly weightBytes: number;
  /** Elements by the node that reads them first, in file order; a constant that no node reads belongs to its own node. */
  readonly byNode: ReadonlyMap<Node, number>;
}

/**
 * Integer inputs that carry quantised weights or biases; every other integer tensor is an index, a shape or a zero point.
 */
const QUANTIZED_WEIGHTS = new Map<string, readonly number[]>([
  ["DequantizeLinear", [0]],
  ["MatMulInteger", [0, 1]],
  ["ConvInteger", [1]],
  ["QLinearMatMul", [0, 3]],
  ["QLinearConv", [3, 8]],
  ["QGemm", [3, 6]],
  ["DynamicQuantizeMatMul", [1]],
  ["MatMulIntegerToFloat", [1]],
  ["MatMulNBits", [1]],
  ["MatMulBnb4", [1]],
  ["GatherBlockQuantized", [0]],
  ["DynamicQuantizeLSTM", [1, 2]],
  ["QAttention", [1]],
  ["QEmbedLayerNormalization", [2, 3, 4]],
  ["QMoE", [2, 5, 8]],
]);

/** The attribute that says how many bits of a uint8 element one value takes; 4 where it is left out. */
const PACKED_BITS: Readonly<Record<string, string>> = { GatherBlockQuantized: "bits", QMoE: "expert_weight_bits" };

/** A quantised weight may be picked from or rearranged on its way: an embedding is gathered before it is dequantized. */
const MOVES = new Set(["Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"]);

/** Elements behind a packed weight: the bytes say less than the attributes. */
function logicalElements(node: Node, tensor: TensorRef): number {
  if (node.opType === "MatMulNBits" || node.opType === "MatMulBnb4") {
    return intAttribute(node, "K", 0) * intAttribute(node, "N", 0);
  }
  const bitsName = PACKED_BITS[node.opType];
  const packed = bitsName !== undefined && DTYPES[tensor.dtype].bits === 8;
  return elementCount(tensor.shape) * (packed ? 8 / intAttribute(node, bitsName, 4) : 1);
}

/** Two references to one byte range, or one array in memory, are one stored tensor. */
function storageKey({ data, dtype }: TensorRef): unknown {
  return data.kind === "file" ? `${data.file}@${data.offset}+${data.byteLength}:${dtype}` : data;
}

type Scope = { readonly tensors: ReadonlyMap<string, TensorRef>; readonly outer: Scope | undefined };

function lookUp(scope: Scope | undefined, name: string): TensorRef | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const tensor = at.tensors.get(name);
    if (tensor !== undefined) return tensor;
  }
  return undefined;
}

class Count {
  parameters = 0;
  weightBytes = 0;
  readonly byNode = new Map<Node, number>();
  readonly #seen = new Set<unknown>();
  readonly #elements = new Map<unknown, number>();

  graph(graph: Pick<Graph, "nodes"> & Partial<Graph>, outer: Scope | undefined): void {
    const tensors = new Map(graph.initializers);
    for (const tensor of tensors.values()) this.#float(tensor);
    for (const { values } of graph.sparseInitializers?.values() ?? []) this.#float(values);
    for (const node of graph.nodes) {
      const constant = constantTensor(node);
      if (constant !== undefined) tensors.set(constant.name, constant);
      if (constant !== undefined) this.#float(constant);
      const sparse = node.opType === "Constant" ? sparseValue(node) : undefined;
      if (sparse !== undefined) this.#float(sparse.values);
    }
    const scope: Scope = { tensors, outer };
    const origin = new Map<string, string>();
    for (const node of graph.nodes) {
      const [data = ""] = node.inputs;
      if (MOVES.has(node.opType)) origin.set(node.outputs[0] ?? "", origin.get(data) ?? data);
      for (const index of QUANTIZED_WEIGHTS.get(node.opType) ?? []) {
        const name = node.inputs[index] ?? "";
        const tensor = lookUp(scope, origin.get(name) ?? name);
        if (tensor !== undefined && !isFloat(tensor.dtype)) this.#count(tensor, logicalElements(node, tensor));
      }
      for (const name of node.inputs) this.#claim(node, lookUp(scope, origin.get(name) ?? name));
      for (const { graph: inner } of subgraphsOf(node)) this.graph(inner, scope);
    }
    // A branch may hand a constant out unread, as models do that keep weights for two sampling rates.
    for (const node of graph.nodes)
      if (node.opType === "Constant") this.#claim(node, tensors.get(node.outputs[0] ?? ""));
  }

  /** Counts what an inference reads in place of the parts that are stored for it. */
  rebuild({ parts, elements }: RebuiltWeights, nodes: readonly Node[]): void {
    for (const tensor of parts) {
      this.#seen.add(storageKey(tensor));
      this.weightBytes += tensorByteLength(tensor);
    }
    for (const [name, count] of elements) {
      this.parameters += count;
      const reader = nodes.find(({ inputs }) => inputs.includes(name));
      if (reader !== undefined) this.byNode.set(reader, count + (this.byNode.get(reader) ?? 0));
    }
  }

  #claim(node: Node, tensor: TensorRef | undefined): void {
    const key = tensor === undefined ? undefined : storageKey(tensor);
    const own = this.#elements.get(key) ?? 0;
    this.#elements.delete(key);
    if (own > 0) this.byNode.set(node, own + (this.byNode.get(node) ?? 0));
  }

  #float(tensor: TensorRef): void {
    if (isFloat(tensor.dtype)) this.#count(tensor, elementCount(tensor.shape));
  }

  #count(tensor: TensorRef, elements: number): void {
    const key = storageKey(tensor);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#elements.set(key, elements);
    this.parameters += elements;
    this.weightBytes += tensorByteLength(tensor);
  }
}

function sparseValue(node: Node): SparseTensorRef | undefined {
  const attribute = node.attributes.get("sparse_value");
  return attribute?.type === "sparseTensor" ? attribute.value : undefined;
}

/**
 * Elements of floating-point initializers and `Constant` tensors, scalars included, in all subgraphs and functions, each stored
 * tensor once; integer tensors only where they are quantised weights; rebuilt weights as what they become.
 */
export function countParameters(model: ModelGraph, rebuilt: readonly RebuiltWeights[] = []): ParameterCount {
  const count = new Count();
  for (const weights of rebuilt) count.rebuild(weights, model.graph.nodes);
  count.graph(model.graph, undefined);
  for (const definition of model.functions) count.graph({ nodes: definition.nodes }, undefined);
  return count;
}
