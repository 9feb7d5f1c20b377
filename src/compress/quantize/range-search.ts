// Finds the range that an 8-bit activation should cover from its histogram: least information lost, or least square error;
// may depend on the histogram.
import type { GrowingHistogram } from "./growing-histogram.ts";

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** What is known of a tensor: its histogram, its exact extremes, and how many values were exactly zero. */
export interface SeenValues {
  readonly histogram: GrowingHistogram;
  readonly low: number;
  readonly high: number;
  /** Zero is represented exactly by every range, so zeros say nothing about where to cut. */
  readonly zeros: number;
}

const LEVELS = 256;
/** Bins that the entropy search works on: more would compare the noise of the sample, not its shape. */
const ENTROPY_BINS = 2048;
const CANDIDATES = 128;

const withZero = ({ low, high }: Range): Range => ({ low: Math.min(low, 0), high: Math.max(high, 0) });

/** Counts without the exact zeros. */
function countsWithoutZeros({ histogram, zeros }: SeenValues): Float64Array {
  const counts = histogram.counts.slice();
  counts[histogram.zeroBin] -= zeros;
  return counts;
}

/**
 * KL(P‖Q) over neighboring bins `from … to − 1`: P has what lies outside on its end bins, Q spreads each of 256 groups' counts
 * evenly over the group's bins that are not empty.
 */
function divergence(counts: Float64Array, from: number, to: number): number {
  const width = to - from;
  const reference = counts.slice(from, to);
  let total = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    total += counts[bin];
    if (bin < from) reference[0] += counts[bin];
    else if (bin >= to) reference[width - 1] += counts[bin];
  }
  // A bin that only the clipped values fill has no counterpart in Q; a little mass keeps the logarithm finite.
  const smallest = (1e-4 * total) / width;
  let sum = 0;
  let inside = 0;
  for (let level = 0; level < LEVELS; level++) {
    const start = Math.ceil((level * width) / LEVELS);
    const end = Math.ceil(((level + 1) * width) / LEVELS);
    let mass = 0;
    let filled = 0;
    for (let bin = start; bin < end; bin++) {
      if (reference[bin] === 0) continue;
      filled++;
      mass += counts[from + bin];
    }
    if (filled === 0) continue;
    const share = mass / filled + smallest;
    inside += share * filled;
    for (let bin = start; bin < end; bin++) {
      if (reference[bin] > 0) sum += reference[bin] * Math.log(reference[bin] / share);
    }
  }
  // Both distributions are normalized here: Σ p·log(p/q) with p = reference/total, q = share/inside.
  return sum / total + Math.log(inside / total);
}

/** Counts of `bins` neighbors together. `zero` stays an edge between two groups. */
function coarser(counts: Float64Array, bins: number): Float64Array {
  const result = new Float64Array(counts.length / bins);
  for (let bin = 0; bin < counts.length; bin++) result[Math.floor(bin / bins)] += counts[bin];
  return result;
}

/**
 * The range whose 256 levels keep the distribution's information best: least Kullback-Leibler divergence (Migacz, "8-bit
 * inference with TensorRT", GTC 2017). Both ends shrink by the same share.
 */
export function entropyRange(seen: SeenValues): Range {
  const { histogram } = seen;
  const full = withZero(seen);
  const fine = countsWithoutZeros(seen);
  let merge = 1;
  const span = () => Math.floor(histogram.binOf(full.high) / merge) - Math.floor(histogram.binOf(full.low) / merge) + 1;
  while (span() > ENTROPY_BINS) merge *= 2;
  const counts = coarser(fine, merge);
  const zero = histogram.zeroBin / merge;
  const below = zero - Math.floor(histogram.binOf(full.low) / merge);
  const above = Math.floor(histogram.binOf(full.high) / merge) + 1 - zero;
  let best: Range = full;
  let least = Infinity;
  for (let step = CANDIDATES; step > 0; step--) {
    const from = zero - Math.ceil((below * step) / CANDIDATES);
    const to = zero + Math.ceil((above * step) / CANDIDATES);
    if (to - from < LEVELS) break;
    const loss = divergence(counts, from, to);
    if (loss >= least) continue;
    least = loss;
    best = {
      low: Math.max(full.low, histogram.edge(from * merge)),
      high: Math.min(full.high, histogram.edge(to * merge)),
    };
  }
  return best;
}

/** Σ of the square errors that rounding to `range` and clipping at its ends make: `n_inside · s²/12 + Σ_outside (x − end)²`. */
export function squareErrors(seen: SeenValues, range: Range): number {
  const { low, high } = withZero(range);
  const counts = countsWithoutZeros(seen);
  const step = (high - low) / (LEVELS - 1);
  return counts.reduce((sum, count, bin) => {
    const center = (seen.histogram.edge(bin) + seen.histogram.edge(bin + 1)) / 2;
    const outside = Math.max(low - center, center - high);
    return sum + count * (outside > 0 ? outside * outside : (step * step) / 12);
  }, 0);
}

/**
 * The range of least mean square error: `n_inside · s²/12 + Σ_outside (x − end)²` with step `s = (high − low)/255`. Each end is
 * searched on its own.
 */
export function squareErrorRange(seen: SeenValues): Range {
  const { histogram } = seen;
  const full = withZero(seen);
  const counts = countsWithoutZeros(seen);
  // Running Σ1, Σx, Σx² over bins, so that the error of any cut costs a constant number of operations.
  const bins = counts.length;
  const [zeroth, first, second] = [0, 1, 2].map(() => new Float64Array(bins + 1));
  for (let bin = 0; bin < bins; bin++) {
    const center = (histogram.edge(bin) + histogram.edge(bin + 1)) / 2;
    zeroth[bin + 1] = zeroth[bin] + counts[bin];
    first[bin + 1] = first[bin] + counts[bin] * center;
    second[bin + 1] = second[bin] + counts[bin] * center * center;
  }
  /** Σ (x − end)² over bins `from … to − 1`. */
  const clipped = (from: number, to: number, end: number): number =>
    second[to] - second[from] - 2 * end * (first[to] - first[from]) + end * end * (zeroth[to] - zeroth[from]);
  const cutsOf = (end: number): number[] =>
    end === 0 ? [0] : Array.from({ length: CANDIDATES }, (_, step) => (end * (CANDIDATES - step)) / CANDIDATES);
  let best: Range = full;
  let least = Infinity;
  for (const low of cutsOf(full.low)) {
    for (const high of cutsOf(full.high)) {
      const [from, to] = [histogram.binOf(low), histogram.binOf(high) + 1];
      const step = (high - low) / (LEVELS - 1);
      const inside = zeroth[to] - zeroth[from];
      const error = (inside * step * step) / 12 + clipped(0, from, low) + clipped(to, bins, high);
      if (error >= least) continue;
      least = error;
      best = { low, high };
    }
  }
  return best;
}
