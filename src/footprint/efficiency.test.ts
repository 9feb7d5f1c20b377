// The two formulas, their intervals, and the comparisons they refuse; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figure, type Figure } from "../quantity/figure.ts";
import { compressionRate, efficiency, gainBetween, type EfficiencyBasis } from "./efficiency.ts";

const basis: EfficiencyBasis = {
  task: "10-class image classification, accuracy",
  data: "mnist:test",
  boundary: "server at the wall",
  period: "1,000 inferences",
};
const accuracy = figure({ value: 0.98, low: 0.977, high: 0.983, unit: "1", method: "measured", sources: ["test"] });
const energy = figure({ value: 36, low: 18, high: 72, unit: "J", method: "modelled", sources: ["model"] });
const positive = (unit: string) =>
  fc
    .tuple(
      fc.double({ min: 1e-6, max: 1e9, noNaN: true }),
      fc.double({ min: 0.1, max: 1, noNaN: true }),
      fc.double({ min: 1, max: 10, noNaN: true }),
    )
    .map(([value, down, up]): Figure =>
      figure({ value, low: value * down, high: value * up, unit, method: "modelled" }),
    );

describe("efficiency", () => {
  it.each(["gCO2e", "L", "EUR", "device-h"])(
    "is per %s as well, and gains agree in place and method or are refused",
    (unit) => {
      const resource = figure({ value: 2, low: 1, high: 4, unit, method: "modelled", sources: ["model"] });
      const at = (boundary: string) => efficiency(accuracy, resource, { ...basis, boundary });
      expect(at("facility at DE, average, life-cycle, 2025")).toMatchObject({ unit: `1/${unit}`, value: 0.49 });
      const [here, there] = [
        at("facility at DE, average, life-cycle, 2025"),
        at("facility at FR, average, life-cycle, 2025"),
      ];
      expect(gainBetween(here, here).value).toBe(1);
      expect(() => gainBetween(here, there)).toThrow(expect.objectContaining({ code: "E_BASIS" }));
    },
  );

  it("refuses a resource that covers something else than its basis says", () => {
    const grams = { ...figure({ value: 2, unit: "gCO2e", method: "modelled" }), boundary: "facility" };
    const per = (boundary: string) => () => efficiency(accuracy, grams, { ...basis, boundary });
    expect(per("facility")).not.toThrow();
    expect(per("facility at DE, 2025")).not.toThrow();
    for (const other of ["node", "facility+embodied", "facility+embodied at DE", ""]) {
      expect(per(other)).toThrow(expect.objectContaining({ code: "E_BASIS" }));
    }
  });

  it("is accuracy over resource, energy per kWh, endpoint-wise", () => {
    const found = efficiency(accuracy, energy, basis);
    expect(found.unit).toBe("1/kWh");
    expect(found.value).toBeCloseTo(0.98 / 1e-5, 6);
    expect(found.low).toBeCloseTo(0.977 / 2e-5, 6);
    expect(found.high).toBeCloseTo(0.983 / 5e-6, 6);
    expect(found).toMatchObject({ method: "modelled", sources: ["test", "model"], basis });
  });

  it("names the resource in its unit", () => {
    for (const unit of ["FLOP", "B", "s", "gCO2e"]) {
      expect(efficiency(accuracy, figure({ value: 5, unit, method: "measured" }), basis).unit).toBe(`1/${unit}`);
    }
  });

  it("halves when the resource doubles, and rises with accuracy", () => {
    fc.assert(
      fc.property(positive("FLOP"), (resource) => {
        const twice = figure({
          ...resource,
          value: resource.value * 2,
          low: resource.low * 2,
          high: resource.high * 2,
        });
        const once = efficiency(accuracy, resource, basis);
        expect(efficiency(accuracy, twice, basis).value / once.value).toBeCloseTo(0.5, 9);
        const better = figure({ ...accuracy, value: 0.982 });
        expect(efficiency(better, resource, basis).value).toBeGreaterThan(once.value);
      }),
      { seed: 1 },
    );
  });

  it("refuses an accuracy with a unit and a resource that may be nothing", () => {
    expect(() => efficiency(figure({ ...accuracy, unit: "J" }), energy, basis)).toThrow(/fraction/);
    expect(() => efficiency(accuracy, figure({ value: 1, low: 0, unit: "J", method: "modelled" }), basis)).toThrow(
      /above 0/,
    );
  });
});

describe("gain between two efficiencies", () => {
  it("is their ratio, and 1 lies inside when a model is compared with itself", () => {
    const one = efficiency(accuracy, energy, basis);
    const half = efficiency(accuracy, figure({ ...energy, value: 18, low: 9, high: 36 }), basis);
    expect(gainBetween(half, one).value).toBeCloseTo(2, 9);
    const self = gainBetween(one, one);
    expect(self.value).toBe(1);
    expect(self.low < 1 && self.high > 1).toBe(true);
  });

  it.each(["task", "data", "boundary", "period"] as const)("is refused when the %s differs", (part) => {
    const one = efficiency(accuracy, energy, basis);
    const other = efficiency(accuracy, energy, { ...basis, [part]: "another" });
    expect(() => gainBetween(one, other)).toThrow(expect.objectContaining({ code: "E_BASIS" }));
  });

  it("is refused between different resources", () => {
    const perFlop = efficiency(accuracy, figure({ value: 1, unit: "FLOP", method: "measured" }), basis);
    expect(() => gainBetween(perFlop, efficiency(accuracy, energy, basis))).toThrow(
      expect.objectContaining({ code: "E_UNIT" }),
    );
  });
});

describe("compression rate", () => {
  it("is original over compressed, exact for counts, with its basis", () => {
    const found = compressionRate(407_080, 101_770, "bytes on disk");
    expect(found).toMatchObject({ value: 4, low: 4, high: 4, unit: "1", basis: "bytes on disk" });
    expect(compressionRate(101_770, 50_890, "parameters").value).toBeCloseTo(1.9998, 5);
  });

  it("carries a peak memory's interval, and its inverse is the rate the other way", () => {
    fc.assert(
      fc.property(positive("B"), positive("B"), (one, two) => {
        const forth = compressionRate(one, two, "peak memory");
        const back = compressionRate(two, one, "peak memory");
        expect(forth.low <= forth.value && forth.value <= forth.high).toBe(true);
        expect(forth.value * back.value).toBeCloseTo(1, 9);
        expect(forth.low * back.high).toBeCloseTo(1, 9);
      }),
      { seed: 2 },
    );
  });

  it("refuses a size of 0 and sizes in different units", () => {
    expect(() => compressionRate(10, 0, "bytes on disk")).toThrow(/above 0/);
    expect(() => compressionRate(figure({ value: 1, unit: "s", method: "measured" }), 5, "peak memory")).toThrow(
      expect.objectContaining({ code: "E_UNIT" }),
    );
  });
});
