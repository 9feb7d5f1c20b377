// What a candidate lost against the original on the same samples, with its interval; may depend on runtime's metrics and statistics.
import { LightfootError } from "../errors/index.ts";
import { figure, subtract, type Figure } from "../quantity/index.ts";
import type { MetricResult } from "../runtime/metric.ts";
import { mcnemar, pairedProportionDifference } from "../statistics/index.ts";
import { studentQuantile } from "../statistics/special-functions.ts";
import { allowedLoss, type AccuracyBudget, type MaxDrop } from "./budget.ts";
import type { Loss } from "./candidate-schema.ts";

/** Of every figure's interval. */
const CONFIDENCE = 0.95;

interface Paired {
  readonly loss: Figure;
  readonly mcnemarP: number | null;
}

/** Mean (or sum) of the per-sample differences with Student's interval; samples are paired, so what both find hard cancels. */
function pairedDifferences(
  { perSample, figure: { unit }, aggregate = "mean" }: MetricResult,
  candidate: Float64Array,
  sign: number,
  confidence: number,
): Paired {
  const original = perSample as Float64Array;
  const n = original.length;
  const sum = original.reduce((total, value, at) => total + sign * (value - candidate[at]), 0);
  const mean = sum / n;
  const squares = original.reduce((total, value, at) => total + (sign * (value - candidate[at]) - mean) ** 2, 0);
  const half = n < 2 ? 0 : studentQuantile((1 + confidence) / 2, n - 1) * Math.sqrt(squares / (n - 1) / n);
  const sources = [`paired difference over ${n} samples, Student's interval`];
  // A count stays whole: n times the mean may lie a rounding beyond a budget of whole matches.
  const [value, width] = aggregate === "sum" ? [sum, half * n] : [mean, half];
  const ends = { low: value - width, high: value + width };
  return { loss: figure({ value, ...ends, unit, method: "measured", sources }), mcnemarP: null };
}

function pairedCorrectness(
  original: Uint8Array,
  candidate: Uint8Array,
  sign: number,
  unit: string,
  confidence: number,
): Paired {
  const [first, second] = sign > 0 ? [original, candidate] : [candidate, original];
  const { difference, low, high, counts } = pairedProportionDifference(first, second, confidence);
  const sources = [`paired difference over ${original.length} samples, Newcombe's interval (method 10)`];
  return {
    loss: figure({ value: difference, low, high, unit, method: "measured", sources }),
    mcnemarP: mcnemar(counts.onlyFirst, counts.onlySecond).exact,
  };
}

/** @throws LightfootError E_METRIC at another confidence than 95 % for a metric that is neither mean nor sum over samples */
function pair(original: MetricResult, candidate: MetricResult, confidence: number): Paired {
  const sign = original.higherIsBetter ? 1 : -1;
  const [before, after] = [original.perSample, candidate.perSample];
  if (before instanceof Uint8Array && after instanceof Uint8Array)
    return pairedCorrectness(before, after, sign, original.figure.unit, confidence);
  if (before instanceof Float64Array && after instanceof Float64Array && before.length === after.length) {
    return pairedDifferences(original, after, sign, confidence);
  }
  if (confidence !== CONFIDENCE) {
    throw new LightfootError(
      "E_METRIC",
      `${original.name} has intervals at 95 % only, asked was ${confidence * 100} %`,
      {
        hint: "Its samples cannot be paired: leave --confidence out, or choose a metric that is a mean over samples.",
      },
    );
  }
  // A metric of the whole set (F1): the two intervals end to end, wider than a paired one would be.
  const [left, right] = sign > 0 ? [original.figure, candidate.figure] : [candidate.figure, original.figure];
  return { loss: subtract(left, right), mcnemarP: null };
}

/** @throws LightfootError E_METRIC for a budget whose unit the metric does not have */
export function requireFittingBudget({ name, figure: { unit } }: MetricResult, maxDrop: MaxDrop): void {
  if (maxDrop.kind === "absolute" && maxDrop.unit !== unit) {
    const own = unit === "" ? "has no unit" : unit === "1" ? "is a share" : `is in ${unit}`;
    throw new LightfootError("E_METRIC", `the budget is in ${maxDrop.unit}, ${name} ${own}`, {
      hint:
        unit === "1" ? "Write the budget in points: 0.5pt." : `Write the budget in ${unit || "percent, such as 0.5%"}.`,
    });
  }
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
  { maxDrop, confidence }: Omit<AccuracyBudget, "metric">,
  split: Loss["split"],
  sampleCount: number,
): Loss {
  requireFittingBudget(original, maxDrop);
  return {
    split,
    sampleCount,
    original: original.figure,
    candidate: candidate.figure,
    ...pair(original, candidate, CONFIDENCE),
    bound: confidence === undefined ? null : { confidence, loss: pair(original, candidate, confidence).loss.high },
    allowedLoss: allowedLoss(maxDrop, original.figure.value),
  };
}

/** Strict: even the far end of the interval, at the confidence that was asked for, stays within the budget. */
export const surelyWithin = ({ loss, bound, allowedLoss: allowed }: Loss): boolean =>
  (bound === null ? loss.high : bound.loss) <= allowed;

/** Where no confidence was asked for: the loss itself is within the budget, whatever its interval says. */
export const estimateHolds = ({ loss, bound, allowedLoss: allowed }: Loss): boolean =>
  bound === null && loss.value <= allowed;

/**
 * The verdict's rule: the far end at the confidence that was asked for is within the budget; where none was, the estimate is, and the
 * far end at 95 % is within twice the budget.
 */
export const within = (judged: Loss): boolean => {
  const { loss, bound, allowedLoss: allowed } = judged;
  return bound === null ? estimateHolds(judged) && loss.high <= 2 * allowed : bound.loss <= allowed;
};
