// Watches a tensor's values go by and proposes the range that eight bits should cover, in constant memory; may depend on its room.
import { GrowingHistogram } from "./growing-histogram.ts";
import { entropyRange, squareErrorRange, squareErrors, type Range, type SeenValues } from "./range-search.ts";

/** How a range is chosen from what was seen. */
export type RangeMethod =
  /** Everything that was seen. */
  | { readonly kind: "minmax" }
  /** Exponentially weighted mean of the samples' extremes. */
  | { readonly kind: "moving-average" }
  /** This share of the values, in percent; the rest is cut half at each end. */
  | { readonly kind: "percentile"; readonly percentile: number }
  /** Least Kullback-Leibler divergence. */
  | { readonly kind: "entropy" }
  /** Least mean square error. */
  | { readonly kind: "mse" };

/** What is left of a tensor once its range was chosen: four numbers for a histogram of 64 KiB. */
export interface SeenRange {
  /** Undefined when no finite value was seen. */
  readonly range: Range | undefined;
  readonly notFiniteCount: number;
  readonly meanSquare: number;
  /** Mean square of what rounding to 256 levels of the range takes, clipping included; 0 without a range. */
  readonly squareError: number;
}

export const RANGE_KINDS = ["minmax", "moving-average", "percentile", "entropy", "mse"] as const;

/** Weight of each new sample in the moving average. */
const MOVING_WEIGHT = 0.01;

/** Streaming extremes, moving extremes and histogram of one tensor: nothing has to be seen twice or kept. */
export class RangeObserver {
  readonly #histogram = new GrowingHistogram();
  #low = Infinity;
  #high = -Infinity;
  #moving: Range | undefined;
  #total = 0;
  #zeros = 0;
  #squares = 0;
  #notFinite = 0;

  get count(): number {
    return this.#total;
  }

  /** Mean of the squares; NaN before anything was seen. */
  get meanSquare(): number {
    return this.#squares / this.#total;
  }

  /** Mean square of what rounding to 256 levels of `range` takes, clipping included. */
  squareError(range: Range): number {
    return squareErrors(this.#seen, range) / this.#total;
  }

  /** Values that were NaN or infinite; they are left out of the range. */
  get notFiniteCount(): number {
    return this.#notFinite;
  }

  /** @param samples how many samples, equally long and one after the other, `values` holds */
  observe(values: Float32Array, samples = 1): void {
    const parts = values.length % samples === 0 ? samples : 1;
    const length = values.length / parts;
    for (let part = 0; part < parts; part++) this.#observeSample(values.subarray(part * length, (part + 1) * length));
  }

  #observeSample(given: Float32Array): void {
    const values = given.every(Number.isFinite) ? given : given.filter(Number.isFinite);
    this.#notFinite += given.length - values.length;
    if (values.length === 0) return;
    let [low, high, zeros, squares] = [Infinity, -Infinity, 0, 0];
    for (let at = 0; at < values.length; at++) {
      const value = values[at];
      if (value < low) low = value;
      if (value > high) high = value;
      if (value === 0) zeros++;
      squares += value * value;
    }
    this.#low = Math.min(this.#low, low);
    this.#high = Math.max(this.#high, high);
    const before = this.#moving ?? { low, high };
    this.#moving = {
      low: before.low + MOVING_WEIGHT * (low - before.low),
      high: before.high + MOVING_WEIGHT * (high - before.high),
    };
    this.#zeros += zeros;
    this.#squares += squares;
    this.#total += values.length;
    this.#histogram.add(values, low, high);
  }

  /** `low…high` after `method`; `undefined` when no finite value was seen. */
  range(method: RangeMethod): Range | undefined {
    if (this.#total === 0) return undefined;
    switch (method.kind) {
      case "minmax":
        return { low: this.#low, high: this.#high };
      case "moving-average":
        return this.#moving;
      case "percentile":
        return this.#percentile(method.percentile);
      case "entropy":
        return entropyRange(this.#seen);
      default:
        return squareErrorRange(this.#seen);
    }
  }

  /** The range after `method` and what it costs. */
  chosen(method: RangeMethod): SeenRange {
    const range = this.range(method);
    const squareError = range === undefined ? 0 : this.squareError(range);
    return { range, notFiniteCount: this.#notFinite, meanSquare: this.meanSquare, squareError };
  }

  get #seen(): SeenValues {
    return { histogram: this.#histogram, low: this.#low, high: this.#high, zeros: this.#zeros };
  }

  /** The outer edges of the bins at which the running counts from below and from above exceed the share to cut. */
  #percentile(percentile: number): Range {
    const { counts } = this.#histogram;
    const cut = ((100 - percentile) / 100 / 2) * this.#total;
    let [first, last] = [0, counts.length - 1];
    for (let running = counts[first]; running <= cut; running += counts[first]) first++;
    for (let running = counts[last]; running <= cut; running += counts[last]) last--;
    return {
      low: Math.max(this.#low, this.#histogram.edge(first)),
      high: Math.min(this.#high, this.#histogram.edge(last + 1)),
    };
  }
}
