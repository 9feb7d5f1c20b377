// The largest set of activations that is alive at once when nodes run in file order; may depend on model.
import { subgraphsOf } from "../model/attributes.ts";
import { byteLengthOf } from "../model/dtype.ts";
import type { Graph, Node, ValueType } from "../model/graph.ts";
import type { GraphInference } from "../model/shapes/inference.ts";
import { elementCount } from "../model/tensor-value.ts";
import { foldedAtLoad } from "./load-time.ts";

/** Bytes of a dense tensor whose shape is known; undefined otherwise. */
export function bytesOfType(type: ValueType | undefined): number | undefined {
  if (type?.kind !== "tensor" || type.shape === undefined) return undefined;
  if (!type.shape.every((size) => typeof size === "number")) return undefined;
  return byteLengthOf(type.dtype, elementCount(type.shape));
}

/** Names that a node reads, those that its subgraphs take from outside included. */
function readBy(node: Node): string[] {
  return [...node.inputs, ...subgraphsOf(node).flatMap(({ graph }) => capturedBy(graph))];
}

function capturedBy(graph: Graph): string[] {
  const own = new Set([...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name)]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const read = [...graph.nodes.flatMap(readBy), ...graph.outputs.map(({ name }) => name)];
  return read.filter((name) => !own.has(name));
}

/**
 * Peak bytes of live activations.
 *
 * A value lives from the node that makes it to the last one that reads it; a graph input from the start, a graph output to the end.
 * A node's inputs and outputs live together: nothing is computed in place, reshapes copy. Weights, constants and what is folded at load do not count.
 * While a node runs a body, the body's own peak comes on top; of an `If`'s branches the larger one.
 */
export function peakActivationBytes(inference: GraphInference): number {
  const { graph, types, bodies } = inference;
  const lastUse = new Map<string, number>();
  const nodes = graph.nodes;
  const folded = foldedAtLoad(graph);
  nodes.forEach((node, index) => readBy(node).forEach((name) => lastUse.set(name, index)));
  for (const { name } of graph.outputs) lastUse.set(name, nodes.length);

  const bytes = (name: string): number => bytesOfType(types.get(name)) ?? 0;
  const endingAt: string[][] = nodes.map(() => []);
  let live = 0;
  const begin = (name: string, at: number): void => {
    if (name === "" || graph.initializers.has(name)) return;
    live += bytes(name);
    const end = lastUse.get(name) ?? at;
    if (end < nodes.length) endingAt[end].push(name);
  };
  for (const { name } of graph.inputs) begin(name, 0);
  let peak = live;
  nodes.forEach((node, index) => {
    if (!folded.has(node)) for (const name of node.outputs) begin(name, index);
    const inner = (bodies.get(node) ?? []).map((body) => peakActivationBytes(body.inference));
    peak = Math.max(peak, live + Math.max(0, ...inner));
    for (const name of endingAt[index]) live -= bytes(name);
  });
  return peak;
}
