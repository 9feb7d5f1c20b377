// First and second moments of chosen axes of a model's tensors on calibration data, summed inside the graph by ONNX Runtime;
// may depend on model, runtime and calibrate.
import { int, ints } from "../model/attributes.ts";
import { node } from "../model/build.ts";
import type { ModelGraph, Node } from "../model/graph.ts";
import { inferShapes } from "../model/shapes/infer.ts";
import { typeIn } from "../model/shapes/inference.ts";
import { int64Tensor } from "../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { watchTensors, type WatchOptions } from "./calibrate.ts";
import { GraphDraft } from "./rewrite/draft.ts";

/** A tensor and the axis whose positions are the variables; all its other positions are observations. */
export interface Variables {
  readonly value: string;
  readonly axis: number;
}

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
const SUM_BYTES = 256 * 2 ** 20;
/** ONNX's number of the type, for Cast. */
const FLOAT32 = 1;

export const momentKey = ({ value, axis }: Variables): string => `${value}@${axis}`;

interface Watched {
  readonly variables: Variables;
  readonly width: number;
  readonly mean: string;
  readonly second: string;
  readonly size: string;
}

/** Adds nodes that give each variable's mean, second moment and number of elements in the batch; all exist since opset 7. */
function addNodes(draft: GraphDraft, variables: Variables, rank: number, width: number, kind: string): Watched {
  const { value, axis } = variables;
  const stem = `moments_${momentKey(variables)}`;
  const nodes: Node[] = [];
  const emit = (opType: string, inputs: readonly string[], attributes = {}): string => {
    const name = draft.fresh(`${stem}_${opType}`);
    nodes.push(node(opType, inputs, [name], attributes));
    return name;
  };
  const order = [axis, ...Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis)];
  const first = emit("Transpose", [value], { perm: ints(order) });
  const flat = (shape: readonly number[], from: string) =>
    emit("Reshape", [from, draft.constant(`${stem}_shape`, int64Tensor([shape.length], shape))]);
  const rows = flat([width, -1], first);
  // A global pool is a mean over all that follows the channels, in every version of the operator set.
  const mean = emit("GlobalAveragePool", [flat([1, width, -1], rows)]);
  const second =
    kind === "products"
      ? emit("MatMul", [rows, emit("Transpose", [rows], { perm: ints([1, 0]) })])
      : emit("GlobalAveragePool", [flat([1, width, -1], emit("Mul", [rows, rows]))]);
  const size = emit("Cast", [emit("Size", [rows])], { to: int(FLOAT32) });
  draft.nodes.push(...nodes);
  return { variables, width, mean, second, size };
}

async function passOver(
  draft: GraphDraft,
  watched: readonly Watched[],
  data: Dataset,
  options: MomentOptions,
): Promise<Map<string, Moments>> {
  const products = options.kind === "products";
  const sums = watched.map(({ width }) => {
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
  await watchTensors(draft.finish(), names, data, options, (name, { data: values }) => {
    const index = at.get(name)!;
    const [sum, { width, size, mean }] = [sums[index], watched[index]];
    if (name === size) {
      sum.rows = Number(values[0]) / width;
      sum.count += sum.rows;
      return;
    }
    const into = name === mean ? sum.mean : sum.second;
    const weight = name === mean || !products ? sum.rows : 1;
    for (let i = 0; i < into.length; i++) into[i] += weight * Number(values[i]);
  });
  return new Map(
    watched.map(({ variables, width }, index) => {
      const { count, mean, second } = sums[index];
      const per = (values: Float64Array) => values.map((value) => value / count);
      return [momentKey(variables), { width, mean: per(mean), second: per(second) }];
    }),
  );
}

/**
 * Work in as many passes as keep the sums of one within 256 MiB, or one item's.
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
 * Moments of each of `wanted`, by `momentKey`, in one pass over the data; tensors whose rank or width is not known in advance are
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
  const { root } = await inferShapes(model);
  const unique = [...new Map(wanted.map((each) => [momentKey(each), each])).values()];
  const draft = new GraphDraft(model);
  const watched = unique.flatMap((variables): Watched[] => {
    const type = typeIn(root, variables.value);
    const shape = type?.kind === "tensor" && type.dtype === "float32" ? type.shape : undefined;
    const width = shape?.[variables.axis];
    if (typeof width !== "number" || shape === undefined) return [];
    return [addNodes(draft, variables, shape.length, width, options.kind)];
  });
  if (watched.length === 0) return new Map();
  const samples = sliceDataset(data, 0, Math.min(options.samples ?? DEFAULT_SAMPLES, data.sampleCount));
  return passOver(draft, watched, samples, options);
}
