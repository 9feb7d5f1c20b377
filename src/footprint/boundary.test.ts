// Energy carried from boundary to boundary: each factor once, nothing inwards, no mixing; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, type Figure } from "../quantity/figure.ts";
import {
  ASSUMED_FACTORS,
  bounded,
  ENERGY_BOUNDARIES,
  energyAt,
  raiseEnergy,
  ratioWithin,
  subtractWithin,
  type BoundaryFactors,
} from "./boundary.ts";

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof LightfootError ? error.code : "foreign";
  }
  return "none";
};

const given = (value: number, unit: string, low = value, high = value): Figure =>
  figure({ value, low, high, unit, method: "declared", sources: ["test"] });
const factorsOf = (node: number, rest: number, pue: number): BoundaryFactors => ({
  nodePerAccelerator: given(node, "1"),
  itPerNode: given(rest, "1"),
  powerUsageEffectiveness: given(pue, "1"),
});
const ratios = fc.double({ min: 1, max: 3, noNaN: true });
const joules = fc.double({ min: 1e-6, max: 1e12, noNaN: true });

describe("raiseEnergy", () => {
  it("multiplies by each factor once on the way out, and by none that lies inside", () => {
    const factors = factorsOf(1.5, 1.1, 1.2);
    const at = (boundary: (typeof ENERGY_BOUNDARIES)[number]) =>
      raiseEnergy(bounded(given(1000, "J"), boundary), factors).map((part) => [part.boundary, part.value]);
    expect(at("accelerator")).toEqual([
      ["accelerator", 1000],
      ["node", 1500],
      ["IT", 1650.0000000000002],
      ["facility", 1980.0000000000002],
    ]);
    expect(at("node").at(-1)?.[1]).toBeCloseTo(1000 * 1.1 * 1.2, 9);
    expect(at("IT")).toEqual([
      ["IT", 1000],
      ["facility", 1200],
    ]);
    // Metered at the facility: PUE is in it already.
    expect(at("facility")).toEqual([
      ["IT", 1000 / 1.2],
      ["facility", 1000],
    ]);
  });

  it("is linear, grows outwards, and contains what its factors allow", () => {
    fc.assert(
      fc.property(joules, ratios, ratios, ratios, fc.constantFrom(...ENERGY_BOUNDARIES), (energy, a, b, c, start) => {
        const chain = raiseEnergy(bounded(given(energy, "J"), start), factorsOf(a, b, c));
        const twice = raiseEnergy(bounded(given(2 * energy, "J"), start), factorsOf(a, b, c));
        chain.forEach((part, at) => {
          expect(twice[at].value).toBe(2 * part.value);
          if (at > 0) expect(part.value).toBeGreaterThanOrEqual(chain[at - 1].value);
          expect(part.low).toBeLessThanOrEqual(part.value);
        });
      }),
      { seed: 11 },
    );
  });

  it("takes PUE once: out from IT and back in from the facility is where it began", () => {
    fc.assert(
      fc.property(joules, ratios, (energy, pue) => {
        const out = energyAt(raiseEnergy(bounded(given(energy, "J"), "IT"), factorsOf(1, 1, pue)), "facility");
        expect(out.value).toBe(energy * pue);
        const back = energyAt(raiseEnergy(out, factorsOf(1, 1, pue)), "IT");
        expect(back.value).toBeCloseTo(energy, Math.max(0, 6 - Math.log10(energy + 1)));
      }),
      { seed: 12 },
    );
  });

  it("assumes factors that contain what Google published of its own serving", () => {
    const pue = given(1.09, "1");
    const chain = raiseEnergy(bounded(given(58, "J"), "accelerator"), {
      ...ASSUMED_FACTORS,
      powerUsageEffectiveness: pue,
    });
    expect(energyAt(chain, "node").value).toBeCloseTo(83, 0); // 58 % accelerators + 25 % host
    expect(energyAt(chain, "IT").value).toBeCloseTo(93, 0); // + 10 % idle machines
    const facility = energyAt(chain, "facility");
    expect(facility.value).toBeCloseTo(101, 0); // + 8 % overhead, published as whole percents
    expect(facility.high / 58).toBeGreaterThan(2.4); // their accelerator-only count against their full one
    expect(chain.slice(1).every(({ method }) => method === "assumed")).toBe(true);
    expect(facility.assumptions.map(({ key }) => key)).toEqual([
      "boundary.node-per-accelerator",
      "boundary.it-per-node",
    ]);
  });

  it("refuses factors below 1, units that do not fit and negative energy", () => {
    const energy = bounded(given(1, "J"), "IT");
    expect(code(() => raiseEnergy(energy, factorsOf(1, 1, 0.99)))).toBe("E_RANGE");
    expect(code(() => raiseEnergy(energy, factorsOf(1, 1, 120)))).toBe("E_RANGE");
    const percent = { ...factorsOf(1, 1, 1), powerUsageEffectiveness: given(120, "%") };
    expect(code(() => raiseEnergy(energy, percent))).toBe("E_UNIT");
    expect(code(() => raiseEnergy(bounded(given(1, "kWh"), "IT")))).toBe("E_UNIT");
    expect(code(() => raiseEnergy(bounded(given(-1, "J"), "IT")))).toBe("E_RANGE");
  });

  it("does not tell an inner energy from an outer one", () => {
    expect(code(() => energyAt(raiseEnergy(bounded(given(1, "J"), "IT")), "node"))).toBe("E_BASIS");
  });
});

describe("figures of different boundaries", () => {
  it("are neither subtracted nor divided; those of one boundary are", () => {
    const facility = bounded(given(12, "gCO2e"), "facility");
    const whole = bounded(given(15, "gCO2e"), "facility+embodied");
    expect(code(() => subtractWithin(whole, facility))).toBe("E_BASIS");
    expect(code(() => ratioWithin(whole, facility))).toBe("E_BASIS");
    const other = bounded(given(4, "gCO2e"), "facility");
    expect(subtractWithin(facility, other)).toMatchObject({ value: 8, boundary: "facility" });
    expect(ratioWithin(facility, other).value).toBe(3);
    expect(code(() => ratioWithin(facility, bounded(given(4, "L"), "facility")))).toBe("E_UNIT");
  });
});
