// Intervals and tests for proportions, single and paired on the same samples; may depend on its room and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { binomialCdf, binomialPmf, normalQuantile, requireProbability } from "./special-functions.ts";

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's score interval of a proportion.
 *
 * (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n); never leaves [0, 1] and is not empty at 0 or n successes.
 *
 * @param successes integer, 0 … trials
 * @param trials integer, at least 1
 * @throws LightfootError E_RANGE
 * @source Wilson 1927, JASA 22; recommended by Newcombe 1998 (single proportion), method 3
 * @example wilson(81, 263) // 0.308 (0.2553 … 0.3662)
 */
export function wilson(successes: number, trials: number, confidence = 0.95): Interval {
  if (![successes, trials].every(Number.isInteger) || trials < 1 || successes < 0 || successes > trials) {
    throw new LightfootError(
      "E_RANGE",
      `a proportion needs 0 ≤ successes ≤ trials ≥ 1, found ${successes} of ${trials}`,
    );
  }
  requireProbability(confidence, "a confidence level");
  const z = normalQuantile((1 + confidence) / 2);
  const value = successes / trials;
  const center = value + (z * z) / (2 * trials);
  const margin = z * Math.sqrt((value * (1 - value)) / trials + (z * z) / (4 * trials * trials));
  const scale = 1 + (z * z) / trials;
  // Rounding may leave 1e-17 where the algebra gives exactly 0 or 1.
  return {
    value,
    low: successes === 0 ? 0 : (center - margin) / scale,
    high: successes === trials ? 1 : (center + margin) / scale,
  };
}

/** How two classifiers fared on the same samples. */
export interface PairedCounts {
  readonly both: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly neither: number;
}

/**
 * Counts of a pair of correctness vectors, `[samples]` each, 1 where right and 0 where wrong.
 *
 * @throws LightfootError E_DATA when the vectors differ in length
 */
export function pairedCounts(first: Uint8Array, second: Uint8Array): PairedCounts {
  if (first.length !== second.length) {
    throw new LightfootError(
      "E_DATA",
      `paired results need the same samples on both sides, found ${first.length} and ${second.length}`,
    );
  }
  let both = 0;
  let onlyFirst = 0;
  let onlySecond = 0;
  for (let index = 0; index < first.length; index++) {
    const [firstRight, secondRight] = [first[index] !== 0, second[index] !== 0];
    if (firstRight && secondRight) both++;
    else if (firstRight) onlyFirst++;
    else if (secondRight) onlySecond++;
  }
  return { both, onlyFirst, onlySecond, neither: first.length - both - onlyFirst - onlySecond };
}

export interface ProportionDifference {
  /** p(first) − p(second). */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly counts: PairedCounts;
}

/**
 * Difference of two proportions measured on the same samples, with its interval.
 *
 * Newcombe's square-and-add of the two Wilson intervals, with the pairs' correlation φ (continuity-corrected):
 * low = d − √(l₁² − 2φ l₁u₂ + u₂²), high = d + √(u₁² − 2φ u₁l₂ + l₂²), where l and u are the arms of each interval.
 *
 * @param first correctness of the first model per sample, 0 or 1, `[samples]`
 * @param second the same samples, the second model
 * @throws LightfootError E_DATA on different lengths, E_RANGE on no samples
 * @source Newcombe 1998, Statistics in Medicine 17, 2635-2650 (paired), method 10
 */
export function pairedProportionDifference(
  first: Uint8Array,
  second: Uint8Array,
  confidence = 0.95,
): ProportionDifference {
  return pairedDifferenceOfCounts(pairedCounts(first, second), confidence);
}

/** The same interval from the four counts. */
export function pairedDifferenceOfCounts(counts: PairedCounts, confidence = 0.95): ProportionDifference {
  const { both, onlyFirst, onlySecond, neither } = counts;
  const total = both + onlyFirst + onlySecond + neither;
  const one = wilson(both + onlyFirst, total, confidence);
  const two = wilson(both + onlySecond, total, confidence);
  const difference = (onlyFirst - onlySecond) / total;
  const phi = pairedCorrelation(counts);
  const arm = (a: number, b: number): number => Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b));
  return {
    difference,
    low: difference - arm(one.value - one.low, two.high - two.value),
    high: difference + arm(one.high - one.value, two.value - two.low),
    counts,
  };
}

/**
 * Difference of two proportions of independent samples, with its interval.
 *
 * Newcombe's square-and-add of the two Wilson intervals: low = d − √((p₁−l₁)² + (u₂−p₂)²), high = d + √((u₁−p₁)² + (p₂−l₂)²).
 *
 * @throws LightfootError E_RANGE as `wilson`
 * @source Newcombe 1998, Statistics in Medicine 17, 873-890 (independent), method 10
 * @example independentDifference([56, 70], [48, 80]) // 0.2 (0.0524 … 0.3339)
 */
export function independentDifference(
  [firstSuccesses, firstTrials]: readonly [successes: number, trials: number],
  [secondSuccesses, secondTrials]: readonly [successes: number, trials: number],
  confidence = 0.95,
): Interval {
  return differenceOf(
    wilson(firstSuccesses, firstTrials, confidence),
    wilson(secondSuccesses, secondTrials, confidence),
  );
}

/**
 * first − second of two independent estimates, from their intervals (square-and-add).
 *
 * @source Zou and Donner 2008, Statistics in Medicine 27, 1693-1702 (MOVER)
 */
export function differenceOf(first: Interval, second: Interval): Interval {
  const value = first.value - second.value;
  return {
    value,
    low: value - Math.hypot(first.value - first.low, second.high - second.value),
    high: value + Math.hypot(first.high - first.value, second.value - second.low),
  };
}

function pairedCorrelation({ both, onlyFirst, onlySecond, neither }: PairedCounts): number {
  // Roots are taken before multiplying: four counts of 10^6 would leave the exact integers.
  const spread =
    Math.sqrt((both + onlyFirst) * (onlySecond + neither)) * Math.sqrt((both + onlySecond) * (onlyFirst + neither));
  if (spread === 0) return 0;
  const cross = both * neither - onlyFirst * onlySecond;
  const half = (both + onlyFirst + onlySecond + neither) / 2;
  return (cross > 0 ? Math.max(cross - half, 0) : cross) / spread;
}

/**
 * McNemar's test that two models on the same samples are equally often right; two-sided p-values.
 *
 * `exact` is the binomial test on the discordant pairs and is conservative; `midP` counts the observed table half and
 * keeps close to the nominal level (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91).
 *
 * @param onlyFirst samples that only the first model got right
 * @param onlySecond samples that only the second model got right
 * @throws LightfootError E_RANGE when a count is negative or not whole
 */
export function mcnemar(onlyFirst: number, onlySecond: number): { readonly exact: number; readonly midP: number } {
  if (![onlyFirst, onlySecond].every((count) => Number.isInteger(count) && count >= 0)) {
    throw new LightfootError("E_RANGE", `McNemar's test needs whole counts ≥ 0, found ${onlyFirst} and ${onlySecond}`);
  }
  const discordant = onlyFirst + onlySecond;
  if (discordant === 0) return { exact: 1, midP: 1 };
  const fewer = Math.min(onlyFirst, onlySecond);
  const exact = Math.min(1, 2 * binomialCdf(fewer, discordant, 0.5));
  const observed = binomialPmf(fewer, discordant, 0.5);
  // On equal counts both tails contain the observed table, which then counts half only once.
  const midP = onlyFirst === onlySecond ? 1 - observed / 2 : exact - observed;
  return { exact, midP };
}

/**
 * Holm's step-down adjustment of p-values for several comparisons: the family-wise error stays at the level that the
 * adjusted values are compared with, whatever the dependence.
 *
 * @param pValues in any order, each in [0, 1]
 * @returns adjusted p-values in the same order
 * @source Holm 1979, Scandinavian Journal of Statistics 6
 */
export function holm(pValues: readonly number[]): number[] {
  const wrong = pValues.find((p) => !(p >= 0 && p <= 1));
  if (wrong !== undefined) throw new LightfootError("E_RANGE", `a p-value lies in 0…1, found ${wrong}`);
  const adjusted = Array.from(pValues);
  let running = 0;
  const order = pValues.map((p, index) => ({ p, index })).sort((left, right) => left.p - right.p);
  for (const [rank, { p, index }] of order.entries()) {
    running = Math.max(running, Math.min(1, (pValues.length - rank) * p));
    adjusted[index] = running;
  }
  return adjusted;
}
