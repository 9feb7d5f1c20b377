// Footprints of a dossier: of a round number of inferences for each model, and of the run itself; may depend on quantity, facts, meter and footprint.
import { findPlace, type Place } from "../facts/place.ts";
import { assessFootprint } from "../footprint/assess.ts";
import { bounded } from "../footprint/boundary.ts";
import type { Footprint } from "../footprint/footprint-schema.ts";
import { cpuEnergyModel } from "../meter/cpu-energy.ts";
import { scale, type Assumption, type Figure } from "../quantity/figure.ts";
import { INFERENCE_COUNTS } from "./dossier-schema.ts";

export interface FootprintContext {
  /** As the manifest declares it; undefined: nobody said. */
  readonly place: Place | undefined;
  /** How many inferences a model's footprint is of. */
  readonly inferences: (typeof INFERENCE_COUNTS)[number];
  readonly thisYear: number;
}

/** The context of one run: the count is the smallest of which the original's inferences emit a gram. */
export function footprintContext(
  where: string | undefined,
  energyPerInference: Figure | null,
  thisYear: number,
): FootprintContext {
  const place = where === undefined ? undefined : findPlace(where);
  const context = { place, thisYear };
  const [least, middle, most] = INFERENCE_COUNTS;
  const grams = (inferences: FootprintContext["inferences"]): number =>
    inferenceFootprint(energyPerInference, { ...context, inferences })?.emissions.locationBased.value ?? 0;
  const inferences = ([least, middle] as const).find((count) => grams(count) >= 1) ?? most;
  return { ...context, inferences };
}

const PACKAGE_ONLY: Assumption = {
  key: "energy.package-for-node",
  text: "The energy is that of processor and memory; power supply, fans and disks of the server are missing in it.",
};

/** The power model's energy as that of the server: what SPECpower metered at the wall, or the processor in its place. */
function serverEnergy(energy: Figure): Parameters<typeof assessFootprint>[0]["energy"] {
  const isWhole = cpuEnergyModel().boundary === "server at the wall";
  return bounded(isWhole ? energy : { ...energy, assumptions: [...energy.assumptions, PACKAGE_ONLY] }, "node");
}

/** Carbon, water and money of the context's number of inferences at its place; null when no energy is known. */
export function inferenceFootprint(
  energyPerInference: Figure | null,
  { place, inferences, thisYear }: FootprintContext,
): Footprint | null {
  if (energyPerInference === null) return null;
  return assessFootprint({ energy: serverEnergy(scale(energyPerInference, inferences)), place, thisYear });
}

/** What the run itself used, at the place where somebody said that the run took place. */
export function runFootprintAt(energy: Figure, place: Place, thisYear: number): Footprint {
  return assessFootprint({ energy: serverEnergy(energy), place, thisYear });
}

/** What the run itself used, counted at the same place. */
export function runFootprint(energy: Figure, { place, thisYear }: FootprintContext): Footprint {
  const elsewhere: Assumption = {
    key: "run.place",
    text: "The run's own footprint is counted at the place where the model will be used; where this machine stands is not known.",
  };
  const noted = { ...energy, assumptions: [...energy.assumptions, elsewhere] };
  return assessFootprint({ energy: serverEnergy(noted), place, thisYear });
}
