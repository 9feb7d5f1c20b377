// The scale and integer zero point under which a block of weights rounds with the least loss; may depend on nothing.

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

/** Where a fit is put; one object serves all blocks. `weight ≈ (integer − zeroPoint) · scale`. */
export interface Fit {
  /** A float32 value: what the file stores is what was rounded with. */
  scale: number;
  zeroPoint: number;
}

/** Fractions of the full range tried per block: giving up the outermost value often lowers the error of all others. */
const CLIP_RATIOS = [1, 0.93, 0.86, 0.78];
/** With four levels nearly all of a bell-shaped block is better off without its tails. */
const NARROW_CLIP_RATIOS = [1, 0.87, 0.75, 0.64, 0.54, 0.45];

/** Adding and taking away 1.5·2^52 rounds a double to the nearest integer, halves to the even one. */
const ROUNDER = 1.5 * 2 ** 52;

/** A block of zeros has no scale; a denormal one makes the kernel divide by nothing. */
const SMALLEST_SCALE = 2 ** -120;

/** Steps of half-quadratic alternation that still change something, and how strongly one pulls errors to zero (in grid steps). */
const ITERATIONS = 8;
const PULL = { start: 10, growth: 1.01 };

/** |x|^(3/4) by two square roots: powers of any other exponent take twenty times longer. */
const robust = (x: number): number => {
  const root = Math.sqrt(Math.abs(x));
  return root * Math.sqrt(root);
};

/** The integer that stands for `value`, saturated to `0…top`. @param inverse 1 / scale */
export function gridInteger(value: number, inverse: number, zeroPoint: number, top: number): number {
  const integer = value * inverse + ROUNDER - ROUNDER + zeroPoint;
  return integer < 0 ? 0 : integer > top ? top : integer;
}

const isUsable = (scale: number): boolean => Math.abs(scale) > SMALLEST_SCALE && Number.isFinite(scale);

/** One block: its weights, what errors in them count, and the grid that they are rounded to. */
class Block {
  readonly #values: Float32Array;
  readonly #start: number;
  readonly #length: number;
  readonly #importance: Float64Array;
  readonly #at: number;
  readonly #top: number;

  constructor(values: Float32Array, start: number, length: number, importance: Float64Array, at: number, bits: number) {
    this.#values = values;
    this.#start = start;
    this.#length = length;
    this.#importance = importance;
    this.#at = at;
    this.#top = 2 ** bits - 1;
  }

  /**
   * What squared error the integers of this scale and zero point save, if they then get the scale that suits them best:
   * `(Σ c·w·l)² / Σ c·l²` with levels l and importance c. That scale goes into `into`.
   */
  gain(scale: number, zeroPoint: number, into: Fit): number {
    const [values, importance] = [this.#values, this.#importance];
    const [start, at, length, top] = [this.#start, this.#at, this.#length, this.#top];
    const inverse = 1 / scale;
    let cross = 0;
    let square = 0;
    for (let i = 0; i < length; i++) {
      const value = values[start + i];
      const level = gridInteger(value, inverse, zeroPoint, top) - zeroPoint;
      const weighted = importance[at + i] * level;
      cross += weighted * value;
      square += weighted * level;
    }
    into.scale = Math.fround(cross / square);
    into.zeroPoint = zeroPoint;
    return square === 0 || !isUsable(into.scale) ? 0 : (cross * cross) / square;
  }

  /** Weighted sum of |error|^(3/4). */
  robustLoss({ scale, zeroPoint }: Fit): number {
    const inverse = 1 / scale;
    let sum = 0;
    for (let i = 0; i < this.#length; i++) {
      const value = this.#values[this.#start + i];
      const level = gridInteger(value, inverse, zeroPoint, this.#top) - zeroPoint;
      sum += this.#importance[this.#at + i] * robust(value - level * scale);
    }
    return sum;
  }

  /** The better scale, or zero point, for the weights less the part of their errors that the p-norm does not mind. */
  alternated({ scale, zeroPoint }: Fit, pull: number, movesZero: boolean): Fit {
    const inverse = 1 / scale;
    let [cross, square, weighted, total] = [0, 0, 0, 0];
    for (let i = 0; i < this.#length; i++) {
      const value = this.#values[this.#start + i];
      const integer = gridInteger(value, inverse, zeroPoint, this.#top);
      const level = integer - zeroPoint;
      const target = value - shrunk(value * inverse - level, pull) * scale;
      const counts = this.#importance[this.#at + i];
      cross += counts * target * level;
      square += counts * level * level;
      weighted += counts * (integer - target * inverse);
      total += counts;
    }
    return movesZero
      ? { scale, zeroPoint: gridInteger(weighted / total, 1, 0, this.#top) }
      : { scale: Math.fround(cross / square), zeroPoint };
  }
}

/**
 * Fits the `length` weights from `values[start]` on and writes the result into `into`.
 *
 * Squared: the best of some clipped ranges (mirrored ones too), each with its least-squares scale, then once more from there and,
 * if there are zero points, to their neighbours. Half-quadratic: the best of them by that loss, from there on alternately scale and zero point of least loss for
 * weights whose errors were pulled to zero. The zero point is an integer throughout: kernels take float ones on a path 80 times
 * slower.
 *
 * @param importance what an error in each weight counts, from `importance[at]` on
 */
export function fitBlock(
  values: Float32Array,
  start: number,
  length: number,
  importance: Float64Array,
  at: number,
  options: FitOptions,
  into: Fit,
): void {
  const { bits, symmetric } = options;
  const block = new Block(values, start, length, importance, at, bits);
  const top = 2 ** bits - 1;
  const middle = 2 ** (bits - 1);
  const tried: Fit = { scale: 1, zeroPoint: middle };
  const isRobust = options.fit === "half-quadratic";
  let most = isRobust ? -Infinity : 0;
  into.scale = 1;
  into.zeroPoint = middle;
  const consider = (scale: number, zeroPoint: number): void => {
    if (!isUsable(scale)) return;
    const gain = block.gain(scale, zeroPoint, tried);
    if (gain === 0) return;
    const score = isRobust ? -block.robustLoss(tried) : gain;
    if (score <= most) return;
    most = score;
    into.scale = tried.scale;
    into.zeroPoint = tried.zeroPoint;
  };

  let [low, high] = [0, 0];
  for (let i = start; i < start + length; i++) {
    if (values[i] < low) low = values[i];
    else if (values[i] > high) high = values[i];
  }
  const extreme = -low > high ? low : high;
  for (const ratio of bits === 2 ? NARROW_CLIP_RATIOS : CLIP_RATIOS) {
    // The grid has one step more below zero than above: mirroring it lets the largest value use that step, whatever its sign.
    consider((-extreme / middle) * ratio, middle);
    consider((Math.abs(extreme) / (middle - 1)) * ratio, middle);
    if (symmetric) continue;
    const scale = ((high - low) / top) * ratio;
    if (isUsable(scale)) consider(scale, gridInteger(-low * ratio, 1 / scale, 0, top));
  }
  consider(into.scale, into.zeroPoint);
  if (!symmetric) {
    const { scale, zeroPoint } = into;
    if (zeroPoint > 0) consider(scale, zeroPoint - 1);
    if (zeroPoint < top) consider(scale, zeroPoint + 1);
  }
  if (isRobust && most > -Infinity) fitRobustly(block, symmetric, into);
}

function fitRobustly(block: Block, symmetric: boolean, into: Fit): void {
  let least = block.robustLoss(into);
  let current: Fit = { scale: into.scale, zeroPoint: into.zeroPoint };
  let pull = PULL.start;
  for (let iteration = 0; iteration < ITERATIONS; iteration++, pull *= PULL.growth) {
    // Scale and zero point take turns: the best of one holds only while the other stays.
    current = block.alternated(current, pull, !symmetric && iteration % 2 === 1);
    if (!isUsable(current.scale)) return;
    const loss = block.robustLoss(current);
    if (loss >= least) continue;
    least = loss;
    into.scale = current.scale;
    into.zeroPoint = current.zeroPoint;
  }
}

/** What minimises `|e|^p + pull/(2p)·(e − error)²` with p = 3/4, approximately: the generalised soft threshold. */
function shrunk(error: number, pull: number): number {
  const magnitude = Math.abs(error);
  const rest = magnitude - 1 / (pull * Math.sqrt(Math.sqrt(magnitude)));
  return rest > 0 ? Math.sign(error) * rest : 0;
}
