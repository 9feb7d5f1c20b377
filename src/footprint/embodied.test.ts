// Embodied emissions: the worked example of ISO/IEC 21031, linearity, and inputs that break the formula; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figure, type Figure } from "../quantity/figure.ts";
import { amortizedEmbodied, yearsOfLife } from "./embodied.ts";

const grams = (value: number, low = value, high = value): Figure =>
  figure({ value, low, high, unit: "gCO2e", method: "declared", sources: ["test"] });
const wholeLife = figure({ value: 1, unit: "1", method: "declared", sources: ["test"] });

describe("amortizedEmbodied", () => {
  it("gives the standard's worked example: 1000 kg over 4 years, one hour carries 28.5 g", () => {
    const found = amortizedEmbodied({
      parts: [{ name: "server", count: 1, perUnit: grams(1_000_000) }],
      usedSeconds: 3600,
      lifetime: yearsOfLife(4),
      useFraction: wholeLife,
    });
    expect(found.value).toBeCloseTo(1_000_000 / (4 * 365 * 24), 9);
    expect(found.value.toFixed(1)).toBe("28.5");
    expect(found.boundary).toBe("embodied");
    expect(found.assumptions).toEqual([]);
  });

  it("spans an H100's two inventories and the assumed life: eight boards for three hours", () => {
    const found = amortizedEmbodied({
      parts: [{ name: "H100", count: 8, perUnit: grams(164_000, 164_000, 278_000) }],
      usedSeconds: 3 * 3600,
    });
    // By hand: 8 · 164,000 g · 3 h / 35,040 h = 112.3 g; low over 6 years, high 278 kg over 3 years.
    expect(found.value).toBeCloseTo(112.33, 2);
    expect(found.low).toBeCloseTo((8 * 164_000 * 3) / (6 * 8760), 6);
    expect(found.high).toBeCloseTo((8 * 278_000 * 3) / (3 * 8760), 6);
    expect(found.assumptions.map(({ key }) => key)).toEqual(["embodied.lifetime", "embodied.use"]);
  });

  it("is linear in count, time and share, additive over parts, and grows as use falls", () => {
    const amounts = fc.double({ min: 0.01, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        amounts,
        fc.integer({ min: 1, max: 64 }),
        amounts,
        fc.double({ min: 0.1, max: 1, noNaN: true }),
        (mass, count, seconds, use) => {
          const useFraction = { ...wholeLife, value: use, low: use, high: use };
          const one = amortizedEmbodied({
            parts: [{ name: "a", count: 1, perUnit: grams(mass) }],
            usedSeconds: seconds,
          });
          const many = amortizedEmbodied({ parts: [{ name: "a", count, perUnit: grams(mass) }], usedSeconds: seconds });
          const apart = amortizedEmbodied({
            parts: Array.from({ length: count }, () => ({ name: "a", count: 1, perUnit: grams(mass) })),
            usedSeconds: seconds,
          });
          const half = amortizedEmbodied({
            parts: [{ name: "a", count: 1, perUnit: grams(mass), shareOfDevice: 0.5 }],
            usedSeconds: 2 * seconds,
          });
          const idle = amortizedEmbodied({
            parts: [{ name: "a", count: 1, perUnit: grams(mass) }],
            usedSeconds: seconds,
            useFraction,
          });
          expect(many.value / one.value).toBeCloseTo(count, 9);
          expect(apart.value / many.value).toBeCloseTo(1, 9);
          expect(half.value / one.value).toBeCloseTo(1, 9);
          expect(idle.value / one.value).toBeCloseTo(1 / use, 9);
          expect(many.low <= many.value && many.value <= many.high).toBe(true);
        },
      ),
      { seed: 21 },
    );
  });

  it("refuses lives, uses, shares, counts and units outside the formula", () => {
    const part = { name: "a", count: 1, perUnit: grams(1) };
    const bad = [
      { parts: [], usedSeconds: 1 },
      { parts: [part], usedSeconds: -1 },
      { parts: [part], usedSeconds: Number.NaN },
      { parts: [part], usedSeconds: 1, lifetime: yearsOfLife(0) },
      { parts: [part], usedSeconds: 1, lifetime: grams(4) },
      { parts: [part], usedSeconds: 1, useFraction: { ...wholeLife, value: 0, low: 0, high: 0 } },
      { parts: [part], usedSeconds: 1, useFraction: { ...wholeLife, value: 2, low: 2, high: 2 } },
      { parts: [{ ...part, count: 0 }], usedSeconds: 1 },
      { parts: [{ ...part, shareOfDevice: 1.1 }], usedSeconds: 1 },
      { parts: [{ ...part, perUnit: { ...grams(1), unit: "kgCO2e" } }], usedSeconds: 1 },
    ];
    for (const input of bad) expect(() => amortizedEmbodied(input)).toThrow(/found|at least/);
  });
});
