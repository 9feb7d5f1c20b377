// Tests of affine quantisation against its definition; depends on the file beside it.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  activationParams,
  biasScaleFloor,
  dequantizeValue,
  quantizeBias,
  quantizeChannels,
  quantizeValue,
  roundHalfEven,
} from "./affine.ts";

const real = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 });

describe("roundHalfEven", () => {
  it("rounds halves to the even neighbour and everything else to the nearest", () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4, 2.6, -2.6].map(roundHalfEven).map((x) => x + 0)).toEqual([
      0, 2, 2, 0, -2, -2, 2, 3, -3,
    ]);
  });
});

describe("activationParams", () => {
  it("brings back every value of the range to within half a step, and zero exactly", () => {
    fc.assert(
      fc.property(real, real, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, t) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const params = activationParams(low, high);
        const value = low + t * (high - low);
        const back = dequantizeValue(quantizeValue(value, params), params);
        // The zero point is rounded, which shifts the covered range by at most half a step more.
        expect(Math.abs(back - value)).toBeLessThanOrEqual(params.scale * 1.001);
        expect(dequantizeValue(quantizeValue(0, params), params)).toBe(0);
      }),
    );
  });

  it("gives a range that starts at zero the lowest zero point, which lets the engine absorb a Relu", () => {
    fc.assert(
      fc.property(fc.float({ min: Math.fround(1e-6), max: 1e6, noNaN: true }), (high) => {
        expect(activationParams(0, high).zeroPoint).toBe(0);
        expect(activationParams(high / 2, high).zeroPoint).toBe(0);
      }),
    );
  });

  it("survives a tensor that is always zero", () => {
    const params = activationParams(0, 0);
    expect(params.scale).toBeGreaterThan(0);
    expect(quantizeValue(0, params)).toBe(params.zeroPoint);
  });
});

describe("quantizeChannels", () => {
  const matrix = fc
    .record({ rows: fc.integer({ min: 1, max: 7 }), columns: fc.integer({ min: 1, max: 5 }) })
    .chain(({ rows, columns }) =>
      fc.record({
        shape: fc.constant([rows, columns]),
        values: fc
          .array(real, { minLength: rows * columns, maxLength: rows * columns })
          .map((v) => Float32Array.from(v)),
        axis: fc.constantFrom(0, 1),
        grid: fc.constantFrom(
          { dtype: "int8" as const, bits: 8 as const },
          { dtype: "int8" as const, bits: 7 as const },
          { dtype: "uint8" as const, bits: 8 as const },
        ),
      }),
    );

  it("keeps every weight within half a step of its own channel and inside the grid", () => {
    fc.assert(
      fc.property(matrix, ({ shape, values, axis, grid }) => {
        const { data, scales, zeroPoint } = quantizeChannels(values, shape, axis, grid);
        const limit = 2 ** (grid.bits - 1) - 1;
        values.forEach((value, at) => {
          const channel = axis === 0 ? Math.floor(at / shape[1]) : at % shape[1];
          const scale = scales[channel];
          const integer = data[at] - zeroPoint;
          expect(Math.abs(integer)).toBeLessThanOrEqual(limit);
          expect(Math.abs(integer * scale - value)).toBeLessThanOrEqual(scale * 0.5001 + 1e-30);
        });
      }),
    );
  });
});

describe("quantizeBias", () => {
  it("refuses a bias that would wrap round, and the floor makes the same bias fit", () => {
    const bias = Float32Array.of(1000, -0.25);
    const inputScale = 1e-5;
    expect(quantizeBias(bias, inputScale, Float32Array.of(1e-5, 1e-5))).toBeUndefined();
    const floor = biasScaleFloor(bias, inputScale);
    const { scales } = quantizeChannels(Float32Array.of(1e-3, 1e-3), [1, 2], 1, { dtype: "int8", bits: 8 }, floor);
    const integers = quantizeBias(bias, inputScale, scales)!;
    expect(integers[0] * inputScale * scales[0]).toBeCloseTo(1000, 3);
    expect(integers[1] * inputScale * scales[1]).toBeCloseTo(-0.25, 6);
  });
});
