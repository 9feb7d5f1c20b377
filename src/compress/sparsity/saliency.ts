// Which weights matter least, as numbers to sort by; depends on nothing.

export const CRITERIA = ["magnitude", "second-order"] as const;

/**
 * `magnitude`: |w|. `second-order`: ½·h·w², the rise of the loss when a weight is set to zero and the others stay, with the squared
 * gradient as the curvature h (LeCun, Denker and Solla 1990, with the empirical Fisher diagonal).
 */
export type Criterion = (typeof CRITERIA)[number];

/**
 * @param curvature of each weight, for `second-order`
 * @returns `[weights]`, larger matters more; comparable between tensors of one model
 */
export function saliencies(
  criterion: Criterion,
  weights: Float32Array,
  curvature: Float32Array | undefined,
): Float64Array {
  const result = new Float64Array(weights.length);
  for (let at = 0; at < weights.length; at++) {
    const weight = Math.abs(weights[at]);
    result[at] = criterion === "magnitude" || curvature === undefined ? weight : 0.5 * curvature[at] * weight * weight;
  }
  return result;
}
