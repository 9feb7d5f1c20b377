// Tests of what single classes lose, against counts by hand over the two models' own outputs; depends on this room and the techniques' test models.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeOnnx } from "../model/onnx/write.ts";
import { createDataset, type Dataset } from "../runtime/dataset.ts";
import { ClassEffects } from "./class-effects.ts";
import { weightOnlyBlocks } from "./techniques/weight-blocks.ts";
import { gemmNet, outputsOf, samplesFor } from "./techniques/test-models.ts";

const SAMPLES = 300;
const CLASSES = 6;
const live = new AbortController().signal;
const graph = gemmNet();
let folder: string;
let data: Dataset;
let [before, after]: number[][] = [[], []];
let paths: readonly [string, string];

const choices = (outputs: Float32Array): number[] =>
  Array.from({ length: SAMPLES }, (_, at) => {
    const row = [...outputs.subarray(at * CLASSES, (at + 1) * CLASSES)];
    return row.indexOf(Math.max(...row));
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-classes-"));
  const samples = samplesFor(graph, SAMPLES);
  const result = await weightOnlyBlocks(
    graph,
    { bits: 2, blockSize: 16, symmetric: true, accuracyLevel: 0 },
    {
      calibration: undefined,
      threads: 1,
      signal: undefined,
    },
  );
  if (result.kind === "refused") throw new Error(result.reason);
  paths = [join(folder, "original.onnx"), join(folder, "candidate.onnx")];
  await writeOnnx(graph, paths[0]);
  await writeOnnx(result.model, paths[1]);
  [before, after] = [choices(await outputsOf(graph, samples)), choices(await outputsOf(result.model, samples))];
  // Every tenth label is another one, so that neither model is always right.
  const labels = Int32Array.from(before, (best, at) => (at % 10 === 0 ? (best + 1) % CLASSES : best));
  data = createDataset({
    name: "labelled",
    inputs: samples.inputs,
    labels: { dtype: "int32", shape: [SAMPLES], data: labels },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const effectsOn = (validation: Dataset) =>
  new ClassEffects({ model: paths[0], data: { validation }, threads: 1, seed: 3 });

describe("ClassEffects", () => {
  it("names the class whose recall fell most", async () => {
    const found = await effectsOn(data).of(paths[1], "validation", live);
    const labels = [...(data.labels!.data as Int32Array)];
    const recall = (chosen: readonly number[], label: number): number => {
      const own = labels.flatMap((one, at) => (one === label ? [chosen[at] === label] : []));
      return own.filter(Boolean).length / own.length;
    };
    const drops = [...new Set(labels)].map((label) => recall(before, label) - recall(after, label));
    expect(found!.worst.loss.value).toBeCloseTo(Math.max(...drops), 12);
    expect(found!.worst.loss.value).toBeGreaterThan(0);
    expect(found!.worst.original).toBeCloseTo(recall(before, found!.worst.class), 12);
    expect(found!.worst.sampleCount).toBe(labels.filter((label) => label === found!.worst.class).length);
    const { calibrationError } = found!;
    expect(calibrationError!.rise.value).toBeCloseTo(calibrationError!.candidate - calibrationError!.original, 12);
  });

  it("finds nothing lost by the original itself, and gives the same interval for the same seed", async () => {
    const [first, again] = [effectsOn(data), effectsOn(data)];
    const own = await first.of(paths[0], "validation", live);
    expect(own).toMatchObject({ worst: { loss: { value: 0 } }, calibrationError: { rise: { value: 0 } } });
    expect(await again.of(paths[1], "validation", live)).toEqual(await first.of(paths[1], "validation", live));
  });

  it("is null where there are no classes", async () => {
    expect(await effectsOn(samplesFor(graph, 20)).of(paths[1], "validation", live)).toBeNull();
  });
});
