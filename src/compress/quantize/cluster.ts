// Splits numbers into the groups with the least squared distance to their means: k-means in one dimension, exactly; depends on nothing.

export interface Clusters {
  /** Means, ascending; fewer than asked for when there are fewer distinct values. */
  readonly centers: Float32Array;
  /** Index into `centers` for each value. */
  readonly indices: Uint8Array;
}

/** More distinct values than this are counted in bins of equal width first: the means stay exact, the borders move by a bin. */
const BINS = 16_384;

/** Stops at the first value too many: a set of all values of a large weight would not fit into memory. */
function hasFewDistinct(values: Float32Array): boolean {
  const distinct = new Set<number>();
  for (const value of values) if (distinct.add(value).size > BINS) return false;
  return true;
}

/** Distinct values, or bins of equal width, in ascending order with how much each counts. */
function histogram(
  values: Float32Array,
  importance: Float32Array | undefined,
): Record<"points" | "counts", Float64Array> {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const keys = hasFewDistinct(values) ? [...new Set(values)].sort((left, right) => left - right) : undefined;
  const places = keys && new Map(keys.map((value, at) => [value, at]));
  const width = (high - low) / BINS;
  const sums = new Float64Array(keys?.length ?? BINS);
  const counts = new Float64Array(sums.length);
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    const bin = places?.get(value) ?? Math.min(BINS - 1, Math.floor((value - low) / width));
    const count = importance === undefined ? 1 : importance[at];
    sums[bin] += value * count;
    counts[bin] += count;
  }
  const isFull = (_: number, bin: number): boolean => counts[bin] > 0;
  return { points: sums.map((sum, bin) => sum / counts[bin]).filter(isFull), counts: counts.filter(isFull) };
}

/**
 * At most `count` clusters of least squared error.
 *
 * In one dimension the best clusters are intervals, so dynamic programming over the sorted values finds them without chance:
 * `cost[k][j] = min_i cost[k−1][i] + spread(i … j)`, and the best `i` grows with `j`, which halves the search at each step.
 * (Wang and Song 2011; Grønlund et al. 2017.)
 *
 * @param values at least one; all finite
 * @param count 1 … 256
 * @param importance what each value's squared error counts, above 0; left out, 1
 */
export function clusterValues(values: Float32Array, count: number, importance?: Float32Array): Clusters {
  const { points, counts } = histogram(values, importance);
  const m = points.length;
  const k = Math.min(count, m);
  // Sums of weight, value and square before each point give any interval's squared error in three subtractions.
  const weight = new Float64Array(m + 1);
  const sum = new Float64Array(m + 1);
  const square = new Float64Array(m + 1);
  for (let at = 0; at < m; at++) {
    weight[at + 1] = weight[at] + counts[at];
    sum[at + 1] = sum[at] + counts[at] * points[at];
    square[at + 1] = square[at] + counts[at] * points[at] ** 2;
  }
  const spread = (from: number, to: number): number => {
    const total = sum[to] - sum[from];
    return Math.max(0, square[to] - square[from] - (total * total) / (weight[to] - weight[from]));
  };
  let cost = Float64Array.from({ length: m + 1 }, (_, to) => (to === 0 ? 0 : spread(0, to)));
  const starts: Int32Array[] = [new Int32Array(m + 1)];
  for (let cluster = 1; cluster < k; cluster++) {
    const next = new Float64Array(m + 1);
    const start = new Int32Array(m + 1);
    const solve = (low: number, high: number, first: number, last: number): void => {
      if (low > high) return;
      const middle = (low + high) >> 1;
      let best = Infinity;
      for (let from = Math.max(first, cluster); from <= Math.min(last, middle - 1); from++) {
        const candidate = cost[from] + spread(from, middle);
        if (candidate < best) {
          best = candidate;
          start[middle] = from;
        }
      }
      next[middle] = best;
      solve(low, middle - 1, first, start[middle]);
      solve(middle + 1, high, start[middle], last);
    };
    solve(cluster + 1, m, cluster, m - 1);
    cost = next;
    starts.push(start);
  }
  const borders = [m];
  for (let cluster = k - 1; cluster >= 0; cluster--) borders.unshift(starts[cluster][borders[0]]);
  const centers = Float32Array.from({ length: k }, (_, at) => {
    const [from, to] = [borders[at], borders[at + 1]];
    return (sum[to] - sum[from]) / (weight[to] - weight[from]);
  });
  return { centers, indices: nearest(values, centers) };
}

/**
 * The same with zero as a center of its own where values are zero, so that what was pruned stays so; it is the first one then.
 *
 * @param count 2 … 256, zero included
 */
export function clusterAroundZero(values: Float32Array, count: number, importance?: Float32Array): Clusters {
  let zeros = 0;
  for (const value of values) if (value === 0) zeros++;
  if (zeros === 0) return clusterValues(values, count, importance);
  const survivors = new Float32Array(values.length - zeros);
  const weights = importance && new Float32Array(survivors.length);
  let next = 0;
  for (let at = 0; at < values.length; at++) {
    if (values[at] === 0) continue;
    if (weights !== undefined) weights[next] = importance![at];
    survivors[next++] = values[at];
  }
  const indices = new Uint8Array(values.length);
  if (survivors.length === 0) return { centers: new Float32Array(1), indices };
  const { centers, indices: own } = clusterValues(survivors, count - 1, weights);
  next = 0;
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) indices[at] = own[next++] + 1;
  return { centers: Float32Array.of(0, ...centers), indices };
}

/** The nearest center of each value; the smaller one where two are as near. @param centers ascending */
export function nearest(values: Float32Array, centers: Float32Array): Uint8Array {
  const borders = Float64Array.from({ length: centers.length - 1 }, (_, at) => (centers[at] + centers[at + 1]) / 2);
  const indices = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    let low = 0;
    let high = borders.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= borders[middle]) high = middle;
      else low = middle + 1;
    }
    indices[at] = low;
  }
  return indices;
}
