// Conversions between float32 and the 16-bit floats, IEEE binary16 and bfloat16; may depend on nothing.

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Bits of the float16 nearest to a number that is first rounded to float32, ties to even; too large gives infinity. */
export function numberToFloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 the unit is 2^-24. Adding 0.5, whose float32 unit is 2^-24 too, makes the hardware round to it.
    scratchBits[0] = magnitude;
    scratchFloat[0] = scratchFloat[0] + 0.5;
    return sign | (scratchBits[0] - 0x3f000000);
  }
  // Rebias the exponent by 127 - 15 and round the lost 13 bits to even; a carry rightly raises the exponent.
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

/** The number that float16 bits stand for. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Bits of the bfloat16 nearest to a number that is first rounded to float32, ties to even. */
export function numberToBfloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  // A NaN whose payload sits in the lost bits would round to infinity: keep it quiet.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

export function bfloat16ToNumber(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratchFloat[0];
}

/** All 65,536 values: a table turns a weight matrix into floats an order of magnitude faster than the arithmetic. */
let float16Table: Float32Array | undefined;

/** float16 bits `[n]` as float32 `[n]`, exactly. */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, pattern) => float16ToNumber(pattern));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = float16Table[bits[i]]!;
  return values;
}

/** float32 `[n]` as float16 bits `[n]`, to nearest even. */
export function encodeFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = numberToFloat16(values[i]);
  return bits;
}

/** bfloat16 bits `[n]` as float32 `[n]`, exactly. */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return values;
}

/** float32 `[n]` as bfloat16 bits `[n]`, to nearest even. */
export function encodeBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = numberToBfloat16(values[i]);
  return bits;
}
