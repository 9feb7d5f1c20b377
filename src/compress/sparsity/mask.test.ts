// Masks and their schedule: exact counts, ties, and the pattern of two in four; depends on its file and fast-check.
import fc from "fast-check";
import { expect, test } from "vitest";
import { cubicSparsity, keepLargest, keepTwoOfFour } from "./mask.ts";

const seed = 20261126;
const numbers = fc.array(fc.double({ min: 0, max: 4, noNaN: true }), { minLength: 1, maxLength: 40 });

test("exactly as many weights stay as were asked for, and none that went is larger than one that stayed", () => {
  fc.assert(
    fc.property(
      fc.array(numbers, { minLength: 1, maxLength: 4 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (lists, share) => {
        const tensors = lists.map((list) => Float64Array.from(list, (value) => Math.round(value))); // many ties
        const total = tensors.reduce((sum, { length }) => sum + length, 0);
        const count = Math.round(share * total);
        const masks = keepLargest(tensors, count);
        const kept = tensors.flatMap((values, at) => [...values].filter((_, index) => masks[at][index] === 1));
        const gone = tensors.flatMap((values, at) => [...values].filter((_, index) => masks[at][index] === 0));
        expect(kept.length).toBe(count);
        expect(Math.max(-1, ...gone)).toBeLessThanOrEqual(Math.min(Infinity, ...kept));
      },
    ),
    { seed, numRuns: 200 },
  );
});

test("two of every four along the summed axis, the two largest, whichever way the matrix lies", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 13 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      fc.nat(1000),
      (k, n, across, salt) => {
        const saliency = Float64Array.from({ length: k * n }, (_, at) => ((at * 7919 + salt * 104_729) % 1013) / 1013);
        // [K, N] sums over rows (stride N); [N, K] sums along a row (stride 1).
        const mask = keepTwoOfFour(saliency, { length: k, stride: across ? n : 1 });
        for (let column = 0; column < n; column++) {
          const place = (row: number): number => (across ? row * n + column : column * k + row);
          for (let group = 0; group < k; group += 4) {
            const rows = Array.from({ length: Math.min(4, k - group) }, (_, at) => place(group + at));
            const kept = rows.filter((at) => mask[at] === 1);
            expect(kept.length).toBe(Math.min(2, rows.length));
            const gone = rows.filter((at) => mask[at] === 0);
            expect(Math.max(-1, ...gone.map((at) => saliency[at]))).toBeLessThanOrEqual(
              Math.min(...kept.map((at) => saliency[at])),
            );
          }
        }
      },
    ),
    { seed, numRuns: 200 },
  );
});

test("the schedule starts where the model is, slows down, and stays at its end", () => {
  expect(cubicSparsity(0.5, 0.95, 0, 10)).toBeCloseTo(0.5, 12);
  expect(cubicSparsity(0, 0.96, 5, 10)).toBeCloseTo(0.84, 12); // 0.96 − 0.96·½³
  expect(cubicSparsity(0, 0.96, 10, 10)).toBe(0.96);
  expect(cubicSparsity(0, 0.96, 17, 10)).toBe(0.96);
});
