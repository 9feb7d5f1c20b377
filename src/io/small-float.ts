// Values of the floats of 8 and fewer bits (OFP8, FNUZ, MX element and scale types); may depend on nothing.
//
// Sources: Micikevicius et al. 2022 (arXiv:2209.05433) for E4M3FN and E5M2, Noune et al. 2022 (arXiv:2206.02915) for the
// FNUZ kinds (no infinity, no negative zero, the bits of -0 are NaN), OCP MX 1.0 for E2M1 and E8M0.

interface SmallFloat {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** Which patterns are no finite number. */
  readonly special: "top" | "topExponent" | "negativeZero" | "none";
}

export type SmallFloatKind =
  | "float8e4m3fn"
  | "float8e4m3fnuz"
  | "float8e5m2"
  | "float8e5m2fnuz"
  | "float4e2m1"
  | "float8e8m0";

const KINDS: Record<Exclude<SmallFloatKind, "float8e8m0">, SmallFloat> = {
  float8e4m3fn: { exponentBits: 4, fractionBits: 3, bias: 7, special: "top" },
  float8e4m3fnuz: { exponentBits: 4, fractionBits: 3, bias: 8, special: "negativeZero" },
  float8e5m2: { exponentBits: 5, fractionBits: 2, bias: 15, special: "topExponent" },
  float8e5m2fnuz: { exponentBits: 5, fractionBits: 2, bias: 16, special: "negativeZero" },
  float4e2m1: { exponentBits: 2, fractionBits: 1, bias: 1, special: "none" },
};

/** The number that a bit pattern stands for. */
export function smallFloatToNumber(kind: SmallFloatKind, pattern: number): number {
  if (kind === "float8e8m0") return pattern === 255 ? NaN : 2 ** (pattern - 127);
  const { exponentBits, fractionBits, bias, special } = KINDS[kind];
  const signBit = 1 << (exponentBits + fractionBits);
  const sign = pattern & signBit ? -1 : 1;
  const magnitude = pattern & (signBit - 1);
  const exponent = magnitude >>> fractionBits;
  const fraction = (magnitude & ((1 << fractionBits) - 1)) / (1 << fractionBits);
  if (special === "top" && magnitude === signBit - 1) return NaN;
  if (special === "negativeZero" && pattern === signBit) return NaN;
  if (special === "topExponent" && exponent === (1 << exponentBits) - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const tables = new Map<SmallFloatKind, Float32Array>();

/** One pattern a byte `[n]` as float32 `[n]`, exactly. */
export function decodeSmallFloats(kind: SmallFloatKind, patterns: Uint8Array): Float32Array {
  const table =
    tables.get(kind) ?? Float32Array.from({ length: 256 }, (_, pattern) => smallFloatToNumber(kind, pattern));
  tables.set(kind, table);
  return Float32Array.from(patterns, (pattern) => table[pattern]);
}
