// How figures read: digits that follow from the interval, units that fit the size; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figure } from "./figure.ts";
import { formatCount, formatFigure, formatFraction, formatNumber } from "./format.ts";

const shown = (value: number, low: number, high: number, unit: string): string =>
  formatFigure(figure({ value, low, high, unit, method: "modelled" })).replaceAll("\u202f", " ");
const number = (value: number, unit: string): string => formatNumber(value, unit).replaceAll("\u202f", " ");

const read = (text: string): number[] =>
  text
    .replaceAll(",", "")
    .match(/-?\d+(\.\d+)?/g)!
    .map(Number);

describe("a figure for people", () => {
  it.each([
    // The band is wide, so the last digits of the value are cut.
    [12_345, 9_000, 20_000, "", "12,000 (9,000…20,000)"],
    [1.84e6, 1.6e6, 2.1e6, "J", "1,840 (1,600…2,100) kJ"],
    [1.485, 0.675, 3.267, "W", "1.5 (0.7…3.3) W"],
    [37, -23, 97, "", "40 (-20…100)"],
    // A narrow band brings them back.
    [1_234_567, 1_234_500, 1_234_600, "", "1,234,570 (1,234,500…1,234,600)"],
    // A low end that rounds to nothing keeps its leading digit: 0 would say "maybe free".
    [2.9, 0.26, 14, "W", "3 (0.3…14) W"],
    [0, -1, 2, "J", "0.0 (-1.0…2.0) J"],
    [-5, -9, -2, "°C", "-5.0 (-9.0…-2.0) °C"],
    // Units follow the value.
    [1e-12, 5e-13, 2e-12, "J", "1.0 (0.5…2.0) pJ"],
    [67e12, 64.32e12, 69.68e12, "FLOP/s", "67.0 (64.3…69.7) TFLOP/s"],
    // … and the rounded value at that.
    [9.6e-7, 5e-7, 1.9e-6, "J", "1.0 (0.5…1.9) µJ"],
    [999.96, 900, 1100, "gCO2e", "1.00 (0.90…1.10) kgCO2e"],
    [59, 50, 70, "s", "59 (50…70) s"],
    [7300, 7000, 8000, "s", "2.03 (1.94…2.22) h"],
    [4.8e-6, 4.7e-6, 4.9e-6, "1/FLOP", "4.80 (4.70…4.90) 1/MFLOP"],
    [2.4e-6, 2.39e-6, 2.41e-6, "1/B", "2.517 (2.506…2.527) 1/MiB"],
    [2.3e9, 1.1e9, 5.2e9, "1/kWh", "2.3 (1.1…5.2) ×10⁹ 1/kWh"],
    [5e9 * 3.6e6, 4e9 * 3.6e6, 6e9 * 3.6e6, "J", "5.0 (4.0…6.0) TWh"],
    [1_234 * 3.6e6, 1_000 * 3.6e6, 2_000 * 3.6e6, "J", "1,200 (1,000…2,000) kWh"],
    [12_340 * 3.6e6, 12_000 * 3.6e6, 13_000 * 3.6e6, "J", "12.3 (12.0…13.0) MWh"],
    [0.0042, 0.004, 0.005, "L", "4.2 (4.0…5.0) mL"],
    [9_000, 8_000, 9_500, "L", "9,000 (8,000…9,500) L"],
    [45_000, 40_000, 50_000, "L", "45 (40…50) m³"],
    // Exact figures have no interval to show.
    [407_080, 407_080, 407_080, "B", "397.5 KiB"],
    [3.93, 3.93, 3.93, "1", "3.93"],
    [0, 0, 0, "J", "0 J"],
  ])("%d (%d…%d) %s reads %s", (value, low, high, unit, text) => expect(shown(value, low, high, unit)).toBe(text));

  it("shows a fraction as percent", () => {
    const accuracy = figure({ value: 0.979, low: 0.976, high: 0.98163, unit: "1", method: "measured" });
    expect(formatFraction(accuracy).replaceAll("\u202f", " ")).toBe("97.90 (97.60…98.16) %");
  });

  // Magnitudes from 0.01 to 10^8, where this unit needs no power of ten; widths from a millionth to a million times that.
  const triple = fc
    .tuple(
      fc.double({ min: -2, max: 8, noNaN: true }),
      fc.boolean(),
      fc.double({ min: -6, max: 6, noNaN: true }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
    )
    .map(([size, negative, width, share]) => {
      const value = (negative ? -1 : 1) * 10 ** size;
      const arm = 10 ** (size + width);
      return { value, low: value - arm * share, high: value + arm };
    });

  it("is off by no more than a tenth of the interval's width at the value and at both ends", () => {
    fc.assert(
      fc.property(triple, ({ value, low, high }) => {
        const [first, ...ends] = read(shown(value, low, high, "m"));
        const slack = (high - low) / 20 + 1e-9 * Math.abs(value);
        expect(Math.abs(first - value)).toBeLessThanOrEqual(slack);
        expect(Math.abs(ends[0] - low)).toBeLessThanOrEqual(slack);
        expect(Math.abs(ends[1] - high)).toBeLessThanOrEqual(slack);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("keeps low ≤ value ≤ high, and shows no digit finer than a hundredth of the interval's width", () => {
    fc.assert(
      fc.property(triple, ({ value, low, high }) => {
        const [first, least, most] = read(shown(value, low, high, "m"));
        expect(least <= first && first <= most).toBe(true);
        // A value much smaller than its band shows its leading digit alone.
        const place = Math.min((high - low) / 100, Math.abs(value) / 10);
        const digits = first.toExponential().split("e")[0].replace(/[-.]/g, "").length;
        expect(digits).toBeLessThanOrEqual(Math.max(1, Math.ceil(Math.log10(Math.abs(value) / place)) + 1));
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it("never prints NaN, an exponent, a bare zero for something that is not zero, or a minus before zero", () => {
    const units = fc.constantFrom("J", "B", "s", "W", "FLOP", "gCO2e", "B/s", "1/kWh", "1/B", "1", "");
    const sizes = fc.double({ min: 1e-9, max: 1e18, noNaN: true });
    fc.assert(
      fc.property(sizes, units, fc.double({ min: 1, max: 3, noNaN: true }), (value, unit, band) => {
        const text = shown(value, value / band, value * band, unit);
        expect(text).not.toMatch(/NaN|Infinity|\de[+-]?\d|-0(?![.\d])/);
        for (const part of text.split(/[(…]/)) expect(Number.parseFloat(part.replaceAll(",", ""))).not.toBe(0);
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe("a bare number", () => {
  it.each([
    [1023, "B", "1,023 B"],
    [1536, "B", "1.5 KiB"],
    [0, "B", "0 B"],
    [123_456.7, "", "123,500"],
    [1e-9, "s", "1 ns"],
    [-2.34567, "J", "-2.346 J"],
    [203_264, "FLOP", "203.3 kFLOP"],
    [0.00012345, "1", "123.5 ×10⁻⁶"],
  ])("%d %s reads %s", (value, unit, text) => expect(number(value, unit)).toBe(text));

  it("groups counts by thousands", () => expect(formatCount(1_234_567)).toBe("1,234,567"));
});

it("groups thousands as Intl does", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: -9e15, max: 9e15 }), (value) => {
      expect(formatCount(Math.trunc(value))).toBe(
        (Math.trunc(value) + 0).toLocaleString("en-US", { maximumFractionDigits: 0 }).replace(/^-0$/, "0"),
      );
    }),
    { seed: 7 },
  );
});
