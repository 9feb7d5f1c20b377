// Bias correction: what rounding a layer's weights takes from its mean output goes into its bias; may depend on affine's layouts.
import { channelLayout, type QuantizedChannels } from "./affine.ts";

/** `W − Ŵ`, element by element, of weights stored with one scale per channel along `axis`. */
export function roundingErrors(
  values: Float32Array,
  { data, scales, zeroPoint }: QuantizedChannels,
  shape: readonly number[],
  axis: number,
): Float32Array {
  const { channels, inner } = channelLayout(shape, axis);
  return values.map((value, at) => value - (data[at] - zeroPoint) * scales[Math.floor(at / inner) % channels]);
}

/**
 * `E[x]·(W − Ŵ)` for each column: what a matrix product lost in the mean.
 * @param values W, `[K, N]`
 * @param stored Ŵ, one scale a column
 * @param mean E[x], `[K]`
 */
export function denseShift(
  values: Float32Array,
  { data, scales, zeroPoint }: QuantizedChannels,
  mean: Float64Array,
): Float64Array {
  const n = scales.length;
  const shift = new Float64Array(n);
  for (let row = 0, at = 0; row < mean.length; row++) {
    for (let column = 0; column < n; column++, at++) {
      shift[column] += mean[row] * Math.fround(values[at] - (data[at] - zeroPoint) * scales[column]);
    }
  }
  return shift;
}

/**
 * The same for a convolution with errors `[M, C/group, …]` and the mean of each input channel `[C]`. Padding is taken for more of
 * the channel: the mean over the border is a little off.
 */
export function convShift(errors: Float32Array, shape: readonly number[], mean: Float64Array): Float64Array {
  const [outputs, groupInputs] = shape as [number, number];
  const area = errors.length / (outputs * groupInputs);
  const groups = mean.length / groupInputs;
  const shift = new Float64Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const firstInput = Math.floor(output / (outputs / groups)) * groupInputs;
    for (let input = 0; input < groupInputs; input++) {
      let sum = 0;
      const start = (output * groupInputs + input) * area;
      for (let at = start; at < start + area; at++) sum += errors[at];
      shift[output] += mean[firstInput + input] * sum;
    }
  }
  return shift;
}

/** `bias + shift`; without a bias the shift is one. */
export const shifted = (bias: Float32Array | undefined, shift: Float64Array): Float32Array =>
  Float32Array.from(shift, (value, at) => value + (bias?.[at] ?? 0));

/** Running mean of each channel of a tensor. */
export class ChannelMean {
  readonly #sums: Float64Array;
  #count = 0;

  constructor(channels: number) {
    this.#sums = new Float64Array(channels);
  }

  /** @param axis the channels' axis in `shape` */
  observe(values: Float32Array, shape: readonly number[], axis: number): void {
    const { outer, channels, inner } = channelLayout(shape, axis);
    for (let block = 0, at = 0; block < outer * channels; block++) {
      let sum = 0;
      for (const end = at + inner; at < end; at++) sum += values[at];
      this.#sums[block % channels] += sum;
    }
    this.#count += outer * inner;
  }

  get value(): Float64Array {
    return this.#sums.map((sum) => sum / this.#count);
  }
}
