// Tests of blocks that are quantised when they are read: from a file, in a worker, once for all parts, and again for whoever asks
// again; and of rounding with feedback, kept in a file; depends on this folder, io, model and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SpillFile } from "../../io/spill-file.ts";
import { model } from "../../model/build.ts";
import type { TensorRef } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { writeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import { scaledTransposedGemmNet } from "../techniques/test-models.ts";
import { denseWeight } from "../rewrite/linear.ts";
import { wholeMatrix, type BlockOptions } from "./blockwise.ts";
import { feedbackOf } from "./feedback.ts";
import { quantizeWithFeedback } from "./gptq.ts";
import { nearestBlocks, quantizeStoredBlocks, roundStoredBlocks, spilled, type StoredBlocks } from "./stored-blocks.ts";
import { quantizeBlocks } from "./test-blocks.ts";

let folder: string;
let weight: TensorRef;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-blocks-"));
  await writeOnnx(scaledTransposedGemmNet(), join(folder, "net.onnx"));
  weight = (await readOnnx(join(folder, "net.onnx"))).graph.initializers.get("w1")!;
});
afterAll(() => rm(folder, { recursive: true }));

const task = (): StoredBlocks => ({
  matrix: { weight, transposedWeight: true, alpha: 0.5, k: 24, n: 32 },
  options: { bits: 4, blockSize: 16, symmetric: false },
  inputs: { mean: new Float64Array(24).fill(2), meanSquare: new Float64Array(24).fill(5) },
});

describe("nearestBlocks", () => {
  it("gives in a worker what it gives here, which is the matrix in blocks and its mean loss", async () => {
    const pool = createThreadPool(1);
    try {
      const there = await nearestBlocks(task(), { parts: 1, keep: false, runner: pool }).look();
      const here = await quantizeStoredBlocks(task());
      expect(there).toEqual(here);
      const { matrix, options: blocks, inputs } = task();
      const { packed } = quantizeBlocks(await denseWeight(matrix), 24, 32, blocks, inputs!.meanSquare);
      expect(here.packed).toEqual(packed);
      expect(here.shift.some((value) => value !== 0)).toBe(true);
    } finally {
      await pool.close();
    }
  });

  it("takes a large table apart for several workers, and gives the bytes of one", async () => {
    const [words, width] = [17_000, 64];
    const random = seededRandom(6);
    const values = Float32Array.from({ length: words * width }, () => random.next() - 0.4);
    const path = join(folder, "table.onnx");
    await writeOnnx(
      model({
        nodes: [],
        inputs: [],
        outputs: [],
        initializers: [memoryTensor("t", float32Tensor([words, width], values))],
      }),
      path,
    );
    const table = (await readOnnx(path)).graph.initializers.get("t")!;
    const whole: StoredBlocks = {
      matrix: { weight: table, transposedWeight: true, alpha: 1, k: width, n: words },
      options: { bits: 4, blockSize: 32, symmetric: false },
    };
    const pool = createThreadPool(2);
    try {
      const there = await nearestBlocks(whole, { parts: 1, keep: false, runner: pool }).look();
      expect(there).toEqual(await quantizeStoredBlocks(whole));
    } finally {
      await pool.close();
    }
  });

  it("quantises once for all parts, forgets, and makes the same anew", async () => {
    const blocks = nearestBlocks(task(), { parts: 2, keep: false, runner: undefined });
    const [first, second] = await Promise.all([blocks.take("weight"), blocks.take("scales")]);
    expect(second).toBe(first);
    const again = await blocks.take("weight");
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});

describe("roundStoredBlocks", () => {
  const [k, n] = [100, 200];

  it.each([false, true])(
    "gives on threads, some columns each, what it gives here: transposed %s",
    async (transposed) => {
      const random = seededRandom(3);
      const path = join(folder, `wide-${transposed}.onnx`);
      const shape = transposed ? [n, k] : [k, n];
      const values = Float32Array.from({ length: k * n }, () => random.normal());
      await writeOnnx(
        model({ nodes: [], inputs: [], outputs: [], initializers: [memoryTensor("w", float32Tensor(shape, values))] }),
        path,
      );
      const wide = (await readOnnx(path)).graph.initializers.get("w")!;
      const second = new Float64Array(k * k);
      for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) second[i * k + j] = 0.9 ** Math.abs(i - j);
      const feedback = await feedbackOf(second, k);
      const inputs = { mean: new Float64Array(k).fill(2), meanSquare: new Float64Array(k).fill(1) };
      const options: BlockOptions = { bits: 4, blockSize: 16, symmetric: false };
      const stored: StoredBlocks = {
        matrix: { weight: wide, transposedWeight: transposed, alpha: 0.5, k, n },
        options,
        inputs,
      };
      const here = await roundStoredBlocks(stored, feedback, undefined);
      const whole = wholeMatrix(await denseWeight(stored.matrix), k, n);
      expect(here).toEqual(quantizeWithFeedback(whole, options, feedback, inputs.mean));
      const pool = createThreadPool(2);
      try {
        expect(await roundStoredBlocks(stored, feedback, pool)).toEqual(here);
      } finally {
        await pool.close();
      }
    },
  );
});

describe("spilled", () => {
  it("reads results back as they were, as often as asked, with and without zero points", async () => {
    const file = new SpillFile();
    const results = await Promise.all(
      [true, false].map((symmetric) => quantizeStoredBlocks({ ...task(), options: { ...task().options, symmetric } })),
    );
    const readers = results.map((result) => spilled(file, result));
    for (const [at, read] of [...readers.entries()].reverse()) {
      expect(await read()).toEqual(results[at]);
      expect(await read()).toEqual(results[at]);
    }
  });
});
