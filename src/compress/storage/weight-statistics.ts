// What decides how a tensor is stored: its distinct bit patterns, its zeros, and whether half the bits say the same; may depend on io.
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../io/half.ts";

/** More distinct values than a byte can number are no codebook. */
export const CODEBOOK_LIMIT = 256;

export interface WeightStatistics {
  readonly count: number;
  /** How many elements have each bit pattern; undefined when there are more than `CODEBOOK_LIMIT` patterns. */
  readonly patterns: ReadonlyMap<number, number> | undefined;
  /** Elements that are not +0. */
  readonly survivors: number;
  /** The 16-bit type that holds every element exactly. */
  readonly half: "float16" | "bfloat16" | undefined;
}

/** float32 elements by their bits: -0 and NaN payloads count as what they are. */
export const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

const PIECE = 65_536;

/** True when narrowing and widening again gives every bit back. */
function survives(
  values: Float32Array,
  narrow: (piece: Float32Array) => Uint16Array,
  widen: (piece: Uint16Array) => Float32Array,
): boolean {
  for (let at = 0; at < values.length; at += PIECE) {
    const piece = values.subarray(at, at + PIECE);
    const wanted = bitsOf(piece);
    const found = bitsOf(widen(narrow(piece)));
    // Whether a runtime keeps a NaN's payload when it widens is its own affair.
    for (let i = 0; i < wanted.length; i++) if (wanted[i] !== found[i] || Number.isNaN(piece[i])) return false;
  }
  return true;
}

/** One pass for patterns and zeros, one for the 16-bit types. */
export function weightStatistics(values: Float32Array): WeightStatistics {
  const bits = bitsOf(values);
  let patterns: Map<number, number> | undefined = new Map();
  let survivors = 0;
  for (const pattern of bits) {
    if (pattern !== 0) survivors++;
    if (patterns === undefined) continue;
    patterns.set(pattern, (patterns.get(pattern) ?? 0) + 1);
    if (patterns.size > CODEBOOK_LIMIT) patterns = undefined;
  }
  const half = survives(values, encodeFloat16, decodeFloat16)
    ? "float16"
    : survives(values, encodeBfloat16, decodeBfloat16)
      ? "bfloat16"
      : undefined;
  return { count: values.length, patterns, survivors, half };
}
