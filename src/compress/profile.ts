// Everything but quality that is found out about a model file by running it: bytes, work, latency, memory, energy, integer share;
// may depend on model, cost, runtime and meter.
import { stat } from "node:fs/promises";
import { analyze } from "../cost/analyze.ts";
import { sha256File } from "../io/digest.ts";
import { cpuEnergyModel } from "../meter/cpu-energy.ts";
import type { ModelGraph } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { tensorsOf } from "../model/tensors.ts";
import { multiply, type Figure } from "../quantity/index.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { executedPrecision } from "../runtime/executed-precision.ts";
import { measureLatency, type LatencyMeasurement } from "../runtime/latency.ts";
import { peakMemory } from "../runtime/peak-memory.ts";
import type { Candidate, Execution } from "./candidate-schema.ts";

export type Profile = Pick<
  Candidate,
  | "digest"
  | "fileBytes"
  | "parameters"
  | "flops"
  | "macs"
  | "latency"
  | "peakMemory"
  | "energyPerInference"
  | "processorTime"
  | "execution"
>;

export interface ProfileOptions {
  /** Batch sizes at which latency is measured; energy is taken at the largest that the model takes. */
  readonly batches: readonly number[];
  /** Real samples to run on: random numbers can be denormal or saturate, and then take another time. */
  readonly dataset: Dataset;
  readonly threads: number | undefined;
  readonly signal?: AbortSignal;
}

/** Bytes of the model file and of the external data that it refers to. */
export async function storedBytes(path: string, model: ModelGraph): Promise<number> {
  const external = new Map<string, number>();
  for (const { data } of tensorsOf(model)) {
    if (data.kind !== "file" || !data.external) continue;
    // Tied weights share a place; a tensor without elements may have that of the next one.
    const place = `${data.file}@${data.offset}`;
    external.set(place, Math.max(external.get(place) ?? 0, data.byteLength));
  }
  const { size } = await stat(path);
  return [...external.values()].reduce((total, bytes) => total + bytes, size);
}

/** Shapes of one sample for each input, where the data says more than the model; the model's own sizes stay. */
export function sampleShapes(model: ModelGraph, dataset: Dataset): Record<string, readonly number[]> {
  const inputs = model.graph.inputs.filter(({ name }) => !model.graph.initializers.has(name));
  const only = inputs.length === 1 && dataset.inputs.size === 1 ? [...dataset.inputs.values()][0] : undefined;
  const shapes = inputs.flatMap(({ name, type }): [string, readonly number[]][] => {
    const array = dataset.inputs.get(name) ?? only;
    if (array === undefined || type?.kind !== "tensor" || type.shape === undefined) return [];
    const sample = [1, ...array.shape.slice(1)];
    // A model without a batch axis takes the sample as it is.
    const shape = type.shape.length === sample.length - 1 ? sample.slice(1) : sample;
    if (shape.length !== type.shape.length) return [];
    return [[name, type.shape.map((dim, axis) => (typeof dim === "number" ? dim : shape[axis]))]];
  });
  return Object.fromEntries(shapes);
}

/** Samples that one run takes when the model fixes it; its work is divided by that. */
function fixedBatch(shapes: Record<string, readonly number[]>, dataset: Dataset): number {
  const [name, shape] = Object.entries(shapes)[0] ?? ["", []];
  const array = dataset.inputs.get(name) ?? [...dataset.inputs.values()][0];
  return array.shape.length === shape.length ? (shape[0] ?? 1) : 1;
}

function energyOf(measurement: LatencyMeasurement | undefined): Figure | null {
  if (measurement === undefined) return null;
  return multiply(measurement.cpuPerInference, cpuEnergyModel().marginalPower, "J");
}

async function executionOf(path: string, inputs: Record<string, readonly number[]>): Promise<Execution> {
  const { int8Share, int4Share, floatShare, leftoverQuantizeNodes } = await executedPrecision(path, { inputs });
  return { int8Share, int4Share, floatShare, leftoverQuantizeNodes };
}

/** Measures the model at `path` on this machine. @throws LightfootError E_RUNTIME when the engine refuses it */
export async function profileModel(path: string, options: ProfileOptions): Promise<Profile> {
  const { batches, dataset, threads, signal } = options;
  const model = await readOnnx(path);
  const inputs = sampleShapes(model, dataset);
  const report = await analyze(model, { inputs });
  const perRun = fixedBatch(inputs, dataset);
  const latency = await measureLatency(path, { batches, dataset, threads, signal, runs: 100, maxSeconds: 2 });
  const largest = latency.measurements.toSorted((left, right) => right.batch - left.batch)[0];
  return {
    digest: await sha256File(path),
    fileBytes: await storedBytes(path, model),
    parameters: report.parameters,
    flops: report.flops / perRun,
    macs: report.macs / perRun,
    latency: latency.measurements.map(({ batch, median, p95 }) => ({ batch, median, p95 })),
    peakMemory: await peakMemory(path, { threads, inputs, signal }),
    energyPerInference: energyOf(largest),
    processorTime: largest?.cpuPerInference ?? null,
    execution: await executionOf(path, inputs),
  };
}
