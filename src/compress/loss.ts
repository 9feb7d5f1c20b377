// What a candidate lost against the original on the same samples, with its interval; may depend on runtime's metrics and statistics.
import { LightfootError } from "../errors/index.ts";
import { figure, subtract, type Figure } from "../quantity/index.ts";
import type { MetricResult } from "../runtime/metric.ts";
import { mcnemar, pairedProportionDifference } from "../statistics/index.ts";
import { studentQuantile } from "../statistics/special-functions.ts";
import { allowedLoss, type MaxDrop } from "./budget.ts";
import type { Loss } from "./candidate-schema.ts";

const CONFIDENCE = 0.95;

interface Paired {
  readonly loss: Figure;
  readonly mcnemarP: number | null;
}

/** Mean of the per-sample differences with Student's interval; samples are paired, so what both find hard cancels. */
function pairedMeans(original: Float64Array, candidate: Float64Array, sign: number, unit: string): Paired {
  const n = original.length;
  const mean = original.reduce((total, value, at) => total + sign * (value - candidate[at]), 0) / n;
  const squares = original.reduce((total, value, at) => total + (sign * (value - candidate[at]) - mean) ** 2, 0);
  const half = n < 2 ? 0 : studentQuantile((1 + CONFIDENCE) / 2, n - 1) * Math.sqrt(squares / (n - 1) / n);
  const sources = [`paired difference over ${n} samples, Student's interval`];
  return {
    loss: figure({ value: mean, low: mean - half, high: mean + half, unit, method: "measured", sources }),
    mcnemarP: null,
  };
}

function pairedCorrectness(original: Uint8Array, candidate: Uint8Array, sign: number, unit: string): Paired {
  const [first, second] = sign > 0 ? [original, candidate] : [candidate, original];
  const { difference, low, high, counts } = pairedProportionDifference(first, second, CONFIDENCE);
  const sources = [`paired difference over ${original.length} samples, Newcombe's interval (method 10)`];
  return {
    loss: figure({ value: difference, low, high, unit, method: "measured", sources }),
    mcnemarP: mcnemar(counts.onlyFirst, counts.onlySecond).exact,
  };
}

function pair(original: MetricResult, candidate: MetricResult): Paired {
  const sign = original.higherIsBetter ? 1 : -1;
  const [before, after] = [original.perSample, candidate.perSample];
  const { unit } = original.figure;
  if (before instanceof Uint8Array && after instanceof Uint8Array) return pairedCorrectness(before, after, sign, unit);
  if (before instanceof Float64Array && after instanceof Float64Array && before.length === after.length) {
    return pairedMeans(before, after, sign, unit);
  }
  // A metric of the whole set (F1): the two intervals end to end, wider than a paired one would be.
  const [left, right] = sign > 0 ? [original.figure, candidate.figure] : [candidate.figure, original.figure];
  return { loss: subtract(left, right), mcnemarP: null };
}

/** @throws LightfootError E_METRIC for a budget whose unit the metric does not have */
export function requireFittingBudget({ name, figure: { unit } }: MetricResult, maxDrop: MaxDrop): void {
  if (maxDrop.kind !== "points" || unit === "1") return;
  throw new LightfootError("E_METRIC", `${name} is no share of 1, so a drop in points has no meaning for it`, {
    hint: `Write the budget in percent of the original's score, for example ${maxDrop.value}%.`,
  });
}

/**
 * The loss from `original` to `candidate` under a budget; positive means that the candidate is worse.
 *
 * @throws LightfootError E_METRIC for a budget in points on a metric that is no share of 1
 */
export function lossBetween(
  original: MetricResult,
  candidate: MetricResult,
  maxDrop: MaxDrop,
  split: Loss["split"],
  sampleCount: number,
): Loss {
  requireFittingBudget(original, maxDrop);
  return {
    split,
    sampleCount,
    original: original.figure,
    candidate: candidate.figure,
    ...pair(original, candidate),
    allowedLoss: allowedLoss(maxDrop, original.figure.value),
  };
}

/** Strict: even the far end of the interval stays within the budget. */
export const surelyWithin = (loss: Loss): boolean => loss.loss.high <= loss.allowedLoss;

/** The verdict's rule: the estimate is within the budget and the far end of its interval within twice the budget. */
export const within = (loss: Loss): boolean =>
  loss.loss.value <= loss.allowedLoss && loss.loss.high <= 2 * loss.allowedLoss;

/** Worse than the budget even at the near end of its interval. */
export const surelyBeyond = (loss: Loss): boolean => loss.loss.low > loss.allowedLoss;
