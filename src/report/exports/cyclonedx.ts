// A dossier's model as a CycloneDX 1.7 bill of materials with model card and energy; may depend on its room and quantity.
import type { DossierModel } from "../../pipeline/dossier-schema.ts";
import type { Assumption, Figure } from "../../quantity/figure.ts";
import type { Footprint } from "../../footprint/footprint-schema.ts";
import { CROSSWALK, inUnit, type Amount } from "../../footprint/exchange/crosswalk.ts";
import { isLicenseId, unique, type Subject } from "./subject.ts";

interface Property {
  readonly name: string;
  readonly value: string;
}

const { energy: ENERGY, emissions: EMISSIONS } = CROSSWALK.cyclonedx;
const PREFIX = "lightfoot";
const property = (name: string, value: string): Property => ({ name: `${PREFIX}:${name}`, value });

/** How a figure is known, which the format has no field for. */
const howKnown = (key: string, { method, sources }: Figure): Property[] => [
  property(`${key}:method`, method),
  ...sources.map((source) => property(`${key}:source`, source)),
];

const interval = (key: string, { low, high, unit }: Amount): Property[] => [
  property(`${key}:low`, `${low} ${unit}`),
  property(`${key}:high`, `${high} ${unit}`),
];

const measure = ({ value, unit }: Amount): { value: number; unit: string } => ({ value, unit });

/**
 * The bill as a plain object, valid under the official 1.7 schema. Energy in kWh and carbon in tCO2eq, the only units that the
 * schema allows; their intervals, which it has no field for, stand in properties.
 *
 * @source CycloneDX 1.7 JSON schema: modelCard, performanceMetric, energyConsumption
 */
export function cycloneDxOf(subject: Subject): { document: object; assumptions: readonly Assumption[] } {
  const { dossier, model, ancestor, supplement, results } = subject;
  const own: Assumption[] = [];
  if (supplement.energyProvider === undefined) {
    own.push({
      key: "export.energy-provider",
      text: "Who provides the electricity is not said: the provider is written as 'unknown'. Supplement: energyProvider.",
    });
  }
  if (supplement.license === undefined) own.push(noLicense);
  const assumptions = unique([...own, ...subject.assumptions]);
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.7.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.7",
    version: 1,
    metadata: {
      timestamp: dossier.createdAt,
      tools: { components: [{ type: "application", name: dossier.tool.name, version: dossier.tool.version }] },
    },
    components: [
      {
        type: "machine-learning-model",
        "bom-ref": model.digest,
        name: dossier.title,
        description: `${model.title} (${model.role}), file ${model.file}`,
        ...(supplement.provider !== undefined && { supplier: { name: supplement.provider } }),
        hashes: hashesOf(model.digest),
        ...(supplement.license !== undefined && { licenses: [licenseOf(supplement.license)] }),
        ...(ancestor !== undefined && {
          pedigree: {
            ancestors: [
              {
                type: "machine-learning-model",
                "bom-ref": ancestor.digest,
                name: ancestor.title,
                hashes: hashesOf(ancestor.digest),
              },
            ],
          },
        }),
        modelCard: {
          modelParameters: {
            ...(supplement.task !== undefined && { task: supplement.task }),
            modelArchitecture: supplement.architecture ?? model.title,
            datasets: dossier.data.map(({ role, name, sampleCount, digest }) => ({
              type: "dataset",
              name,
              contents: {
                properties: [
                  property("role", role),
                  property("samples", String(sampleCount)),
                  property("digest", digest),
                ],
              },
            })),
          },
          quantitativeAnalysis: {
            performanceMetrics: results.map(({ name, figure, slice }) => ({
              type: figure.unit === "" || figure.unit === "1" ? name : `${name} (${figure.unit})`,
              value: String(figure.value),
              ...(slice !== undefined && { slice }),
              confidenceInterval: { lowerBound: String(figure.low), upperBound: String(figure.high) },
            })),
          },
          considerations: { environmentalConsiderations: { energyConsumptions: consumptionsOf(subject) } },
          properties: [
            property("parameters", String(model.parameters)),
            property("file-bytes", String(model.fileBytes)),
            property("flop-per-inference", String(model.flops)),
            ...(model.compressionRate === null
              ? []
              : [property("compression-rate:bytes-on-disk", String(model.compressionRate.bytesOnDisk))]),
            ...containerProperties(model),
            ...results.flatMap(({ key, figure }) => howKnown(key, figure)),
            ...assumptions.map(({ key, text }) => property(`assumption:${key}`, text)),
          ],
        },
      },
    ],
  };
  return { document, assumptions };
}

export const noLicense: Assumption = {
  key: "export.license",
  text: "The license is not said and left out (supplement, license).",
};

/** Of the form for transport, whose digest the bill does not give: it is no file that a runtime opens. */
function containerProperties({ container, compressionRate }: DossierModel): Property[] {
  const rate = compressionRate?.codedContainer;
  if (container === null || rate === undefined || rate === null) return [];
  return [
    property("coded-container:bytes", String(container.bytes)),
    property("coded-container:holds", container.holds),
    property("compression-rate:coded-container-bytes", String(rate)),
  ];
}

/** `sha256:<hex>` as the format writes it; nothing for a digest that is not one. */
function hashesOf(digest: string): { alg: string; content: string }[] {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  return hex === undefined ? [] : [{ alg: "SHA-256", content: hex }];
}

const licenseOf = (license: string): object =>
  isLicenseId(license) ? { expression: license } : { license: { name: license } };

function consumptionsOf({ dossier, model, run, isTrainedHere, supplement }: Subject): object[] {
  const told = supplement.energyProvider;
  const ofRun = consumption(isTrainedHere ? "training" : "other", run, told, [
    property("covers", isTrainedHere ? "training of all models, search and judging" : "search and judging"),
  ]);
  if (model.footprint === null) return [ofRun];
  // Who powers the run says nothing about who powers the use.
  const ofUse = consumption("inference", model.footprint, undefined, [
    property("functional-unit", "inference"),
    property("inferences", String(dossier.footprintInferences)),
  ]);
  return [ofRun, ofUse];
}

function consumption(
  activity: "training" | "inference" | "other",
  footprint: Footprint,
  told: Subject["supplement"]["energyProvider"],
  more: readonly Property[],
): object {
  const { locationBased } = footprint.emissions;
  const energy = inUnit(footprint.energy, ENERGY.unit);
  const carbon = inUnit(locationBased, EMISSIONS.unit);
  const grid = footprint.place === null ? "a grid that is not known" : `the grid of ${footprint.place.name}`;
  return {
    activity,
    energyProviders: [
      {
        description:
          told === undefined ? `Electricity of ${grid}` : `Electricity of ${told.name}; carbon is of ${grid}`,
        organization: { name: told?.name ?? "unknown" },
        energySource: told?.source ?? "unknown",
        energyProvided: measure(energy),
      },
    ],
    activityEnergyCost: measure(energy),
    co2CostEquivalent: measure(carbon),
    properties: [
      ...more,
      property("boundary", footprint.energy.boundary),
      property("place", footprint.place?.id ?? "unknown"),
      ...interval("energy", energy),
      ...howKnown("energy", footprint.energy),
      ...interval("emissions", carbon),
      ...howKnown("emissions", locationBased),
      property("intensity", `${locationBased.intensity.value} ${locationBased.intensity.unit}`),
      property(
        "intensity:method",
        `location-based, ${locationBased.kind}, ${locationBased.scope}, ${locationBased.vintage}`,
      ),
    ],
  };
}
