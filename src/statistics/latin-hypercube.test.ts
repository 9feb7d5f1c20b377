// Latin hypercubes: one draw a stratum, seeds, and the triangular quantile against its distribution; depends on vitest, fast-check and the room.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { latinHypercube, triangularQuantile } from "./latin-hypercube.ts";
import { seededRandom } from "./random.ts";

describe("latinHypercube", () => {
  it("puts exactly one draw into every stratum of every dimension", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 0, max: 5 }),
        fc.nat(),
        (draws, dimensions, seed) => {
          const points = latinHypercube(draws, dimensions, seededRandom(seed));
          for (let dimension = 0; dimension < dimensions; dimension++) {
            const strata = Array.from({ length: draws }, (_, draw) =>
              Math.floor(points[draw * dimensions + dimension] * draws),
            );
            expect(strata.toSorted((a, b) => a - b)).toEqual(Array.from({ length: draws }, (_, index) => index));
          }
        },
      ),
      { seed: 41 },
    );
  });

  it("leaves the other dimensions as they were when one is added", () => {
    const two = latinHypercube(50, 2, seededRandom(5));
    const three = latinHypercube(50, 3, seededRandom(5));
    for (let draw = 0; draw < 50; draw++) expect(three[draw * 3 + 1]).toBe(two[draw * 2 + 1]);
  });

  it("refuses no draws", () => {
    expect(() => latinHypercube(0, 1, seededRandom(1))).toThrow(expect.objectContaining({ code: "E_RANGE" }));
  });
});

describe("triangularQuantile", () => {
  it("is the inverse of the triangular distribution", () => {
    const unit = fc.integer({ min: 0, max: 1000 }).map((value) => value / 1000);
    fc.assert(
      fc.property(unit, unit, unit, unit, (a, b, c, probability) => {
        const [low, mode, high] = [a, b, c].toSorted((x, y) => x - y);
        const x = triangularQuantile(probability, low, mode, high);
        expect(x).toBeGreaterThanOrEqual(low);
        expect(x).toBeLessThanOrEqual(high);
        if (low === high) return;
        const below =
          x < mode
            ? (x - low) ** 2 / ((high - low) * (mode - low))
            : 1 - (high - x) ** 2 / ((high - low) * (high - mode));
        if (Number.isFinite(below)) expect(below).toBeCloseTo(probability, 6);
      }),
      { seed: 42 },
    );
  });
});
