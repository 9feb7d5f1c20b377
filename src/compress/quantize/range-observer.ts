// Watches a tensor's values go by and proposes a range: extremes and percentiles in constant memory; may depend on nothing.

export type RangeMethod = { readonly kind: "minmax" } | { readonly kind: "percentile"; readonly percentile: number };

const BINS = 4096;
const HALF = BINS / 2;

/**
 * Streaming minimum, maximum and histogram of one tensor.
 *
 * The histogram spans −limit…limit. A value outside doubles the limit and merges neighbouring bins, so nothing has to be seen
 * twice and memory does not grow with the number of samples.
 */
export class RangeObserver {
  #counts = new Float64Array(BINS);
  #limit = 2 ** -20;
  #low = Infinity;
  #high = -Infinity;
  #total = 0;
  #notFinite = 0;

  get count(): number {
    return this.#total;
  }

  /** Values that were NaN or infinite; they are left out of the range. */
  get notFiniteCount(): number {
    return this.#notFinite;
  }

  observe(values: Float32Array): void {
    for (const value of values) {
      if (!Number.isFinite(value)) {
        this.#notFinite++;
        continue;
      }
      if (value < this.#low) this.#low = value;
      if (value > this.#high) this.#high = value;
      while (value >= this.#limit || value < -this.#limit) this.#widen();
      this.#counts[Math.floor((value / this.#limit) * HALF) + HALF]++;
      this.#total++;
    }
  }

  #widen(): void {
    const merged = new Float64Array(BINS);
    for (let bin = 0; bin < BINS; bin += 2) {
      merged[HALF / 2 + bin / 2] = this.#counts[bin] + this.#counts[bin + 1];
    }
    this.#counts = merged;
    this.#limit *= 2;
  }

  /** `low…high` after `method`; `undefined` when no finite value was seen. Percentiles cut the same share at both ends. */
  range(method: RangeMethod): { low: number; high: number } | undefined {
    if (this.#total === 0) return undefined;
    if (method.kind === "minmax") return { low: this.#low, high: this.#high };
    const cut = ((100 - method.percentile) / 100 / 2) * this.#total;
    return { low: Math.max(this.#low, this.#quantile(cut)), high: Math.min(this.#high, this.#upperQuantile(cut)) };
  }

  #edge(bin: number): number {
    return ((bin - HALF) / HALF) * this.#limit;
  }

  /** Lower edge of the bin at which the running count from below exceeds `cut`. */
  #quantile(cut: number): number {
    let running = 0;
    for (let bin = 0; bin < BINS; bin++) {
      running += this.#counts[bin];
      if (running > cut) return this.#edge(bin);
    }
    return this.#high;
  }

  #upperQuantile(cut: number): number {
    let running = 0;
    for (let bin = BINS - 1; bin >= 0; bin--) {
      running += this.#counts[bin];
      if (running > cut) return this.#edge(bin + 1);
    }
    return this.#low;
  }
}
