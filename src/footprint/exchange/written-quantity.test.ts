// Quantities as people write them; depends on vitest, fast-check and the room.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseWritten, sameUnits } from "./written-quantity.ts";

const read = (text: string) => {
  const quantity = parseWritten(text);
  return quantity && { value: quantity.value, units: Object.fromEntries(quantity.units) };
};

describe("parseWritten", () => {
  it.each([
    ["6,500 kg CO₂e / 50 billion tokens", 1.3e-4, { g: 1, token: -1 }],
    ["0.13 g CO₂e/million tokens", 1.3e-7, { g: 1, token: -1 }],
    ["200,000 kg CO₂e / (5 × 10²² FLOPs)", 4e-15, { g: 1, flop: -1 }],
    ["4 × 10⁻¹⁸ kg CO2eq/FLOP", 4e-15, { g: 1, flop: -1 }],
    ["4 g CO₂e/10¹⁵ FLOPs", 4e-15, { g: 1, flop: -1 }],
    ["120 gCO2eq/kWh", 120, { g: 1, kWh: -1 }],
    ["12.5 MWh", 12_500, { kWh: 1 }],
    ["3.6 MJ", 1, { kWh: 1 }],
    ["1,000 lb CO2 per MWh", 453.59237, { g: 1, kWh: -1 }],
    ["130 g CO2e per million tokens", 1.3e-4, { g: 1, token: -1 }],
    ["(350 * 7 * 377.8 * 1.53) / 1000", 1416.1833, {}],
    ["(2 kg + 500 g) / 5 images", 500, { g: 1, image: -1 }],
  ])("reads %s", (text, value, units) => {
    const found = read(text);
    expect(found?.units).toEqual(units);
    expect(found?.value).toBeCloseTo(value, 12);
    expect((found?.value ?? 0) / value).toBeCloseTo(1, 9);
  });

  it.each(["SCI = C", "about 3 trees", "1,2 kg", "5 kg / ", "(3 kg", "5 kg + 3 kWh", "", "kg", "3 × × 4"])(
    "leaves prose and broken expressions alone: %s",
    (text) => {
      const found = parseWritten(text);
      // `3 trees` would be a count; `about 3 trees` is a sentence.
      expect(found).toBeUndefined();
    },
  );

  it("tells megawatt-hours from milliwatt-hours", () => {
    expect((read("1 MWh")?.value ?? 0) / (read("1 mWh")?.value ?? 1)).toBeCloseTo(1e9, 3);
  });

  it("reads a product of random terms as their product", () => {
    const term = fc.integer({ min: 1, max: 10 ** 6 }).map((units) => units / 100);
    fc.assert(
      fc.property(term, term, term, (a, b, c) => {
        const found = parseWritten(`${a} kg × ${b} / (${c} tokens)`);
        expect((found?.value ?? 0) / ((a * 1e3 * b) / c)).toBeCloseTo(1, 9);
        expect(sameUnits(found!, parseWritten("1 g/token")!)).toBe(true);
      }),
      { seed: 11 },
    );
  });

  it("never throws, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        parseWritten(text);
      }),
      { seed: 12, numRuns: 500 },
    );
  });
});
