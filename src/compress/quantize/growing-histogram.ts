// `GrowingHistogram`: counts of values whose range is not known beforehand, in constant memory; may depend on nothing.

const BINS = 8192;
const HALF = BINS / 2;

/**
 * A histogram over −limit…limit, the limit a power of two. A value outside doubles the limit and merges neighboring bins in
 * pairs, so the counts are the very ones that a histogram over all values at once would have, whatever the order.
 */
export class GrowingHistogram {
  #counts = new Float64Array(BINS);
  #limit = 2 ** -20;

  /** Counts per bin; bin `i` holds values from `edge(i)` on, below `edge(i + 1)`. */
  get counts(): Float64Array {
    return this.#counts;
  }

  /** The first bin of values from zero on: `edge(zeroBin)` is 0. */
  get zeroBin(): number {
    return HALF;
  }

  /** Adds finite values that all lie within `low…high`. */
  add(values: Float32Array, low: number, high: number): void {
    while (high >= this.#limit || low < -this.#limit) this.#widen();
    const counts = this.#counts;
    // A power of two: the product is exact.
    const binsPerUnit = HALF / this.#limit;
    for (let at = 0; at < values.length; at++) counts[Math.floor(values[at] * binsPerUnit) + HALF]++;
  }

  edge(bin: number): number {
    return ((bin - HALF) / HALF) * this.#limit;
  }

  /** The bin that `value` falls into; the value lies within the limit. */
  binOf(value: number): number {
    return Math.floor((value / this.#limit) * HALF) + HALF;
  }

  #widen(): void {
    const merged = new Float64Array(BINS);
    for (let bin = 0; bin < BINS; bin += 2) {
      merged[HALF / 2 + bin / 2] = this.#counts[bin] + this.#counts[bin + 1];
    }
    this.#counts = merged;
    this.#limit *= 2;
  }
}
