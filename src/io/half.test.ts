// 16-bit floats: every bit pattern, and rounding judged by searching the nearest neighbor.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bfloat16ToNumber,
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from "./half.ts";

const EVERY_PATTERN = Uint16Array.from({ length: 65_536 }, (_, pattern) => pattern);
const formats = [
  {
    name: "float16",
    toNumber: float16ToNumber,
    fromNumber: numberToFloat16,
    decode: decodeFloat16,
    encode: encodeFloat16,
  },
  {
    name: "bfloat16",
    toNumber: bfloat16ToNumber,
    fromNumber: numberToBfloat16,
    decode: decodeBfloat16,
    encode: encodeBfloat16,
  },
];

describe.each(formats)("$name", ({ toNumber, fromNumber, decode, encode }) => {
  it("gives every pattern back that is a number, and a NaN for the rest", () => {
    const values = decode(EVERY_PATTERN);
    const again = encode(values);
    for (const pattern of EVERY_PATTERN) {
      if (Number.isNaN(values[pattern])) expect(toNumber(again[pattern])).toBeNaN();
      else if (again[pattern] !== pattern) expect.fail(`pattern ${pattern} came back as ${again[pattern]}`);
    }
  });

  it("rounds to the nearest value, ties to the even pattern", () => {
    const property = fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const pattern = fromNumber(value);
      const result = toNumber(pattern);
      if (!Number.isFinite(result)) return;
      for (const neighbor of [pattern - 1, pattern + 1]) {
        const other = toNumber(neighbor & 0xffff);
        if (!Number.isFinite(other) || Math.sign(other) !== Math.sign(result)) continue;
        const [distance, otherDistance] = [Math.abs(result - value), Math.abs(other - value)];
        expect(distance).toBeLessThanOrEqual(otherDistance);
        if (distance === otherDistance) expect(pattern % 2).toBe(0);
      }
    });
    fc.assert(property, { seed: 16, numRuns: 5000 });
  });

  it("keeps the sign of zero", () => {
    expect(toNumber(fromNumber(-0))).toBe(-0);
    expect(toNumber(fromNumber(0))).toBe(0);
  });
});

describe("float16", () => {
  it("goes to infinity halfway beyond its largest value, not before", () => {
    expect(float16ToNumber(numberToFloat16(65_519.996))).toBe(65_504);
    expect(float16ToNumber(numberToFloat16(65_520))).toBe(Infinity);
    expect(float16ToNumber(numberToFloat16(-1e30))).toBe(-Infinity);
  });

  it("rounds subnormal ties to even", () => {
    expect(numberToFloat16(2 ** -25)).toBe(0);
    expect(numberToFloat16(3 * 2 ** -25)).toBe(2);
    expect(numberToFloat16(1023.5 * 2 ** -24)).toBe(0x400);
  });
});
