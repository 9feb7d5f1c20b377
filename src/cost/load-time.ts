// What a runtime computes once, when it loads a model, because constants alone feed it, and the weights that come of it; may depend on model.
import { subgraphsOf } from "../model/attributes.ts";
import { isFloat } from "../model/dtype.ts";
import type { Graph, Node, TensorRef, ValueType } from "../model/graph.ts";
import type { GraphInference } from "../model/shapes/inference.ts";
import { elementCount } from "../model/tensor-value.ts";

/** Runtimes keep these on constants: kernels read the integers, and random numbers are drawn anew. */
const STAYS = /^(DequantizeLinear|QuantizeLinear|DynamicQuantizeLinear|Random|Multinomial|Bernoulli)/;

/** Nodes of the standard domain that read constants alone: constant folding runs them at load, an inference never does. */
export function foldedAtLoad({ nodes, initializers }: Pick<Graph, "nodes" | "initializers">): ReadonlySet<Node> {
  const constants = new Set(["", ...initializers.keys()]);
  const folded = new Set<Node>();
  for (const node of nodes) {
    const isStandard = node.domain === "" || node.domain === "ai.onnx";
    if (!isStandard || STAYS.test(node.opType) || subgraphsOf(node).length > 0) continue;
    if (!node.inputs.every((name) => constants.has(name))) continue;
    folded.add(node);
    for (const output of node.outputs) constants.add(output);
  }
  return folded;
}

/** A weight that the file holds in another form, such as positions and indices into a codebook. */
export interface RebuiltWeights {
  /** Stored tensors that serve nothing but the rebuilding. */
  readonly parts: readonly TensorRef[];
  /** Elements of each rebuilt value that an inference reads, by name. */
  readonly elements: ReadonlyMap<string, number>;
}

/** What puts values in place by stored positions or indices; a folded Expand or ConstantOfShape stores nothing. */
const PLACES = new Set(["Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"]);

/**
 * Weights that folded nodes rebuild from fewer stored numbers than they have elements, one entry for each group of nodes that
 * hang together.
 */
export function rebuiltWeights({ graph, types }: GraphInference): RebuiltWeights[] {
  const folded = foldedAtLoad(graph);
  const readElsewhere = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) if (!folded.has(node)) for (const name of node.inputs) readElsewhere.add(name);
  return groupsOf(folded).flatMap((nodes) => {
    if (!nodes.some(({ opType }) => PLACES.has(opType))) return [];
    const elements = new Map<string, number>();
    for (const name of nodes.flatMap(({ outputs }) => outputs)) {
      const count = readElsewhere.has(name) ? floatElements(types.get(name)) : 0;
      if (count > 0) elements.set(name, count);
    }
    const parts = [...new Set(nodes.flatMap(({ inputs }) => inputs))].flatMap((name) => {
      const tensor = readElsewhere.has(name) ? undefined : graph.initializers.get(name);
      return tensor === undefined ? [] : [tensor];
    });
    const stored = parts.reduce((sum, { dtype, shape }) => sum + (isFloat(dtype) ? elementCount(shape) : 0), 0);
    const rebuilt = [...elements.values()].reduce((sum, count) => sum + count, 0);
    return rebuilt > stored ? [{ parts, elements }] : [];
  });
}

function floatElements(type: ValueType | undefined): number {
  if (type?.kind !== "tensor" || !isFloat(type.dtype) || type.shape === undefined) return 0;
  return type.shape.every((size) => typeof size === "number") ? elementCount(type.shape) : 0;
}

/** Nodes that are joined by a value one makes and the other reads. */
function groupsOf(nodes: ReadonlySet<Node>): Node[][] {
  const groupOf = new Map<string, Set<Node>>();
  const groups = new Set<Set<Node>>();
  for (const node of nodes) {
    const own = new Set([node]);
    for (const name of node.inputs) {
      const other = groupOf.get(name);
      if (other === undefined || !groups.delete(other)) continue;
      for (const each of other) own.add(each);
    }
    groups.add(own);
    for (const each of own) for (const name of each.outputs) groupOf.set(name, own);
  }
  return [...groups].map((group) => [...group]);
}
