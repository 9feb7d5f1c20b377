// Masks that keep the most important weights: a share of a model's or of each tensor's, or two of every four; depends on nothing.

/** One entry a weight: 1 keeps it, 0 prunes it. */
export type Mask = Uint8Array;

/** Weights in a tensor that are not zero: what an earlier pruning left. */
export const survivorsOf = (weights: Float32Array): Mask =>
  Uint8Array.from(weights, (weight) => (weight === 0 ? 0 : 1));

/**
 * Keeps the `count` largest of several tensors together; ties go to the earlier one, so that equal input gives equal masks.
 *
 * @param saliencies by tensor
 * @param count from 0 to the number of all weights
 */
export function keepLargest(saliencies: readonly Float64Array[], count: number): Mask[] {
  const masks = saliencies.map(({ length }) => new Uint8Array(length));
  const total = saliencies.reduce((sum, { length }) => sum + length, 0);
  if (count <= 0) return masks;
  const sorted = new Float64Array(total);
  let offset = 0;
  for (const values of saliencies) {
    sorted.set(values, offset);
    offset += values.length;
  }
  sorted.sort();
  const threshold = sorted[Math.max(0, total - count)];
  let ties = count - saliencies.reduce((sum, values) => sum + values.filter((value) => value > threshold).length, 0);
  for (const [at, values] of saliencies.entries()) {
    for (const [index, value] of values.entries()) {
      if (value > threshold || (value === threshold && ties-- > 0)) masks[at][index] = 1;
    }
  }
  return masks;
}

/** Tensors as runs along the axis that a product sums over: element `i` of run `r` lies at `offset(r) + i · stride`. */
export interface SummedAxis {
  /** Elements along the axis. */
  readonly length: number;
  /** Distance of neighbors along the axis. */
  readonly stride: number;
}

/**
 * Keeps the two largest of every four neighbors along the axis that the product sums over, the pattern that sparse tensor cores
 * run. A rest of fewer than four keeps at most two. (Mishra et al. 2021.)
 */
export function keepTwoOfFour(saliency: Float64Array, { length, stride }: SummedAxis): Mask {
  const mask = new Uint8Array(saliency.length);
  const block = length * stride;
  for (let start = 0; start < saliency.length; start += block) {
    for (let lane = 0; lane < stride; lane++) {
      for (let group = 0; group < length; group += 4) {
        const places = Array.from(
          { length: Math.min(4, length - group) },
          (_, at) => start + lane + (group + at) * stride,
        );
        places.sort((left, right) => saliency[right] - saliency[left] || left - right);
        for (const place of places.slice(0, 2)) mask[place] = 1;
      }
    }
  }
  return mask;
}

/**
 * The share of weights that is zero after an epoch of gradual pruning: `final − (final − initial)·(1 − epoch/ramp)³`, and `final`
 * from the ramp's end on. (Zhu and Gupta 2017.)
 */
export function cubicSparsity(initial: number, final: number, epoch: number, ramp: number): number {
  if (epoch >= ramp) return final;
  return final - (final - initial) * (1 - epoch / ramp) ** 3;
}
