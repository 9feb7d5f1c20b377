// Expected calibration error, and how it differs between two models: how far a classifier's confidence is from its accuracy; may depend on its room and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { bootstrap } from "./bootstrap.ts";
import type { Interval } from "./proportion.ts";
import type { Random } from "./random.ts";

/** One bin of a reliability diagram. */
export interface CalibrationBin {
  readonly count: number;
  /** Mean confidence of the samples in the bin. */
  readonly confidence: number;
  /** Share of them that was right. */
  readonly accuracy: number;
}

export interface Calibration {
  /** Σ count/n · |accuracy − confidence| over the bins, 0 to 1. */
  readonly error: number;
  /** Bins that hold samples, from low to high confidence. */
  readonly bins: readonly CalibrationBin[];
}

export interface CalibrationOptions {
  /** Number of bins; 15 as in Guo et al. */
  readonly bins?: number;
  /**
   * `equal-width`: bin b holds confidences in ((b−1)/bins, b/bins], 0 belongs to the first (Guo et al. 2017, the usual
   * definition). `equal-mass`: bins hold equally many samples in order of confidence, sizes differing by one at most,
   * which suits models that are nearly always sure (Nguyen and O'Connor 2015).
   */
  readonly binning?: "equal-width" | "equal-mass";
}

/**
 * Expected calibration error.
 *
 * The estimate is biased upwards by sampling noise within the bins, more so with many bins and few samples: compare
 * models on the same samples and bins only.
 *
 * @param confidences probability given to the predicted class, 0 to 1, `[samples]`
 * @param correct 1 where the prediction was right, else 0, `[samples]`
 * @throws LightfootError E_DATA when lengths differ, nothing is there, or a confidence lies outside 0…1
 * @source Guo et al. 2017, On Calibration of Modern Neural Networks
 */
export function expectedCalibrationError(
  confidences: ArrayLike<number>,
  correct: ArrayLike<number>,
  options: CalibrationOptions = {},
): Calibration {
  const { bins = 15, binning = "equal-width" } = options;
  const total = confidences.length;
  if (total === 0 || total !== correct.length) {
    throw new LightfootError(
      "E_DATA",
      `calibration needs one outcome a confidence, found ${correct.length} for ${total}`,
    );
  }
  if (!Number.isInteger(bins) || bins < 1) throw new LightfootError("E_RANGE", `bins is an integer ≥ 1, found ${bins}`);
  const binOf = binning === "equal-width" ? widthBins(confidences, bins) : massBins(confidences, bins);
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, correct: 0 }));
  for (let index = 0; index < total; index++) {
    const sum = sums[binOf[index]];
    sum.count++;
    sum.confidence += confidences[index];
    if (correct[index] !== 0) sum.correct++;
  }
  const filled = sums
    .filter(({ count }) => count > 0)
    .map((sum) => ({ count: sum.count, confidence: sum.confidence / sum.count, accuracy: sum.correct / sum.count }));
  const error = filled.reduce((sum, bin) => sum + (bin.count / total) * Math.abs(bin.accuracy - bin.confidence), 0);
  return { error, bins: filled };
}

/** What a classifier said of each sample, `[samples]`: its probability for the class it chose, and 1 where that was right. */
export interface Confidences {
  readonly confidences: ArrayLike<number>;
  readonly correct: ArrayLike<number>;
}

/**
 * Rise of the expected calibration error (equal width) from one model to another on the same samples: ECE(second) −
 * ECE(first), with a basic bootstrap interval over samples, which keeps the pairs together and takes out
 * the upward bias that each error has from few samples in a bin.
 *
 * @throws LightfootError E_DATA when the two do not have the same samples, or as `expectedCalibrationError`
 */
export function calibrationDrift(
  first: Confidences,
  second: Confidences,
  options: { readonly random: Random; readonly bins?: number; readonly resamples?: number },
): { readonly first: number; readonly second: number; readonly drift: Interval } {
  const { random, bins = 15, resamples = 1000 } = options;
  const [before, after] = [first, second].map(({ confidences, correct }) =>
    expectedCalibrationError(confidences, correct, { bins }),
  );
  const count = first.confidences.length;
  if (second.confidences.length !== count) {
    throw new LightfootError(
      "E_DATA",
      `a drift needs the same samples on both sides, found ${count} and ${second.confidences.length}`,
    );
  }
  const sides = [first, second].map(({ confidences, correct }) => ({
    bin: Uint32Array.from(widthBins(confidences, bins)),
    // Σ over a bin of (right − confidence): its absolute value, summed and divided by n, is the error.
    gap: Float64Array.from(confidences, (confidence, index) => (correct[index] === 0 ? 0 : 1) - confidence),
    sums: new Float64Array(bins),
  }));
  const errorOf = ({ bin, gap, sums }: (typeof sides)[number], indices: Uint32Array): number => {
    sums.fill(0);
    for (const index of indices) sums[bin[index]] += gap[index];
    return sums.reduce((total, sum) => total + Math.abs(sum), 0) / indices.length;
  };
  const statistic = (indices: Uint32Array): number => errorOf(sides[1], indices) - errorOf(sides[0], indices);
  const drift =
    count < 2
      ? { value: after.error - before.error, low: -1, high: 1 }
      : bootstrap(count, statistic, { random, resamples, method: "basic" });
  return { first: before.error, second: after.error, drift };
}

function widthBins(confidences: ArrayLike<number>, bins: number): number[] {
  return Array.from(confidences, (confidence, index) => {
    if (!(confidence >= 0 && confidence <= 1)) {
      throw new LightfootError("E_DATA", `a confidence lies in 0…1, found ${confidence} at sample ${index}`, {
        hint: "Give class probabilities; scores before softmax are none.",
      });
    }
    return Math.max(0, Math.ceil(confidence * bins) - 1);
  });
}

function massBins(confidences: ArrayLike<number>, bins: number): number[] {
  widthBins(confidences, 1); // the same check of the range
  const order = Array.from(confidences, (confidence, index) => ({ confidence, index })).sort(
    (left, right) => left.confidence - right.confidence,
  );
  const binOf = Array.from<number>({ length: order.length });
  for (const [rank, { index }] of order.entries()) binOf[index] = Math.floor((rank * bins) / order.length);
  return binOf;
}
