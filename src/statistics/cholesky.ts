// Cholesky factorisation of a symmetric positive definite matrix and solving with it; depends on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

/**
 * Lower triangle L with A = L·Lᵀ.
 *
 * @param matrix A, `[size, size]` row-major; only its lower triangle is read
 * @returns L `[size, size]` row-major, zero above the diagonal
 * @throws LightfootError E_RANGE when A is not positive definite
 */
export function choleskyFactor(matrix: Float64Array, size: number): Float64Array {
  const factor = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = matrix[row * size + column];
      const left = row * size;
      const right = column * size;
      for (let at = 0; at < column; at++) sum -= factor[left + at] * factor[right + at];
      if (column < row) factor[left + column] = sum / factor[right + column];
      else if (sum > 0) factor[left + row] = Math.sqrt(sum);
      else throw new LightfootError("E_RANGE", `a ${size} × ${size} matrix is not positive definite (row ${row})`);
    }
  }
  return factor;
}

/**
 * X with L·Lᵀ·X = B.
 *
 * @param factor L, `[size, size]`, from `choleskyFactor`
 * @param sides B, `[size, columns]` row-major
 * @returns X, `[size, columns]` row-major
 */
export function choleskySolve(factor: Float64Array, size: number, sides: Float64Array, columns: number): Float64Array {
  const result = sides.slice();
  const subtract = (row: number, other: number, weight: number) => {
    const to = row * columns;
    const from = other * columns;
    for (let column = 0; column < columns; column++) result[to + column] -= weight * result[from + column];
  };
  const divide = (row: number) => {
    const diagonal = factor[row * size + row];
    for (let column = 0; column < columns; column++) result[row * columns + column] /= diagonal;
  };
  for (let row = 0; row < size; row++) {
    for (let other = 0; other < row; other++) subtract(row, other, factor[row * size + other]);
    divide(row);
  }
  for (let row = size - 1; row >= 0; row--) {
    for (let other = row + 1; other < size; other++) subtract(row, other, factor[other * size + row]);
    divide(row);
  }
  return result;
}
