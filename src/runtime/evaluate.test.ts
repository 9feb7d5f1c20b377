// Tests of evaluation from model and data to figures, on this thread and in a worker, and of what a run costs; depends on
// model and the room.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeNpz } from "../io/npz.ts";
import type { ProcessUsage } from "../io/process-usage.ts";
import { int } from "../model/attributes.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import type { Dim } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/index.ts";
import { createDataset } from "./dataset.ts";
import { evaluateInWorker } from "./evaluate-in-worker.ts";
import { evaluate } from "./evaluate.ts";
import { executedPrecision } from "./executed-precision.ts";
import { measureLatency } from "./latency.ts";
import { peakMemory } from "./peak-memory.ts";
import { createThreadPool } from "./task-runner.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-evaluate-"));
});
afterAll(() => rm(folder, { recursive: true }));

const SIZE = 4;
const normals = (count: number, seed: number): Float32Array => {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

/** scores = x · w; state = the batch's sum, which does not follow the batch. */
const classifier = (batch: Dim, scale = 1): Promise<Uint8Array> =>
  serializeOnnx(
    model({
      nodes: [
        node("MatMul", ["x", "w"], ["scores"]),
        node("ReduceSum", ["scores", "axes"], ["state"], { keepdims: int(0) }),
      ],
      inputs: [tensorInfo("x", "float32", [batch, SIZE])],
      outputs: [tensorInfo("scores", "float32", [batch, SIZE]), tensorInfo("state", "float32", [SIZE])],
      initializers: [
        memoryTensor(
          "w",
          float32Tensor(
            [SIZE, SIZE],
            normals(SIZE * SIZE, 1).map((weight) => weight * scale),
          ),
        ),
        memoryTensor("axes", { dtype: "int64", shape: [1], data: BigInt64Array.of(0n) }),
      ],
    }),
  );

/** 23 samples; labels are what the classifier's own arithmetic gives, but for every fifth. */
function samples() {
  const x = normals(23 * SIZE, 2);
  const w = normals(SIZE * SIZE, 1);
  const labels = Int32Array.from({ length: 23 }, (_, row) => {
    const scores = Array.from({ length: SIZE }, (_unused, column) =>
      Array.from({ length: SIZE }, (_skip, k) => x[row * SIZE + k] * w[k * SIZE + column]).reduce((a, b) => a + b),
    );
    return (scores.indexOf(Math.max(...scores)) + (row % 5 === 0 ? 1 : 0)) % SIZE;
  });
  return createDataset({
    name: "samples",
    inputs: new Map([["x", float32Tensor([23, SIZE], x)]]),
    labels: { dtype: "int32", shape: [23], data: labels },
  });
}

describe("evaluate", () => {
  it("gives the accuracy that the labels were made for, whatever the batch, fixed batches included", async () => {
    const expected = Uint8Array.from({ length: 23 }, (_, row) => (row % 5 === 0 ? 0 : 1));
    for (const [declared, batch] of [
      ["N", 1],
      ["N", 5],
      ["N", 256],
      [1, undefined],
      [7, undefined],
    ] as const) {
      const result = await evaluate(await classifier(declared), samples(), {
        metrics: ["accuracy"],
        batch,
        threads: 1,
      });
      expect(result.metrics["accuracy"].perSample, `batch ${declared}, ${batch}`).toEqual(expected);
      expect(result.batch).toBe(typeof declared === "number" ? declared : batch);
    }
  });

  it("keeps the judged output, and says that it was the first of several", async () => {
    const data = samples();
    const result = await evaluate(await classifier("N"), data, { metrics: [], keepOutput: true, batch: 10 });
    expect(result).toMatchObject({
      output: "scores",
      dataset: { name: "samples", sampleCount: 23, digest: data.digest },
    });
    expect(result.outputs?.shape).toEqual([23, SIZE]);
    expect(result.assumptions.map(({ key }) => key)).toEqual(["evaluate.output"]);
    const named = await evaluate(await classifier("N"), data, { metrics: [], output: "scores" });
    expect(named.assumptions).toEqual([]);
  });

  it("compares with a reference of another scale: the same decisions, another size", async () => {
    const result = await evaluate(await classifier("N"), samples(), {
      metrics: ["fidelity", "sqnr"],
      reference: await classifier("N", 2),
    });
    expect(result.metrics["fidelity"].figure.value).toBe(1);
    // The difference is half of the reference: 10 · log10(4) dB.
    expect(result.metrics["sqnr"].figure.value).toBeCloseTo(10 * Math.log10(4), 5);
  });

  it("compares with what a reference gave as with the reference itself", async () => {
    const data = samples();
    const options = { metrics: ["fidelity", "sqnr"], batch: 5 };
    const reference = await classifier("N", 3);
    const { outputs } = await evaluate(reference, data, { metrics: [], keepOutput: true });
    const [own, kept] = [
      await evaluate(await classifier("N"), data, { ...options, reference }),
      await evaluate(await classifier("N"), data, { ...options, reference: outputs! }),
    ];
    expect(kept.metrics).toEqual(own.metrics);
    const tooFew = { ...outputs!, shape: [22, SIZE], data: outputs!.data.subarray(SIZE) as Float32Array };
    await expect(evaluate(await classifier("N"), data, { ...options, reference: tooFew })).rejects.toMatchObject({
      code: "E_METRIC",
    });
  });

  it("compares a model with itself in one run, and gives what two runs would", async () => {
    const data = samples();
    const bytes = await classifier("N");
    const options = { metrics: ["accuracy", "fidelity", "fidelity-cosine"], batch: 5, keepOutput: true };
    const twice = await evaluate(bytes, data, { ...options, reference: bytes.slice() });
    const once = await evaluate(bytes, data, { ...options, reference: bytes });
    expect(once.metrics).toEqual(twice.metrics);
    expect(once.metrics["fidelity"].figure.value).toBe(1);
    expect(once.outputs).toEqual(twice.outputs);
  });

  it("stops between batches when told", async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const running = evaluate(await classifier("N"), samples(), {
      metrics: ["accuracy"],
      batch: 5,
      signal: stop.signal,
      onProgress: (done) => {
        seen.push(done);
        if (done === 10) stop.abort();
      },
    });
    await expect(running).rejects.toMatchObject({ code: "E_INTERRUPTED" });
    expect(seen).toEqual([5, 10]);
  });

  it.each([
    [["mse"], {}, "mse needs targets"],
    [["fidelity"], {}, "no reference model was given"],
    [["accuracy", "accuracy"], {}, "asked for twice"],
    [["accuracy"], { output: "logits" }, "has no output 'logits'"],
    [["accuracy"], { output: "state", batch: 5 }, "for 5 samples"],
  ])("refuses %j with %j", async (metrics, options, message) => {
    await expect(evaluate(await classifier("N"), samples(), { metrics, ...options })).rejects.toThrow(message);
  });

  it("gives the same in a worker, with data loaded there", async () => {
    const [modelPath, dataPath] = [join(folder, "net.onnx"), join(folder, "data.npz")];
    await writeFile(modelPath, await classifier("N"));
    const data = samples();
    await writeNpz(dataPath, [
      { name: "x", dtype: "float32", shape: [23, SIZE], data: data.inputs.get("x")!.data },
      { name: "labels", dtype: "int32", shape: [23], data: data.labels!.data },
    ]);
    const options = { metrics: ["accuracy", "f1"], batch: 6, threads: 1 };
    const pool = createThreadPool(1);
    const seen: number[] = [];
    const there = await evaluateInWorker(pool, modelPath, dataPath, {
      ...options,
      onProgress: (done) => seen.push(done),
    });
    await pool.close();
    const here = await evaluate(modelPath, data, options);
    expect(there.metrics).toEqual(here.metrics);
    expect(there.dataset.digest).toBe(data.digest);
    expect(seen).toEqual([6, 12, 18, 23]);
  });
});

describe("latency", () => {
  it("counts processor time by sample from what the port reads, and orders its quantiles", async () => {
    let ticks = 0;
    const usage: ProcessUsage = { cpuSeconds: () => ticks++, peakMemoryBytes: () => 0 };
    const { measurements } = await measureLatency(await classifier("N"), {
      batches: [1, 4],
      runs: 100,
      threads: 1,
      usage,
    });
    expect(measurements.map(({ batch, runs }) => [batch, runs])).toEqual([
      [1, 100],
      [4, 100],
    ]);
    for (const { batch, median, p95, cpuPerInference } of measurements) {
      // The port's clock moves one second a run.
      expect(cpuPerInference).toMatchObject({ value: 1 / batch, low: 1 / batch, high: 1 / batch, unit: "s" });
      expect(median.value).toBeLessThanOrEqual(p95.value);
      expect(p95.assumptions).toEqual([]);
    }
  });

  it("says when the runs are too few for p95, and which batches a model cannot take", async () => {
    const fixed = await measureLatency(await classifier(3), { batches: [1, 3], runs: 30, dataset: samples() });
    expect(fixed.measurements.map(({ batch }) => batch)).toEqual([3]);
    expect(fixed.skipped).toEqual([{ batch: 1, reason: expect.stringContaining("takes 3 samples a run") as string }]);
    expect(fixed.measurements[0].p95.assumptions.map(({ key }) => key)).toEqual(["latency.p95.runs"]);
    for (const dataset of [undefined, samples()]) {
      const refusal = measureLatency(await classifier(3), { batches: [2], dataset });
      await expect(refusal).rejects.toMatchObject({ code: "E_SHAPE", hint: expect.stringContaining("--batch 3") });
    }
  });
});

describe("peak memory", () => {
  it("is the child's own: at least the engine's, at most a little more for a tiny model, and grows with the weights", async () => {
    const ballast = Buffer.alloc(400_000_000, 1); // what this process holds must not show in the child
    const small = join(folder, "small.onnx");
    await writeFile(small, await classifier("N"));
    const large = join(folder, "large.onnx");
    const side = 4096;
    const weights = memoryTensor("w", float32Tensor([side, side], new Float32Array(side * side).fill(0.01)));
    await writeFile(
      large,
      await serializeOnnx(
        model({
          nodes: [node("MatMul", ["x", "w"], ["y"])],
          inputs: [tensorInfo("x", "float32", ["N", side])],
          outputs: [tensorInfo("y", "float32", ["N", side])],
          initializers: [weights],
        }),
      ),
    );
    const [few, many] = [await peakMemory(small), await peakMemory(large)];
    expect(few).toMatchObject({ unit: "B", method: "measured" });
    expect(few.value).toBeGreaterThan(20e6);
    expect(few.value).toBeLessThan(ballast.length);
    expect(many.value - few.value).toBeGreaterThan(side * side * 4 * 0.9);
  });

  it("passes the child's error on", async () => {
    await expect(peakMemory(join(folder, "none.onnx"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
  });
});

describe("executed precision", () => {
  const K = 32;
  const weight = memoryTensor("w", float32Tensor([K, K], normals(K * K, 4)));
  const quantized = [
    memoryTensor("q", { dtype: "int8", shape: [K, K], data: Int8Array.from(normals(K * K, 5), (part) => part * 40) }),
    memoryTensor("s", float32Tensor([], Float32Array.of(0.02))),
  ];
  const ends = { inputs: [tensorInfo("x", "float32", ["N", K])], outputs: [tensorInfo("y", "float32", ["N", K])] };

  it("is float for a float model", async () => {
    const net = model({ ...ends, nodes: [node("MatMul", ["x", "w"], ["y"])], initializers: [weight] });
    expect(await executedPrecision(await serializeOnnx(net))).toEqual({
      int8Share: 0,
      int4Share: 0,
      floatShare: 1,
      leftoverQuantizeNodes: 0,
      unknownOperators: [],
    });
  });

  it("is half int8 when one of two equal products is quantized dynamically", async () => {
    const net = model({
      ...ends,
      nodes: [
        node("MatMul", ["x", "w"], ["h"]),
        node("DynamicQuantizeLinear", ["h"], ["hq", "hs", "hz"]),
        node("MatMulInteger", ["hq", "q", "hz"], ["i"]),
        node("Cast", ["i"], ["f"], { to: int(1) }),
        node("Mul", ["hs", "s"], ["scale"]),
        node("Mul", ["f", "scale"], ["y"]),
      ],
      initializers: [weight, ...quantized],
    });
    expect(await executedPrecision(await serializeOnnx(net))).toMatchObject({ int8Share: 0.5, floatShare: 0.5 });
  });

  it("sees that int8 weights behind a convolution that does not fuse run in float", async () => {
    const kernel = memoryTensor("k", { dtype: "int8", shape: [2, 2, 3, 3], data: new Int8Array(36).fill(3) });
    const net = model({
      nodes: [node("DequantizeLinear", ["k", "s"], ["kf"]), node("Conv", ["x", "kf"], ["y"])],
      inputs: [tensorInfo("x", "float32", ["N", 2, 8, 8])],
      outputs: [tensorInfo("y", "float32", ["N", 2, 6, 6])],
      initializers: [kernel, quantized[1]],
    });
    expect(await executedPrecision(await serializeOnnx(net))).toMatchObject({ int8Share: 0, floatShare: 1 });
  });

  it("reads what branches of an If compute with constants of their own", async () => {
    const branch = (opType: string) =>
      model({
        nodes: [node(opType, ["x", `w${opType}`], [`y${opType}`])],
        inputs: [],
        outputs: [tensorInfo(`y${opType}`, "float32", undefined)],
        initializers: [memoryTensor(`w${opType}`, float32Tensor([K, K], normals(K * K, 4)))],
      }).graph;
    const branches = {
      then_branch: { type: "graph", value: branch("MatMul") },
      else_branch: { type: "graph", value: branch("Add") },
    } as const;
    const condition = [
      node("ReduceMean", ["x"], ["mean"], { keepdims: int(0) }),
      node("Cast", ["mean"], ["isSo"], { to: int(9) }),
    ];
    const net = model({ ...ends, nodes: [...condition, node("If", ["isSo"], ["y"], branches)], initializers: [] });
    expect(await executedPrecision(await serializeOnnx(net))).toMatchObject({ floatShare: 1 });
  });

  it("counts packed 4-bit weights as int4 only where activations are integers too", async () => {
    const net = (accuracyLevel: number, name = "") =>
      model(
        {
          ...ends,
          nodes: [
            node(
              "MatMulNBits",
              ["x", "b", "bs"],
              ["y"],
              { K: int(K), N: int(K), bits: int(4), block_size: int(32), accuracy_level: int(accuracyLevel) },
              { domain: "com.microsoft", name },
            ),
          ],
          initializers: [
            memoryTensor("b", { dtype: "uint8", shape: [K, 1, 16], data: new Uint8Array(K * 16).fill(0x79) }),
            memoryTensor("bs", float32Tensor([K, 1], new Float32Array(K).fill(0.1))),
          ],
        },
        { "": 17, "com.microsoft": 1 },
      );
    expect(await executedPrecision(await serializeOnnx(net(4)))).toMatchObject({ int4Share: 1 });
    // As exporters name them.
    expect(await executedPrecision(await serializeOnnx(net(4, "/layer/0/MatMul_Q4")))).toMatchObject({ int4Share: 1 });
    expect(await executedPrecision(await serializeOnnx(net(0)))).toMatchObject({ floatShare: 1 });
  });
});
