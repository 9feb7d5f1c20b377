// What lies inside a model's main graph: bodies of If, Loop and Scan, and model-local functions; may depend on model and draft.
import { subgraphsOf } from "../../model/attributes.ts";
import type { Attribute, FunctionDefinition, Graph, Node } from "../../model/graph.ts";
import { functionKey } from "../../model/shapes/functions.ts";
import { outerNames, type GraphDraft } from "./draft.ts";

/** Subgraphs of the nodes, theirs included. */
export function subgraphsWithin(nodes: readonly Node[]): Graph[] {
  return nodes.flatMap((node) => subgraphsOf(node).flatMap(({ graph }) => [graph, ...subgraphsWithin(graph.nodes)]));
}

/** The node with each of its subgraphs replaced. */
function withSubgraphs(node: Node, change: (graph: Graph) => Graph): Node {
  if (subgraphsOf(node).length === 0) return node;
  const changed = (attribute: Attribute): Attribute => {
    if (attribute.type === "graph") return { ...attribute, value: change(attribute.value) };
    if (attribute.type === "graphs") return { ...attribute, value: attribute.value.map(change) };
    return attribute;
  };
  return {
    ...node,
    attributes: new Map([...node.attributes].map(([name, attribute]) => [name, changed(attribute)])),
  };
}

/** The graph without operators and constants that neither it nor a graph inside it reads, innermost first. */
function withoutUnread(graph: Graph): Graph {
  let nodes = graph.nodes.map((node) => withSubgraphs(node, withoutUnread));
  let read = outerNames({ ...graph, nodes });
  for (let count = -1; count !== nodes.length;) {
    count = nodes.length;
    nodes = nodes.filter(({ outputs }) => outputs.some((name) => read.has(name)));
    read = outerNames({ ...graph, nodes });
  }
  // The default of an input belongs to the input.
  for (const { name } of graph.inputs) read.add(name);
  const initializers = new Map([...graph.initializers].filter(([name]) => read.has(name)));
  const sparseInitializers = new Map([...graph.sparseInitializers].filter(([name]) => read.has(name)));
  return { ...graph, nodes, initializers, sparseInitializers };
}

/** Functions that the nodes call, directly or through another one. */
function calledBy(nodes: readonly Node[], functions: readonly FunctionDefinition[]): Set<FunctionDefinition> {
  // Two names for the standard operators' domain.
  const keyOf: typeof functionKey = (of) => functionKey({ ...of, domain: of.domain === "ai.onnx" ? "" : of.domain });
  const byKey = new Map(functions.map((definition) => [keyOf(definition), definition]));
  const called = new Set<FunctionDefinition>();
  const visit = (within: readonly Node[]): void => {
    for (const { domain, opType, overload } of within) {
      const definition = byKey.get(keyOf({ domain, name: opType, overload }));
      if (definition === undefined || called.has(definition)) continue;
      called.add(definition);
      visit(everyNode(definition.nodes));
    }
  };
  visit(everyNode(nodes));
  return called;
}

const everyNode = (nodes: readonly Node[]): Node[] => [
  ...nodes,
  ...subgraphsWithin(nodes).flatMap((graph) => graph.nodes),
];

const size = (graphs: readonly Graph[]): number =>
  graphs.reduce(
    (sum, { nodes, initializers, sparseInitializers }) =>
      sum + nodes.length + initializers.size + sparseInitializers.size,
    0,
  );

/**
 * Takes out what nobody reads inside subgraphs, and functions that nobody calls. Exact.
 *
 * @returns operators and constants that went, and functions
 */
export function removeUnreadInside(draft: GraphDraft): { readonly inner: number; readonly functions: number } {
  const before = size(subgraphsWithin(draft.nodes));
  draft.nodes = draft.nodes.map((node) => withSubgraphs(node, withoutUnread));
  const called = calledBy(draft.nodes, draft.functions);
  const functions = draft.functions.length - called.size;
  draft.functions = draft.functions.filter((definition) => called.has(definition));
  return { inner: before - size(subgraphsWithin(draft.nodes)), functions };
}
