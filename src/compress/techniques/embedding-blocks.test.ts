// Tests of embedding tables in blocks: the engine reads what was stored, tied layers share it; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { int } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { int64Tensor } from "../../model/tensor-value.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom } from "../../statistics/index.ts";
import { embeddingBlocks, type EmbeddingOptions } from "./embedding-blocks.ts";
import { executedOperators, randomTensor, signalToNoise } from "./test-models.ts";

const [WORDS, WIDTH] = [300, 64];

/** Words looked up; `tied`: scored against the whole table again. */
function wordsNet(tied: boolean, width = WIDTH): ModelGraph {
  return model(
    {
      nodes: tied
        ? [node("Gather", ["table", "x"], ["h"]), node("Gemm", ["h", "table"], ["y"], { transB: int(1) })]
        : [node("Gather", ["table", "x"], ["y"])],
      inputs: [tensorInfo("x", "int64", ["batch"])],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers: [randomTensor("table", [WORDS, width], seededRandom(1), 0.1)],
    },
    17,
  );
}

async function answers(graph: ModelGraph): Promise<Float32Array> {
  const session = await openSession(await serializeOnnx(graph), { threads: 1 });
  const indices = Array.from({ length: 40 }, (_, at) => (at * 7) % WORDS);
  const { y } = await session.run({ x: int64Tensor([40], indices) });
  await session.close();
  return y.data as Float32Array;
}

async function quantized(graph: ModelGraph, options: EmbeddingOptions) {
  const result = await embeddingBlocks(graph, options, {});
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

describe("embeddingBlocks", () => {
  it.each([
    [4, true, 17],
    [4, false, 17],
    [8, true, 38],
    [8, false, 38],
  ] as const)("looks rows up in %i bits, symmetric %s", async (bits, symmetric, decibels) => {
    const graph = wordsNet(false);
    const { model: small } = await quantized(graph, { bits, symmetric, blockSize: 32 });
    expect(signalToNoise(await answers(graph), await answers(small))).toBeGreaterThan(decibels);
    expect(await executedOperators(small)).toEqual({ GatherBlockQuantized: 1 });
  });

  it("keeps a tied output layer tied: one copy in the file, near the original", async () => {
    const graph = wordsNet(true);
    const { model: small, notes } = await quantized(graph, { bits: 8, symmetric: true, blockSize: 32 });
    expect(notes.join()).toMatch(/1 output layers share/);
    expect(signalToNoise(await answers(graph), await answers(small))).toBeGreaterThan(33);
    const bytes = (await serializeOnnx(small)).length;
    expect(bytes).toBeLessThan(WORDS * WIDTH * (1 + 4 / 32) + 1500);
    expect(await executedOperators(small)).toMatchObject({ GatherBlockQuantized: 1, MatMulNBits: 1 });
  });

  it("leaves a table alone whose width does not fit, and says why", async () => {
    const result = await embeddingBlocks(wordsNet(false, 40), { bits: 4, symmetric: true, blockSize: 32 }, {});
    expect(result).toMatchObject({ kind: "refused", reason: expect.stringMatching(/multiple of 32/) as string });
  });
});
