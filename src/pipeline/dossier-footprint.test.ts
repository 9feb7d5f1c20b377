// A dossier's footprints: the count that reads well, the server's boundary, the place of the manifest; depends on its room.
import { describe, expect, it } from "vitest";
import { figure, type Figure } from "../quantity/figure.ts";
import { footprintContext, inferenceFootprint, runFootprint } from "./dossier-footprint.ts";

const joules = (value: number): Figure => figure({ value, unit: "J", method: "modelled", sources: ["test"] });

describe("footprintContext", () => {
  it.each([
    [1e6, 1e3], // a large language model's answer: a thousand of them emit kilograms
    [100, 1e3],
    [1, 1e6],
    [1e-6, 1e9],
    [0, 1e9],
  ])(
    "counts inferences of %d J by the smallest of a thousand, a million, a billion that emits a gram",
    (energy, count) => {
      expect(footprintContext("DE", joules(energy), 2026).inferences).toBe(count);
    },
  );

  it("takes the world where nobody said where, and no count without energy", () => {
    const context = footprintContext(undefined, null, 2026);
    expect(context).toMatchObject({ place: undefined, inferences: 1e9 });
    expect(inferenceFootprint(null, context)).toBeNull();
    expect(inferenceFootprint(joules(1), context)?.place?.id).toBe("world");
  });
});

describe("a dossier's footprint", () => {
  it("starts at the server, takes the place's factors, and is linear in the count", () => {
    const context = footprintContext("aws:eu-central-1", joules(1), 2026);
    const found = inferenceFootprint(joules(1), context);
    expect(found?.energyByBoundary.map(({ boundary }) => boundary)).toEqual(["node", "IT", "facility"]);
    expect(found?.energyByBoundary[0].value).toBe(context.inferences);
    const pue = context.place?.powerUsageEffectiveness?.value ?? Number.NaN;
    const grams = context.place?.intensities[0].figure.value ?? Number.NaN;
    // 1 J times the count, 1.12 for other IT equipment, the region's PUE, its grid.
    expect(found?.emissions.locationBased.value).toBeCloseTo(((context.inferences * 1.12 * pue) / 3.6e6) * grams, 9);
    const twice = inferenceFootprint(joules(2), context);
    expect(twice?.water.consumption.value).toBeCloseTo(2 * (found?.water.consumption.value ?? 0), 12);
  });

  it("says that the run's own is counted where the model will be used", () => {
    const own = runFootprint(joules(1000), footprintContext("FR", joules(1), 2026));
    expect(own.place?.id).toBe("FR");
    expect(own.assumptions.map(({ key }) => key)).toContain("run.place");
  });
});
