// Short constructors for graphs, for tests and for steps that make or change models; may depend on graph and dtype.
import type { DType } from "./dtype.ts";
import type { Attribute, Dim, Graph, ModelGraph, Node, TensorRef, ValueInfo } from "./graph.ts";

/** IR version that goes with the default operator set below; ONNX Runtime 1.30 reads up to IR 13. */
const IR_VERSION = 10;

/**
 * One operator application.
 * @example node("Gemm", ["x", "weight", "bias"], ["y"], { transB: int(1) })
 */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  options: { readonly name?: string; readonly domain?: string } = {},
): Node {
  const { name = "", domain = "" } = options;
  return { name, opType, domain, inputs, outputs, attributes: new Map(Object.entries(attributes)) };
}

/** A graph input, output or annotated edge that is a tensor. @example tensorInfo("x", "float32", ["batch", 784]) */
export function tensorInfo(name: string, dtype: DType, shape: readonly Dim[] | undefined): ValueInfo {
  return { name, type: { kind: "tensor", dtype, shape } };
}

export type GraphParts = Partial<Omit<Graph, "initializers" | "sparseInitializers">> & {
  readonly nodes: readonly Node[];
  readonly initializers?: readonly TensorRef[] | Graph["initializers"];
  readonly sparseInitializers?: Graph["sparseInitializers"];
};

/** A graph from its parts; what is left out is empty. Nodes are given in topological order. */
export function graph(parts: GraphParts): Graph {
  const { initializers = [] } = parts;
  return {
    name: "graph",
    inputs: [],
    outputs: [],
    valueInfo: [],
    sparseInitializers: new Map(),
    ...parts,
    initializers: Array.isArray(initializers)
      ? new Map((initializers as readonly TensorRef[]).map((tensor) => [tensor.name, tensor]))
      : (initializers as Graph["initializers"]),
  };
}

/**
 * A model around a graph.
 * @param opsets version of the standard operator set, or versions by domain ("" is the standard one)
 * @example model({ nodes: [node("Relu", ["x"], ["y"])], inputs: [tensorInfo("x", "float32", [3])], outputs: […] }, 21)
 */
export function model(
  parts: GraphParts,
  opsets: number | Readonly<Record<string, number>> = 21,
  extras: Partial<Omit<ModelGraph, "graph" | "opsets" | "format">> = {},
): ModelGraph {
  return {
    format: "onnx",
    irVersion: IR_VERSION,
    opsets: new Map(typeof opsets === "number" ? [["", opsets]] : Object.entries(opsets)),
    producerName: "lightfoot",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    metadata: new Map(),
    functions: [],
    ...extras,
    graph: graph(parts),
  };
}
