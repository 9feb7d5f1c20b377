// The scales and integer zero points under which blocks of weights round with the least loss; may depend on block-kernel.
import { BlockKernel, STRIP } from "./block-kernel.ts";

/** How a block's weights become integers of `bits` bits. */
export interface FitOptions {
  readonly bits: 2 | 4 | 8;
  /** False: each block also has an integer zero point, which pays for lopsided weights. */
  readonly symmetric: boolean;
  /**
   * What is made small: the squared error, weighted by importance; or, for `half-quadratic`, the sum of |error|^(3/4), which lets
   * a few outliers go for the sake of all others and wants no data (Badri and Shaji 2023, HQQ).
   */
  readonly fit?: "squared" | "half-quadratic";
}

/** Fractions of the full range tried per block: giving up the outermost value often lowers the error of all others. */
const CLIP_RATIOS = [1, 0.93, 0.86, 0.78];
/** With four levels nearly all of a bell-shaped block is better off without its tails. */
const NARROW_CLIP_RATIOS = [1, 0.87, 0.75, 0.64, 0.54, 0.45];

/** A block of zeros has no scale; a denormal one makes the kernel divide by nothing. */
const SMALLEST_SCALE = 2 ** -120;

/** Steps of half-quadratic alternation that still change something, and how strongly one pulls errors to zero (in grid steps). */
const ITERATIONS = 8;
const PULL = { start: 10, growth: 1.01 };

const isUsable = (scale: number): boolean => Math.abs(scale) > SMALLEST_SCALE && Number.isFinite(scale);
const integerWithin = (value: number, top: number): number => Math.min(top, Math.max(0, Math.round(value)));

/** Fits the grids of one block of up to 64 columns at a time; its memory serves all blocks. `weight ≈ (integer − zeroPoint) · scale`. */
export class BlockFitter {
  readonly #kernel: BlockKernel;
  readonly #options: FitOptions;
  readonly #top: number;
  readonly #middle: number;
  readonly #least = new Float64Array(STRIP);
  /** Of the last fit: `[STRIP]`. Float32 values: what the file stores is what was rounded with. */
  readonly scales = new Float32Array(STRIP);
  readonly zeroPoints = new Float32Array(STRIP);

  constructor(blockSize: number, options: FitOptions) {
    this.#kernel = new BlockKernel(blockSize, options.bits);
    this.#options = options;
    this.#top = 2 ** options.bits - 1;
    this.#middle = 2 ** (options.bits - 1);
  }

  /** `[blockSize, STRIP]`: the weights to fit go here. */
  get values(): Float32Array {
    return this.#kernel.values;
  }

  /** `[blockSize]`: what an error in each row counts. */
  get counts(): Float32Array {
    return this.#kernel.counts;
  }

  /** `[blockSize]`: means of the inputs that the rows meet, for the `shift` of `round`. */
  get means(): Float32Array {
    return this.#kernel.means;
  }

  /**
   * Fits the first `columns` columns.
   *
   * Squared: the best of some clipped ranges (mirrored ones too), each with its least-squares scale, then once more from there and,
   * if there are zero points, to their neighbours. Half-quadratic: the best of them by that loss, from there on alternately scale and
   * zero point of least loss for weights whose errors were pulled to zero. The zero point is an integer throughout: kernels take
   * float ones on a path 80 times slower.
   */
  fit(columns: number): void {
    const { bits, symmetric } = this.#options;
    const { scales, zeroPoints } = this.#kernel;
    const [top, middle] = [this.#top, this.#middle];
    const range = this.#kernel.range(columns);
    const [low, high] = [range.low.slice(), range.high.slice()];
    this.#least.fill(Infinity);
    this.zeroPoints.fill(middle);
    for (let column = 0; column < columns; column++) {
      const whole = Math.max(-low[column], high[column]) / (middle - 1);
      this.scales[column] = isUsable(whole) ? whole : 1;
    }
    for (const ratio of bits === 2 ? NARROW_CLIP_RATIOS : CLIP_RATIOS) {
      // The grid has one step more below zero than above: mirroring it lets the largest value use that step, whatever its sign.
      zeroPoints.fill(middle);
      for (let column = 0; column < columns; column++) {
        const extreme = -low[column] > high[column] ? low[column] : high[column];
        scales[column] = (-extreme / middle) * ratio;
      }
      this.#consider(columns);
      for (let column = 0; column < columns; column++) {
        scales[column] = (Math.max(-low[column], high[column]) / (middle - 1)) * ratio;
      }
      this.#consider(columns);
      if (symmetric) continue;
      for (let column = 0; column < columns; column++) {
        const step = ((high[column] - low[column]) / top) * ratio;
        scales[column] = step;
        zeroPoints[column] = integerWithin((-low[column] * ratio) / step || 0, top);
      }
      this.#consider(columns);
    }
    for (const move of symmetric ? [0] : [0, -1, 1]) this.#moveZeroPoints(columns, move);
    if (this.#isRobust) this.#alternate(columns);
  }

  /** The integers of the last fit, as `BlockKernel.round` gives them. */
  round(columns: number): ReturnType<BlockKernel["round"]> {
    this.#kernel.scales.set(this.scales);
    this.#kernel.zeroPoints.set(this.zeroPoints);
    return this.#kernel.round(columns);
  }

  get #isRobust(): boolean {
    return this.#options.fit === "half-quadratic";
  }

  /**
   * Gives the kernel's grids the scale that suits their integers best, `s + Σ c·e·l / Σ c·l²`, which takes `(Σ c·e·l)² / Σ c·l²` from
   * the squared error, and keeps the result where it is better than what was found before.
   */
  #consider(columns: number): void {
    const { scales } = this.#kernel;
    const { cross, square, loss } = this.#kernel.moments(columns);
    for (let column = 0; column < columns; column++) {
      const correction = cross[column] / square[column];
      scales[column] += correction;
      loss[column] -= cross[column] * correction;
    }
    this.#keep(columns, this.#isRobust ? this.#kernel.robustLoss(columns) : loss);
  }

  #keep(columns: number, losses: Float32Array): void {
    const { scales, zeroPoints } = this.#kernel;
    for (let column = 0; column < columns; column++) {
      if (!(losses[column] < this.#least[column]) || !isUsable(scales[column])) continue;
      this.#least[column] = losses[column];
      this.scales[column] = scales[column];
      this.zeroPoints[column] = zeroPoints[column];
    }
  }

  /** Tries what was found once more, with zero points moved by `move`. */
  #moveZeroPoints(columns: number, move: number): void {
    const { scales, zeroPoints } = this.#kernel;
    scales.set(this.scales);
    for (let column = 0; column < columns; column++) {
      zeroPoints[column] = integerWithin(this.zeroPoints[column] + move, this.#top);
    }
    this.#consider(columns);
  }

  #alternate(columns: number): void {
    const { scales, zeroPoints, counts } = this.#kernel;
    const total = counts.reduce((sum, count) => sum + count, 0);
    scales.set(this.scales);
    zeroPoints.set(this.zeroPoints);
    let pull = PULL.start;
    for (let iteration = 0; iteration < ITERATIONS; iteration++, pull *= PULL.growth) {
      const { cross, square, rest } = this.#kernel.alternation(columns, pull);
      // Scale and zero point take turns: the best of one holds only while the other stays.
      const movesZero = !this.#options.symmetric && iteration % 2 === 1;
      for (let column = 0; column < columns; column++) {
        if (movesZero) zeroPoints[column] = integerWithin(zeroPoints[column] - rest[column] / total, this.#top);
        else scales[column] *= 1 + cross[column] / square[column];
      }
      this.#keep(columns, this.#kernel.robustLoss(columns));
    }
  }
}
