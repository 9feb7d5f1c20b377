// Tensors that share a handful of values and are hardly ever zero: an index into one codebook for each element, as bit planes,
// or as whole bytes and nibbles where a tensor is large; may depend on this folder.
import type { BitSections } from "./bit-sections.ts";
import type { Decoder } from "./decoder.ts";
import { packSubByte } from "../../model/sub-byte.ts";
import { bitsFor, readPlanes } from "./sparse-group.ts";

/** A row of bit patterns as indices into its distinct patterns. */
export interface SharedRow {
  readonly indices: Uint8Array;
  readonly codebook: Uint32Array;
}

/** @param bits at most 256 distinct patterns */
export function sharedRow(bits: Uint32Array): SharedRow {
  const indexOf = new Map<number, number>();
  const indices = new Uint8Array(bits.length);
  for (let at = 0; at < bits.length; at++) {
    let index = indexOf.get(bits[at]);
    if (index === undefined) indexOf.set(bits[at], (index = indexOf.size));
    indices[at] = index;
  }
  return { indices, codebook: Uint32Array.from(indexOf.keys()) };
}

const bookOf = ({ codebook }: SharedRow, decoder: Decoder): string =>
  decoder.constant({ dtype: "float32", shape: [codebook.length], data: new Float32Array(codebook.buffer) });

/** Puts the row's indices into the blob, bit plane after bit plane. @returns the section's number */
export function addSharedSection(row: SharedRow, blob: BitSections): number {
  const { indices, codebook } = row;
  const width = bitsFor(codebook.length);
  const planes = new Uint8Array(indices.length * width);
  for (let bit = 0; bit < width; bit++) {
    for (let at = 0; at < indices.length; at++) planes[bit * indices.length + at] = (indices[at] >> bit) & 1;
  }
  return blob.add(planes);
}

/** @returns the name of float32 `[1, elements]` */
export function emitShared(row: SharedRow, section: string, decoder: Decoder): string {
  const width = bitsFor(row.codebook.length);
  const weights = Array.from({ length: width }, (_, bit) => 2 ** bit);
  const indices = readPlanes(section, [1, width], weights, decoder);
  return decoder.apply("Gather", [bookOf(row, decoder), indices]);
}

/** One tensor of the shape it has, its indices as uint8 or, for up to 16 values at operator set 21 and above, uint4. */
export function emitIndexed(row: SharedRow, name: string, shape: readonly number[], decoder: Decoder): void {
  const nibbles = isNibbles(row.codebook.length, decoder.opset);
  const indices = decoder.constant(
    nibbles
      ? { dtype: "uint4", shape, data: packSubByte("uint4", row.indices) }
      : { dtype: "uint8", shape, data: row.indices },
  );
  decoder.finish(name, "Gather", [bookOf(row, decoder), decoder.cast(indices, "int32")]);
}

/** First operator set with uint4. */
export const NIBBLE_OPSET = 21;
/** True when indices among so many choices can be stored in four bits. */
export const isNibbles = (choices: number, opset: number): boolean => choices <= 16 && opset >= NIBBLE_OPSET;
