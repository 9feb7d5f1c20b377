// Intervals for the mean and the quantiles of a sample; may depend on its room and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Interval } from "./proportion.ts";
import { binomialCdf, requireProbability, studentQuantile } from "./special-functions.ts";

/**
 * Mean with Student's interval: x̄ ± t(n−1) · s / √n.
 *
 * Exact for normal samples, good for others once n is some tens; skewed samples (latencies) want a quantile instead.
 *
 * @param values `[samples]`, at least 2, independent
 * @throws LightfootError E_RANGE for fewer than 2 values or one that is not finite
 */
export function meanInterval(values: ArrayLike<number>, confidence = 0.95): Interval {
  requireSample(values, 2, "a mean's interval");
  requireProbability(confidence, "a confidence level");
  const count = values.length;
  let value = 0;
  let squares = 0;
  // Welford's update: the textbook sum of squares loses every digit on latencies of 1 s that differ by nanoseconds.
  for (let index = 0; index < count; index++) {
    const step = values[index] - value;
    value += step / (index + 1);
    squares += step * (values[index] - value);
  }
  const margin = studentQuantile((1 + confidence) / 2, count - 1) * Math.sqrt(squares / (count - 1) / count);
  return { value, low: value - margin, high: value + margin };
}

/** A quantile with its order-statistic interval and the confidence that the sample really gives. */
export interface QuantileInterval extends Interval {
  /** At least the confidence asked for, or less when the sample is too small: then the interval is the sample's range. */
  readonly confidence: number;
}

/**
 * A quantile (0.5 median, 0.95 p95) with an interval that makes no assumption about the distribution.
 *
 * The ends are order statistics x(l), x(u): their confidence is P(l ≤ Binomial(n, q) < u). Each end leaves at most half of the error outside
 * where the sample allows it: 6 values for a median's 95 %, 72 for a p95's upper end.
 * The value interpolates linearly between order statistics (Hyndman and Fan's type 7).
 *
 * @param values `[samples]`, at least 1, independent
 * @param q 0 < q < 1
 * @throws LightfootError E_RANGE
 * @source David and Nagaraja 2003, Order Statistics, 7.1
 */
export function quantileInterval(values: ArrayLike<number>, q: number, confidence = 0.95): QuantileInterval {
  requireSample(values, 1, "a quantile");
  requireProbability(q, "a quantile");
  requireProbability(confidence, "a confidence level");
  const sorted = Float64Array.from(values).sort();
  const count = sorted.length;
  const tail = (1 - confidence) / 2;
  // 1-based ranks; rank 0 and count + 1 would be the ends of the line.
  let lower = 0;
  while (lower < count && binomialCdf(lower, count, q) <= tail) lower++;
  let upper = count + 1;
  while (upper > 1 && 1 - binomialCdf(upper - 2, count, q) <= tail) upper--;
  const [from, to] = [Math.max(lower, 1), Math.min(upper, count)];
  const value = interpolated(sorted, q);
  return {
    value,
    // Interpolation between two far-apart values may leave the ranks' range at the very ends of a small sample.
    low: Math.min(value, sorted[from - 1]),
    high: Math.max(value, sorted[to - 1]),
    confidence: binomialCdf(to - 1, count, q) - binomialCdf(from - 1, count, q),
  };
}

function interpolated(sorted: Float64Array, q: number): number {
  const position = (sorted.length - 1) * q;
  const below = Math.floor(position);
  const left = sorted[below];
  return left + (position - below) * ((sorted[below + 1] ?? left) - left);
}

function requireSample(values: ArrayLike<number>, least: number, name: string): void {
  if (values.length < least)
    throw new LightfootError("E_RANGE", `${name} needs at least ${least} values, found ${values.length}`);
  for (let index = 0; index < values.length; index++) {
    if (!Number.isFinite(values[index])) {
      throw new LightfootError("E_RANGE", `${name} needs finite values, found ${values[index]} at index ${index}`);
    }
  }
}
