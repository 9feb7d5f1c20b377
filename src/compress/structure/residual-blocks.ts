// Residual blocks of a graph, x + f(x): found, and taken out; may depend on model and rewrite.
import { node } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { typeIn } from "../../model/shapes/inference.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { findLinearLayers } from "../rewrite/linear.ts";
import { nodeTitle, producersIn } from "../rewrite/wiring.ts";
import { readsOf } from "./coupling.ts";

export interface ResidualBlock {
  /** x, the tensor that stands for the sum when the block is dropped. */
  readonly input: string;
  /** x + f(x). */
  readonly output: string;
  readonly shape: readonly (number | string | null)[];
  readonly title: string;
}

/** Nodes that lead from `from` to `to`; undefined when `to` does not depend on `from`. */
function nodesBetween(makers: ReadonlyMap<string, Node>, from: string, to: string): Set<Node> | undefined {
  const leads = new Map<string, boolean>([[from, true]]);
  const between = new Set<Node>();
  // Depth first without recursion: a name is settled after all that it reads.
  const open = [to];
  while (open.length > 0) {
    const name = open.at(-1)!;
    const maker = makers.get(name);
    if (leads.has(name) || maker === undefined) {
      if (!leads.has(name)) leads.set(name, false);
      open.pop();
      continue;
    }
    const reads = readsOf(maker);
    const unsettled = reads.filter((read) => !leads.has(read));
    if (unsettled.length > 0) {
      open.push(...unsettled);
      continue;
    }
    const found = reads.some((read) => leads.get(read));
    for (const output of maker.outputs) leads.set(output, found);
    if (found) between.add(maker);
    open.pop();
  }
  return leads.get(to) ? between : undefined;
}

/**
 * Every sum x + f(x) in which f has weights and x the shape of the sum, in execution order.
 *
 * @throws LightfootError as `inferShapes`
 */
export async function findResidualBlocks(model: ModelGraph): Promise<ResidualBlock[]> {
  const draft = new GraphDraft(model);
  const { root } = await inferShapes(model);
  const shapeOf = (name: string) => {
    const type = typeIn(root, name);
    return type?.kind === "tensor" && type.dtype === "float32" ? type.shape : undefined;
  };
  const makers = producersIn(draft.nodes);
  const weighted = new Set(findLinearLayers(draft).map(({ nodes }) => nodes[0]));
  return draft.nodes.flatMap((sum): ResidualBlock[] => {
    if (sum.opType !== "Add" || sum.domain !== "") return [];
    const [output] = sum.outputs;
    const shape = shapeOf(output);
    const [first, second] = sum.inputs;
    for (const [input, branch] of [
      [first, second],
      [second, first],
    ]) {
      if (shape === undefined || shapeOf(input)?.join() !== shape.join() || draft.initializer(input)) continue;
      const between = nodesBetween(makers, input, branch);
      if (between === undefined || ![...between].some((each) => weighted.has(each))) continue;
      return [{ input, output, shape, title: nodeTitle(sum) }];
    }
    return [];
  });
}

/** Lets whatever read a block's output read its input, and takes out the nodes that nothing needs then. */
export function withoutBlocks(draft: GraphDraft, blocks: readonly ResidualBlock[]): void {
  const inputOf = new Map(blocks.map(({ input, output }) => [output, input]));
  const resolve = (name: string): string => {
    const input = inputOf.get(name);
    return input === undefined ? name : resolve(input);
  };
  draft.nodes = draft.nodes.map((each) => {
    const [output] = each.outputs;
    // Subgraphs and the outside world know the sum by its name.
    if (inputOf.has(output)) return node("Identity", [resolve(output)], [output], {}, { name: each.name });
    return { ...each, inputs: each.inputs.map(resolve) };
  });
  dropUnread(draft);
}

/** Takes out nodes none of whose outputs anything reads, and those that only they read. */
function dropUnread(draft: GraphDraft): void {
  const needed = new Set(draft.outputs.map(({ name }) => name));
  draft.nodes = draft.nodes
    .toReversed()
    .filter((each) => {
      if (!each.outputs.some((output) => needed.has(output))) return false;
      for (const read of readsOf(each)) needed.add(read);
      return true;
    })
    .toReversed();
}
