// The nodes of a graph in the order in which chosen values need them, and what each node reads; may depend on model.
import { subgraphsOf } from "../../model/attributes.ts";
import type { Graph, Node } from "../../model/graph.ts";
import { graphsOf } from "../../model/tensors.ts";

/** Names that a node reads, also those that only its subgraphs do; names from inside these may be among them. */
export function namesRead(node: Node): Set<string> {
  const names = new Set(node.inputs);
  for (const { graph } of subgraphsOf(node)) {
    for (const inner of graphsOf(graph)) {
      for (const { inputs } of inner.nodes) for (const name of inputs) names.add(name);
      for (const { name } of inner.outputs) names.add(name);
    }
  }
  names.delete("");
  return names;
}

/**
 * The nodes that `names` need: first all that the first name does, then what the second needs besides, and so on. A statistic so
 * comes right behind the value that it is of, and nodes that lead to none of the names are left out.
 */
export function inReadingOrder(graph: Graph, names: Iterable<string>): Node[] {
  const { nodes } = graph;
  const makers = new Map(nodes.flatMap(({ outputs }, at) => outputs.map((name) => [name, at] as const)));
  makers.delete("");
  const ordered: Node[] = [];
  const begun = new Uint8Array(nodes.length);
  const needs = (at: number): number[] => [...namesRead(nodes[at])].flatMap((name) => makers.get(name) ?? []);
  for (const name of names) {
    const root = makers.get(name);
    if (root === undefined || begun[root] === 1) continue;
    begun[root] = 1;
    // Without recursion: chains of a hundred thousand nodes would overflow the stack.
    const stack = [{ at: root, needed: needs(root), next: 0 }];
    while (stack.length > 0) {
      const frame = stack.at(-1)!;
      const needed = frame.needed[frame.next++];
      if (needed === undefined) {
        stack.pop();
        ordered.push(nodes[frame.at]);
      } else if (begun[needed] === 0) {
        begun[needed] = 1;
        stack.push({ at: needed, needed: needs(needed), next: 0 });
      }
    }
  }
  return ordered;
}
