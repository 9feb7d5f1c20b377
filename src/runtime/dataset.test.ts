// Tests of data sets: notation, loading, parts, and how they fit a model's inputs; depends on io and the room.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeNpy } from "../io/npy.ts";
import { writeNpz } from "../io/npz.ts";
import { float32Tensor, type TensorValue } from "../model/tensor-value.ts";
import { bindDataset } from "./bind-dataset.ts";
import { createDataset, loadDataset, parseDatasetSpec, sliceDataset, splitDataset, takeSamples } from "./dataset.ts";
import type { SessionValue } from "./session.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-dataset-"));
});
afterAll(() => rm(folder, { recursive: true }));

const bytes = (shape: readonly number[]): TensorValue => ({
  dtype: "uint8",
  shape,
  data: Uint8Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, at) => at % 256),
});

const counting = (count: number) =>
  createDataset({
    name: "counting",
    inputs: new Map([
      [
        "x",
        float32Tensor(
          [count, 2],
          Float32Array.from({ length: 2 * count }, (_, at) => at),
        ),
      ],
    ]),
    labels: { dtype: "int64", shape: [count], data: BigInt64Array.from({ length: count }, (_, at) => BigInt(at)) },
  });

describe("the notation", () => {
  it("has a source, options and a slice", () => {
    expect(parseDatasetSpec("mnist:train[:50000]")).toEqual({ source: "mnist:train", options: {}, end: 50_000 });
    expect(parseDatasetSpec("a.csv#label=kind&columns=separate[-10:]")).toEqual({
      source: "a.csv",
      options: { label: "kind", columns: "separate" },
      start: -10,
    });
  });

  it.each(["x.npz#colour=red", "x.npz#label", "[1:2]"])("refuses %s", (text) => {
    expect(() => parseDatasetSpec(text)).toThrow(expect.objectContaining({ code: "E_USAGE" }) as Error);
  });
});

describe("MNIST", () => {
  it("has its known size, label counts, range and shape", async () => {
    const train = await loadDataset("mnist:train");
    const counts = Array.from({ length: 10 }, () => 0);
    for (const label of train.labels?.data ?? []) counts[Number(label)]++;
    // http://yann.lecun.com/exdb/mnist as everybody counts it.
    expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    const [pixels] = train.inputs.values();
    expect(pixels).toMatchObject({ dtype: "float32", shape: [60_000, 784] });
    let high = 0;
    for (const pixel of pixels.data as Float32Array) high = Math.max(high, pixel);
    expect(high).toBe(1);
    // Mean pixel of the training images, 0.1307, as in every tutorial's normalization.
    const mean = (pixels.data as Float32Array).reduce((total, pixel) => total + pixel, 0) / pixels.data.length;
    expect(mean).toBeCloseTo(0.1307, 4);
  });

  it("gives slices whose digest follows the content", async () => {
    const [head, same, other] = await Promise.all(
      ["mnist:test[:100]", "mnist:test[0:-9900]", "mnist:test[1:101]"].map((spec) => loadDataset(spec)),
    );
    expect(head.sampleCount).toBe(100);
    expect(same.digest).toBe(head.digest);
    expect(other.digest).not.toBe(head.digest);
    expect([...(head.labels?.data ?? [])].slice(0, 5)).toEqual([7, 2, 1, 0, 4]);
  });

  it("refuses a part that there is not", async () => {
    await expect(loadDataset("mnist:dev")).rejects.toMatchObject({ code: "E_USAGE" });
  });
});

describe("files", () => {
  it("reads an archive: labels and targets apart, the rest as inputs", async () => {
    const path = join(folder, "all.npz");
    await writeNpz(path, [
      { name: "a", dtype: "uint8", shape: [3, 2], data: Uint8Array.of(1, 2, 3, 4, 5, 6) },
      { name: "labels", dtype: "int64", shape: [3], data: BigInt64Array.of(2n, 0n, 1n) },
      { name: "targets", dtype: "float32", shape: [3, 1], data: Float32Array.of(1, 2, 3) },
    ]);
    const data = await loadDataset(path);
    expect([...data.inputs.keys()]).toEqual(["a"]);
    expect(data.labels).toEqual({ dtype: "int32", shape: [3], data: Int32Array.of(2, 0, 1) });
    expect(data.targets?.shape).toEqual([3, 1]);
    const scaled = await loadDataset(`${path}#scale=1/2&shape=2x1[1:]`);
    expect(scaled.inputs.get("a")).toEqual(float32Tensor([2, 2, 1], Float32Array.of(1.5, 2, 2.5, 3)));
    const typed = await loadDataset(`${path}#dtype=int64`);
    expect(typed.inputs.get("a")?.data).toEqual(BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n));
  });

  it("joins a single array with labels from another file", async () => {
    await writeNpy(join(folder, "x.npy"), { dtype: "float32", shape: [2, 2], data: new Float32Array(4) });
    await writeNpy(join(folder, "y.npy"), { dtype: "uint8", shape: [2], data: Uint8Array.of(1, 0) });
    const data = await loadDataset(`${join(folder, "x.npy")}#labels=${join(folder, "y.npy")}`);
    expect(data.unnamed).toBe(true);
    expect(data.labels?.data).toEqual(Int32Array.of(1, 0));
  });

  it("makes a table's number columns one array, and says when it chose the label itself", async () => {
    const path = join(folder, "iris.csv");
    await writeFile(path, "a,b,kind\n1,2,x\n3,4,y\n");
    const chosen = await loadDataset(`${path}#classes=y,x`);
    expect(chosen.inputs.get("input")).toEqual(float32Tensor([2, 2], Float32Array.of(1, 2, 3, 4)));
    expect(chosen.labels?.data).toEqual(Int32Array.of(1, 0));
    expect(chosen.assumptions.map(({ key }) => key)).toEqual(["data.label-column"]);
    expect((await loadDataset(`${path}#label=kind&classes=x,y`)).assumptions).toEqual([]);
    await expect(loadDataset(`${path}#label=kind`)).rejects.toMatchObject({
      hint: expect.stringContaining("x,y") as string,
    });
    await expect(loadDataset(`${path}#label=a`)).rejects.toMatchObject({ code: "E_DATA" });
  });

  it("gives separate columns their own names, and takes several targets", async () => {
    const path = join(folder, "numbers.csv");
    await writeFile(path, "a,b,c\n1,2,3.5\n4,5,6.5\n");
    const data = await loadDataset(`${path}#target=b,c&columns=separate`);
    expect([...data.inputs]).toEqual([["a", float32Tensor([2, 1], Float32Array.of(1, 4))]]);
    expect(data.targets).toEqual(float32Tensor([2, 2], Float32Array.of(2, 3.5, 5, 6.5)));
  });

  it.each([
    ["no-such.npz", "E_FILE_NOT_FOUND"],
    ["numbers.csv#scale=red", "E_USAGE"],
    ["numbers.csv#dtype=red", "E_USAGE"],
    ["numbers.csv#shape=5", "E_DATA"],
    ["numbers.csv[5:]", "E_DATA"],
  ])("refuses %s", async (spec, code) => {
    await expect(loadDataset(join(folder, spec))).rejects.toMatchObject({ code });
  });
});

describe("a data set", () => {
  it("refuses unequal counts, no samples, and labels that are no class numbers", () => {
    const x = float32Tensor([2, 1], new Float32Array(2));
    const make = (labels: TensorValue) => () => createDataset({ name: "bad", inputs: new Map([["x", x]]), labels });
    const error = expect.objectContaining({ code: "E_DATA" }) as Error;
    expect(make(bytes([3]))).toThrow(error);
    expect(make({ dtype: "float32", shape: [2], data: Float32Array.of(0, 0.5) })).toThrow(error);
    expect(make({ dtype: "int8", shape: [2], data: Int8Array.of(0, -1) })).toThrow(error);
    expect(() => createDataset({ name: "none", inputs: new Map() })).toThrow(error);
    expect(() => createDataset({ name: "empty", inputs: new Map([["x", bytes([0, 3])]]) })).toThrow(error);
  });

  it("splits at random, without loss and without overlap, the same for the same seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 0, max: 1000 }), (count, seed) => {
        const validation = Math.max(1, Math.floor(count / 3));
        const { train, validation: held } = splitDataset(counting(count), { validation, seed });
        const labels = [train, held].map(({ labels: own }) => Array.from(own!.data, Number));
        expect(labels[1].length).toBe(validation);
        expect(labels.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, at) => at));
        expect(splitDataset(counting(count), { validation, seed }).train.digest).toBe(train.digest);
      }),
    );
  });

  it("gives slices and chosen samples with their labels", () => {
    const whole = counting(5);
    expect(sliceDataset(whole, 1, 3).inputs.get("x")?.data).toEqual(Float32Array.of(2, 3, 4, 5));
    const taken = takeSamples(whole, [4, 0]);
    expect(taken.inputs.get("x")?.data).toEqual(Float32Array.of(8, 9, 0, 1));
    expect(taken.labels?.data).toEqual(Int32Array.of(4, 0));
    expect(takeSamples(whole, [1, 2]).digest).toBe(sliceDataset(whole, 1, 3).digest);
  });
});

describe("binding to a model", () => {
  const input = (shape: SessionValue["shape"], dtype: SessionValue["dtype"] = "float32", name = "x"): SessionValue => ({
    name,
    dtype,
    shape,
  });
  const setOf = (arrays: Record<string, TensorValue>) =>
    createDataset({ name: "set", inputs: new Map(Object.entries(arrays)) });

  it("renames the only array to the only input, and says so", () => {
    const bound = bindDataset(setOf({ images: float32Tensor([3, 2], new Float32Array(6)) }), [input(["N", 2])]);
    expect(bound.assumptions.map(({ key }) => key)).toEqual(["data.input-name"]);
    expect(bound.feeds(0, 2).feeds["x"].shape).toEqual([2, 2]);
  });

  it("never turns integers into floats by itself, and names both sides", () => {
    const images = setOf({ images: bytes([3, 28, 28]) });
    expect(() => bindDataset(images, [input(["N", 784])])).toThrow(
      "the model's input 'x' is [N,784] float32, 'set' has 'images' [3,28,28] uint8",
    );
  });

  it("shows the shape option when only the shape is wrong", () => {
    const images = setOf({ x: float32Tensor([1, 4, 3], new Float32Array(12)) });
    expect(() => bindDataset(images, [input(["N", 12])])).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("#shape=12") as string }) as Error,
    );
  });

  it("narrows integers only as long as they fit", () => {
    const wide: TensorValue = { dtype: "int64", shape: [2], data: BigInt64Array.of(1n, 300n) };
    const bound = bindDataset(setOf({ x: wide }), [input(["N"], "int32")]);
    expect(bound.feeds(0, 2).feeds["x"].data).toEqual(Int32Array.of(1, 300));
    const narrow = bindDataset(setOf({ x: wide }), [input(["N"], "uint8")]);
    expect(() => narrow.feeds(0, 2)).toThrow("'x' holds 300, which uint8 cannot hold");
  });

  it("fills a short last batch of a model that fixes its batch", () => {
    const bound = bindDataset(setOf({ x: float32Tensor([3, 1], Float32Array.of(1, 2, 3)) }), [input([2, 1])]);
    expect(bound.fixedBatch).toBe(2);
    const { feeds, count } = bound.feeds(2, 3);
    expect(count).toBe(1);
    expect(feeds["x"].data).toEqual(Float32Array.of(3, 3));
  });

  it("feeds one sample at a time to inputs that have no batch axis", () => {
    const data = setOf({
      x: float32Tensor([2, 3], new Float32Array(6)),
      state: float32Tensor([2, 2, 1, 4], new Float32Array(16)),
      rate: { dtype: "int64", shape: [2], data: BigInt64Array.of(8n, 16n) },
    });
    const bound = bindDataset(data, [
      input(["N", 3]),
      input([2, "N", 4], "float32", "state"),
      input([], "int64", "rate"),
    ]);
    expect(bound).toMatchObject({ single: true, fixedBatch: 1 });
    const { feeds } = bound.feeds(1, 2);
    expect(feeds["x"].shape).toEqual([1, 3]);
    expect(feeds["state"].shape).toEqual([2, 1, 4]);
    expect(feeds["rate"]).toEqual({ dtype: "int64", shape: [], data: BigInt64Array.of(16n) });
  });

  it("refuses arrays without an input and inputs without an array", () => {
    const data = setOf({ a: bytes([1]), b: bytes([1]) });
    expect(() => bindDataset(data, [input(["N"], "uint8", "a"), input(["N"], "uint8", "c")])).toThrow("'c' [N] uint8");
  });
});
