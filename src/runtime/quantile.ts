// Quantiles of a sample with intervals that assume nothing about the distribution; may depend on errors and statistics.
import { LightfootError } from "../errors/index.ts";
import { binomialCdf } from "../statistics/special-functions.ts";

export interface QuantileInterval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** False when the sample is too small for an upper bound: `high` is then only the largest value seen. */
  readonly boundedAbove: boolean;
}

/**
 * The `q`-quantile with its 95 % interval from order statistics.
 *
 * With B ~ Binomial(n, q), P(x₍ₗ₎ ≤ ξ_q < x₍ᵤ₎) = P(l ≤ B < u); l and u leave at most 2.5 % on each side. The value is
 * the ⌈q·n⌉-th order statistic (the mean of the middle two for an even median).
 * @param sorted ascending, at least one value
 * @source David and Nagaraja 2003, Order Statistics, section 7.1
 */
export function quantile(sorted: Float64Array, q: number): QuantileInterval {
  const count = sorted.length;
  if (count === 0) throw new LightfootError("E_RANGE", "a quantile needs at least one value");
  const at = (rank: number): number => sorted[Math.min(Math.max(rank, 1), count) - 1];
  const place = q * count;
  const value = Number.isInteger(place) ? (at(place) + at(place + 1)) / 2 : at(Math.ceil(place));
  let lower = 0;
  while (lower < count && binomialCdf(lower, count, q) <= 0.025) lower++;
  let upper = Math.min(count, Math.ceil(place));
  while (upper <= count && binomialCdf(upper - 1, count, q) < 0.975) upper++;
  return { value, low: Math.min(value, at(lower)), high: Math.max(value, at(upper)), boundedAbove: upper <= count };
}
