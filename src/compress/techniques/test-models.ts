// Small random models and a way to compare two of them in ONNX Runtime, for this folder's tests; may depend on model and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeThisMachine } from "../../io/machine.ts";
import { float, int, ints } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import type { Attribute, Dim, ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import { createDataset, type Dataset } from "../../runtime/dataset.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom, type Random } from "../../statistics/index.ts";
import { weightGridFor } from "../weight-grid.ts";
import type { TechniqueContext } from "./technique.ts";

export function randomTensor(name: string, shape: readonly number[], random: Random, scale = 1): TensorRef {
  const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal() * scale);
  return memoryTensor(name, float32Tensor(shape, data));
}

export function net(
  inputShape: readonly Dim[],
  nodes: readonly Node[],
  initializers: readonly TensorRef[],
  opset = 17,
): ModelGraph {
  return model(
    {
      nodes,
      inputs: [tensorInfo("x", "float32", inputShape)],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers,
    },
    opset,
  );
}

/** 24-32-6 with Relu: Gemm layers with the attributes given. */
export function gemmNet(first: Record<string, Attribute> = {}, opset = 17): ModelGraph {
  const random = seededRandom(1);
  const transposed = first["transB"] !== undefined;
  return net(
    ["batch", 24],
    [node("Gemm", ["x", "w1", "b1"], ["h"], first), node("Relu", ["h"], ["r"]), node("Gemm", ["r", "w2", "b2"], ["y"])],
    [
      randomTensor("w1", transposed ? [32, 24] : [24, 32], random, 0.2),
      randomTensor("b1", [32], random),
      randomTensor("w2", [32, 6], random, 0.2),
      randomTensor("b2", [6], random),
    ],
    opset,
  );
}

export const scaledTransposedGemmNet = (): ModelGraph => gemmNet({ transB: int(1), alpha: float(0.5), beta: float(2) });

/** The same shape from MatMul and Add, for inputs of any rank. */
export function matMulNet(inputShape: readonly Dim[]): ModelGraph {
  const random = seededRandom(2);
  return net(
    inputShape,
    [
      node("MatMul", ["x", "w1"], ["p"]),
      node("Add", ["p", "b1"], ["h"]),
      node("Relu", ["h"], ["r"]),
      node("MatMul", ["r", "w2"], ["y"]),
    ],
    [
      randomTensor("w1", [24, 32], random, 0.2),
      randomTensor("b1", [32], random),
      randomTensor("w2", [32, 6], random, 0.2),
    ],
  );
}

/** Conv, Relu, pool, a residual sum, global pool and a Gemm. */
export function convNet(): ModelGraph {
  const random = seededRandom(3);
  const same = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
  return net(
    ["batch", 3, 12, 12],
    [
      node("Conv", ["x", "w1", "b1"], ["c1"], same),
      node("Relu", ["c1"], ["r1"]),
      node("MaxPool", ["r1"], ["p1"], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
      node("Conv", ["p1", "w2", "b2"], ["c2"], same),
      node("Add", ["p1", "c2"], ["s"]),
      node("Relu", ["s"], ["r2"]),
      node("GlobalAveragePool", ["r2"], ["g"]),
      node("Flatten", ["g"], ["f"]),
      node("Gemm", ["f", "w3", "b3"], ["y"]),
    ],
    [
      randomTensor("w1", [8, 3, 3, 3], random, 0.3),
      randomTensor("b1", [8], random),
      randomTensor("w2", [8, 8, 3, 3], random, 0.2),
      randomTensor("b2", [8], random),
      randomTensor("w3", [8, 5], random, 0.5),
      randomTensor("b3", [5], random),
    ],
  );
}

export function samplesFor(graph: ModelGraph, count: number, seed = 9): Dataset {
  const type = graph.graph.inputs[0].type;
  const dims = type?.kind === "tensor" ? (type.shape ?? []) : [];
  const shape = [count, ...dims.slice(1).map((dim) => (typeof dim === "number" ? dim : 3))];
  const random = seededRandom(seed);
  const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
  return createDataset({ name: "random", inputs: new Map([["x", float32Tensor(shape, data)]]) });
}

/** Samples for a model's one input, labelled by itself: the class of its highest score. */
export async function selfLabelled(of: ModelGraph, input: TensorValue, name: string): Promise<Dataset> {
  const [{ name: inputName }] = of.graph.inputs;
  const session = await openSession(await serializeOnnx(of), { threads: 1 });
  const [{ data, shape }] = Object.values(await session.run({ [inputName]: input }));
  await session.close();
  const [count, classes] = shape as [number, number];
  const labels = Int32Array.from({ length: count }, (_, at) => {
    const scores = (data as Float32Array).subarray(at * classes, (at + 1) * classes);
    return scores.indexOf(Math.max(...scores));
  });
  return createDataset({
    name,
    inputs: new Map([[inputName, input]]),
    labels: { dtype: "int32", shape: [count], data: labels },
  });
}

export async function outputsOf(graph: ModelGraph, data: Dataset): Promise<Float32Array> {
  const session = await openSession(await serializeOnnx(graph), { threads: 1 });
  try {
    const { y } = await session.run({ x: data.inputs.get("x")! });
    return y.data as Float32Array;
  } finally {
    await session.close();
  }
}

/** What techniques are told: no data, one thread, this machine's integers, and the changes. */
export const contextWith = (changes: Partial<TechniqueContext> = {}): TechniqueContext => ({
  calibration: undefined,
  train: undefined,
  original: "",
  seed: 1,
  threads: 1,
  retrain: { epochs: 1, batch: 32, learningRate: 0.003 },
  weightGrid: weightGridFor(describeThisMachine()).grid,
  signal: undefined,
  onEpoch: () => undefined,
  ...changes,
});

/** Signal to noise in decibels of `actual` against `wanted`; 20 dB is an error of a tenth. */
export function signalToNoise(wanted: Float32Array, actual: Float32Array): number {
  let signal = 0;
  let noise = 0;
  wanted.forEach((value, at) => {
    signal += value ** 2;
    noise += (value - actual[at]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

/** Operator counts of the graph that ONNX Runtime really executes. */
export async function executedOperators(graph: ModelGraph): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), "lightfoot-fusion-"));
  try {
    const path = join(folder, "optimized.onnx");
    const session = await openSession(await serializeOnnx(graph), { threads: 1, optimizedModelPath: path });
    await session.close();
    const counts: Record<string, number> = {};
    for (const { opType } of (await readOnnx(path)).graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1;
    return counts;
  } finally {
    await rm(folder, { recursive: true });
  }
}
