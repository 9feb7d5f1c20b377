// Rows of the dossier's table: a measured model with its cost by operator and its efficiency per resource; may depend on compress, cost,
// footprint, model and this room.
import { basename } from "node:path";
import type { Candidate } from "../compress/candidate-schema.ts";
import { analyze } from "../cost/analyze.ts";
import { efficiency, gainBetween, type Efficiency } from "../footprint/efficiency.ts";
import type { Footprint } from "../footprint/footprint-schema.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { SECONDS_PER_HOUR } from "../quantity/convert.ts";
import { exact, figure, scale, type Figure } from "../quantity/figure.ts";
import type { EpochRecord } from "../runtime/train-options.ts";
import { inferenceFootprint, type FootprintContext } from "./dossier-footprint.ts";
import type { DossierModel } from "./dossier-schema.ts";

export interface ModelRow {
  readonly role: DossierModel["role"];
  readonly title: string;
  readonly path: string;
  /** What was found out by running it. */
  readonly measured: Candidate;
  readonly history: readonly EpochRecord[];
}

export interface RowContext {
  readonly metric: string;
  /** Name and digest of the judging data. */
  readonly data: string;
  readonly hardware: string | undefined;
  readonly footprint: FootprintContext;
}

/** A complete row; `original` is the row of the original, once there is one, against which gains are counted. @throws LightfootError E_INTERNAL when the model was never measured */
export async function modelRow(row: ModelRow, context: RowContext, original?: DossierModel): Promise<DossierModel> {
  const footprint = inferenceFootprint(row.measured.energyPerInference ?? null, context.footprint);
  const { measured, path } = row;
  const { accuracy, container, compressionRate, digest, fileBytes, parameters, flops, macs } = measured;
  if (
    !accuracy ||
    !compressionRate ||
    !digest ||
    fileBytes === null ||
    parameters === null ||
    flops === null ||
    macs === null
  ) {
    throw new LightfootError("E_INTERNAL", `the model '${row.title}' reached the table without having been measured`);
  }
  return {
    role: row.role,
    title: row.title,
    file: basename(path),
    digest,
    accuracy,
    fileBytes,
    container,
    compressionRate,
    parameters,
    flops,
    macs,
    latency: measured.latency,
    peakMemory: measured.peakMemory,
    energyPerInference: measured.energyPerInference,
    footprint,
    efficiency: efficiencies(measured, accuracy, footprint, context, original),
    cost: await costOf(path, context.hardware),
    training: row.history.map(({ epoch, loss, validationLoss, validationAccuracy }) => ({
      epoch,
      loss,
      validationScore: validationAccuracy ?? validationLoss ?? null,
    })),
  };
}

type Resource = DossierModel["efficiency"][number]["resource"];

/** Only a share, of which more is better, is an accuracy that can be divided by a resource. */
function efficiencies(
  measured: Candidate,
  accuracy: Figure,
  footprint: Footprint | null,
  context: RowContext,
  original: DossierModel | undefined,
): DossierModel["efficiency"] {
  if (accuracy.unit !== "1") return [];
  const byBatch = measured.latency.toSorted((left, right) => left.batch - right.batch);
  const [smallest, largest] = [byBatch[0], byBatch.at(-1)];
  const resources: [Resource, Figure | null | undefined, string][] = [
    ["energy", measured.energyPerInference, "machine, marginal to idle"],
    ["flops", counted(measured.flops, "FLOP"), "one inference"],
    ["fileBytes", exact(measured.fileBytes ?? 0, "B", "size of the file"), "model file with its external data"],
    ["latency", smallest?.median, `one run, batch ${smallest?.batch}`],
    [
      "deviceHours",
      largest && scale(largest.median, 1 / (largest.batch * SECONDS_PER_HOUR), "device-h"),
      `this machine at batch ${largest?.batch}`,
    ],
    ...footprintResources(footprint, context.footprint.inferences),
  ];
  const found: DossierModel["efficiency"] = [];
  for (const [resource, part, boundary] of resources) {
    if (part === null || part === undefined || part.low <= 0) continue;
    const basis = { task: context.metric, data: context.data, boundary, period: "one inference" };
    const own = efficiency(accuracy, part, basis);
    const { basis: stated, ...value } = own;
    found.push({ resource, figure: value, gain: gainOver(original, resource, own, found), basis: { ...stated } });
  }
  return found;
}

/** Of one inference; the boundary names place and method, so that grams of two grids or two data sets are never compared. */
function footprintResources(footprint: Footprint | null, inferences: number): [Resource, Figure | null, string][] {
  if (footprint === null) return [];
  const one = (part: Figure | null): Figure | null => part && scale(part, 1 / inferences);
  const { locationBased } = footprint.emissions;
  const place = footprint.place?.id ?? "a given intensity";
  const { kind, scope, vintage, boundary } = locationBased;
  return [
    ["emissions", one(locationBased), `${boundary} at ${place}, ${kind}, ${scope}, ${vintage}`],
    ["water", one(footprint.water.consumption), `${boundary} at ${place}, consumed on the site and at power plants`],
    [
      "electricityCost",
      one(footprint.money.electricity),
      `${boundary} at ${place}, price of ${footprint.money.electricity?.priceYear}`,
    ],
  ];
}

/** In proportion to energy, by factors that both models share: whatever their error is, it leaves the gain alone. */
const PROPORTIONAL: ReadonlySet<Resource> = new Set(["emissions", "water", "electricityCost"]);

/** Null for the original, and where the original has no such resource. @throws LightfootError E_BASIS on different bases */
function gainOver(
  original: DossierModel | undefined,
  resource: Resource,
  own: Efficiency,
  found: DossierModel["efficiency"],
): Figure | null {
  const before = original?.efficiency.find((entry) => entry.resource === resource);
  if (before === undefined) return null;
  const gain = gainBetween(own, { ...before.figure, basis: before.basis });
  const ofEnergy = found.find((entry) => entry.resource === "energy")?.gain;
  return PROPORTIONAL.has(resource) && ofEnergy ? ofEnergy : gain;
}

const counted = (value: number | null, unit: string): Figure | null =>
  value === null ? null : figure({ value, unit, method: "modelled", sources: ["counted from the graph"] });

async function costOf(path: string, hardware: string | undefined): Promise<DossierModel["cost"]> {
  const report = await analyze(await readOnnx(path), { hardware });
  return {
    operators: Object.entries(report.byOperator).map(([operator, { count, flops, bytesMoved }]) => ({
      operator,
      count,
      flops,
      movedBytes: bytesMoved,
    })),
    weightBytes: report.weightBytes,
    peakActivationBytes: report.peakActivationBytes,
    estimatedDuration: report.roofline?.duration ?? null,
    unknownOperators: [...new Set(report.coverage.unknown.map(({ opType }) => opType))],
  };
}
