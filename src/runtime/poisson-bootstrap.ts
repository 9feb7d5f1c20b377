// Bootstrap intervals in one pass: every sample gets a random weight in each replicate; may depend on statistics.
import { seededRandom, type Interval, type Random } from "../statistics/index.ts";

export const REPLICATES = 500;

// P(X ≤ k) of a Poisson variable with mean 1, for k = 0 … 12; the chance beyond is below 1e-10.
const CUMULATIVE = Array.from({ length: 13 }, (_, last) => {
  let term = Math.exp(-1);
  let total = 0;
  for (let k = 0; k <= last; k++) {
    total += term;
    term /= k + 1;
  }
  return total;
});

/**
 * Weights for a bootstrap over samples that are seen once: sample i enters replicate r Poisson(1) times.
 *
 * A statistic kept as weighted sums, one for each replicate, then has its distribution without a second pass.
 * @source Chamandy, Muralidharan, Najmi and Naidu 2012, "Estimating uncertainty for massive data streams", Google Research
 */
export class PoissonBootstrap {
  readonly #random: Random;
  readonly #weights = new Uint8Array(REPLICATES + 1);
  /** How the interval came about, for a figure's sources. */
  readonly source: string;

  constructor(seed: number, label: string) {
    this.#random = seededRandom(seed).fork(label);
    this.#weights[0] = 1;
    this.source = `Poisson bootstrap, ${REPLICATES} replicates, seed ${seed}`;
  }

  /** Weights of the next sample by replicate; replicate 0 is the data as they are. Overwritten by the next call. */
  nextWeights(): Uint8Array {
    for (let replicate = 1; replicate <= REPLICATES; replicate++) {
      const uniform = this.#random.next();
      let draw = 0;
      while (draw < CUMULATIVE.length && uniform > CUMULATIVE[draw]) draw++;
      this.#weights[replicate] = draw;
    }
    return this.#weights;
  }

  /** The statistic with its 95 % percentile interval, widened to hold the value itself. */
  interval(statistic: (replicate: number) => number): Interval {
    const value = statistic(0);
    const replicates = Float64Array.from({ length: REPLICATES }, (_, index) => statistic(index + 1)).sort();
    return {
      value,
      low: Math.min(value, replicates[Math.floor(0.025 * REPLICATES)]),
      high: Math.max(value, replicates[Math.ceil(0.975 * REPLICATES) - 1]),
    };
  }
}
