// Drops what a runtime does not read and gives every inner value the shortest name; may depend on model.
import { subgraphsOf } from "../../model/attributes.ts";
import type { Attribute, Graph, ModelGraph, Node, SparseTensorRef, TensorRef } from "../../model/graph.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

function* shortNames(taken: ReadonlySet<string>): Generator<string> {
  for (let length = 1; ; length++) {
    for (let at = 0; at < LETTERS.length ** length; at++) {
      let name = "";
      for (let rest = at, i = 0; i < length; i++, rest = Math.floor(rest / LETTERS.length)) {
        name = LETTERS[rest % LETTERS.length] + name;
      }
      if (!taken.has(name)) yield name;
    }
  }
}

/** How often each name is written, in this graph and below. */
function countNames(graph: Graph, counts: Map<string, number>): void {
  const add = (name: string) => name !== "" && counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const name of graph.initializers.keys()) add(name);
  for (const name of graph.sparseInitializers.keys()) add(name);
  for (const { name } of [...graph.inputs, ...graph.outputs]) add(name);
  for (const node of graph.nodes) {
    for (const name of [...node.inputs, ...node.outputs]) add(name);
    for (const { graph: inner } of subgraphsOf(node)) countNames(inner, counts);
  }
}

/** One map serves all graphs: equal names stay equal, so what an inner graph sees or hides stays the same. */
function renamed(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const rename = (name: string): string => names.get(name) ?? name;
  const entries = <T extends TensorRef | SparseTensorRef>(map: ReadonlyMap<string, T>): [string, T][] =>
    [...map].map(([name, tensor]) => [rename(name), { ...tensor, name: rename(name) }]);
  const attribute = (value: Attribute): Attribute => {
    const { docString: _docString, ...kept } = value;
    if (kept.type === "graph") return { ...kept, value: renamed(kept.value, names) };
    if (kept.type === "graphs") return { ...kept, value: kept.value.map((inner) => renamed(inner, names)) };
    return kept;
  };
  const node = ({ docString: _docString, metadata: _metadata, ...kept }: Node): Node => ({
    ...kept,
    name: "",
    inputs: kept.inputs.map(rename),
    outputs: kept.outputs.map(rename),
    attributes: new Map([...kept.attributes].map(([name, value]) => [name, attribute(value)])),
  });
  return {
    name: "g",
    nodes: graph.nodes.map(node),
    initializers: new Map(
      entries(graph.initializers).map(([name, { docString: _docString, metadata: _metadata, ...tensor }]) => [
        name,
        tensor,
      ]),
    ),
    sparseInitializers: new Map(entries(graph.sparseInitializers)),
    inputs: graph.inputs.map((info) => ({ ...info, name: rename(info.name), docString: undefined })),
    outputs: graph.outputs.map((info) => ({ ...info, name: rename(info.name), docString: undefined })),
    valueInfo: [],
  };
}

/**
 * The same model with one-letter names inside, and without node names, doc strings, producer and notes on inner types. Names of
 * its inputs and outputs, its metadata and its functions stay.
 */
export function minify(model: ModelGraph): ModelGraph {
  const kept = new Set([...model.graph.inputs, ...model.graph.outputs].map(({ name }) => name));
  const counts = new Map<string, number>();
  countNames(model.graph, counts);
  const fresh = shortNames(kept);
  const names = new Map(
    [...counts]
      .filter(([name]) => !kept.has(name))
      .toSorted((left, right) => right[1] - left[1])
      .map(([name]): [string, string] => [name, fresh.next().value as string]),
  );
  return { ...model, producerName: "", producerVersion: "", docString: "", graph: renamed(model.graph, names) };
}
