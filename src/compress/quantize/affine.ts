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
export interface ChannelLayout {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

const product = (sizes: readonly number[]): number => sizes.reduce((running, size) => running * size, 1);

export function channelLayout(shape: readonly number[], axis: number): ChannelLayout {
  return { outer: product(shape.slice(0, axis)), channels: shape[axis] ?? 1, inner: product(shape.slice(axis + 1)) };
}

/**
 * Calls `visit(from, to, channel)` for each run of a piece of a tensor: elements of one channel, or (inner 1) of neighboring channels
 * from `channel` on. `start` is the flat position of the piece's first element.
 */
function forEachRun(
  length: number,
  start: number,
  { channels, inner }: ChannelLayout,
  visit: (from: number, to: number, channel: number) => void,
): void {
  // Channels that lie side by side come as whole rows: a call for each element would take longer than its arithmetic.
  const width = inner === 1 ? channels : inner;
  for (let from = 0; from < length;) {
    const block = Math.floor((start + from) / width);
    const to = Math.min(length, (block + 1) * width - start);
    visit(from, to, inner === 1 ? start + from - block * width : block % channels);
    from = to;
  }
}

// The four loops below stand in functions of their own, without a closure: the compiler makes them several times faster so.

function growRow(maxima: Float64Array, values: Float32Array, from: number, to: number, first: number): void {
  for (let at = from, channel = first; at < to; at++, channel++) {
    const magnitude = Math.abs(values[at]);
    if (magnitude > maxima[channel]) maxima[channel] = magnitude;
  }
}

function growOne(maxima: Float64Array, values: Float32Array, from: number, to: number, channel: number): void {
  let largest = maxima[channel];
  for (let at = from; at < to; at++) {
    const magnitude = Math.abs(values[at]);
    if (magnitude > largest) largest = magnitude;
  }
  maxima[channel] = largest;
}

/**
 * Takes a piece of a tensor into the largest magnitudes of its channels.
 * @param maxima `[channels]`, changed
 * @param start flat position of the first element of `values` in the tensor
 */
export function growMaxima(maxima: Float64Array, values: Float32Array, start: number, layout: ChannelLayout): void {
  const grow = layout.inner === 1 ? growRow : growOne;
  forEachRun(values.length, start, layout, (from, to, channel) => grow(maxima, values, from, to, channel));
}

/** Largest magnitude in each channel along `axis`. */
export function channelMaxima(values: Float32Array, shape: readonly number[], axis: number): Float64Array {
  const layout = channelLayout(shape, axis);
  const maxima = new Float64Array(layout.channels);
  growMaxima(maxima, values, 0, layout);
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

/** Largest integer of the grid's symmetric range. */
export const gridLimit = (grid: WeightGrid): number => 2 ** (grid.bits - 1) - 1;

export const gridZeroPoint = (grid: WeightGrid): number => (grid.dtype === "uint8" ? 128 : 0);

export const gridArray = (grid: WeightGrid, length: number): Int8Array | Uint8Array =>
  grid.dtype === "uint8" ? new Uint8Array(length) : new Int8Array(length);

/** `scale = largest magnitude / (2^(bits−1) − 1)` for each channel, in float32 as the file stores it. */
export function channelScales(maxima: Float64Array, grid: WeightGrid, minimumScales?: Float64Array): Float32Array {
  const limit = gridLimit(grid);
  return Float32Array.from(maxima, (largest, channel) =>
    Math.max(largest / limit, minimumScales?.[channel] ?? 0, SMALLEST_SCALE),
  );
}

/** Doubles of this size have no fraction: adding it rounds to the nearest integer, halves to the even one. */
const ROUNDING = 1.5 * 2 ** 52;

type Integers = Int8Array | Uint8Array;

function roundRow(
  data: Integers,
  values: Float32Array,
  from: number,
  to: number,
  scales: Float32Array,
  first: number,
  zeroPoint: number,
): void {
  for (let at = from, channel = first; at < to; at++, channel++) {
    data[at] = ((Math.fround(values[at] / scales[channel]) + ROUNDING - ROUNDING) | 0) + zeroPoint;
  }
}

function roundOne(
  data: Integers,
  values: Float32Array,
  from: number,
  to: number,
  scales: Float32Array,
  channel: number,
  zeroPoint: number,
): void {
  const scale = scales[channel];
  for (let at = from; at < to; at++) {
    data[at] = ((Math.fround(values[at] / scale) + ROUNDING - ROUNDING) | 0) + zeroPoint;
  }
}

/**
 * Rounds a piece of a tensor to its channels' grids: the float32 quotient to the nearest integer, as QuantizeLinear does.
 * @param data integers of the same piece, written
 * @param start flat position of the piece's first element in the tensor
 * @param scales at least `channelScales` of the channels' maxima: then no quotient leaves the grid, and none is clamped
 */
export function roundChannels(
  data: Integers,
  values: Float32Array,
  start: number,
  layout: ChannelLayout,
  scales: Float32Array,
  grid: WeightGrid,
): void {
  const zeroPoint = gridZeroPoint(grid);
  const round = layout.inner === 1 ? roundRow : roundOne;
  forEachRun(values.length, start, layout, (from, to, channel) =>
    round(data, values, from, to, scales, channel, zeroPoint),
  );
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
  const layout = channelLayout(shape, axis);
  const scales = channelScales(channelMaxima(values, shape, axis), grid, minimumScales);
  const data = gridArray(grid, values.length);
  roundChannels(data, values, 0, layout, scales, grid);
  return { data, scales, zeroPoint: gridZeroPoint(grid) };
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
