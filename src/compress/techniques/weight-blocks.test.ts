// Tests of weight-only quantisation: near the original, smaller, in the engine's own form; depends on this folder and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { intAttribute } from "../../model/attributes.ts";
import { model as graphModel, node as operator, tensorInfo } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { serializeOnnx, writeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { executedPrecision } from "../../runtime/executed-precision.ts";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import {
  convNet,
  executedOperators,
  gemmNet,
  matMulNet,
  outputsOf,
  randomTensor,
  samplesFor,
  scaledTransposedGemmNet,
  signalToNoise,
} from "./test-models.ts";
import { weightOnlyBlocks, type BlockwiseOptions } from "./weight-blocks.ts";

const NETS = [
  ["Gemm", gemmNet()],
  ["Gemm with transB, alpha and beta", scaledTransposedGemmNet()],
  ["Gemm at operator set 9", gemmNet({}, 9)],
  ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
] as const;

async function blocks(
  graph: ReturnType<typeof gemmNet>,
  options: Partial<BlockwiseOptions> = {},
  calibration?: Dataset,
) {
  const result = await weightOnlyBlocks(
    graph,
    {
      bits: 4,
      blockSize: 16,
      symmetric: true,
      accuracyLevel: 0,
      ...options,
    },
    { calibration, threads: 1, signal: undefined },
  );
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

/** Like an image: most inputs nearly dark, some bright, all of them positive. */
const lit = (count: number, seed: number) => {
  const random = seededRandom(seed);
  const data = Float32Array.from(
    { length: count * 24 },
    (_, at) => Math.abs(random.normal()) * (at % 4 === 0 ? 2 : 0.05),
  );
  return createDataset({ name: "lit", inputs: new Map([["x", float32Tensor([count, 24], data)]]) });
};

/** Neighbouring inputs move together, as pixels and embeddings do. */
const mixed = (count: number, seed: number) => {
  const random = seededRandom(seed);
  const data = new Float32Array(count * 24);
  for (let row = 0; row < count; row++) {
    let level = 0;
    for (let column = 0; column < 24; column++) {
      level = 0.9 * level + random.normal();
      data[row * 24 + column] = level;
    }
  }
  return createDataset({ name: "mixed", inputs: new Map([["x", float32Tensor([count, 24], data)]]) });
};

/** `gemmNet` that takes no notice of its input 3. */
function deafNet(): ModelGraph {
  const graph = gemmNet();
  const weights = new Float32Array(memoryBytes(graph, "w1").slice().buffer);
  weights.fill(0, 3 * 32, 4 * 32);
  const initializers = new Map(graph.graph.initializers).set(
    "w1",
    memoryTensor("w1", float32Tensor([24, 32], weights)),
  );
  return { ...graph, graph: { ...graph.graph, initializers } };
}

function memoryBytes({ graph }: ModelGraph, name: string): Uint8Array {
  const data = graph.initializers.get(name)?.data;
  if (data?.kind !== "memory") throw new Error(`${name} is not in memory`);
  return data.bytes;
}

/** Input 3 dwarfs the others in every sample: 8-bit steps as wide as it needs leave the others without levels. */
const spiked = (count: number) => {
  const random = seededRandom(4);
  const data = Float32Array.from({ length: count * 24 }, (_, at) => random.normal() * (at % 24 === 3 ? 1000 : 1));
  return createDataset({ name: "spiked", inputs: new Map([["x", float32Tensor([count, 24], data)]]) });
};

describe("weightOnlyBlocks", () => {
  it.each(NETS)("loses little at 8 bits and bearably much at 4: %s", async (_name, graph) => {
    const data = samplesFor(graph, 40);
    const wanted = await outputsOf(graph, data);
    for (const symmetric of [true, false]) {
      for (const accuracyLevel of [0, 4] as const) {
        const noise = async (bits: 4 | 8) =>
          signalToNoise(wanted, await outputsOf((await blocks(graph, { bits, symmetric, accuracyLevel })).model, data));
        expect(await noise(8)).toBeGreaterThan(35);
        expect(await noise(4)).toBeGreaterThan(17);
      }
    }
  });

  it("runs as MatMulNBits and nothing else multiplies", async () => {
    const counts = await executedOperators((await blocks(gemmNet())).model);
    expect(counts).toMatchObject({ MatMulNBits: 2 });
    expect(counts).not.toHaveProperty("Gemm");
  });

  it("multiplies 4-bit integers at level 4 and floats below, as the optimised graph tells", async () => {
    const precision = async (accuracyLevel: 0 | 4) =>
      executedPrecision(await serializeOnnx((await blocks(gemmNet(), { accuracyLevel })).model));
    expect(await precision(4)).toMatchObject({ int4Share: 1, floatShare: 0 });
    expect(await precision(0)).toMatchObject({ int4Share: 0, floatShare: 1 });
  });

  it("puts the errors where inputs are small, and makes up for the mean error, given calibration data", async () => {
    const graph = gemmNet();
    const judged = lit(200, 2);
    const wanted = await outputsOf(graph, judged);
    const noise = async (calibration?: Dataset) =>
      signalToNoise(wanted, await outputsOf((await blocks(graph, {}, calibration)).model, judged));
    expect(await noise(lit(200, 1))).toBeGreaterThan((await noise()) + 2);
  });

  it("rounds so that a layer's output on correlated inputs errs less than by nearest rounding (GPTQ)", async () => {
    const graph = gemmNet();
    const judged = mixed(300, 2);
    const wanted = await outputsOf(graph, judged);
    const calibration = mixed(300, 1);
    const noise = async (bits: 2 | 4, rounding: "nearest" | "gptq") =>
      signalToNoise(wanted, await outputsOf((await blocks(graph, { bits, rounding }, calibration)).model, judged));
    expect(await noise(4, "gptq")).toBeGreaterThan((await noise(4, "nearest")) + 1.5);
    expect(await noise(2, "gptq")).toBeGreaterThan((await noise(2, "nearest")) + 1.5);
  });

  it("writes the same bytes on any number of threads (GPTQ)", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lightfoot-threads-"));
    const pools = [1, 3].map(createThreadPool);
    try {
      const path = join(folder, "wide.onnx");
      // From a mebibyte of weights on GPTQ goes to threads.
      const [k, n] = [640, 420];
      const initializers = [randomTensor("w", [k, n], seededRandom(9), 0.1)];
      const x = tensorInfo("x", "float32", ["batch", k]);
      const y = tensorInfo("y", "float32", ["batch", n]);
      await writeOnnx(
        graphModel({ nodes: [operator("MatMul", ["x", "w"], ["y"])], inputs: [x], outputs: [y], initializers }, 17),
        path,
      );
      const graph = await readOnnx(path);
      const calibration = samplesFor(graph, 40);
      const options = { bits: 4, blockSize: 32, symmetric: false, accuracyLevel: 4, rounding: "gptq" } as const;
      const written = [];
      for (const runner of [undefined, ...pools]) {
        const context = { calibration, threads: 1, signal: undefined, ...(runner === undefined ? {} : { runner }) };
        const result = await weightOnlyBlocks(graph, options, context);
        if (result.kind === "refused") throw new Error(result.reason);
        written.push(await serializeOnnx(result.model));
      }
      expect(written[1]).toEqual(written[0]);
      expect(written[2]).toEqual(written[0]);
    } finally {
      await Promise.all(pools.map(async (pool) => pool.close()));
      await rm(folder, { recursive: true });
    }
  });

  it("stops between layers when asked to", async () => {
    const controller = new AbortController();
    controller.abort();
    const options = { bits: 4, blockSize: 16, symmetric: true, accuracyLevel: 4 } as const;
    const context = { calibration: undefined, threads: 1, signal: controller.signal };
    await expect(weightOnlyBlocks(gemmNet(), options, context)).rejects.toMatchObject({ code: "E_INTERRUPTED" });
  });

  it("wants data for GPTQ", async () => {
    const options = { bits: 4, blockSize: 16, symmetric: true, accuracyLevel: 4, rounding: "gptq" } as const;
    const context = { calibration: undefined, threads: 1, signal: undefined };
    expect(await weightOnlyBlocks(gemmNet(), options, context)).toMatchObject({ kind: "refused" });
  });

  describe("with accuracy_level chosen for each layer", () => {
    const levelsOf = ({ graph }: ReturnType<typeof gemmNet>) =>
      graph.nodes
        .filter(({ opType }) => opType === "MatMulNBits")
        .map((node) => intAttribute(node, "accuracy_level", 0));

    it("takes level 4 where that changes the output little, level 0 where it does not, and says which", async () => {
      const graph = gemmNet();
      const calm = await blocks(graph, { accuracyLevel: "auto" }, samplesFor(graph, 64));
      expect(levelsOf(calm.model)).toEqual([4, 4]);
      expect(calm.notes.join()).toMatch(/accuracy_level 4 .* on 2 layers/);
      const wild = await blocks(deafNet(), { accuracyLevel: "auto", blockSize: 32 }, spiked(64));
      expect(levelsOf(wild.model)).toEqual([0, 4]);
      expect(wild.notes.join()).toMatch(/accuracy_level 0 .*Gemm → h/);
    });

    it("keeps a layer in float32 rather than run 8- or 2-bit weights at level 0", async () => {
      const { model, notes } = await blocks(deafNet(), { bits: 8, accuracyLevel: "auto", blockSize: 32 }, spiked(64));
      expect(levelsOf(model)).toEqual([4]);
      expect(model.graph.nodes.map(({ opType }) => opType)).toContain("Gemm");
      expect(notes.join()).toMatch(/float32 where accuracy_level 4/);
    });

    it("takes level 0 for 4 bits when many rows come at once", async () => {
      const graph = gemmNet();
      const { model } = await blocks(graph, { accuracyLevel: "auto", rows: 128 }, samplesFor(graph, 64));
      expect(levelsOf(model)).toEqual([0, 0]);
    });

    it("says that 8 bits at level 0 are slow when somebody wants them", async () => {
      expect((await blocks(gemmNet(), { bits: 8, accuracyLevel: 0 })).notes.join()).toMatch(/slower than float32/);
    });
  });

  it("leaves convolutions alone and says so", async () => {
    expect((await blocks(convNet())).notes.join()).toMatch(/2 convolutions stay float/);
  });
});
