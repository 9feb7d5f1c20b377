// Tensors that share a handful of values and are mostly zero: positions in Elias-Fano form beside indices into one codebook,
// rebuilt by a dozen standard operators; may depend on this folder.
import type { BitSections } from "./bit-sections.ts";
import { int64Tensor } from "../../model/tensor-value.ts";
import type { Decoder } from "./decoder.ts";

/** Positions and values of what is not zero in a row of bit patterns. */
export interface SparseRow {
  /** Length of the row, zeros included. */
  readonly length: number;
  readonly positions: Uint32Array;
  /** Index into `codebook` for each position. */
  readonly indices: Uint8Array;
  /** float32 bit patterns, most frequent first. */
  readonly codebook: Uint32Array;
}

/** @param bits float32 bit patterns, at most 256 distinct ones besides +0 */
export function sparseRow(bits: Uint32Array): SparseRow {
  const counts = new Map<number, number>();
  for (const pattern of bits) if (pattern !== 0) counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
  const codebook = Uint32Array.from(
    [...counts].toSorted((left, right) => right[1] - left[1] || left[0] - right[0]).map(([pattern]) => pattern),
  );
  const indexOf = new Map([...codebook].map((pattern, index) => [pattern, index]));
  const survivors = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const positions = new Uint32Array(survivors);
  const indices = new Uint8Array(survivors);
  let next = 0;
  for (let at = 0; at < bits.length; at++) {
    if (bits[at] === 0) continue;
    positions[next] = at;
    indices[next++] = indexOf.get(bits[at])!;
  }
  return { length: bits.length, positions, indices, codebook };
}

/** Bits of an index among so many choices, one at least. */
export const bitsFor = (choices: number): number => Math.max(1, Math.ceil(Math.log2(Math.max(choices, 1))));

export interface EliasFanoSize {
  readonly lowBits: number;
  readonly totalBits: number;
}

/**
 * Bits for `survivors` positions below `length`, each with a value index of `valueBits`: with l low bits stored plainly, the
 * rest is a bitmap with a one for each position and a zero for each step of 2^l, so `n·(1 + l + valueBits) + length/2^l`.
 */
export function eliasFanoSize(survivors: number, length: number, valueBits: number): EliasFanoSize {
  let best: EliasFanoSize = { lowBits: 0, totalBits: survivors * (1 + valueBits) + length };
  for (let lowBits = 1; 2 ** lowBits <= length; lowBits++) {
    const totalBits = survivors * (1 + lowBits + valueBits) + Math.ceil(length / 2 ** lowBits);
    if (totalBits < best.totalBits) best = { lowBits, totalBits };
  }
  return best;
}

/**
 * The numbers that bit planes `section` hold: `weights` `[rows, width]` times planes `[width, n]`.
 * @returns the name of int64 `[rows, n]`
 */
export function readPlanes(
  section: string,
  shape: readonly [rows: number, width: number],
  weights: readonly number[],
  decoder: Decoder,
): string {
  const planes = decoder.apply("Reshape", [section, decoder.sizes(shape[1], -1)]);
  return decoder.apply("MatMul", [decoder.constant(int64Tensor(shape, weights)), planes]);
}

export interface SparseSections {
  readonly row: SparseRow;
  readonly lowBits: number;
  readonly valueBits: number;
  readonly bitmap: number;
  readonly fields: number;
}

/** Puts the row's bitmap and its fields, bit plane after bit plane, into the blob. The row has a survivor. */
export function addSparseSections(row: SparseRow, blob: BitSections): SparseSections {
  const { positions, indices, codebook, length } = row;
  const valueBits = bitsFor(codebook.length);
  const { lowBits } = eliasFanoSize(positions.length, length, valueBits);
  const step = 2 ** lowBits;
  const place = (i: number): number => Math.floor(positions[i] / step) + i;
  const bitmap = new Uint8Array(place(positions.length - 1) + 1);
  const survivors = positions.length;
  const fields = new Uint8Array(survivors * (valueBits + lowBits));
  for (let i = 0; i < survivors; i++) {
    bitmap[place(i)] = 1;
    for (let bit = 0; bit < valueBits; bit++) fields[bit * survivors + i] = (indices[i] >> bit) & 1;
    for (let bit = 0; bit < lowBits; bit++) {
      fields[(valueBits + bit) * survivors + i] = Math.floor(positions[i] / 2 ** bit) & 1;
    }
  }
  return { row, lowBits, valueBits, bitmap: blob.add(bitmap), fields: blob.add(fields) };
}

/**
 * The operators that rebuild the row from its sections.
 *
 * With z the places of the ones and i their numbers, position = (z − i)·2^l + low. TopK gives equal values in the order of
 * their places, so of the bits it gives z, and of the ones among them i. (NonZero would do too, but ONNX Runtime does not fold it
 * when it loads a model.)
 * @returns the name of float32 `[1, length]`
 */
export function emitSparse(sections: SparseSections, names: readonly string[], decoder: Decoder): string {
  const { row, lowBits, valueBits } = sections;
  const width = valueBits + lowBits;
  const weights = Array.from({ length: 2 * width }, () => 0);
  for (let bit = 0; bit < valueBits; bit++) weights[bit] = 2 ** bit;
  for (let bit = 0; bit < lowBits; bit++) weights[width + valueBits + bit] = 2 ** bit;
  const count = decoder.sizes(row.positions.length);
  const [ones, places] = decoder.topK(names[sections.bitmap], count);
  const [, numbers] = decoder.topK(ones, count);
  const steps = decoder.apply("Sub", [places, numbers]);
  const scale = decoder.constant(int64Tensor([2, 1], [0, 2 ** lowBits]));
  const read = readPlanes(names[sections.fields], [2, width], weights, decoder);
  const both = decoder.apply("Add", [decoder.apply("Mul", [steps, scale]), read]);
  const [indices, positions] = decoder.split(both, [1, 1], 0);
  const { codebook } = row;
  const book = { dtype: "float32", shape: [codebook.length], data: new Float32Array(codebook.buffer) } as const;
  const values = decoder.apply("Gather", [decoder.constant(book), indices]);
  const zeros = decoder.apply("ConstantOfShape", [decoder.sizes(1, row.length)]);
  return decoder.scatter(zeros, positions, values);
}
