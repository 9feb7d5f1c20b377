// First and second moments of chosen axes of a model's tensors on calibration data, summed inside the graph by ONNX Runtime; may
// depend on model, runtime, axis-rows and calibrate.
import { int, ints } from "../model/attributes.ts";
import type { ModelGraph } from "../model/graph.ts";
import { float32Tensor, type TensorValue } from "../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { knownVariables, RowNodes, variablesKey, type KnownVariables, type Variables } from "./axis-rows.ts";
import { watchTensors, type WatchOptions } from "./calibrate.ts";
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

async function passOver(
  draft: GraphDraft,
  watched: readonly Watched[],
  data: Dataset,
  options: MomentOptions,
): Promise<Map<string, Moments>> {
  const products = options.kind === "products";
  const sums = watched.map(({ known: { width } }) => {
    return {
      count: 0,
      rows: 0,
      mean: new Float64Array(width),
      second: new Float64Array(products ? width ** 2 : width),
    };
  });
  const at = new Map(
    watched.flatMap((each, index) => [each.size, each.mean, each.second].map((name) => [name, index])),
  );
  // The size comes first of the three: the others are weighed by it.
  const names = watched.flatMap(({ size, mean, second }) => [size, mean, second]);
  const see = (name: string, value: TensorValue): void => {
    const values = value.data as Float32Array;
    const index = at.get(name)!;
    const [sum, { known, size, mean }] = [sums[index], watched[index]];
    if (name === size) {
      sum.rows = values[0] / known.width;
      sum.count += sum.rows;
      return;
    }
    const into = name === mean ? sum.mean : sum.second;
    const weight = name === mean || !products ? sum.rows : 1;
    for (let i = 0; i < into.length; i++) into[i] += weight * values[i];
  };
  // Sums are as large for many samples as for one: what grows with them is the tensor behind.
  const bytesBehind = (name: string, { data: values }: TensorValue) =>
    name === watched[at.get(name)!].size ? FLOAT_BYTES * Number(values[0]) : 0;
  const targets = Object.fromEntries(
    products
      ? watched.map(({ second, known: { width } }) => [
          second,
          float32Tensor([width, width], new Float32Array(width ** 2)),
        ])
      : [],
  );
  await watchTensors(draft.finish(), names, data, options, see, { bytesBehind, targets });
  return new Map(
    watched.map(({ known: { variables, width } }, index) => {
      const { count, mean, second } = sums[index];
      // In place: a wide matrix fits into memory once.
      for (const values of [mean, second]) for (let i = 0; i < values.length; i++) values[i] /= count;
      return [variablesKey(variables), { width, mean, second }];
    }),
  );
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
 * Moments of each of `wanted`, by `variablesKey`, in one pass over the data; tensors whose rank or width is not known in advance are
 * left out. Batches are summed in float32 by the engine, over batches in float64 here.
 *
 * @throws LightfootError as `watchTensors`
 */
export async function secondMoments(
  model: ModelGraph,
  wanted: readonly Variables[],
  data: Dataset,
  options: MomentOptions,
): Promise<Map<string, Moments>> {
  const draft = new GraphDraft(model);
  const watched = (await knownVariables(model, wanted)).map((known) => watch(draft, known, options.kind));
  if (watched.length === 0) return new Map();
  const samples = sliceDataset(data, 0, Math.min(options.samples ?? DEFAULT_SAMPLES, data.sampleCount));
  return passOver(draft, watched, samples, options);
}
