// Cuts a graph into consecutive segments whose weights fit into memory; may depend on model and its room.
import type { DType } from "../../model/dtype.ts";
import type { ModelGraph, Node, ValueType } from "../../model/graph.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { typeIn } from "../../model/shapes/inference.ts";
import { totalBytes } from "../../model/tensor-data.ts";
import { tensorsOf } from "../../model/tensors.ts";
import { inReadingOrder, namesRead } from "./reading-order.ts";

/** Values that are watched in one run of the model. */
export interface WatchedGroup {
  readonly names: readonly string[];
  /** What the watcher keeps in memory until the segment is done. */
  readonly heldBytes?: number;
}

/** A part of a model that runs by itself. */
export interface Segment {
  readonly nodes: readonly Node[];
  /** Watched names that are graph inputs, constants, or made here. */
  readonly watched: readonly string[];
  /** Values of earlier segments that it reads. */
  readonly takes: readonly string[];
  /** Values made here that later segments read, with the last of these. */
  readonly keeps: ReadonlyMap<string, number>;
}

/** What a tensor that leaves a session may hold; a value of any other type stays within one segment. */
const KEPT_TYPES: ReadonlySet<DType> = new Set([
  ...(["float32", "float64", "float16", "bool"] as const),
  ...(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"] as const),
]);

const canBeKept = (type: ValueType | undefined): boolean =>
  type === undefined || (type.kind === "tensor" && KEPT_TYPES.has(type.dtype));

/** What each place between two nodes would cost, by the index of the node behind it. */
interface Places {
  /** Values that are made before the place and read behind it. */
  readonly crossing: Int32Array;
  /** More than 0: no cut here. */
  readonly barred: Int32Array;
}

/** What a segment takes of memory, node by node. */
class Filling {
  readonly #model: ModelGraph;
  readonly #known = new Set<string>();
  weightBytes = 0;
  heldBytes = 0;

  constructor(model: ModelGraph) {
    this.#model = model;
  }

  /** Weights that several of the segment's nodes read count once. */
  add(node: Node, heldBytes = 0): this {
    const { graph } = this.#model;
    this.heldBytes += heldBytes;
    if (node.attributes.size > 0) this.weightBytes += totalBytes(tensorsOf(onlyNode(this.#model, node)));
    for (const name of namesRead(node)) {
      if (this.#known.has(name)) continue;
      this.#known.add(name);
      const [dense, sparse] = [graph.initializers.get(name), graph.sparseInitializers.get(name)];
      if (dense !== undefined) this.weightBytes += totalBytes([dense]);
      if (sparse !== undefined) this.weightBytes += totalBytes([sparse.values, sparse.indices]);
    }
    return this;
  }
}

const onlyNode = (model: ModelGraph, node: Node): ModelGraph => ({
  ...model,
  functions: [],
  graph: { ...model.graph, nodes: [node], initializers: new Map(), sparseInitializers: new Map() },
});

/**
 * Cuts what `groups` need into consecutive segments. The weights of one take up to `budgetBytes`, or those of one node where these are
 * larger, and so does what its watchers hold. Of the places that fill at least half of that a cut takes the one that fewest values
 * cross, which is between blocks rather than inside one.
 *
 * A model within the budget stays whole. What reads a string, a sequence or another value that cannot leave a session is in the
 * segment of its maker, however large that gets.
 */
export async function cutIntoSegments(
  model: ModelGraph,
  groups: readonly WatchedGroup[],
  budgetBytes: number,
): Promise<Segment[]> {
  const names = groups.flatMap((group) => group.names);
  const wholeBytes = totalBytes(tensorsOf(model));
  const heldBytes = groups.reduce((sum, group) => sum + (group.heldBytes ?? 0), 0);
  const nodes = Math.max(wholeBytes, heldBytes) <= budgetBytes ? [] : inReadingOrder(model.graph, names);
  if (nodes.length === 0) {
    return [{ nodes: model.graph.nodes, watched: names, takes: [], keeps: new Map() }];
  }
  const makers = new Map(nodes.flatMap(({ outputs }, at) => outputs.map((name) => [name, at] as const)));
  makers.delete("");
  const held = new Float64Array(nodes.length);
  for (const group of groups) {
    held[Math.max(0, ...group.names.map((name) => makers.get(name) ?? 0))] += group.heldBytes ?? 0;
  }
  const places = await placesOf(model, nodes, makers, groups);
  const starts = startsOf(model, nodes, held, places, budgetBytes);
  return segmentsAt(starts, nodes, makers, names);
}

async function placesOf(
  model: ModelGraph,
  nodes: readonly Node[],
  makers: ReadonlyMap<string, number>,
  groups: readonly WatchedGroup[],
): Promise<Places> {
  const { root } = await inferShapes(model);
  const crossing = new Int32Array(nodes.length + 1);
  const barred = new Int32Array(nodes.length + 1);
  const mark = (counts: Int32Array, first: number, last: number): void => {
    counts[first + 1]++;
    counts[last + 1]--;
  };
  const lastRead = new Map<string, number>();
  nodes.forEach((node, at) => namesRead(node).forEach((name) => lastRead.set(name, at)));
  for (const [name, made] of makers) {
    const read = lastRead.get(name) ?? made;
    mark(crossing, made, read);
    if (!canBeKept(typeIn(root, name))) mark(barred, made, read);
  }
  for (const { names } of groups) {
    const made = names.flatMap((name) => makers.get(name) ?? []);
    if (made.length > 0) mark(barred, Math.min(...made), Math.max(...made));
  }
  for (const counts of [crossing, barred]) for (let at = 1; at < counts.length; at++) counts[at] += counts[at - 1];
  return { crossing, barred };
}

/** The index of each segment's first node. */
function startsOf(
  model: ModelGraph,
  nodes: readonly Node[],
  held: Float64Array,
  { crossing, barred }: Places,
  budgetBytes: number,
): number[] {
  const largest = (of: (at: number) => number) =>
    nodes.reduce((most, _node, at) => Math.max(most, of(at)), budgetBytes);
  const mostWeights = largest((at) => new Filling(model).add(nodes[at]).weightBytes);
  const mostHeld = largest((at) => held[at]);
  const starts = [0];
  let filling = new Filling(model);
  /** The share of the budget that the segment fills up to each place behind its first node. */
  let shares: number[] = [];
  for (let at = 0; at < nodes.length; at++) {
    const { weightBytes, heldBytes } = filling.add(nodes[at], held[at]);
    const share = Math.max(weightBytes / mostWeights, heldBytes / mostHeld);
    const start = starts.at(-1)!;
    const cut = share > 1 ? bestCut(shares, start + 1, crossing, barred) : undefined;
    if (cut === undefined) {
      shares.push(share);
      continue;
    }
    starts.push(cut);
    [filling, shares] = [new Filling(model), []];
    at = cut - 1;
  }
  return starts;
}

/** Of the places from `first` on the last with fewest crossing values, among those at which half of what fits is reached if any is. */
function bestCut(
  shares: readonly number[],
  first: number,
  crossing: Int32Array,
  barred: Int32Array,
): number | undefined {
  const open = shares.map((_share, index) => index).filter((index) => barred[first + index] === 0);
  const half = (shares.at(-1) ?? 0) / 2;
  const late = open.filter((index) => shares[index] >= half);
  let best: number | undefined;
  for (const index of late.length > 0 ? late : open) {
    const place = first + index;
    if (best === undefined || crossing[place] <= crossing[best]) best = place;
  }
  return best;
}

function segmentsAt(
  starts: readonly number[],
  nodes: readonly Node[],
  makers: ReadonlyMap<string, number>,
  watched: readonly string[],
): Segment[] {
  const segmentOf = (at: number): number => starts.findLastIndex((start) => start <= at);
  const home = new Map([...makers].map(([name, at]) => [name, segmentOf(at)]));
  const keeps = starts.map(() => new Map<string, number>());
  const takes = starts.map(() => new Set<string>());
  nodes.forEach((node, at) => {
    const here = segmentOf(at);
    for (const name of namesRead(node)) {
      const made = home.get(name);
      if (made === undefined || made === here) continue;
      takes[here].add(name);
      keeps[made].set(name, here);
    }
  });
  return starts.map((start, index) => {
    return {
      nodes: nodes.slice(start, starts[index + 1]),
      watched: watched.filter((name) => (home.get(name) ?? 0) === index),
      takes: [...takes[index]],
      keeps: keeps[index],
    };
  });
}
