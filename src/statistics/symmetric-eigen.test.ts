// Tests of the eigenpairs and of Cholesky by multiplying back; depends on its room.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { choleskyFactor, choleskySolve } from "./cholesky.ts";
import { seededRandom } from "./random.ts";
import { symmetricEigen } from "./symmetric-eigen.ts";

/** A·Aᵀ of a random `[size, rank]`, plus `ridge` on the diagonal. */
function gram(size: number, rank: number, seed: number, ridge = 0): Float64Array {
  const random = seededRandom(seed);
  const a = Float64Array.from({ length: size * rank }, () => random.normal());
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [row, column] = [Math.floor(at / size), at % size];
    let sum = row === column ? ridge : 0;
    for (let k = 0; k < rank; k++) sum += a[row * rank + k] * a[column * rank + k];
    return sum;
  });
}

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const sizes = fc.integer({ min: 1, max: 24 });
const seeds = fc.integer({ min: 1, max: 1e6 });

describe("symmetricEigen", () => {
  it("gives back the matrix, from unit vectors at right angles, largest value first", () => {
    fc.assert(
      fc.property(sizes, sizes, seeds, (size, rank, seed) => {
        const matrix = gram(size, rank, seed).map((value, at) => value - (at % (size + 1) === 0 ? rank : 0));
        const { values, vectors } = symmetricEigen(matrix, size);
        const error = new Float64Array(size * size);
        const overlap = new Float64Array(size * size);
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            let [sum, dot] = [0, 0];
            for (let k = 0; k < size; k++) {
              sum += values[k] * vectors[k * size + i] * vectors[k * size + j];
              dot += vectors[i * size + k] * vectors[j * size + k];
            }
            error[i * size + j] = sum - matrix[i * size + j];
            overlap[i * size + j] = dot - (i === j ? 1 : 0);
          }
        }
        expect(largest(error)).toBeLessThan(1e-11 * Math.max(1, largest(matrix)));
        expect(largest(overlap)).toBeLessThan(1e-12 * size);
        expect([...values]).toEqual([...values].sort((left, right) => right - left));
      }),
      { seed: 4 },
    );
  });

  it("knows the second-difference matrix, whose values are 2 − 2·cos(kπ/(n+1))", () => {
    const size = 9;
    const matrix = Float64Array.from({ length: size * size }, (_, at) => {
      const distance = Math.abs(Math.floor(at / size) - (at % size));
      return distance === 0 ? 2 : distance === 1 ? -1 : 0;
    });
    const { values } = symmetricEigen(matrix, size);
    values.forEach((value, at) =>
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((size - at) * Math.PI) / (size + 1)), 12),
    );
  });

  it("refuses what is not finite", () => {
    expect(() => symmetricEigen(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2)).toThrow("not finite");
  });
});

describe("Cholesky", () => {
  it("solves what it factorised", () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 4 }), seeds, (size, columns, seed) => {
        const matrix = gram(size, size, seed, 1);
        const random = seededRandom(seed + 1);
        const wanted = Float64Array.from({ length: size * columns }, () => random.normal());
        const sides = Float64Array.from({ length: size * columns }, (_, at) => {
          const [row, column] = [Math.floor(at / columns), at % columns];
          let sum = 0;
          for (let k = 0; k < size; k++) sum += matrix[row * size + k] * wanted[k * columns + column];
          return sum;
        });
        const found = choleskySolve(choleskyFactor(matrix, size), size, sides, columns);
        found.forEach((value, at) => expect(value).toBeCloseTo(wanted[at], 8));
      }),
      { seed: 4 },
    );
  });

  it("refuses a matrix that is not positive definite", () => {
    expect(() => choleskyFactor(Float64Array.of(1, 2, 2, 1), 2)).toThrow("not positive definite");
  });
});
