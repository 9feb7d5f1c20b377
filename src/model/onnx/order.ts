// Names and order of a graph's nodes: every name has one definition, and it comes before its use; may depend on graph.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { subgraphsOf } from "../attributes.ts";
import type { Graph, Node } from "../graph.ts";

/** Names that a graph reads and does not define, with the node that reads each first: its captures from outer graphs. */
export type FreeNames = ReadonlyMap<string, string>;

interface OrderedNodes {
  /** The nodes in a topological order; the given array itself when it was in one already. */
  readonly nodes: readonly Node[];
  readonly free: FreeNames;
}

/**
 * Checks and orders the nodes of one graph or function body. A graph that is out of order is sorted, each node as close
 * to its old place as its inputs allow, since runtimes accept such files too.
 *
 * @param given names that are defined before the first node: inputs and initializers
 * @param freeNamesOf captures of the subgraphs below, which were ordered before
 * @throws LightfootError E_ONNX when a name is defined twice, E_ONNX_CYCLE when nodes need each other
 */
export function orderNodes(
  nodes: readonly Node[],
  given: Iterable<string>,
  freeNamesOf: (graph: Graph) => FreeNames,
  file: string,
): OrderedNodes {
  const defined = new Set(given);
  const producer = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    for (const output of node.outputs) {
      if (output === "") continue;
      if (defined.has(output) || producer.has(output)) {
        const message = `'${output}' is an output of ${label(node)} and was defined before`;
        throw new LightfootError("E_ONNX", message, { where: { file, path: label(node) } });
      }
      producer.set(output, index);
    }
  }
  const free = new Map<string, string>();
  // What a node waits for, as indices of other nodes; names from outside are noted and cost no edge.
  const needs = nodes.map((node) => {
    const indices: number[] = [];
    const read = (name: string, reader: string) => {
      const index = producer.get(name);
      if (index !== undefined) indices.push(index);
      else if (name !== "" && !defined.has(name) && !free.has(name)) free.set(name, reader);
    };
    for (const input of node.inputs) read(input, label(node));
    for (const { graph } of subgraphsOf(node)) {
      for (const [name, reader] of freeNamesOf(graph)) read(name, `${label(node)}/${reader}`);
    }
    return indices;
  });
  const inOrder = needs.every((indices, index) => indices.every((needed) => needed < index));
  return { nodes: inOrder ? nodes : sort(nodes, needs, file), free };
}

/** Depth-first without recursion: chains of a hundred thousand nodes would overflow the stack. */
function sort(nodes: readonly Node[], needs: readonly (readonly number[])[], file: string): Node[] {
  const sorted: Node[] = [];
  const state = new Uint8Array(nodes.length);
  const [open, done] = [1, 2];
  for (let root = 0; root < nodes.length; root++) {
    const stack = [{ index: root, next: 0 }];
    while (stack.length > 0) {
      const frame = stack.at(-1)!;
      const { index } = frame;
      if (state[index] === done) {
        stack.pop();
        continue;
      }
      state[index] = open;
      const needed = needs[index][frame.next++];
      if (needed === undefined) {
        state[index] = done;
        sorted.push(nodes[index]);
        stack.pop();
      } else if (state[needed] === open) {
        const start = stack.findIndex((one) => one.index === needed);
        throw cycle([...stack.slice(start).map((one) => nodes[one.index]), nodes[needed]], file);
      } else if (state[needed] !== done) stack.push({ index: needed, next: 0 });
    }
  }
  return sorted;
}

function cycle(nodes: readonly Node[], file: string): LightfootError {
  // The stack runs from consumer to producer; people read along the data.
  const labels = nodes.map(label).reverse();
  const shown = labels.length > 8 ? [...labels.slice(0, 4), "…", ...labels.slice(-3)] : labels;
  const message = `nodes depend on each other in a circle: ${shown.join(" → ")}`;
  return new LightfootError("E_ONNX_CYCLE", message, {
    hint: "A dataflow graph has no circles: repair the step that wrote this model.",
    where: { file, path: labels[0] },
  });
}

/** How messages call a node; most exporters leave some names empty. */
export const label = (node: Node): string => node.name || `${node.opType}(${node.outputs.find(Boolean) ?? ""})`;
