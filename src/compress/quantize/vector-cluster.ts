// Splits short vectors into groups with a small weighted distance to their means: k-means, seeded; may depend on statistics.
import type { Random } from "../../statistics/index.ts";

export interface VectorClusters {
  /** `[count, length]` row-major. */
  readonly centers: Float32Array;
  /** Index of a center for each vector. */
  readonly indices: Uint8Array;
}

/** Vectors from which means are learnt; more move them by less than a start by chance does. */
const SAMPLE = 16_384;
/** Rounds of Lloyd's iteration at most, and the share by which the error must fall for another one. */
const ROUNDS = 25;
const LEAST_GAIN = 2e-3;

interface Assignment {
  readonly indices: Uint8Array;
  /** Weighted squared error. */
  readonly error: number;
}

class VectorKMeans {
  readonly #vectors: Float32Array;
  readonly #length: number;
  readonly #count: number;
  readonly #importance: Float32Array;
  /** `[count, length]`. */
  readonly centers: Float32Array;

  constructor(vectors: Float32Array, length: number, count: number, importance: Float32Array) {
    this.#vectors = vectors;
    this.#length = length;
    this.#count = count;
    this.#importance = importance;
    this.centers = new Float32Array(count * length);
  }

  #place(center: number, vector: number): void {
    const from = vector * this.#length;
    this.centers.set(this.#vectors.subarray(from, from + this.#length), center * this.#length);
  }

  /** Each next center is a vector drawn by its distance to the nearest one before (Arthur and Vassilvitskii 2007). */
  start(members: Uint32Array, random: Random): void {
    this.#place(0, members[random.integer(members.length)]);
    const nearest = new Float64Array(members.length).fill(Infinity);
    for (let center = 1; center < this.#count; center++) {
      let total = 0;
      for (let at = 0; at < members.length; at++) {
        nearest[at] = Math.min(nearest[at], this.#distance(members[at], center - 1));
        total += nearest[at];
      }
      let left = random.next() * total;
      let chosen = 0;
      while (chosen < members.length - 1 && (left -= nearest[chosen]) > 0) chosen++;
      this.#place(center, members[chosen]);
    }
  }

  #distance(vector: number, center: number): number {
    const first = vector * this.#length;
    const weights = first % this.#importance.length;
    let sum = 0;
    for (let j = 0; j < this.#length; j++) {
      sum += this.#importance[weights + j] * (this.#vectors[first + j] - this.centers[center * this.#length + j]) ** 2;
    }
    return sum;
  }

  /**
   * The nearest center of each of `members`: least `Σ w·c² − 2·Σ w·v·c`, whose first sum is the same for all vectors of one place and whose
   * second runs over centers side by side.
   */
  assign(members: Uint32Array): Assignment {
    const [length, count, importance, vectors] = [this.#length, this.#count, this.#importance, this.#vectors];
    const columns = new Float64Array(count * length);
    for (let at = 0; at < columns.length; at++)
      columns[(at % length) * count + Math.floor(at / length)] = this.centers[at];
    const places = importance.length / length;
    const offsets = new Float64Array(places * count);
    for (let at = 0; at < offsets.length; at++) {
      const [place, center] = [Math.floor(at / count), at % count];
      for (let j = 0; j < length; j++) offsets[at] += importance[place * length + j] * columns[j * count + center] ** 2;
    }
    const scores = new Float64Array(count);
    const indices = new Uint8Array(members.length);
    let error = 0;
    for (let at = 0; at < members.length; at++) {
      const first = members[at] * length;
      const place = members[at] % places;
      for (let center = 0; center < count; center++) scores[center] = offsets[place * count + center];
      for (let j = 0; j < length; j++) {
        const value = vectors[first + j];
        const weight = importance[place * length + j];
        const factor = -2 * weight * value;
        error += weight * value * value;
        for (let center = 0, from = j * count; center < count; center++)
          scores[center] += factor * columns[from + center];
      }
      let nearest = 0;
      for (let center = 1; center < count; center++) if (scores[center] < scores[nearest]) nearest = center;
      indices[at] = nearest;
      error += scores[nearest];
    }
    return { indices, error };
  }

  /** Moves each center to the mean of its members; one without members stays. */
  update(members: Uint32Array, indices: Uint8Array): void {
    const [vectors, importance, length] = [this.#vectors, this.#importance, this.#length];
    const sums = new Float64Array(this.centers.length);
    const totals = new Float64Array(this.centers.length);
    members.forEach((vector, at) => {
      const from = vector * length;
      const weights = from % importance.length;
      const to = indices[at] * length;
      for (let j = 0; j < length; j++) {
        sums[to + j] += importance[weights + j] * vectors[from + j];
        totals[to + j] += importance[weights + j];
      }
    });
    for (let at = 0; at < sums.length; at++) if (totals[at] > 0) this.centers[at] = sums[at] / totals[at];
  }
}

function upTo(total: number): Uint32Array {
  const numbers = new Uint32Array(total);
  for (let at = 0; at < total; at++) numbers[at] = at;
  return numbers;
}

/** In ascending order, so that memory is read forwards. */
function sample(total: number, wanted: number, random: Random): Uint32Array {
  if (wanted >= total) return upTo(total);
  // Strata of equal size, one member each: no shuffle of what may be millions.
  return Uint32Array.from({ length: wanted }, (_, at) => {
    const from = Math.floor((at * total) / wanted);
    return from + random.integer(Math.floor(((at + 1) * total) / wanted) - from);
  });
}

/**
 * Centers with a small `Σ importance·(v − center)²`, and the nearest one of each vector: k-means++ and Lloyd's iteration on a sample, then
 * one assignment of all vectors and the means of that.
 *
 * @param vectors `[n, length]` row-major, all finite
 * @param count centers, 1 … 256
 * @param importance of an element above 0; repeats itself along `vectors`, its length a multiple of `length`
 */
export function clusterVectors(
  vectors: Float32Array,
  length: number,
  count: number,
  importance: Float32Array,
  random: Random,
): VectorClusters {
  const means = new VectorKMeans(vectors, length, count, importance);
  const total = vectors.length / length;
  const members = sample(total, SAMPLE, random);
  means.start(members, random);
  let before = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const { indices, error } = means.assign(members);
    means.update(members, indices);
    if (!(error < (1 - LEAST_GAIN) * before)) break;
    before = error;
  }
  const all = members.length === total ? members : upTo(total);
  const { indices } = means.assign(all);
  means.update(all, indices);
  return { centers: means.centers, indices };
}
