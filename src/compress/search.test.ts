// Tests of the whole search on a small problem: files, document, honesty about data, ends before the end; depends on the build in dist.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../io/digest.ts";
import { node } from "../model/build.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { buildMlp } from "../runtime/architecture/mlp.ts";
import { createDataset, type Dataset } from "../runtime/dataset.ts";
import { finishTraining, train } from "../runtime/train.ts";
import { seededRandom } from "../statistics/index.ts";
import { searchResultSchema, type SearchResult } from "./candidate-schema.ts";
import type { SearchEvent, SearchOptions } from "./search-options.ts";
import { search } from "./search.ts";
import { half } from "./techniques/half-storage.ts";

/** Four noisy clusters in twelve dimensions. */
function clusters(count: number, seed: number): Dataset {
  const random = seededRandom(seed);
  const labels = Int32Array.from({ length: count }, () => random.integer(4));
  const values = Float32Array.from({ length: count * 12 }, (_, at) => {
    const label = labels[Math.floor(at / 12)];
    return random.normal() * 0.6 + (at % 4 === label ? 1.5 : 0);
  });
  return createDataset({
    name: `clusters ${seed}`,
    inputs: new Map([["input", float32Tensor([count, 12], values)]]),
    labels: { dtype: "int32", shape: [count], data: labels },
  });
}

const data = { train: clusters(1500, 1), validation: clusters(800, 2), test: clusters(800, 3) };
let folder: string;
let model: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-search-"));
  model = join(folder, "original.onnx");
  const untrained = buildMlp({ layers: [12, 64, 4], seed: 5 });
  const run = train(untrained, data.train, {
    loss: { kind: "cross-entropy" },
    optimizer: { kind: "adam" },
    learningRate: 5e-3,
    epochs: 3,
    batch: 64,
    seed: 5,
    threads: 1,
  });
  await writeOnnx((await finishTraining(run)).model, model);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const options = (changes: Partial<SearchOptions> = {}): SearchOptions => ({
  model,
  outDir: join(folder, "out"),
  data,
  budget: { metric: "accuracy", maxDrop: { kind: "points", value: 2 } },
  goal: "size",
  seed: 7,
  batches: [1],
  threads: 1,
  retrain: { epochs: 2, batch: 64 },
  clock: () => 0,
  ...changes,
});

async function finish(wanted: SearchOptions): Promise<{ events: SearchEvent[]; result: SearchResult }> {
  const events: SearchEvent[] = [];
  const run = search(wanted);
  for (let next = await run.next(); ; next = await run.next()) {
    if (next.done === true) return { events, result: next.value };
    events.push(next.value);
  }
}

const bytesOf = async (seed: number, outDir: string) => {
  const { result } = await finish(
    options({ techniques: ["narrow", "weight-int8"], seed, maxCandidates: 4, outDir: join(folder, outDir) }),
  );
  return result.candidates.map(({ id, digest }) => `${id} ${digest}`);
};

const INT8_AND_NARROW = ["static-int8", "narrow"];

describe("search", () => {
  it("ends in a document of its schema whose files are there, and one of them is chosen", async () => {
    const { events, result } = await finish(options({ techniques: INT8_AND_NARROW }));
    expect(() => searchResultSchema.parse(structuredClone(result))).not.toThrow();
    expect(result.ended).toBe("complete");
    const chosen = result.candidates.find(({ selected }) => selected)!;
    expect(chosen.id).toBe(result.selected);
    expect(chosen.fileBytes).toBeLessThan(result.original.fileBytes!);
    expect(chosen.test?.sampleCount).toBe(800);
    for (const { file, digest, reasons } of result.candidates) {
      if (file === null) expect(reasons).toEqual([expect.stringContaining("the very bytes of")]);
      else expect(sha256(await readFile(join(folder, "out", file)))).toBe(digest);
    }
    const kinds = new Set(events.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual([
      "candidate",
      "ended",
      "layers",
      "selected",
      "started",
      "training",
      "trying",
      "working",
    ]);
    expect(result.candidates.map(({ techniques }) => techniques.join("+"))).toContain("narrow+static-int8");
  });

  it("tries another range only where full ranges do not surely hold the budget", async () => {
    const triedWithin = async (points: number) => {
      const budget = { metric: "accuracy", maxDrop: { kind: "points", value: points } } as const;
      const outDir = join(folder, `ranges-${points}`);
      const { result } = await finish(options({ techniques: ["static-int8"], maxCandidates: 2, budget, outDir }));
      return result.candidates.map(({ id }) => id);
    };
    expect(await triedWithin(100)).not.toContain("static-int8-mse");
    expect(await triedWithin(0)).toEqual(["static-int8", "static-int8-mse"]);
  });

  it("gives the same bytes for the same seed, and others for another", async () => {
    const [first, again, other] = [await bytesOf(1, "a"), await bytesOf(1, "b"), await bytesOf(2, "c")];
    expect(again).toEqual(first);
    expect(first).toHaveLength(4);
    expect(first.join()).toContain("mixed-size");
    expect(other).not.toEqual(first);
  });

  it("starts every recipe with the exact clean-up where that changes something, and compares with the model as it came", async () => {
    const { graph, ...rest } = await readOnnx(model);
    const unread = memoryTensor("unread", float32Tensor([500], new Float32Array(500).fill(1)));
    const nodes = graph.nodes.map((one, at) => (at === 0 ? { ...one, inputs: ["same", ...one.inputs.slice(1)] } : one));
    const padded = join(folder, "padded.onnx");
    const initializers = new Map([...graph.initializers, ["unread", unread] as const]);
    const idle = node("Identity", [graph.nodes[0].inputs[0]], ["same"]);
    await writeOnnx({ ...rest, graph: { ...graph, nodes: [idle, ...nodes], initializers } }, padded);
    const techniques = ["clean", "weight-int8", "packed"];
    const outDir = join(folder, "padded");
    const { result } = await finish(options({ model: padded, outDir, techniques }));
    const [clean, ...others] = result.candidates;
    expect(clean.id).toBe("clean");
    expect(clean.fileBytes).toBeLessThan(result.original.fileBytes! - 2000);
    expect(clean.validation!.loss.value).toBe(0);
    expect(others.map(({ id }) => id.split("-")[0])).toEqual(expect.arrayContaining(["weight", "mixed"]));
    expect(others.map(({ techniques: steps }) => steps.lastIndexOf("clean"))).toEqual(others.map(() => 0));
    expect(result.sensitivity[0].of).toBe("clean");
    const whole = others.find(({ id }) => id === "weight-int8")!;
    expect(whole.compressionRate!.bytesOnDisk).toBe(result.original.fileBytes! / whole.fileBytes!);
    const stored = await readOnnx(join(outDir, whole.file!));
    expect(stored.graph.nodes.map(({ opType }) => opType)).not.toContain("Identity");
    expect(stored.graph.initializers.has("unread")).toBe(false);
  });

  it("starts every recipe on a model of 16-bit floats with float32", async () => {
    const stored = await half(await readOnnx(model), { dtype: "float16" });
    if (stored.kind === "refused") throw new Error(stored.reason);
    const path = join(folder, "half.onnx");
    await writeOnnx(stored.model, path);
    const wanted = { model: path, outDir: join(folder, "half"), techniques: ["weight-int8"], maxCandidates: 2 };
    const { result } = await finish(options(wanted));
    expect(result.candidates.map(({ techniques }) => techniques)).toEqual([["widen"], ["widen", "weight-int8"]]);
    expect(result.candidates[1].fileBytes).toBeLessThan(result.original.fileBytes!);
    expect(result.selected).toBe("weight-int8");
  });

  it("counts a model once that two recipes come to", async () => {
    const outDir = join(folder, "twins");
    const { result } = await finish(options({ techniques: ["weight-int8"], outDir }));
    const [whole, ...mixed] = result.candidates;
    expect(whole.id).toBe("weight-int8");
    const twin = mixed.find(({ reasons }) => reasons[0].includes("the very bytes of 'weight-int8'"))!;
    // The cheapest assignment gives every layer 8 bits.
    expect(twin.id).toBe("mixed-size-2-of-2");
    expect(twin).toMatchObject({ file: null, digest: null, accepted: false, selected: false });
    const files = await readdir(join(outDir, "candidates"));
    expect(files).not.toContain("mixed-size-2-of-2.onnx");
    expect(files).toContain(`${result.selected}.onnx`);
    const digests = result.candidates.flatMap(({ digest }) => digest ?? []);
    expect(new Set(digests).size).toBe(digests.length);
  });

  it("prunes, shares and packs where size is the goal and there is data to retrain on", async () => {
    const techniques = ["prune", "share-weights", "packed"];
    const retrain = { epochs: 1, batch: 64 };
    const { result } = await finish(options({ techniques, outDir: join(folder, "sparse"), retrain }));
    const sparse = result.candidates.find(({ id }) => id === "sparse-95-shared-16")!;
    expect(sparse.techniques).toEqual(techniques);
    expect(sparse.compressionRate!.bytesOnDisk).toBeGreaterThan(2);
    // The chosen one's container is on disk, is as large as it says, and is set against the original's file.
    const { container, compressionRate } = result.candidates.find(({ selected }) => selected)!;
    const kept = await readFile(join(folder, "sparse", container!.file!));
    expect(container!.bytes).toBe(kept.length);
    expect(compressionRate!.codedContainer).toBeCloseTo(result.original.fileBytes! / kept.length, 9);
    const others = result.candidates.filter(({ selected, fileBytes }) => !selected && fileBytes !== null);
    expect(others.every((other) => other.container !== null && other.container.file === null)).toBe(true);
  });

  it("tries codebooks where size is the goal and nothing can be retrained, and packs the best", async () => {
    const techniques = ["codebooks", "packed"];
    const untaught = { validation: data.validation, test: data.test };
    const { result } = await finish(options({ data: untaught, techniques, outDir: join(folder, "books") }));
    expect(result.candidates.map(({ id }) => id)).toEqual([
      "codebooks-2x256",
      "codebooks-4x256",
      "codebooks-4x256+packed",
    ]);
    const [, book, smallest] = result.candidates;
    expect(book.compressionRate!.bytesOnDisk).toBeGreaterThan(1.5);
    expect(book.compressionRate!.parameters).toBe(1);
    expect(book.execution!.floatShare).toBe(1);
    expect(smallest.fileBytes!).toBeLessThan(book.fileBytes!);
    expect(smallest).toMatchObject({ selected: true, accepted: true });
  });

  it("narrows without training data too, says that nothing was retrained, and judges by validation alone", async () => {
    const { result } = await finish(
      options({ data: { validation: data.validation }, techniques: [...INT8_AND_NARROW], outDir: join(folder, "d") }),
    );
    const narrowed = result.candidates.find(({ techniques }) => techniques.includes("narrow"))!;
    expect(narrowed.reasons.join()).toContain("no training data");
    expect(narrowed.macs).toBeLessThan(result.original.macs!);
    const kept = result.candidates.find(({ selected }) => selected)!;
    expect(kept.test).toBeNull();
    expect(kept.reasons.join()).toContain("validation data alone");
  });

  it("stops at the time limit with the best so far, verdict included", async () => {
    let seconds = 0;
    const run = search(options({ timeLimitSeconds: 5, clock: () => seconds, outDir: join(folder, "e") }));
    let result: SearchResult | undefined;
    while (result === undefined) {
      const next = await run.next();
      if (next.done === true) result = next.value;
      else if (next.value.kind === "candidate") seconds += 3;
    }
    expect(result.ended).toBe("time-limit");
    expect(result.candidates).toHaveLength(2);
    expect(result.stoppedBefore).not.toBeNull();
    expect(result.candidates.find(({ selected }) => selected)?.test).not.toBeNull();
  });

  it("stops on a signal in the middle of training and leaves no file of the unfinished candidate", async () => {
    const controller = new AbortController();
    const run = search(
      options({
        techniques: ["narrow"],
        signal: controller.signal,
        retrain: { epochs: 50, batch: 16 },
        outDir: join(folder, "f"),
      }),
    );
    let result: SearchResult | undefined;
    while (result === undefined) {
      const next = await run.next();
      if (next.done === true) result = next.value;
      else if (next.value.kind === "training") controller.abort();
    }
    expect(result).toMatchObject({ ended: "interrupted", candidates: [], selected: null });
    expect(await readdir(join(folder, "f", "candidates"))).toEqual(["journal.jsonl"]);
  });

  it("goes on where an earlier search was stopped, and takes over what is intact", async () => {
    const weightOnly = { techniques: ["weight-int8", "weight-blocks"], outDir: join(folder, "g") };
    const limited = await finish(options({ ...weightOnly, maxCandidates: 2 }));
    expect(limited.result).toMatchObject({ ended: "candidate-limit", tried: 2 });
    const [kept, damaged] = limited.result.candidates;
    expect(limited.result.candidates.map(({ id }) => id)).not.toContain(limited.result.stoppedBefore);
    await writeFile(join(folder, "g", damaged.file!), "torn");
    const whole = await finish(options(weightOnly));
    expect(whole.events).toContainEqual({ kind: "resumed", candidates: 1 });
    expect(whole.result).toMatchObject({ ended: "complete", stoppedBefore: null });
    // Another measurement would give another time.
    expect(whole.result.candidates[0].latency).toEqual(kept.latency);
    expect(whole.result.candidates[1].digest).toBe(damaged.digest);
    const other = await finish(options({ ...weightOnly, seed: 8, maxCandidates: 1 }));
    expect(other.events.map(({ kind }) => kind)).not.toContain("resumed");
    expect(existsSync(join(folder, "g", damaged.file!))).toBe(false);
  });

  it("ends with the file's error where it cannot write, and calls no candidate refused for that", async () => {
    const outDir = join(folder, "h");
    await mkdir(outDir);
    await writeFile(join(outDir, "candidates"), "a file of this name");
    await expect(finish(options({ techniques: ["half"], outDir }))).rejects.toThrowError(
      expect.objectContaining({ code: "E_FILE_WRITE", hint: expect.stringContaining("name of") }),
    );
  });

  it("names what it does not know", async () => {
    await expect(finish(options({ techniques: ["int3"] }))).rejects.toThrowError(
      expect.objectContaining({ code: "E_USAGE", message: expect.stringContaining("int3") }),
    );
  });
});
