// Latin-hypercube draws and the distributions they are read through; may depend on its room and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Random } from "./random.ts";

/**
 * `draws × dimensions` numbers in (0, 1), row by row: in each dimension every one of the `draws` equal strata holds
 * exactly one draw, in random order.
 *
 * Means over the draws then vary less than with independent draws, never more for functions monotone in each dimension.
 *
 * @param random one fork per dimension is taken, so that adding a dimension leaves the others as they were
 * @throws LightfootError E_RANGE unless draws ≥ 1 and dimensions ≥ 0 are whole
 * @source McKay, Beckman and Conover 1979, Technometrics 21(2)
 */
export function latinHypercube(draws: number, dimensions: number, random: Random): Float64Array {
  if (!Number.isSafeInteger(draws) || draws < 1 || !Number.isSafeInteger(dimensions) || dimensions < 0) {
    throw new LightfootError(
      "E_RANGE",
      `a Latin hypercube has whole draws ≥ 1, found ${draws} in ${dimensions} dimensions`,
    );
  }
  const points = new Float64Array(draws * dimensions);
  for (let dimension = 0; dimension < dimensions; dimension++) {
    const stream = random.fork(`dimension ${dimension}`);
    const strata = stream.permutation(draws);
    // A draw of exactly 0 would be the end of a distribution that may have no end.
    for (let draw = 0; draw < draws; draw++) {
      points[draw * dimensions + dimension] = (strata[draw] + Math.max(stream.next(), Number.EPSILON)) / draws;
    }
  }
  return points;
}

/**
 * Quantile function of the triangular distribution on `[low, high]` with its mode at `mode`.
 *
 * @param probability 0…1
 * @example triangularQuantile(0.5, 0, 0.5, 1) // 0.5
 */
export function triangularQuantile(probability: number, low: number, mode: number, high: number): number {
  const span = high - low;
  if (span === 0) return mode;
  const below = (mode - low) / span;
  return probability < below
    ? low + Math.sqrt(probability * span * (mode - low))
    : high - Math.sqrt((1 - probability) * span * (high - mode));
}
