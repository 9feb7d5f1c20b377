// Training whole models: what is learned, what stays, and that an interrupted run ends in the same bytes; depends on the room and vitest.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float, int, ints } from "../model/attributes.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph, TensorRef } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { memoryTensor, readFloats } from "../model/tensor-data.ts";
import { elementCount, float32Tensor, int64Tensor } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/random.ts";
import { buildMlp } from "./architecture/mlp.ts";
import { compiledModule } from "./compiled-module.ts";
import { createDataset, type Dataset } from "./sample-set.ts";
import { openSession } from "./session.ts";
import { finishTraining, train } from "./train.ts";
import type { TrainEvent, TrainOptions } from "./train-options.ts";

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "lightfoot-train-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Samples whose class is decided by a fixed random projection: learnable, and not by chance. */
function samples(shape: readonly number[], count: number, classes: number, seed = 1): Dataset {
  const draw = seededRandom(seed);
  const width = elementCount(shape);
  const data = Float32Array.from({ length: count * width }, () => draw.normal());
  const truth = seededRandom(9); // the same for every seed, so that validation data ask for what training data teach
  const projection = Float32Array.from({ length: classes * width }, () => truth.normal());
  const labels = Array.from({ length: count }, (_, row) => {
    const scores = Array.from({ length: classes }, (_unused, c) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += data[row * width + i] * projection[c * width + i];
      return sum;
    });
    return scores.indexOf(Math.max(...scores));
  });
  return createDataset({
    name: "projection",
    inputs: new Map([["input", float32Tensor([count, ...shape], data)]]),
    labels: int64Tensor([count], labels),
  });
}

const weights = (name: string, shape: readonly number[], scale: number): TensorRef => {
  const draw = seededRandom(3).fork(name);
  const data = Float32Array.from({ length: elementCount(shape) }, () => draw.normal() * scale);
  return memoryTensor(name, float32Tensor(shape, data));
};
const filled = (name: string, size: number, value: number): TensorRef =>
  memoryTensor(name, float32Tensor([size], new Float32Array(size).fill(value)));

/** Convolution, batch normalization, pooling, dropout and a head behind a computed reshape. */
function smallCnn(): ModelGraph {
  return model(
    {
      nodes: [
        node("Conv", ["input", "conv.w", "conv.b"], ["c"], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) }),
        node("BatchNormalization", ["c", "bn.scale", "bn.bias", "bn.mean", "bn.var"], ["n"], { momentum: float(0.9) }),
        node("Relu", ["n"], ["r"]),
        node("MaxPool", ["r"], ["p"], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
        node("Dropout", ["p", "ratio"], ["d"]),
        node("Shape", ["d"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Concat", ["batch", "rest"], ["flat"], { axis: int(0) }),
        node("Reshape", ["d", "flat"], ["f"]),
        node("Gemm", ["f", "head.w", "head.b"], ["scores"], { transB: int(1) }),
        node("Softmax", ["scores"], ["probabilities"], { axis: int(-1) }),
      ],
      initializers: [
        weights("conv.w", [4, 1, 3, 3], 0.3),
        filled("conv.b", 4, 0),
        filled("bn.scale", 4, 1),
        filled("bn.bias", 4, 0),
        filled("bn.mean", 4, 0),
        filled("bn.var", 4, 1),
        memoryTensor("ratio", float32Tensor([], Float32Array.of(0.25))),
        memoryTensor("zero", int64Tensor([1], [0])),
        memoryTensor("rest", int64Tensor([1], [-1])),
        weights("head.w", [3, 36], 0.2),
        filled("head.b", 3, 0),
      ],
      inputs: [tensorInfo("input", "float32", ["N", 1, 6, 6])],
      outputs: [tensorInfo("probabilities", "float32", ["N", 3])],
    },
    17,
  );
}

/** Rows of a projection as attention heads. */
const heads = (from: string, to: string, permutation: number[]) => [
  node("Reshape", [from, "split"], [`${to}.r`]),
  node("Transpose", [`${to}.r`], [to], { perm: ints(permutation) }),
];

/** One pre-norm attention block over five tokens with tied head count 2, written as exporters write it. */
function smallTransformer(): ModelGraph {
  return model(
    {
      nodes: [
        node("LayerNormalization", ["input", "ln.w", "ln.b"], ["n"], { axis: int(-1) }),
        node("MatMul", ["n", "qkv.w"], ["qkv.m"]),
        node("Add", ["qkv.b", "qkv.m"], ["qkv"]),
        node("Split", ["qkv"], ["q", "k", "v"], { axis: int(-1) }),
        ...heads("q", "qh", [0, 2, 1, 3]),
        ...heads("k", "kh", [0, 2, 3, 1]),
        ...heads("v", "vh", [0, 2, 1, 3]),
        node("MatMul", ["qh", "kh"], ["qk"]),
        node("Div", ["qk", "root"], ["scaled"]),
        node("Softmax", ["scaled"], ["a"], { axis: int(-1) }),
        node("MatMul", ["a", "vh"], ["av"]),
        node("Transpose", ["av"], ["at"], { perm: ints([0, 2, 1, 3]) }),
        node("Reshape", ["at", "merge"], ["am"]),
        node("MatMul", ["am", "o.w"], ["o"]),
        node("Add", ["input", "o"], ["h"]),
        node("MatMul", ["h", "up.w"], ["u"]),
        node("Div", ["u", "root2"], ["e1"]),
        node("Erf", ["e1"], ["e2"]),
        node("Add", ["e2", "one"], ["e3"]),
        node("Mul", ["u", "e3"], ["e4"]),
        node("Mul", ["e4", "half"], ["g"]),
        node("MatMul", ["g", "down.w"], ["dn"]),
        node("Add", ["h", "dn"], ["h2"]),
        node("ReduceMean", ["h2"], ["pooled"], { axes: ints([1]), keepdims: int(0) }),
        node("Gemm", ["pooled", "head.w", "head.b"], ["scores"]),
      ],
      initializers: [
        filled("ln.w", 8, 1),
        filled("ln.b", 8, 0),
        weights("qkv.w", [8, 24], 0.3),
        filled("qkv.b", 24, 0),
        weights("o.w", [8, 8], 0.3),
        weights("up.w", [8, 16], 0.3),
        weights("down.w", [16, 8], 0.3),
        weights("head.w", [8, 3], 0.3),
        filled("head.b", 3, 0),
        memoryTensor("split", int64Tensor([4], [0, 0, 2, 4])),
        memoryTensor("merge", int64Tensor([3], [0, 0, 8])),
        ...[
          ["root", 2],
          ["root2", Math.SQRT2],
          ["one", 1],
          ["half", 0.5],
        ].map(([name, value]) => memoryTensor(name as string, float32Tensor([], Float32Array.of(value as number)))),
      ],
      inputs: [tensorInfo("input", "float32", ["N", 5, 8])],
      outputs: [tensorInfo("scores", "float32", ["N", 3])],
    },
    17,
  );
}

const base: TrainOptions = {
  loss: { kind: "cross-entropy" },
  optimizer: { kind: "adam" },
  learningRate: 1e-2,
  epochs: 4,
  batch: 16,
  seed: 7,
  threads: 1,
};

const mlp = () => buildMlp({ layers: [6, 16, 3], seed: 2 });
const bytesOf = async (graph: ModelGraph): Promise<string> =>
  Buffer.from(await serializeOnnx(graph)).toString("base64");
const tensorOf = (graph: ModelGraph, name: string) => readFloats(graph.graph.initializers.get(name)!);

describe("training lowers the loss of", () => {
  test.each([
    ["a perceptron", mlp(), [6]],
    ["a network with convolution, batch normalization and dropout", smallCnn(), [1, 6, 6]],
    ["a transformer block", smallTransformer(), [5, 8]],
  ] as const)("%s", async (_, network, shape) => {
    const { history, model: trained } = await finishTraining(
      train(network, samples(shape, 200, 3), { ...base, epochs: 15 }),
    );
    expect(history.at(-1)!.loss).toBeLessThan(0.6 * history[0].loss);
    expect(trained.graph.nodes).toEqual(network.graph.nodes);
    expect([...trained.graph.initializers.keys()]).toEqual([...network.graph.initializers.keys()]);
  });

  test("a student that sees a teacher and no labels", async () => {
    const data = samples([6], 200, 3);
    const { model: teacher } = await finishTraining(train(mlp(), data, { ...base, epochs: 10 }));
    const { inputs, name } = data;
    const unlabeled = createDataset({ name, inputs });
    const student = buildMlp({ layers: [6, 5, 3], seed: 4 });
    const options = { ...base, loss: { kind: "kl", temperature: 2 }, teacher, epochs: 15 } as const;
    const { history } = await finishTraining(train(student, unlabeled, options));
    expect(history.at(-1)!.loss).toBeLessThan(0.3 * history[0].loss);
  });
});

test("masked weights stay exactly zero and tensors outside the pattern keep their bytes", async () => {
  const network = mlp();
  const mask = Uint8Array.from({ length: 96 }, (_, at) => at % 2);
  const options = { ...base, trainable: ["layer1.*"], masks: new Map([["layer1.weight", mask]]) };
  const { model: trained, trainable } = await finishTraining(train(network, samples([6], 64, 3), options));
  expect(trainable).toEqual(["layer1.weight", "layer1.bias"]);
  const after = await tensorOf(trained, "layer1.weight");
  expect(after.every((value, at) => (mask[at] === 0 ? Object.is(value, 0) : value !== 0))).toBe(true);
  expect(await tensorOf(trained, "layer2.weight")).toEqual(await tensorOf(network, "layer2.weight"));
});

test("masks that move while training runs: what they prune at the end is zero, what they give back learns again", async () => {
  const seen: number[] = [];
  // A quarter of each unit's inputs: a unit without any would be dead, and learn nothing when they come back.
  const every = (rest: number) =>
    Uint8Array.from({ length: 96 }, (_, at) => Number((at + Math.floor(at / 16)) % 4 !== rest));
  const options: TrainOptions = {
    ...base,
    epochs: 3,
    masks: new Map([["layer1.weight", every(0)]]),
    remask: ({ epoch, weights: now, firstMoment, secondMoment }) => {
      seen.push(epoch);
      expect(now.get("layer1.weight")!.filter((value) => value === 0).length).toBe(24);
      expect(firstMoment.get("layer1.weight")!.some((value) => value !== 0)).toBe(true);
      expect(secondMoment.get("layer1.weight")!.every((value) => value >= 0)).toBe(true);
      return new Map([["layer1.weight", every(epoch)]]);
    },
  };
  const data = samples([6], 64, 3);
  const { model: trained } = await finishTraining(train(mlp(), data, options));
  expect(seen).toEqual([1, 2]);
  const after = await tensorOf(trained, "layer1.weight");
  expect([...after].map((value) => Number(value !== 0))).toEqual([...every(2)]);

  const checkpoint = { folder: join(folder, "remask") };
  const signal = { aborted: false };
  const stopped = train(mlp(), data, { ...options, checkpoint, signal });
  const stop = (event: TrainEvent): void => void (signal.aborted ||= event.type === "step" && event.epoch === 3);
  await expect(finishTraining(stopped, stop)).rejects.toMatchObject({ code: "E_INTERRUPTED" });
  seen.length = 0;
  const resumed = await finishTraining(train(mlp(), data, { ...options, checkpoint, resume: true }));
  expect(await tensorOf(resumed.model, "layer1.weight")).toEqual(after);
});

test("a price on weights adds strength · sign(w) / (epsilon + |w|) to their gradient alone", async () => {
  const data = samples([6], 32, 3);
  const network = mlp();
  const options: TrainOptions = { ...base, optimizer: { kind: "sgd" }, learningRate: 0.5, epochs: 1, batch: 32 };
  const free = (await finishTraining(train(network, data, options))).model;
  const penalties = [{ tensors: "layer1.w*", strength: 0.02, epsilon: 0.1 }];
  const priced = (await finishTraining(train(network, data, { ...options, penalties }))).model;
  const [before, without, withPrice] = await Promise.all(
    [network, free, priced].map((each) => tensorOf(each, "layer1.weight")),
  );
  for (const [at, weight] of before.entries()) {
    const price = (0.02 * Math.sign(weight)) / (0.1 + Math.abs(weight));
    expect(without[at] - withPrice[at]).toBeCloseTo(0.5 * price, 5);
  }
  expect(await tensorOf(priced, "layer2.weight")).toEqual(await tensorOf(free, "layer2.weight"));
});

test("the loss of an epoch is the mean over all samples, a smaller last batch included", async () => {
  const data = samples([6], 50, 3);
  const still = { ...base, learningRate: 0, epochs: 1, validation: data };
  const losses = await Promise.all(
    [16, 50, 7].map(async (batch) => (await finishTraining(train(mlp(), data, { ...still, batch }))).history[0]),
  );
  for (const { loss, validationLoss } of losses) {
    expect(loss).toBeCloseTo(losses[1].loss, 5);
    expect(loss).toBeCloseTo(validationLoss!, 5);
  }
});

test("several steps in one call give what single steps give", async () => {
  const data = samples([6], 100, 3);
  const run = async (stepsPerCall: number) =>
    tensorOf((await finishTraining(train(mlp(), data, { ...base, stepsPerCall }))).model, "layer1.weight");
  const [single, several] = [await run(1), await run(4)];
  for (const [at, value] of single.entries()) expect(several[at]).toBeCloseTo(value, 5);
});

test("running statistics move while training and stay when frozen", async () => {
  const data = samples([1, 6, 6], 64, 3);
  const run = async (batchNormalization: "train" | "freeze") =>
    tensorOf(
      (await finishTraining(train(smallCnn(), data, { ...base, epochs: 1, batchNormalization }))).model,
      "bn.var",
    );
  expect(await run("freeze")).toEqual(Float32Array.of(1, 1, 1, 1));
  expect((await run("train")).every((value) => value !== 1)).toBe(true);
});

test("early stopping ends in the weights that were best on the validation data", async () => {
  const network = mlp();
  const options = { ...base, epochs: 200, learningRate: 0.05, patience: 2, validation: samples([6], 30, 3, 22) };
  const result = await finishTraining(train(network, samples([6], 30, 3), options));
  expect(result.reason).toBe("early-stop");
  expect(result.history.length).toBe(result.epoch + 2);
  const best = Math.min(...result.history.map(({ validationLoss }) => validationLoss!));
  expect(result.history[result.epoch - 1].validationLoss).toBe(best);
  const session = await openSession(await serializeOnnx(result.model), { threads: 1 });
  const { probabilities } = await session.run({ input: options.validation.inputs.get("input")! });
  const labels = options.validation.labels!.data;
  let loss = 0;
  for (let row = 0; row < 30; row++) loss -= Math.log(Number(probabilities.data[row * 3 + Number(labels[row])])) / 30;
  expect(loss).toBeCloseTo(best, 4);
  await session.close();
});

/** A data set as JSON, for a child process. */
const plain = (set: Dataset) => ({
  name: set.name,
  digest: set.digest,
  input: [...(set.inputs.get("input")!.data as Float32Array)],
  labels: Array.from(set.labels!.data, Number),
});

describe("an interrupted run ends in the same bytes", () => {
  const data = samples([1, 6, 6], 150, 3);
  const options = { ...base, epochs: 3, validation: samples([1, 6, 6], 40, 3, 30), patience: 3 };
  const uninterrupted = async () => bytesOf((await finishTraining(train(smallCnn(), data, options))).model);

  test("after a stop in the middle of an epoch", async () => {
    const checkpoint = { folder: join(folder, "stop") };
    const signal = { aborted: false };
    const first = train(smallCnn(), data, { ...options, checkpoint, signal, stepsPerCall: 2 });
    const stopAt = (event: TrainEvent): void => void (signal.aborted ||= event.type === "step" && event.step >= 14);
    await expect(finishTraining(first, stopAt)).rejects.toMatchObject({ code: "E_INTERRUPTED" });
    let resumedSteps = 0;
    const second = train(smallCnn(), data, { ...options, checkpoint, resume: true, stepsPerCall: 2 });
    const { model: resumed } = await finishTraining(second, (event) => {
      if (event.type === "start") resumedSteps = event.resumedSteps;
    });
    expect(resumedSteps).toBe(14);
    const whole = await finishTraining(train(smallCnn(), data, { ...options, stepsPerCall: 2 }));
    expect(await bytesOf(resumed)).toBe(await bytesOf(whole.model));
  });

  test("after kill -9", async () => {
    const checkpoint = { folder: join(folder, "kill"), everySteps: 5 };
    const modelFile = join(folder, "cnn.onnx");
    await writeFile(modelFile, await serializeOnnx(smallCnn()));
    const job = {
      modelFile,
      data: plain(data),
      validation: plain(options.validation),
      options: { ...options, checkpoint },
    };
    const script = `
      import { readOnnx } from ${JSON.stringify(compiledModule("../model/onnx/read.js", import.meta.url).href)};
      import { train } from ${JSON.stringify(compiledModule("./train.js", import.meta.url).href)};
      const job = ${JSON.stringify(job)};
      const load = ({ name, digest, input, labels }) => ({ name, digest, unnamed: true, sampleCount: labels.length,
        inputs: new Map([["input", { dtype: "float32", shape: [labels.length, 1, 6, 6], data: Float32Array.from(input) }]]),
        labels: { dtype: "int32", shape: [labels.length], data: Int32Array.from(labels) } });
      const options = { ...job.options, validation: load(job.validation) };
      for await (const event of train(await readOnnx(job.modelFile), load(job.data), options)) {
        if (event.type === "checkpoint") { console.log("saved"); await new Promise((resolve) => setTimeout(resolve, 20)); }
      }`;
    const file = join(folder, "child.mjs");
    await writeFile(file, script);
    const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    await Promise.race([once(child.stdout, "data"), exited]);
    child.kill("SIGKILL");
    expect((await exited)[1]).toBe("SIGKILL");
    let resumedSteps = 0;
    const { model: resumed } = await finishTraining(
      train(smallCnn(), data, { ...options, checkpoint, resume: true }),
      (event) => void (resumedSteps = event.type === "start" ? event.resumedSteps : resumedSteps),
    );
    expect(resumedSteps).toBeGreaterThan(0);
    expect(await bytesOf(resumed)).toBe(await uninterrupted());
  });

  test("and a checkpoint that is damaged or of another run is refused", async () => {
    const checkpoint = { folder: join(folder, "other") };
    await finishTraining(train(mlp(), samples([6], 32, 3), { ...base, epochs: 1, checkpoint }));
    const resumed = (more: Partial<TrainOptions>) =>
      finishTraining(train(mlp(), samples([6], 32, 3), { ...base, epochs: 1, checkpoint, resume: true, ...more }));
    await expect(resumed({ learningRate: 0.5 })).rejects.toMatchObject({ code: "E_CHECKPOINT" });
    const file = join(checkpoint.folder, "checkpoint.safetensors");
    const bytes = await readFile(file);
    bytes[bytes.length - 3] ^= 1;
    await writeFile(file, bytes);
    await expect(resumed({})).rejects.toMatchObject({ code: "E_CHECKPOINT" });
  });
});

test("a loss that is no longer finite stops the run and says at which step", async () => {
  const network = buildMlp({ layers: [6, 16, 1], output: "none", seed: 1 });
  const { inputs } = samples([6], 64, 3);
  const data = createDataset({ name: "far", inputs, targets: float32Tensor([64, 1], new Float32Array(64).fill(1e4)) });
  const options = {
    ...base,
    loss: { kind: "mse" },
    optimizer: { kind: "sgd" },
    learningRate: 1e6,
    epochs: 50,
  } as const;
  await expect(finishTraining(train(network, data, options))).rejects.toMatchObject({ code: "E_TRAIN_DIVERGED" });
});

test("an operator without a rule is named, with what to freeze", async () => {
  const network = model({
    nodes: [
      node("Mul", ["input", "w"], ["m"]),
      node("CumSum", ["m", "axis"], ["s"], {}, { name: "running" }),
      node("Gemm", ["s", "head.w"], ["y"]),
    ],
    initializers: [weights("w", [6], 1), memoryTensor("axis", int64Tensor([], [1])), weights("head.w", [6, 3], 1)],
    inputs: [tensorInfo("input", "float32", ["N", 6])],
    outputs: [tensorInfo("y", "float32", ["N", 3])],
  });
  const data = samples([6], 32, 3);
  const refused = finishTraining(train(network, data, base));
  await expect(refused).rejects.toMatchObject({
    code: "E_GRADIENT",
    message: expect.stringMatching(/CumSum.*running/),
  });
  await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining("'w'") });
  const { history } = await finishTraining(train(network, data, { ...base, trainable: ["head.*"] }));
  expect(history.at(-1)!.loss).toBeLessThan(history[0].loss);
});

test("a label beyond the last class is refused", async () => {
  const wrong = finishTraining(train(buildMlp({ layers: [6, 2], seed: 1 }), samples([6], 32, 3), base));
  await expect(wrong).rejects.toMatchObject({ code: "E_DATA", message: expect.stringContaining("0 … 1") });
});
