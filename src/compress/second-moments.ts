// First and second moments of chosen axes of a model's tensors on calibration data, summed inside the graph by ONNX Runtime; may
// depend on model, runtime, axis-rows and calibrate.
import { int, ints } from "../model/attributes.ts";
import type { ModelGraph } from "../model/graph.ts";
import { float32Tensor, type TensorValue } from "../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { knownVariables, RowNodes, variablesKey, type KnownVariables, type Variables } from "./axis-rows.ts";
import { watchBySegment, type WatchOptions } from "./calibrate.ts";
import { GraphDraft } from "./rewrite/draft.ts";

export interface Moments {
  readonly width: number;
  /** E[x], `[width]`. */
  readonly mean: Float64Array;
  /** E[x·xᵀ], `[width, width]` row-major, symmetric; for `squares` only its diagonal, `[width]`. */
  readonly second: Float64Array;
}

export interface MomentOptions extends WatchOptions {
  /** `products` of all pairs, or only the `squares`. */
  readonly kind: "products" | "squares";
  /** Samples that are looked at, from the first. */
  readonly samples?: number;
}

/** The order of units is stable long before a large data set was seen whole. */
const DEFAULT_SAMPLES = 2048;
/** Sums kept at a time: wide tensors are done in several passes over the data. */
const SUM_BYTES = 128 * 2 ** 20;
/** ONNX's number of the type, for Cast. */
const FLOAT32 = 1;
const FLOAT_BYTES = 4;

interface Watched {
  readonly known: KnownVariables;
  readonly mean: string;
  readonly second: string;
  readonly size: string;
}

/** Adds nodes that give each variable's mean, second moment and number of elements in the batch. */
function watch(draft: GraphDraft, known: KnownVariables, kind: MomentOptions["kind"]): Watched {
  const nodes = new RowNodes(draft, known);
  const { rows, channels } = nodes;
  // A global pool is a mean over all that follows the channels, in every version of the operator set.
  const meanOf = (values: string) => nodes.emit("GlobalAveragePool", [values]);
  const second =
    kind === "products"
      ? nodes.emit("MatMul", [rows, nodes.emit("Transpose", [rows], { perm: ints([1, 0]) })])
      : meanOf(nodes.emit("Mul", [channels, channels]));
  const size = nodes.emit("Cast", [nodes.emit("Size", [rows])], { to: int(FLOAT32) });
  return { known, mean: meanOf(channels), second, size };
}

/** What is summed over the batches of one set of variables. */
interface Sums {
  count: number;
  rows: number;
  readonly mean: Float64Array;
  readonly second: Float64Array;
}

/** Sums over the batches, set by set, and their means. */
class MomentSums {
  readonly #watched: readonly Watched[];
  readonly #isProducts: boolean;
  readonly #at: ReadonlyMap<string, number>;
  readonly #sums = new Map<number, Sums>();

  constructor(watched: readonly Watched[], kind: MomentOptions["kind"]) {
    [this.#watched, this.#isProducts] = [watched, kind === "products"];
    this.#at = new Map(
      watched.flatMap((each, index) => [each.size, each.mean, each.second].map((name) => [name, index])),
    );
  }

  /** The size of a batch comes first of the three: the others are weighed by it. */
  add(name: string, { data }: TensorValue): void {
    const values = data as Float32Array;
    const index = this.#at.get(name)!;
    const { known, size, mean } = this.#watched[index];
    const { width } = known;
    const sum = this.#sums.get(index) ?? {
      count: 0,
      rows: 0,
      mean: new Float64Array(width),
      second: new Float64Array(this.#isProducts ? width ** 2 : width),
    };
    this.#sums.set(index, sum);
    if (name === size) {
      sum.rows = values[0] / width;
      sum.count += sum.rows;
      return;
    }
    const into = name === mean ? sum.mean : sum.second;
    const weight = name === mean || !this.#isProducts ? sum.rows : 1;
    for (let i = 0; i < into.length; i++) into[i] += weight * values[i];
  }

  /** Sums are as large for many samples as for one: what grows with them is the tensor behind. */
  bytesBehind(name: string, { data }: TensorValue): number {
    return name === this.#watched[this.#at.get(name)!].size ? FLOAT_BYTES * Number(data[0]) : 0;
  }

  /** Memory that each batch's products are put into. */
  target(name: string): TensorValue | undefined {
    const found = this.#watched[this.#at.get(name) ?? -1];
    if (!this.#isProducts || found?.second !== name) return undefined;
    const { width } = found.known;
    return float32Tensor([width, width], new Float32Array(width ** 2));
  }

  /** The moments of those sets of which a name is given; they are not kept here. */
  finished(names: readonly string[]): Map<string, Moments> {
    const done = new Set(names.map((name) => this.#at.get(name)!));
    return new Map(
      [...done].flatMap((index) => {
        const sum = this.#sums.get(index);
        if (sum === undefined) return [];
        this.#sums.delete(index);
        const { variables, width } = this.#watched[index].known;
        const { count, mean, second } = sum;
        // In place: a wide matrix fits into memory once.
        for (const values of [mean, second]) for (let i = 0; i < values.length; i++) values[i] /= count;
        return [[variablesKey(variables), { width, mean, second }] as const];
      }),
    );
  }
}

/**
 * Work in as many passes as keep the sums of one within 128 MiB, or one item's.
 *
 * @param widths of the variables that an item needs
 */
export function inPasses<T>(items: readonly T[], widths: (item: T) => readonly number[]): T[][] {
  const passes: T[][] = [];
  let room = 0;
  for (const item of items) {
    const bytes = widths(item).reduce((total, width) => total + 8 * width ** 2, 0);
    if (passes.length === 0 || bytes > room) {
      passes.push([]);
      room = SUM_BYTES;
    }
    room -= bytes;
    passes.at(-1)!.push(item);
  }
  return passes;
}

/**
 * Moments of each of `wanted`, by `variablesKey`, in one pass over the data: a map for each segment of the model, so that those of one
 * segment are in memory at a time. Tensors whose rank or width is not known in advance are left out. Batches are summed in float32 by
 * the engine, over batches in float64 here.
 *
 * @throws LightfootError as `watchTensors`
 */
export async function* momentsBySegment(
  model: ModelGraph,
  wanted: readonly Variables[],
  data: Dataset,
  options: MomentOptions,
): AsyncGenerator<Map<string, Moments>> {
  const { kind, samples = DEFAULT_SAMPLES } = options;
  const draft = new GraphDraft(model);
  const watched = (await knownVariables(model, wanted)).map((known) => watch(draft, known, kind));
  if (watched.length === 0) return;
  const sums = new MomentSums(watched, kind);
  const groups = watched.map(({ size, mean, second, known: { width } }) => {
    return { names: [size, mean, second], heldBytes: kind === "products" ? 8 * width ** 2 : 0 };
  });
  const seen = sliceDataset(data, 0, Math.min(samples, data.sampleCount));
  const see = (name: string, value: TensorValue) => sums.add(name, value);
  const segments = watchBySegment(draft.finish(), groups, seen, options, see, {
    bytesBehind: (name, value) => sums.bytesBehind(name, value),
    target: (name) => sums.target(name),
  });
  for await (const names of segments) yield sums.finished(names);
}

/** The same moments all at once. */
export async function secondMoments(
  model: ModelGraph,
  wanted: readonly Variables[],
  data: Dataset,
  options: MomentOptions,
): Promise<Map<string, Moments>> {
  const all = new Map<string, Moments>();
  for await (const moments of momentsBySegment(model, wanted, data, options)) {
    for (const [key, found] of moments) all.set(key, found);
  }
  return all;
}
