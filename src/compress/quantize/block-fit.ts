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
const CLIP_RATIOS = [1, 0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7];
/** With four levels nearly all of a bell-shaped block is better off without its tails. */
const NARROW_CLIP_RATIOS = [...CLIP_RATIOS, 0.63, 0.56, 0.49, 0.42];

/** Adding and taking away 1.5·2^52 rounds a double to the nearest integer, halves to the even one. */
const ROUNDER = 1.5 * 2 ** 52;

/** A block of zeros has no scale; a denormal one makes the kernel divide by nothing. */
const SMALLEST_SCALE = 2 ** -120;

/** |x|^(3/4) by two square roots: powers of any other exponent take twenty times longer. */
const robust = (x: number): number => {
  const root = Math.sqrt(Math.abs(x));
  return root * Math.sqrt(root);
};
/** Steps of alternation that still change something, and how strongly a step pulls errors to zero (in grid steps). */
const ITERATIONS = { squared: 4, "half-quadratic": 8 };
const PULL = { start: 10, growth: 1.01 };

/** The integer that stands for `value`, saturated to `0…top`. @param inverse 1 / scale */
export function gridInteger(value: number, inverse: number, zeroPoint: number, top: number): number {
  const integer = value * inverse + ROUNDER - ROUNDER + zeroPoint;
  return integer < 0 ? 0 : integer > top ? top : integer;
}

/** Weighted loss of rounding the block with this scale and zero point; stops early once it is no less than `least`. */
function loss(
  values: Float32Array,
  start: number,
  length: number,
  importance: Float64Array,
  at: number,
  scale: number,
  zeroPoint: number,
  top: number,
  isSquared: boolean,
  least: number,
): number {
  const inverse = 1 / scale;
  let sum = 0;
  for (let i = 0; i < length && sum < least; i++) {
    const value = values[start + i];
    const error = value - (gridInteger(value, inverse, zeroPoint, top) - zeroPoint) * scale;
    sum += importance[at + i] * (isSquared ? error * error : robust(error));
  }
  return sum;
}

/**
 * Fits the `length` weights from `values[start]` on and writes the result into `into`.
 *
 * Squared: the best of some clipped ranges (mirrored ones too), then alternately the best scale for the integers (least squares),
 * the best zero point, and the integers anew. Half-quadratic: the same alternation on the weights less the part of the error
 * that the p-norm does not mind. The zero point is an integer throughout: kernels take float ones on a path 80 times slower.
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
  const top = 2 ** options.bits - 1;
  const middle = 2 ** (options.bits - 1);
  const kind = options.fit ?? "squared";
  const isSquared = kind === "squared";
  let least = Infinity;
  into.scale = 1;
  into.zeroPoint = middle;

  const consider = (exactScale: number, zeroPoint: number): void => {
    const scale = Math.fround(exactScale);
    if (!(Math.abs(scale) > SMALLEST_SCALE) || !Number.isFinite(scale)) return;
    const found = loss(values, start, length, importance, at, scale, zeroPoint, top, isSquared, least);
    if (found < least) {
      least = found;
      into.scale = scale;
      into.zeroPoint = zeroPoint;
    }
  };

  let [low, high] = [0, 0];
  for (let i = start; i < start + length; i++) {
    if (values[i] < low) low = values[i];
    else if (values[i] > high) high = values[i];
  }
  const extreme = -low > high ? low : high;
  const ratios = options.bits === 2 ? NARROW_CLIP_RATIOS : CLIP_RATIOS;
  for (const ratio of ratios) {
    // The grid has one step more below zero than above: mirroring it lets the largest value use that step, whatever its sign.
    consider((-extreme / middle) * ratio, middle);
    consider((Math.abs(extreme) / (middle - 1)) * ratio, middle);
    if (options.symmetric) continue;
    const scale = Math.fround(((high - low) / top) * ratio);
    if (scale > SMALLEST_SCALE) consider(scale, gridInteger(-low * ratio, 1 / scale, 0, top));
  }
  if (least === Infinity || least === 0) return;

  let { scale, zeroPoint } = into;
  let pull = PULL.start;
  for (let iteration = 0; iteration < ITERATIONS[kind]; iteration++, pull *= PULL.growth) {
    let [cross, square, weighted, total] = [0, 0, 0, 0];
    const inverse = 1 / scale;
    for (let i = 0; i < length; i++) {
      const value = values[start + i];
      const integer = gridInteger(value, inverse, zeroPoint, top);
      const level = integer - zeroPoint;
      const target = isSquared ? value : value - shrunk(value * inverse - level, pull) * scale;
      const counts = importance[at + i];
      cross += counts * target * level;
      square += counts * level * level;
      weighted += counts * (integer - target * inverse);
      total += counts;
    }
    // Scale and zero point take turns: the best of one holds only while the other stays.
    if (options.symmetric || iteration % 2 === 0) scale = Math.fround(cross / square);
    else zeroPoint = gridInteger(weighted / total, 1, 0, top);
    if (!(Math.abs(scale) > SMALLEST_SCALE)) return;
    consider(scale, zeroPoint);
  }
}

/** What minimises `|e|^p + pull/(2p)·(e − error)²` with p = 3/4, approximately: the generalised soft threshold. */
function shrunk(error: number, pull: number): number {
  const magnitude = Math.abs(error);
  const rest = magnitude - 1 / (pull * Math.sqrt(Math.sqrt(magnitude)));
  return rest > 0 ? Math.sign(error) * rest : 0;
}
