// Rounding of weights one input after another, each making up for the errors before it (GPTQ); may depend on blockwise, block-fit and
// feedback.
import { BlockFitter } from "./block-fit.ts";
import { STRIP } from "./block-kernel.ts";
import {
  copyStrip,
  packRows,
  paddedImportance,
  type BlockOptions,
  type MatrixPart,
  type QuantizedBlocks,
} from "./blockwise.ts";
import type { Feedback } from "./feedback.ts";
import { feedbackKernel, ROW_BYTES } from "./feedback-kernel.ts";

/** Steps of a product that are in the kernel's memory at once. */
const STEPS = 256;

/** Rounds up to 64 columns of a matrix at a time. */
class StripRounder {
  readonly #k: number;
  readonly #options: BlockOptions;
  readonly #feedback: Feedback;
  readonly #counts: Float32Array;
  readonly #fitter: BlockFitter;
  readonly #run: ReturnType<typeof feedbackKernel>["run"];
  /** `[STRIP, STEPS]`: factors of the rows that are being rounded. */
  readonly #factors: Float32Array;
  /** `[STRIP, STRIP]`: what earlier errors add to these rows. */
  readonly #sums: Float32Array;
  /** `[blocks·blockSize, STRIP]`: the weights to be rounded; rows beyond K stay zero. */
  readonly values: Float32Array;
  /** `[blocks, STRIP]`, of the last strip, as all that follows. */
  readonly scales: Float32Array;
  readonly zeroPoints: Float32Array;
  /** `[blocks·blockSize·bits/32, STRIP]`: integers packed down each column, the earliest row in the lowest bits. */
  readonly words: Uint32Array;
  /** `W − Ŵ` in the order of rounding: `[K, STRIP]`. */
  readonly errors: Float32Array;

  constructor(k: number, options: BlockOptions, feedback: Feedback) {
    [this.#k, this.#options, this.#feedback] = [k, options, feedback];
    const { bits, blockSize } = options;
    const blocks = Math.ceil(k / blockSize);
    const length = blocks * blockSize;
    const wordRows = (length * bits) / 32;
    const { memory, run } = feedbackKernel((2 * length + 2 * blocks + wordRows + STRIP + STEPS) * ROW_BYTES);
    let place = 0;
    const floats = (rows: number) => {
      const array = new Float32Array(memory, place, rows * STRIP);
      place += array.byteLength;
      return array;
    };
    this.#run = run;
    [this.values, this.errors, this.scales, this.zeroPoints] = [length, length, blocks, blocks].map(floats) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    [this.#sums, this.#factors] = [floats(STRIP), floats(STEPS)];
    this.words = new Uint32Array(memory, place, wordRows * STRIP);
    this.#counts = paddedImportance(feedback.importance, k, length);
    this.#fitter = new BlockFitter(blockSize, options);
  }

  round(columns: number): void {
    this.#fit(columns);
    this.errors.fill(0);
    this.#padWords();
    for (let first = 0; first < this.#k; first += STRIP) this.#roundRows(first, Math.min(STRIP, this.#k - first));
  }

  #fit(columns: number): void {
    const { blockSize } = this.#options;
    const fitter = this.#fitter;
    for (let block = 0; block < this.scales.length / STRIP; block++) {
      const [from, to] = [block * blockSize, (block + 1) * blockSize];
      fitter.values.set(this.values.subarray(from * STRIP, to * STRIP));
      fitter.counts.set(this.#counts.subarray(from, to));
      fitter.fit(columns);
      this.scales.set(fitter.scales, block * STRIP);
      this.zeroPoints.set(fitter.zeroPoints, block * STRIP);
    }
  }

  /** What pads K is never rounded: it stays at the zero point. */
  #padWords(): void {
    const { bits, blockSize } = this.#options;
    this.words.fill(0);
    const lastZeros = this.zeroPoints.subarray(this.zeroPoints.length - STRIP);
    for (let row = this.#k; row < (this.scales.length / STRIP) * blockSize; row++) {
      const [word, shift] = [Math.floor((row * bits) / 32) * STRIP, (row * bits) % 32];
      for (let column = 0; column < STRIP; column++) this.words[word + column] |= lastZeros[column] << shift;
    }
  }

  /** Rounds the inputs `order[first]` to `order[first + rows − 1]`. */
  #roundRows(first: number, rows: number): void {
    const { order, factors } = this.#feedback;
    const { bits, blockSize } = this.#options;
    const [left, sums] = [this.#factors.byteOffset, this.#sums.byteOffset];
    const place = (array: Float32Array | Uint32Array, row: number) => array.byteOffset + row * ROW_BYTES;
    this.#sums.fill(0);
    for (let start = 0; start < first; start += STEPS) {
      const steps = Math.min(STEPS, first - start);
      for (let row = 0; row < rows; row++) {
        const from = (first + row) * this.#k + start;
        this.#factors.set(factors.subarray(from, from + steps), row * STEPS);
      }
      this.#run.multiply(STRIP, steps, left, STEPS * 4, 4, place(this.errors, start), sums);
    }
    for (let at = first; at < first + rows; at++) {
      const row = order[at];
      const block = Math.floor(row / blockSize);
      // The last step is the row's own, whose error is still zero.
      const from = at * this.#k + first;
      this.#factors.set(factors.subarray(from, from + at - first + 1));
      this.#run.roundRow(
        at - first + 1,
        left,
        place(this.errors, first),
        place(this.#sums, at - first),
        place(this.values, row),
        place(this.errors, at),
        place(this.scales, block),
        place(this.zeroPoints, block),
        place(this.words, Math.floor((row * bits) / 32)),
        (row * bits) % 32,
        2 ** bits - 1,
      );
    }
  }
}

/**
 * Quantises columns of a matrix in blocks along K, rounding so that the error of the layer's output on the inputs behind `feedback` is
 * small.
 *
 * The blocks' scales and zero points come from the weights as they are (static groups), so that inputs can be rounded in the order
 * of their strength and still lie in their own block: no `g_idx`, which MatMulNBits takes on a path 80 times slower.
 *
 * @param part all rows of some columns
 * @param mean of each input, `[K]`, for the `shift` of the result
 */
export function quantizeWithFeedback(
  part: MatrixPart,
  options: BlockOptions,
  feedback: Feedback,
  mean?: Float64Array,
): QuantizedBlocks {
  const { rows: k, columns: n } = part;
  const { bits, blockSize, symmetric } = options;
  const blocks = Math.ceil(k / blockSize);
  const wordRows = (blocks * blockSize * bits) / 32;
  const words = new Uint32Array(n * wordRows);
  const scales = new Float32Array(n * blocks);
  const zeroPoints = symmetric ? undefined : new Uint8Array(n * blocks);
  const shift = new Float64Array(n);
  const strip = new StripRounder(k, options, feedback);
  for (let first = 0; first < n; first += STRIP) {
    const columns = Math.min(STRIP, n - first);
    copyStrip(part, 0, k, first, columns, strip.values);
    strip.round(columns);
    for (let at = 0; at < columns; at++) {
      const column = first + at;
      for (let block = 0; block < blocks; block++) {
        scales[column * blocks + block] = strip.scales[block * STRIP + at];
        if (zeroPoints !== undefined) zeroPoints[column * blocks + block] = strip.zeroPoints[block * STRIP + at];
      }
      for (let word = 0; word < wordRows; word++) words[column * wordRows + word] = strip.words[word * STRIP + at];
      if (mean === undefined) continue;
      for (let row = 0; row < k; row++) shift[column] += mean[feedback.order[row]] * strip.errors[row * STRIP + at];
    }
  }
  const packedZeros = zeroPoints && packRows(zeroPoints, n, bits);
  return { packed: new Uint8Array(words.buffer), scales, zeroPoints: packedZeros, blocks, shift };
}
