// Who makes and who reads each value of a list of nodes, and what nodes are called; may depend on model.
import type { Node } from "../../model/graph.ts";

/** What a node is called in reasons and findings: its name, or its operator and first output. */
export const nodeTitle = (node: Node): string => node.name || `${node.opType} → ${node.outputs[0]}`;

/** The node that computes each value. */
export function producersIn(nodes: readonly Node[]): ReadonlyMap<string, Node> {
  return new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
}

/** The nodes that read each value, subgraphs apart. */
export function consumersIn(nodes: readonly Node[]): ReadonlyMap<string, readonly Node[]> {
  const consumers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) {
      const known = consumers.get(input);
      if (known === undefined) consumers.set(input, [node]);
      else known.push(node);
    }
  }
  return consumers;
}
