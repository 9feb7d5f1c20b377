// Eigenvalues and eigenvectors of a symmetric matrix; depends on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

export interface SymmetricEigen {
  /** Largest first. */
  readonly values: Float64Array;
  /** `[size, size]`: row i is the unit eigenvector of value i. */
  readonly vectors: Float64Array;
}

/** More steps than any real matrix takes: two or three per eigenvalue are usual. */
const MOST_STEPS = 60;

/**
 * All eigenpairs of A = Aᵀ: Householder's reduction to tridiagonal form, then implicit QL steps with Wilkinson's shift
 * (Golub and Van Loan, Matrix Computations, 8.3). About 3·size³ multiplications.
 *
 * @param matrix A, `[size, size]` row-major
 * @throws LightfootError E_RANGE when an element is not finite
 */
export function symmetricEigen(matrix: Float64Array, size: number): SymmetricEigen {
  if (!matrix.every(Number.isFinite)) {
    throw new LightfootError("E_RANGE", `a ${size} × ${size} matrix has elements that are not finite`);
  }
  // Rows of `basis` are the vectors: rotations then work on neighbouring memory.
  const { diagonal, off, basis } = tridiagonalize(matrix, size);
  qlSteps(diagonal, off, basis, size);
  const order = Array.from(diagonal.keys()).sort((left, right) => diagonal[right] - diagonal[left] || left - right);
  const vectors = new Float64Array(size * size);
  order.forEach((from, to) => vectors.set(basis.subarray(from * size, (from + 1) * size), to * size));
  return { values: Float64Array.from(order, (from) => diagonal[from]), vectors };
}

/** A = Bᵀ·T·B with T tridiagonal: `diagonal[i]`, `off[i]` between i and i + 1. */
function tridiagonalize(matrix: Float64Array, size: number) {
  const a = matrix.slice();
  const basis = new Float64Array(size * size);
  for (let row = 0; row < size; row++) basis[row * size + row] = 1;
  const v = new Float64Array(size);
  const w = new Float64Array(size);
  for (let column = 0; column + 2 < size; column++) {
    let norm = 0;
    for (let row = column + 1; row < size; row++) norm = Math.hypot(norm, a[row * size + column]);
    if (norm === 0) continue;
    const first = a[(column + 1) * size + column];
    const alpha = first > 0 ? -norm : norm;
    v.fill(0);
    for (let row = column + 1; row < size; row++) v[row] = a[row * size + column];
    v[column + 1] = first - alpha;
    let length = 0;
    for (let row = column + 1; row < size; row++) length += v[row] ** 2;
    if (length === 0) continue;
    const beta = 2 / length;
    reflectBothSides(a, v, w, beta, column, size);
    reflectRows(basis, v, w, beta, column, size);
  }
  const diagonal = Float64Array.from({ length: size }, (_, at) => a[at * size + at]);
  const off = Float64Array.from({ length: size }, (_, at) => (at + 1 < size ? a[(at + 1) * size + at] : 0));
  return { diagonal, off, basis };
}

/** a ← H·a·H with H = 1 − β·v·vᵀ; rows and columns up to `column` that v does not touch stay. */
function reflectBothSides(
  a: Float64Array,
  v: Float64Array,
  w: Float64Array,
  beta: number,
  column: number,
  size: number,
): void {
  let product = 0;
  for (let row = column; row < size; row++) {
    let sum = 0;
    for (let at = column + 1; at < size; at++) sum += a[row * size + at] * v[at];
    w[row] = beta * sum;
    product += v[row] * w[row];
  }
  const half = (beta * product) / 2;
  for (let row = column; row < size; row++) w[row] -= half * v[row];
  for (let row = column; row < size; row++) {
    for (let at = column; at < size; at++) a[row * size + at] -= v[row] * w[at] + w[row] * v[at];
  }
}

/** basis ← H·basis. */
function reflectRows(
  basis: Float64Array,
  v: Float64Array,
  w: Float64Array,
  beta: number,
  column: number,
  size: number,
): void {
  w.fill(0);
  for (let row = column + 1; row < size; row++) {
    for (let at = 0; at < size; at++) w[at] += v[row] * basis[row * size + at];
  }
  for (let row = column + 1; row < size; row++) {
    const weight = beta * v[row];
    for (let at = 0; at < size; at++) basis[row * size + at] -= weight * w[at];
  }
}

function qlSteps(diagonal: Float64Array, off: Float64Array, basis: Float64Array, size: number): void {
  for (let low = 0; low < size; low++) {
    for (let step = 0; ; step++) {
      let high = low;
      for (; high + 1 < size; high++) {
        const scale = Math.abs(diagonal[high]) + Math.abs(diagonal[high + 1]);
        if (Math.abs(off[high]) <= Number.EPSILON * scale) break;
      }
      if (high === low) break;
      if (step === MOST_STEPS) throw new LightfootError("E_RANGE", "an eigenvalue did not converge");
      qlStep(diagonal, off, basis, size, low, high);
    }
  }
}

/** One implicit QL step on the block `low … high`, chased from its end to its start with Givens rotations. */
function qlStep(
  diagonal: Float64Array,
  off: Float64Array,
  basis: Float64Array,
  size: number,
  low: number,
  high: number,
): void {
  let shift = (diagonal[low + 1] - diagonal[low]) / (2 * off[low]);
  const root = Math.hypot(shift, 1);
  shift = diagonal[high] - diagonal[low] + off[low] / (shift + (shift >= 0 ? root : -root));
  let sine = 1;
  let cosine = 1;
  let moved = 0;
  for (let at = high - 1; at >= low; at--) {
    const bulge = sine * off[at];
    const next = cosine * off[at];
    const radius = Math.hypot(bulge, shift);
    off[at + 1] = radius;
    if (radius === 0) {
      diagonal[at + 1] -= moved;
      off[high] = 0;
      return;
    }
    sine = bulge / radius;
    cosine = shift / radius;
    const corner = diagonal[at + 1] - moved;
    const spread = (diagonal[at] - corner) * sine + 2 * cosine * next;
    moved = sine * spread;
    diagonal[at + 1] = corner + moved;
    shift = cosine * spread - next;
    rotate(basis, at * size, (at + 1) * size, cosine, sine, size);
  }
  diagonal[low] -= moved;
  off[low] = shift;
  off[high] = 0;
}

function rotate(basis: Float64Array, left: number, right: number, cosine: number, sine: number, size: number): void {
  for (let at = 0; at < size; at++) {
    const a = basis[left + at];
    const b = basis[right + at];
    basis[right + at] = sine * a + cosine * b;
    basis[left + at] = cosine * a - sine * b;
  }
}
