// Rows of the dossier's table: a measured model with its cost by operator and its efficiency per resource; may depend on compress, cost,
// footprint, model and this room.
import { basename } from "node:path";
import type { Candidate } from "../compress/candidate-schema.ts";
import { analyze } from "../cost/analyze.ts";
import { efficiency } from "../footprint/efficiency.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { exact, figure, type Figure } from "../quantity/figure.ts";
import type { EpochRecord } from "../runtime/train-options.ts";
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
}

/** A complete row. @throws LightfootError E_INTERNAL when the model was never measured */
export async function modelRow(row: ModelRow, context: RowContext): Promise<DossierModel> {
  const { measured, path } = row;
  const { accuracy, compressionRate, digest, fileBytes, parameters, flops, macs } = measured;
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
    compressionRate,
    parameters,
    flops,
    macs,
    latency: measured.latency,
    peakMemory: measured.peakMemory,
    energyPerInference: measured.energyPerInference,
    efficiency: efficiencies(measured, accuracy, context),
    cost: await costOf(path, context.hardware),
    training: row.history.map(({ epoch, loss, validationLoss, validationAccuracy }) => ({
      epoch,
      loss,
      validationScore: validationAccuracy ?? validationLoss ?? null,
    })),
  };
}

/** Only a share, of which more is better, is an accuracy that can be divided by a resource. */
function efficiencies(measured: Candidate, accuracy: Figure, context: RowContext): DossierModel["efficiency"] {
  if (accuracy.unit !== "1") return [];
  const smallest = measured.latency.toSorted((left, right) => left.batch - right.batch)[0];
  const resources: [DossierModel["efficiency"][number]["resource"], Figure | null | undefined, string][] = [
    ["energy", measured.energyPerInference, "machine, marginal to idle"],
    ["flops", counted(measured.flops, "FLOP"), "one inference"],
    ["fileBytes", exact(measured.fileBytes ?? 0, "B", "size of the file"), "model file with its external data"],
    ["latency", smallest?.median, `one run, batch ${smallest?.batch}`],
  ];
  return resources.flatMap(([resource, part, boundary]) => {
    if (part === null || part === undefined || part.low <= 0) return [];
    const basis = { task: context.metric, data: context.data, boundary, period: "one inference" };
    const { basis: stated, ...value } = efficiency(accuracy, part, basis);
    return [{ resource, figure: value, basis: { ...stated } }];
  });
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
