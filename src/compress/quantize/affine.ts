// Affine integer quantisation of float arrays: scales, zero points, rounding, per tensor and per channel; may depend on nothing.

/** Integers that stand for reals as `real = scale · (integer − zeroPoint)`. */
export interface AffineParams {
  readonly dtype: "int8" | "uint8";
  /** A float32 value: what the file stores is what was rounded with. */
  readonly scale: number;
  readonly zeroPoint: number;
}

export const INTEGER_RANGE = { int8: { low: -128, high: 127 }, uint8: { low: 0, high: 255 } } as const;

/** Smallest scale used: anything finer is a denormal float32, whose quotients overflow. */
const SMALLEST_SCALE = 2 ** -100;

/** Rounds to the nearest integer, halves to the even one, as QuantizeLinear prescribes. */
export function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  // + 0 turns −0, which compares unequal in places, into 0.
  return (Math.abs(x - Math.trunc(x)) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded) + 0;
}

export const clamp = (x: number, low: number, high: number): number => (x < low ? low : x > high ? high : x);

/**
 * Parameters that cover `low…high` with all 256 levels. Zero is always representable exactly: padding and Relu rely on it.
 *
 * A range that starts at zero gets the lowest integer as zero point; only then does ONNX Runtime absorb the Relu before it.
 */
export function activationParams(low: number, high: number): AffineParams {
  const floor = Math.min(low, 0);
  const ceiling = Math.max(high, 0);
  const scale = Math.fround(Math.max((ceiling - floor) / 255, SMALLEST_SCALE));
  return { dtype: "uint8", scale, zeroPoint: clamp(roundHalfEven(-floor / scale), 0, 255) };
}

/** The integer nearest to `value`, saturated to the type. */
export function quantizeValue(value: number, params: AffineParams): number {
  const { low, high } = INTEGER_RANGE[params.dtype];
  return clamp(roundHalfEven(Math.fround(value / params.scale)) + params.zeroPoint, low, high);
}

export const dequantizeValue = (integer: number, params: AffineParams): number =>
  (integer - params.zeroPoint) * params.scale;

/** How the channels of a tensor lie in memory: `outer` runs of `channels` groups of `inner` neighbours. */
interface ChannelLayout {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

const product = (sizes: readonly number[]): number => sizes.reduce((running, size) => running * size, 1);

export function channelLayout(shape: readonly number[], axis: number): ChannelLayout {
  return { outer: product(shape.slice(0, axis)), channels: shape[axis] ?? 1, inner: product(shape.slice(axis + 1)) };
}

/** Largest magnitude in each channel along `axis`. */
export function channelMaxima(values: Float32Array, shape: readonly number[], axis: number): Float64Array {
  const { outer, channels, inner } = channelLayout(shape, axis);
  const maxima = new Float64Array(channels);
  for (let position = 0, block = 0; block < outer * channels; block++) {
    const channel = block % channels;
    let largest = maxima[channel];
    for (const end = position + inner; position < end; position++) {
      const magnitude = Math.abs(values[position]);
      if (magnitude > largest) largest = magnitude;
    }
    maxima[channel] = largest;
  }
  return maxima;
}

export interface WeightGrid {
  /** `uint8` stores the same symmetric grid shifted by 128. */
  readonly dtype: "int8" | "uint8";
  /**
   * Bits used. 7 leaves the top bit free: on x86 without VNNI the u8×i8 kernel adds pairs of products in 16 bits, and
   * 2·255·127 does not fit while 2·255·63 does. With 8 bits such a machine answers wrongly and says nothing.
   */
  readonly bits: 7 | 8;
}

export interface QuantizedChannels {
  readonly data: Int8Array | Uint8Array;
  /** `[channels]` */
  readonly scales: Float32Array;
  readonly zeroPoint: number;
}

/**
 * Symmetric quantisation with one scale per channel: `scale = max|w| / (2^(bits−1) − 1)`.
 *
 * @param minimumScales lower bounds per channel, e.g. so that a bias still fits into int32 at scale `s_x·s_w`
 */
export function quantizeChannels(
  values: Float32Array,
  shape: readonly number[],
  axis: number,
  grid: WeightGrid,
  minimumScales?: Float64Array,
): QuantizedChannels {
  const limit = 2 ** (grid.bits - 1) - 1;
  const zeroPoint = grid.dtype === "uint8" ? 128 : 0;
  const { outer, channels, inner } = channelLayout(shape, axis);
  const scales = Float32Array.from(channelMaxima(values, shape, axis), (largest, channel) =>
    Math.max(largest / limit, minimumScales?.[channel] ?? 0, SMALLEST_SCALE),
  );
  const data = grid.dtype === "uint8" ? new Uint8Array(values.length) : new Int8Array(values.length);
  for (let position = 0, block = 0; block < outer * channels; block++) {
    const scale = scales[block % channels];
    for (const end = position + inner; position < end; position++) {
      data[position] = clamp(roundHalfEven(values[position] / scale), -limit, limit) + zeroPoint;
    }
  }
  return { data, scales, zeroPoint };
}

const INT32_LIMIT = 2 ** 31 - 1;

/**
 * A bias as int32 with scale `s_x · s_w[c]`, the only scale integer kernels accept for it.
 *
 * @returns undefined when a value does not fit: a plain cast would wrap round and flip the sign
 */
export function quantizeBias(
  bias: Float32Array,
  inputScale: number,
  weightScales: Float32Array,
): Int32Array | undefined {
  const integers = Array.from(bias, (value, channel) => roundHalfEven(value / (inputScale * weightScales[channel])));
  return integers.every((integer) => Math.abs(integer) <= INT32_LIMIT) ? Int32Array.from(integers) : undefined;
}

/** The smallest weight scales at which `bias` fits into int32, with headroom for rounding. */
export function biasScaleFloor(bias: Float32Array, inputScale: number): Float64Array {
  return Float64Array.from(bias, (value) => Math.abs(value) / (inputScale * INT32_LIMIT * 0.99));
}
