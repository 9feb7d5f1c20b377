// Tests of blocks that are quantised when they are read: from a file, in a worker, once for all parts, and again for whoever asks
// again; depends on this folder, model and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TensorRef } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { writeOnnx } from "../../model/onnx/write.ts";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { scaledTransposedGemmNet } from "../techniques/test-models.ts";
import { denseWeight } from "../rewrite/linear.ts";
import { quantizeBlocks } from "./blockwise.ts";
import { LazyBlocks, quantizeStoredBlocks, type StoredBlocks } from "./stored-blocks.ts";

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

describe("LazyBlocks", () => {
  it("gives in a worker what it gives here, which is the matrix in blocks and its mean loss", async () => {
    const pool = createThreadPool(1);
    try {
      const options = { runner: pool, keep: false };
      const there = await new LazyBlocks(task(), 1, options).look();
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

  it("quantises once for all parts, forgets, and makes the same anew", async () => {
    const blocks = new LazyBlocks(task(), 2, { runner: undefined, keep: false });
    const [first, second] = await Promise.all([blocks.take("weight"), blocks.take("scales")]);
    expect(second).toBe(first);
    const again = await blocks.take("weight");
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});
