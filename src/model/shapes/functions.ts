// Model-local functions: their key, and their body as a graph with the call's attributes filled in; may depend on graph.
import type { Attribute, FunctionDefinition, Graph, Node } from "../graph.ts";

/** Functions are found by domain, name and overload. */
export const functionKey = (of: { domain: string; name: string; overload?: string | undefined }): string =>
  `${of.domain}::${of.name}::${of.overload ?? ""}`;

interface Filling {
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** Parameters that the call leaves out: their uses in the body become inputs left out. */
  readonly absent: ReadonlySet<string>;
}

function filledNode(node: Node, filling: Filling): Node {
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const value =
      attribute.type === "reference" ? filling.attributes.get(attribute.of) : filledAttribute(attribute, filling);
    // A reference to an attribute that the call leaves out means that the node has no such attribute.
    if (value !== undefined) attributes.set(name, value);
  }
  const inputs = node.inputs.map((name) => (filling.absent.has(name) ? "" : name));
  return { ...node, inputs, attributes };
}

function filledAttribute(attribute: Attribute, filling: Filling): Attribute {
  if (attribute.type === "graph") return { type: "graph", value: filledGraph(attribute.value, filling) };
  if (attribute.type !== "graphs") return attribute;
  return { type: "graphs", value: attribute.value.map((graph) => filledGraph(graph, filling)) };
}

const filledGraph = (graph: Graph, filling: Filling): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => filledNode(node, filling)),
});

const untyped = (name: string) => ({ name, type: undefined });

/** The body of a function as it runs at one call. */
export function instantiate(definition: FunctionDefinition, call: Node): Graph {
  const filling: Filling = {
    attributes: new Map([...definition.defaultAttributes, ...call.attributes]),
    absent: new Set(definition.inputs.filter((_, i) => (call.inputs[i] ?? "") === "")),
  };
  return {
    name: definition.name,
    nodes: definition.nodes.map((node) => filledNode(node, filling)),
    initializers: new Map(),
    sparseInitializers: new Map(),
    inputs: definition.inputs.map(untyped),
    outputs: definition.outputs.map(untyped),
    valueInfo: definition.valueInfo,
  };
}
