// What rounding in blocks costs a product's outputs when its inputs are scaled, some columns at a time, on threads where there are some;
// may depend on runtime, blockwise, block-fit, column-ranges and feedback-kernel.
import { compiledModule } from "../../runtime/compiled-module.ts";
import { SharedScratch } from "../../runtime/shared-scratch.ts";
import type { TaskRunner } from "../../runtime/task-runner.ts";
import { BlockFitter } from "./block-fit.ts";
import { STRIP } from "./block-kernel.ts";
import { copyStrip, paddedImportance, wholeMatrix, type BlockOptions } from "./blockwise.ts";
import { columnRanges, type ColumnRange } from "./column-ranges.ts";
import { feedbackKernel, ROW_BYTES } from "./feedback-kernel.ts";

/** A product's weights, and what is known of its inputs. */
export interface ScaledProduct {
  /** `[K, N]` */
  readonly weight: Float32Array;
  readonly k: number;
  readonly n: number;
  /** A few inputs as they were: `[rows, K]`. */
  readonly rows: Float32Array;
  /** `[K]` */
  readonly meanSquare: Float64Array;
  /** What is tried: powers of two on the rows of the weights, `[K]` each. */
  readonly scales: readonly Float64Array[];
  readonly options: BlockOptions;
}

interface ColumnErrors extends ScaledProduct, ColumnRange {}

/** Weights below this are tried sooner than threads start. */
const WORTH_THREADS_BYTES = 2 ** 20;

/** Rounds blocks of `STRIP` columns and multiplies inputs with what that takes from them, in the memory of one kernel. */
class LossKernel {
  readonly #run: ReturnType<typeof feedbackKernel>["run"];
  /** Where in the memory things lie; integers go to `words`, where nobody reads them. */
  readonly #at: Readonly<Record<"errors" | "words" | "scales" | "zeros" | "nothing" | "sums" | "inputs", number>>;
  readonly #blockSize: number;
  readonly #pairs: number;
  readonly #width: number;
  readonly #top: number;
  readonly #values: Float32Array;
  readonly #scales: Float32Array;
  readonly #zeros: Float32Array;
  /** `[samples, width]` */
  readonly inputs: Float32Array;
  /** `[samples, STRIP]` */
  readonly sums: Float32Array;

  /** @param width of the inputs, padded to whole blocks */
  constructor(samples: number, width: number, { blockSize, bits }: BlockOptions) {
    [this.#blockSize, this.#width, this.#top] = [blockSize, width, 2 ** bits - 1];
    // The kernel multiplies two rows at once.
    this.#pairs = Math.ceil(samples / 2) * 2;
    const errors = blockSize * ROW_BYTES;
    const [words, scales, zeros, nothing, sums] = [0, 1, 2, 3, 4].map((row) => 2 * errors + row * ROW_BYTES) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const inputs = sums + this.#pairs * ROW_BYTES;
    this.#at = { errors, words, scales, zeros, nothing, sums, inputs };
    const { memory, run } = feedbackKernel(inputs + this.#pairs * width * 4);
    this.#run = run;
    this.#values = new Float32Array(memory, 0, blockSize * STRIP);
    this.#scales = new Float32Array(memory, scales, STRIP);
    this.#zeros = new Float32Array(memory, zeros, STRIP);
    this.inputs = new Float32Array(memory, inputs, this.#pairs * width);
    this.sums = new Float32Array(memory, sums, this.#pairs * STRIP);
  }

  /** Adds to `sums` the inputs of the block that begins at the row `first` times what its rounding takes from the weights. */
  add(first: number, { values, scales, zeroPoints }: Pick<BlockFitter, "values" | "scales" | "zeroPoints">): void {
    this.#values.set(values);
    this.#scales.set(scales);
    this.#zeros.set(zeroPoints);
    const { errors, words, scales: scalesAt, zeros, nothing, sums, inputs } = this.#at;
    for (let row = 0; row < this.#blockSize; row++) {
      const at = row * ROW_BYTES;
      this.#run.roundRow(1, nothing, nothing, nothing, at, errors + at, scalesAt, zeros, words, 0, this.#top);
    }
    this.#run.multiply(this.#pairs, this.#blockSize, inputs + first * 4, this.#width * 4, 4, errors, sums);
  }
}

/** `outputErrors` of some columns alone, as a task of a `TaskRunner`. */
export function columnErrors({
  weight,
  k,
  n,
  rows,
  meanSquare,
  scales,
  options,
  from,
  to,
}: ColumnErrors): Float64Array {
  const { blockSize } = options;
  const width = Math.ceil(k / blockSize) * blockSize;
  const samples = rows.length / k;
  const kernel = new LossKernel(samples, width, options);
  const fitter = new BlockFitter(blockSize, options);
  const matrix = wholeMatrix(weight, k, n);
  const { inputs, sums } = kernel;
  return Float64Array.from(scales, (scale) => {
    for (let row = 0; row < samples; row++) {
      for (let at = 0; at < k; at++) inputs[row * width + at] = rows[row * k + at] / scale[at];
    }
    const counts = paddedImportance(
      meanSquare.map((square, at) => square / scale[at] ** 2),
      k,
      width,
    );
    let total = 0;
    for (let column = from; column < to; column += STRIP) {
      const columns = Math.min(STRIP, to - column);
      sums.fill(0);
      for (let first = 0; first < k; first += blockSize) {
        const count = Math.min(blockSize, k - first);
        fitter.values.fill(0);
        copyStrip(matrix, first, count, column, columns, fitter.values);
        for (let row = 0; row < count; row++) {
          const factor = scale[first + row];
          for (let at = row * STRIP; at < row * STRIP + columns; at++) fitter.values[at] *= factor;
        }
        fitter.counts.set(counts.subarray(first, first + blockSize));
        fitter.fit(columns);
        kernel.add(first, fitter);
      }
      for (let row = 0; row < samples; row++) {
        for (let at = row * STRIP; at < row * STRIP + columns; at++) total += sums[at] ** 2;
      }
    }
    return total;
  });
}

/** What threads read of a product; used again for the next one. */
export class ScaleScratch {
  readonly weight = new SharedScratch();
  readonly rows = new SharedScratch();
}

/**
 * `Σ ‖x·(W − Ŵ)‖²` over the kept rows x for each of the scales s, where Ŵ is s·W rounded in blocks and divided by s again.
 *
 * @param runner takes columns to threads; the same numbers come out without
 */
export async function outputErrors(
  product: ScaledProduct,
  runner: TaskRunner | undefined,
  scratch: ScaleScratch = new ScaleScratch(),
): Promise<Float64Array> {
  const { weight, n, rows, scales } = product;
  const isSmall = runner === undefined || weight.byteLength < WORTH_THREADS_BYTES;
  const task = isSmall
    ? product
    : { ...product, weight: scratch.weight.copyOf(weight), rows: scratch.rows.copyOf(rows) };
  const module = compiledModule("./scale-search.js", import.meta.url).href;
  const parts = await Promise.all(
    columnRanges(n).map(async (range) =>
      isSmall
        ? columnErrors({ ...task, ...range })
        : runner.run<Float64Array>({ module, function: "columnErrors", input: { ...task, ...range } }),
    ),
  );
  return Float64Array.from(scales, (_, at) => parts.reduce((sum, errors) => sum + errors[at], 0));
}
