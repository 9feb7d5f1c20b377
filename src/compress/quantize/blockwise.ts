// Blockwise 2-, 4- and 8-bit weights in the layout of ONNX Runtime's MatMulNBits; may depend on block-fit.
import { BlockFitter, type FitOptions } from "./block-fit.ts";
import { STRIP } from "./block-kernel.ts";

export type BlockSize = 16 | 32 | 64 | 128 | 256;

export interface BlockOptions extends FitOptions {
  /** Neighbours along K that share a scale. */
  readonly blockSize: BlockSize;
}

/** Weights as MatMulNBits reads them; B is stored transposed, one row per output column. */
export interface BlockedWeights {
  /** `[N, blocks, blockSize·bits/8]`; of the values in a byte the earliest one has the lowest bits. */
  readonly packed: Uint8Array;
  /** `[N, blocks]` */
  readonly scales: Float32Array;
  /** `[N, ceil(blocks·bits/8)]`; absent: every zero point is 2^(bits−1). */
  readonly zeroPoints: Uint8Array | undefined;
  readonly blocks: number;
}

/** Integers of `bits` width packed row by row, each row padded with zeros to whole bytes. */
export function packRows(integers: Uint8Array, rows: number, bits: 2 | 4 | 8): Uint8Array {
  if (bits === 8) return integers;
  const length = integers.length / rows;
  const perByte = 8 / bits;
  const rowBytes = Math.ceil(length / perByte);
  const packed = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < length; at++) {
      packed[row * rowBytes + Math.floor(at / perByte)] |= integers[row * length + at] << ((at % perByte) * bits);
    }
  }
  return packed;
}

/** The inverse of `packRows`: `[rows, length]`. */
export function unpackRows(packed: Uint8Array, rows: number, length: number, bits: 2 | 4 | 8): Uint8Array {
  if (bits === 8) return packed;
  const perByte = 8 / bits;
  const rowBytes = packed.length / rows;
  const mask = 2 ** bits - 1;
  const integers = new Uint8Array(rows * length);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < length; at++) {
      const byte = packed[row * rowBytes + Math.floor(at / perByte)];
      integers[row * length + at] = (byte >> ((at % perByte) * bits)) & mask;
    }
  }
  return integers;
}

/**
 * What an error in each row of the weights counts, around 1 and padded to whole blocks: `[length]`.
 *
 * An input that is always zero must not leave its block without any error to go by: each row counts a little.
 */
export function paddedImportance(importance: Float64Array | undefined, k: number, length: number): Float32Array {
  const padded = new Float32Array(length);
  const mean = (importance?.reduce((sum, one) => sum + one, 0) ?? 0) / k;
  for (let row = 0; row < k; row++)
    padded[row] = importance === undefined || mean === 0 ? 1 : importance[row] / mean + 0.001;
  return padded;
}

/** A part of a matrix `[K, N]` in memory: which rows and columns it has, and how far apart they lie. */
export interface MatrixPart {
  readonly values: Float32Array;
  readonly firstRow: number;
  readonly rows: number;
  readonly firstColumn: number;
  readonly columns: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** All of a row-major `[K, N]`. */
export const wholeMatrix = (values: Float32Array, k: number, n: number): MatrixPart => {
  return { values, firstRow: 0, rows: k, firstColumn: 0, columns: n, rowStride: n, columnStride: 1 };
};

/** Copies up to `STRIP` columns of some rows, counted within the part, as rows of `STRIP` in `into`. */
export function copyStrip(
  { values, rowStride, columnStride }: MatrixPart,
  row: number,
  rows: number,
  column: number,
  columns: number,
  into: Float32Array,
): void {
  const from = row * rowStride + column * columnStride;
  if (columnStride === 1) {
    for (let at = 0; at < rows; at++) {
      const start = from + at * rowStride;
      into.set(values.subarray(start, start + columns), at * STRIP);
    }
    return;
  }
  for (let over = 0; over < columns; over++) {
    const start = from + over * columnStride;
    for (let at = 0; at < rows; at++) into[at * STRIP + over] = values[start + at * rowStride];
  }
}

/** What is known of the inputs that meet the weights: mean and mean square of each, `[K]`. */
export interface KnownInputs {
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
}

export interface QuantizedBlocks extends BlockedWeights {
  /** `E[x]·(W − Ŵ)` `[N]`: what the layer's output loses in the mean; zeros when nothing is known of the inputs. */
  readonly shift: Float64Array;
}

/**
 * Quantises a matrix `[K, N]` in blocks along K, each to the nearest point of the grid that `BlockFitter` finds, as its parts come
 * in. K is padded with zeros to whole blocks.
 */
export class BlockQuantizer {
  readonly #n: number;
  readonly #factor: number;
  readonly #options: BlockOptions;
  readonly #blocks: number;
  readonly #counts: Float32Array;
  readonly #means: Float32Array;
  readonly #fitter: BlockFitter;
  readonly #words: Uint32Array;
  readonly #scales: Float32Array;
  readonly #zeroPoints: Uint8Array | undefined;
  readonly #shift: Float64Array;

  /**
   * @param inputs an error in a row of the weights counts by the mean square of the input that it is multiplied with (Lin et al.
   *   2023, AWQ, measure importance alike); all rows alike when left out
   * @param factor on all weights
   */
  constructor(k: number, n: number, options: BlockOptions, inputs?: Partial<KnownInputs>, factor = 1) {
    const { bits, blockSize, symmetric } = options;
    [this.#n, this.#options, this.#factor] = [n, options, factor];
    this.#blocks = Math.ceil(k / blockSize);
    const length = this.#blocks * blockSize;
    this.#counts = paddedImportance(inputs?.meanSquare, k, length);
    this.#means = new Float32Array(length);
    this.#means.set(inputs?.mean ?? []);
    this.#fitter = new BlockFitter(blockSize, options);
    this.#words = new Uint32Array((n * length * bits) / 32);
    this.#scales = new Float32Array(n * this.#blocks);
    this.#zeroPoints = symmetric ? undefined : new Uint8Array(n * this.#blocks);
    this.#shift = new Float64Array(n);
  }

  /** @param part with whole blocks of rows, but for the last of the matrix */
  take(part: MatrixPart): void {
    const { blockSize } = this.#options;
    for (let row = 0; row < part.rows; row += blockSize) {
      const block = (part.firstRow + row) / blockSize;
      this.#fitter.counts.set(this.#counts.subarray(block * blockSize, (block + 1) * blockSize));
      this.#fitter.means.set(this.#means.subarray(block * blockSize, (block + 1) * blockSize));
      for (let column = 0; column < part.columns; column += STRIP) this.#takeStrip(part, row, column, block);
    }
  }

  #takeStrip(part: MatrixPart, row: number, column: number, block: number): void {
    const { blockSize, bits } = this.#options;
    const fitter = this.#fitter;
    const { values } = fitter;
    const columns = Math.min(STRIP, part.columns - column);
    const rows = Math.min(blockSize, part.rows - row);
    copyStrip(part, row, rows, column, columns, values);
    if (rows < blockSize) values.fill(0, rows * STRIP);
    if (this.#factor !== 1) for (let at = 0; at < values.length; at++) values[at] *= this.#factor;
    fitter.fit(columns);
    const { words, shift } = fitter.round(columns);
    const perBlock = (blockSize * bits) / 32;
    for (let at = 0; at < columns; at++) {
      const target = part.firstColumn + column + at;
      const index = target * this.#blocks + block;
      this.#scales[index] = fitter.scales[at];
      if (this.#zeroPoints !== undefined) this.#zeroPoints[index] = fitter.zeroPoints[at];
      this.#shift[target] += shift[at];
      for (let word = 0; word < perBlock; word++) this.#words[index * perBlock + word] = words[word * STRIP + at];
    }
  }

  /** The result, once every part was taken. */
  get result(): QuantizedBlocks {
    const zeroPoints = this.#zeroPoints && packRows(this.#zeroPoints, this.#n, this.#options.bits);
    const packed = new Uint8Array(this.#words.buffer);
    return { packed, scales: this.#scales, zeroPoints, blocks: this.#blocks, shift: this.#shift };
  }
}

/** Shapes of `[K, N]` weights as MatMulNBits' inputs; zero points are there for asymmetric grids only. */
export function blockShapes(k: number, n: number, { bits, blockSize }: BlockOptions) {
  const blocks = Math.ceil(k / blockSize);
  return {
    weight: [n, blocks, (blockSize * bits) / 8],
    scales: [n, blocks],
    zeroPoints: [n, Math.ceil((blocks * bits) / 8)],
  };
}
