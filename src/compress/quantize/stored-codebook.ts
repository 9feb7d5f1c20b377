// Rewrites a stored weight as indices into a codebook when somebody asks for them, in this thread or in a worker; may depend on model,
// runtime, statistics, the clusterings and lazy-parts.
import type { TensorRef } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { compiledModule } from "../../runtime/compiled-module.ts";
import type { TaskContext, TaskRunner } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import { convShift } from "./bias-correction.ts";
import { clusterAroundZero } from "./cluster.ts";
import { LazyParts, type Turnstile } from "./lazy-parts.ts";
import { clusterVectors, type VectorClusters } from "./vector-cluster.ts";

/** What a worker is told: a float weight by reference, and what is known of the inputs that it meets. */
export interface StoredCodebook {
  readonly weight: TensorRef;
  /** True for `[K, N]`; else the outputs come first: `[N, K]`, `[M, C, …]`. */
  readonly inputsFirst: boolean;
  /** Weights of one output, next to each other along its inputs, that share an index; divides their number. */
  readonly length: number;
  /** Vectors in the codebook, 2 … 256. */
  readonly entries: number;
  readonly seed: number;
  /** Mean and mean square of each input, `[K]` or `[C]`. */
  readonly inputs?: { readonly mean: Float64Array; readonly meanSquare: Float64Array };
}

export interface CodedWeight {
  /** `[entries, length]` */
  readonly codebook: Float32Array;
  /** `[outputs, K / length]` */
  readonly indices: Uint8Array;
  /** `E[x]·(W − Ŵ)` for each output; zeros when nothing is known of the inputs. */
  readonly shift: Float64Array;
}

/** An input that calibration hardly saw counts this share of the mean one: other data may show it. */
const LEAST_IMPORTANCE = 0.01;

/** Outputs and inputs of a weight as a matrix. */
export function matrixSize({ weight, inputsFirst }: Pick<StoredCodebook, "weight" | "inputsFirst">) {
  const { shape } = weight;
  const outputs = inputsFirst ? shape[1] : shape[0];
  return { outputs, inputs: elementCount(shape) / outputs };
}

/** `[outputs, inputs]` row-major. */
async function rowsOf(task: StoredCodebook): Promise<Float32Array> {
  const stored = await readFloats(task.weight);
  if (!task.inputsFirst) return stored;
  const { outputs, inputs } = matrixSize(task);
  const rows = new Float32Array(stored.length);
  for (let input = 0; input < inputs; input++) {
    for (let output = 0; output < outputs; output++) rows[output * inputs + input] = stored[input * outputs + output];
  }
  return rows;
}

/**
 * What the error of each of `width` weights of an output counts: the mean square of the input that it meets. Where all are alike, it is
 * said once for a vector.
 */
function importanceOf({ inputs, length }: StoredCodebook, width: number): Float32Array {
  const { meanSquare } = inputs ?? { meanSquare: new Float64Array(1) };
  const mean = meanSquare.reduce((sum, value) => sum + value, 0) / meanSquare.length;
  if (!(mean > 0)) return new Float32Array(length).fill(1);
  const kernel = width / meanSquare.length;
  return Float32Array.from({ length: width }, (_, at) => meanSquare[Math.floor(at / kernel)] / mean + LEAST_IMPORTANCE);
}

function clustered(task: StoredCodebook, rows: Float32Array, importance: Float32Array): VectorClusters {
  const { length, entries, seed, weight } = task;
  if (length > 1) return clusterVectors(rows, length, entries, importance, seededRandom(seed).fork(weight.name));
  const isEven = importance.length === 1;
  const found = clusterAroundZero(
    rows,
    entries,
    isEven ? undefined : rows.map((_, at) => importance[at % importance.length]),
  );
  // Few distinct weights need fewer entries than the graph was promised.
  const centers = new Float32Array(entries).fill(found.centers.at(-1)!);
  centers.set(found.centers);
  return { centers, indices: found.indices };
}

export async function codeStoredWeight(task: StoredCodebook): Promise<CodedWeight> {
  const rows = await rowsOf(task);
  const { outputs, inputs } = matrixSize(task);
  const { length } = task;
  const { centers, indices } = clustered(task, rows, importanceOf(task, inputs));
  if (task.inputs === undefined) return { codebook: centers, indices, shift: new Float64Array(outputs) };
  const { mean } = task.inputs;
  const errors = rows.map((value, at) => value - centers[indices[Math.floor(at / length)] * length + (at % length)]);
  const shift = convShift(errors, [outputs, mean.length, inputs / mean.length], mean);
  return { codebook: centers, indices, shift };
}

/** The same as a task of a `TaskRunner`. */
export async function run(task: StoredCodebook, context: TaskContext): Promise<CodedWeight> {
  const result = await codeStoredWeight(task);
  context.transfer(result.indices.buffer as ArrayBuffer);
  return result;
}

/** Codebook, indices and shift of a weight, made when the model is written. */
export function lazyCodebook(
  task: StoredCodebook,
  parts: number,
  { runner, turnstile, keep }: { readonly runner?: TaskRunner; readonly turnstile: Turnstile; readonly keep: boolean },
): LazyParts<CodedWeight> {
  const code = () =>
    turnstile.pass(elementCount(task.weight.shape) * 4, () =>
      // Elements in memory or still to be computed would have to be copied to the thread.
      runner === undefined || task.weight.data.kind !== "file"
        ? codeStoredWeight(task)
        : runner.run<CodedWeight>({
            module: compiledModule("./stored-codebook.js", import.meta.url).href,
            input: task,
          }),
    );
  return new LazyParts(code, { parts, keep });
}
