// The Software Carbon Intensity of a dossier's model per inference, with the disclosures of SCI for AI; may depend on its room, footprint, quantity and errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { sciDocument } from "../../footprint/sci-document.ts";
import type { SciDocument } from "../../footprint/sci-schema.ts";
import { figure, type Assumption } from "../../quantity/figure.ts";
import { unique, type Subject } from "./subject.ts";

const NO_EMBODIED: Assumption = {
  key: "export.embodied",
  text: "The emissions of making the hardware are not known to the dossier and stand as 0: the score is that of the electricity alone. Supplement: embodiedGramsPerInference.",
};

/**
 * SCI = ((E · I) + M) / R with R the inferences of the model's footprint.
 *
 * @throws LightfootError E_DATA when the dossier knows no energy for the model
 */
export function sciOf(subject: Subject): { document: SciDocument; assumptions: readonly Assumption[] } {
  const { dossier, model, supplement } = subject;
  const { footprint } = model;
  if (footprint === null) {
    throw new LightfootError(
      "E_DATA",
      `the dossier knows no energy for the ${model.role} model: without E there is no SCI`,
      {
        hint: "Run the manifest on a machine whose processor time can be read, or choose another model with --model.",
      },
    );
  }
  const { intensity, kind, scope, vintage } = footprint.emissions.locationBased;
  const count = dossier.footprintInferences;
  const known = supplement.embodiedGramsPerInference;
  const embodied = figure({
    value: (known ?? 0) * count,
    unit: "gCO2e",
    method: known === undefined ? "assumed" : "declared",
    sources: [known === undefined ? "not known" : "supplement, embodiedGramsPerInference"],
    assumptions: known === undefined ? [NO_EMBODIED] : [],
  });
  // The server's energy and PUE apart, so that the overhead is in the score once and is seen to be.
  const server = footprint.energyByBoundary.find(({ boundary }) => boundary === "IT");
  const document = sciDocument({
    energy: server ?? footprint.energy,
    ...(server !== undefined && { powerUsageEffectiveness: footprint.powerUsageEffectiveness }),
    intensity,
    intensityKind: kind,
    intensityScope: scope,
    intensityVintage: vintage,
    embodied,
    units: { name: "inference", count },
    subject: `${dossier.title}, ${model.title} (${model.digest})`,
    period: `dossier of ${dossier.createdAt.slice(0, 10)}`,
    boundary: "inference on one server with the data center's overhead; network, storage and clients are not in it",
    ai: { persona: "consumer", counted: ["API and inference"], countBasis: "gross" },
  });
  const assumptions = unique([...document.assumptions, ...footprint.assumptions]);
  return { document: { ...document, assumptions }, assumptions };
}
