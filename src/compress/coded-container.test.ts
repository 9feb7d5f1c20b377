// Tests of coded containers: what is claimed can be unpacked, run and counted; depends on io, model, runtime and this room.
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { node } from "../model/build.ts";
import type { ModelGraph } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { memoryTensor, readFloats } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { compareOutputs } from "../runtime/compare-models.ts";
import { createDataset } from "../runtime/dataset.ts";
import { seededRandom } from "../statistics/index.ts";
import { codedContainer, removeContainers, type CodedOptions } from "./coded-container.ts";
import { packedBytes, unpack } from "./container/pack.ts";
import { packed } from "./techniques/packed.ts";
import { net } from "./techniques/test-models.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-coded-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const random = seededRandom(3);
const dataset = createDataset({
  name: "noise",
  inputs: new Map([
    [
      "x",
      float32Tensor(
        [40, 96],
        Float32Array.from({ length: 40 * 96 }, () => random.normal()),
      ),
    ],
  ]),
});

/** 96-64-5 with 5 % of its weights left, which share 16 values. */
function sparseNet(): ModelGraph {
  const values = (count: number) =>
    Float32Array.from({ length: count }, () => (random.next() < 0.05 ? (random.integer(16) - 7.5) / 9 : 0));
  const weights = [
    memoryTensor("first.weight", float32Tensor([96, 64], values(96 * 64))),
    memoryTensor("second.weight", float32Tensor([64, 5], values(64 * 5))),
  ];
  const nodes = [
    node("MatMul", ["x", "first.weight"], ["h"]),
    node("Relu", ["h"], ["r"]),
    node("MatMul", ["r", "second.weight"], ["y"]),
  ];
  return net(["batch", 96], nodes, weights, 17);
}

async function saved(name: string, model: ModelGraph) {
  const path = join(folder, `${name}.onnx`);
  await writeOnnx(model, path);
  return { path, fileBytes: (await stat(path)).size };
}

async function packedNet(name: string) {
  const result = await packed(sparseNet());
  if (result.kind === "refused") throw new Error(result.reason);
  return saved(name, result.model);
}

const options = (fileBytes: number, changes: Partial<CodedOptions> = {}): CodedOptions => ({
  fileBytes,
  isPacked: false,
  keep: false,
  patient: false,
  dataset,
  threads: 1,
  ...changes,
});

test("the container of a packed model holds its weights as tensors, with the same outputs to the last bit", async () => {
  const { path, fileBytes } = await packedNet("small");
  const coded = await codedContainer(path, options(fileBytes, { isPacked: true, keep: true }));
  expect(coded).toMatchObject({ holds: "plain", kept: join(folder, "small.plain.lfz") });
  expect(coded!.bytes).toBe((await stat(coded!.kept!)).size);
  expect(coded!.bytes).toBeLessThan(await packedBytes(path));
  expect(await readdir(folder)).not.toContain("small.lfz");

  const given = join(folder, "given.onnx");
  await unpack(coded!.kept!, given);
  const differences = await compareOutputs(path, given, { dataset, batch: 40, threads: 1 });
  expect(differences.map(({ name, identical }) => [name, identical])).toEqual([["y", true]]);
  const stored = [...(await readOnnx(given)).graph.initializers.values()].filter(({ shape }) => shape.length === 2);
  expect(stored.map(({ dtype, shape }) => [dtype, ...shape])).toEqual([
    ["float32", 96, 64],
    ["float32", 64, 5],
  ]);
  const zeros = (await readFloats(stored[0])).filter((value) => value === 0).length;
  expect(zeros / (96 * 64)).toBeGreaterThan(0.9);
});

test("the same size is counted without a file, and again", async () => {
  const { path, fileBytes } = await packedNet("again");
  const counted = await codedContainer(path, options(fileBytes, { isPacked: true }));
  expect(counted!.kept).toBeUndefined();
  expect(await readdir(folder)).not.toContain("again.plain.lfz");
  expect(await codedContainer(path, options(fileBytes, { isPacked: true }))).toEqual(counted);
});

test("any other model is held as the file it is, byte for byte", async () => {
  const { path, fileBytes } = await saved("any", sparseNet());
  const coded = await codedContainer(path, options(fileBytes, { keep: true }));
  expect(coded).toMatchObject({ holds: "file", kept: join(folder, "any.lfz") });
  const given = join(folder, "any-given.onnx");
  await unpack(coded!.kept!, given);
  expect(Buffer.compare(await readFile(path), await readFile(given))).toBe(0);
  await removeContainers(path);
  expect(await readdir(folder)).not.toContain("any.lfz");
});

test("a large model is coded only where there is patience", async () => {
  const { path } = await saved("large", sparseNet());
  expect(await codedContainer(path, options(2 ** 30))).toBeNull();
  expect(await codedContainer(path, options(2 ** 30, { patient: true }))).not.toBeNull();
});

test("coding ends when somebody asks, and leaves no container", async () => {
  const { path, fileBytes } = await packedNet("stopped");
  const stop = new AbortController();
  stop.abort();
  const stopped = { isPacked: true, keep: true, patient: true, signal: stop.signal };
  expect(await codedContainer(path, options(fileBytes, stopped))).toBeNull();
  expect((await readdir(folder)).filter((name) => name.includes("stopped"))).toEqual(["stopped.onnx"]);
});
