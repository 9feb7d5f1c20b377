// Walks over everything a model stores: graphs, nodes, tensors, wherever they are nested; may depend on graph and attributes.
import { subgraphsOf } from "./attributes.ts";
import type { Graph, ModelGraph, Node, TensorRef } from "./graph.ts";

/** The main graph and every subgraph below it, outer before inner. */
export function* graphsOf(graph: Graph): Generator<Graph> {
  yield graph;
  for (const node of graph.nodes) yield* graphsBelow(node);
}

function* graphsBelow(node: Node): Generator<Graph> {
  for (const { graph } of subgraphsOf(node)) yield* graphsOf(graph);
}

/** Every node of a model: main graph, subgraphs, and the bodies of its functions (once, however often they are called). */
export function* nodesOf(model: ModelGraph): Generator<Node> {
  for (const graph of graphsOf(model.graph)) yield* graph.nodes;
  for (const { nodes } of model.functions) {
    for (const node of nodes) {
      yield node;
      for (const graph of graphsBelow(node)) yield* graph.nodes;
    }
  }
}

/** Every stored tensor of a model: initializers, parts of sparse ones, and tensors in attributes (`Constant`). */
export function* tensorsOf(model: ModelGraph): Generator<TensorRef> {
  for (const graph of graphsOf(model.graph)) yield* initializersOf(graph);
  for (const { nodes } of model.functions) {
    for (const node of nodes) for (const graph of graphsBelow(node)) yield* initializersOf(graph);
  }
  for (const node of nodesOf(model)) yield* attributeTensorsOf(node);
  for (const definition of model.functions) yield* attributeTensorsOf({ attributes: definition.defaultAttributes });
}

function* initializersOf(graph: Graph): Generator<TensorRef> {
  yield* graph.initializers.values();
  for (const { values, indices } of graph.sparseInitializers.values()) yield* [values, indices];
}

function* attributeTensorsOf({ attributes }: Pick<Node, "attributes">): Generator<TensorRef> {
  for (const attribute of attributes.values()) {
    if (attribute.type === "tensor") yield attribute.value;
    else if (attribute.type === "tensors") yield* attribute.value;
    else if (attribute.type === "sparseTensor") yield* [attribute.value.values, attribute.value.indices];
    else if (attribute.type === "sparseTensors") for (const one of attribute.value) yield* [one.values, one.indices];
  }
}
