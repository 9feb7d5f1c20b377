// What a document's figures assume, each assumption once; may depend on compress and quantity.
import type { Candidate } from "../compress/candidate-schema.ts";
import type { Assumption, Figure } from "../quantity/figure.ts";
import type { DossierModel } from "./dossier-schema.ts";

/** The figures of a model's or a candidate's line that rest on something. */
export function figuresOf(part: DossierModel | Candidate): Figure[] {
  const memory = part.compressionRate?.peakMemory;
  const found = [
    part.accuracy,
    part.peakMemory,
    part.energyPerInference,
    memory,
    ...part.latency.map(({ median }) => median),
  ];
  if ("cost" in part) found.push(part.cost.estimatedDuration);
  return found.filter((one) => one !== null && one !== undefined);
}

/** By key: what two figures assume alike counts once. */
export function assumptionsOf(figures: readonly Figure[], others: readonly Assumption[]): Assumption[] {
  const all = [...others, ...figures.flatMap(({ assumptions }) => assumptions)];
  return [...new Map(all.map((entry) => [entry.key, entry])).values()];
}
