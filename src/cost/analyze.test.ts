// Behaviour of the cost report: sums by hand, counting rules, branches and loops, peak memory, and what is not known.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { int, ints, string } from "../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../model/build.ts";
import type { DType } from "../model/dtype.ts";
import type { Attribute, Dim, Graph, ModelGraph, Node, TensorRef } from "../model/graph.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor, int64Tensor } from "../model/tensor-value.ts";
import { analyze } from "./analyze.ts";
import { analysisSchema } from "./report-schema.ts";

const weight = (name: string, ...shape: number[]): TensorRef =>
  memoryTensor(name, float32Tensor(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));
const bytes = (name: string, dtype: "uint8" | "int8", ...shape: number[]): TensorRef =>
  memoryTensor(name, { dtype, shape, data: new Uint8Array(shape.reduce((a, b) => a * b, 1)) });

function network(
  nodes: readonly Node[],
  inputs: Record<string, readonly Dim[]>,
  initializers: readonly TensorRef[] = [],
  outputs: readonly string[] = ["y"],
  dtype: DType = "float32",
): ModelGraph {
  return model(
    {
      nodes,
      inputs: Object.entries(inputs).map(([name, shape]) => tensorInfo(name, dtype, shape)),
      outputs: outputs.map((name) => tensorInfo(name, dtype, undefined)),
      initializers,
    },
    { "": 23, "com.microsoft": 1 },
  );
}

/** Cost of one node with float inputs of these shapes. */
async function costOf(
  op: string,
  shapes: readonly (readonly number[])[],
  attributes: Record<string, Attribute> = {},
  domain = "",
): Promise<{ macs: number; flops: number }> {
  const inputs = Object.fromEntries(shapes.map((shape, i) => [`x${i}`, shape]));
  return analyze(network([node(op, Object.keys(inputs), ["y"], attributes, { domain })], inputs));
}

/** 784-128-10 with ReLU and softmax: the project's worked example. */
const worked = (): ModelGraph =>
  network(
    [
      node("Gemm", ["x", "w1", "b1"], ["h"], {}, { name: "first" }),
      node("Relu", ["h"], ["r"]),
      node("Gemm", ["r", "w2", "b2"], ["l"], {}, { name: "second" }),
      node("Softmax", ["l"], ["y"]),
    ],
    { x: ["N", 784] },
    [weight("w1", 784, 128), weight("b1", 128), weight("w2", 128, 10), weight("b2", 10)],
  );

test("the worked example costs what its formula says", async () => {
  const report = await analyze(worked(), { batch: 32 });
  expect(analysisSchema.parse(report)).toEqual(report);
  expect(report.parameters).toBe(784 * 128 + 128 + 128 * 10 + 10);
  expect(report.weightBytes).toBe(4 * report.parameters);
  expect(report.macs).toBe(32 * (784 * 128 + 128 * 10));
  expect(report.flops).toBe(2 * report.macs + 32 * 128 + 32 * 10);
  expect(report.operators).toEqual({ Gemm: 2, Relu: 1, Softmax: 1 });
  expect(report.byNode.find(({ path }) => path === "first")).toMatchObject({
    parameters: 784 * 128 + 128,
    executions: 1,
  });
  expect(report.byOperator["Gemm"]).toMatchObject({ count: 2, macs: report.macs, parameters: report.parameters });
  expect(report.outputs).toEqual({ y: [32, 10] });
  expect(report.assumptions).toEqual([]);
});

test("an open dimension is 1 and the report says so", async () => {
  const report = await analyze(worked());
  expect(report.macs).toBe(784 * 128 + 128 * 10);
  expect(report.assumptions.map(({ key }) => key)).toEqual(["shape.N"]);
});

test("where 1 does not fit, an open dimension is the first usual size that does; where none fits, what depends on it is missing", async () => {
  const windowed = (kernel: number) =>
    network([node("Conv", ["x", "w"], ["y"])], { x: ["n", 2, "length"] }, [weight("w", 4, 2, kernel)]);
  const report = await analyze(windowed(40));
  expect(report.inputs).toEqual({ x: [1, 2, 64] });
  expect(report.assumptions.map(({ key }) => key)).toEqual(["shape.n", "shape.length"]);
  const none = await analyze(windowed(5000));
  expect(none.assumptions.map(({ key }) => key)).toEqual(["shape.open"]);
  expect(none.coverage).toMatchObject({ knownFraction: 0, unknown: [{ path: "Conv_0" }] });
  await expect(analyze(windowed(40), { inputs: { x: [1, 2, 30] } })).rejects.toMatchObject({ code: "E_SHAPE" });
});

test("one symbol is one size on every input, wherever the batch stands", async () => {
  const built = network(
    [node("LSTM", ["x", "w", "r", "", "", "h", "h"], ["", "y"], { hidden_size: int(4) })],
    { x: [7, "batch", 3], h: [1, "batch", 4] },
    [weight("w", 1, 16, 3), weight("r", 1, 16, 4)],
  );
  const report = await analyze(built, { inputs: { x: [7, 5, 3] } });
  expect(report.inputs).toEqual({ x: [7, 5, 3], h: [1, 5, 4] });
  const first = network([node("Concat", ["x", "s"], ["y"], { axis: int(0) })], { x: ["b", 2], s: [3, 2] });
  const turned = {
    ...first,
    graph: { ...first.graph, inputs: [...first.graph.inputs, tensorInfo("h", "float32", [2, "b"])] },
  };
  expect((await analyze(turned, { batch: 6 })).inputs).toEqual({ x: [6, 2], s: [3, 2], h: [2, 6] });
});

test.each<[string, string, number[][], Record<string, Attribute>, string, number]>([
  [
    "grouped convolution",
    "Conv",
    [
      [2, 8, 9, 9],
      [12, 4, 3, 3],
    ],
    { group: int(2), pads: ints([1, 1, 1, 1]) },
    "",
    2 * 12 * 81 * 4 * 9,
  ],
  [
    "transposed convolution",
    "ConvTranspose",
    [
      [1, 8, 5, 5],
      [8, 6, 2, 2],
    ],
    { strides: ints([2, 2]) },
    "",
    8 * 25 * 6 * 4,
  ],
  [
    "batched matrix product",
    "MatMul",
    [
      [4, 5, 6],
      [6, 7],
    ],
    {},
    "",
    4 * 5 * 7 * 6,
  ],
  [
    "transposed Gemm",
    "Gemm",
    [
      [6, 5],
      [7, 6],
    ],
    { transA: int(1), transB: int(1) },
    "",
    5 * 7 * 6,
  ],
  [
    "attention scores by Einsum",
    "Einsum",
    [
      [2, 3, 4, 5],
      [2, 3, 6, 5],
    ],
    { equation: string("bhqd,bhkd->bhqk") },
    "",
    2 * 3 * 4 * 6 * 5,
  ],
  [
    "LSTM",
    "LSTM",
    [
      [5, 2, 3],
      [2, 16, 3],
      [2, 16, 4],
    ],
    { hidden_size: int(4), direction: string("bidirectional") },
    "",
    5 * 2 * 2 * 4 * 4 * (3 + 4),
  ],
  [
    "GRU",
    "GRU",
    [
      [5, 2, 3],
      [1, 12, 3],
      [1, 12, 4],
    ],
    { hidden_size: int(4) },
    "",
    5 * 2 * 3 * 4 * (3 + 4),
  ],
  [
    "RNN",
    "RNN",
    [
      [5, 2, 3],
      [1, 4, 3],
      [1, 4, 4],
    ],
    { hidden_size: int(4) },
    "",
    5 * 2 * 4 * (3 + 4),
  ],
  [
    "attention of opset 23",
    "Attention",
    [
      [2, 4, 3, 8],
      [2, 2, 5, 8],
      [2, 2, 5, 6],
    ],
    {},
    "",
    2 * 4 * 3 * 5 * (8 + 6),
  ],
  [
    "multi-head attention",
    "MultiHeadAttention",
    [
      [2, 3, 8],
      [2, 5, 8],
      [2, 5, 8],
    ],
    { num_heads: int(2) },
    "com.microsoft",
    2 * 3 * 5 * (8 + 8),
  ],
  [
    "packed attention",
    "Attention",
    [[2, 3, 8], [8, 24], [24]],
    { num_heads: int(2) },
    "com.microsoft",
    2 * 3 * 8 * 24 + 2 * 3 * 3 * 16,
  ],
  [
    "product with 4-bit weights",
    "MatMulNBits",
    [
      [2, 3, 64],
      [8, 2, 16],
      [8, 2],
    ],
    { K: int(64), N: int(8) },
    "com.microsoft",
    6 * 64 * 8,
  ],
])("%s: multiply-adds by hand, FLOPs twice that", async (_, op, shapes, attributes, domain, macs) => {
  const report = await costOf(op, shapes, attributes, domain);
  expect(report.macs).toBe(macs);
  expect(report.flops).toBe(2 * macs);
});

test.each<[string, number[][], Record<string, Attribute>, number]>([
  [
    "Add",
    [
      [2, 1, 4],
      [3, 1],
    ],
    {},
    24,
  ],
  ["Relu", [[2, 3]], {}, 6],
  ["Softmax", [[2, 3]], {}, 6],
  ["ReduceMean", [[2, 3, 4]], {}, 24],
  ["GlobalAveragePool", [[1, 2, 5, 5]], {}, 50],
  ["MaxPool", [[1, 2, 4, 4]], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, 2 * 4 * 4],
  ["Transpose", [[2, 3]], {}, 0],
  [
    "Concat",
    [
      [2, 3],
      [2, 3],
    ],
    { axis: int(0) },
    0,
  ],
  ["Cast", [[2, 3]], { to: int(10) }, 0],
])("%s costs one operation per element it works on, moves cost none", async (op, shapes, attributes, flops) => {
  expect(await costOf(op, shapes, attributes)).toMatchObject({ macs: 0, flops });
});

test("parameters: floats once each wherever they are stored, integers only as quantised weights", async () => {
  const tied = weight("w", 6, 6);
  const packed = bytes("packed", "uint8", 8, 2, 16);
  const built = network(
    [
      node("Constant", [], ["scale"], { value_float: { type: "float", value: 2 } }),
      node("Mul", ["x", "scale"], ["s"]),
      node("MatMul", ["s", "w"], ["a"]),
      node("MatMul", ["a", "tied"], ["b"]),
      node("Reshape", ["b", "shape"], ["c"]),
      node("Gather", ["table", "ids"], ["rows"], { axis: int(0) }),
      node("DequantizeLinear", ["rows", "step", "zero"], ["e"]),
      node("MatMulNBits", ["z", "packed", "blocks"], ["y"], { K: int(64), N: int(8) }, { domain: "com.microsoft" }),
    ],
    { x: [1, 6], z: [1, 64] },
    [
      tied,
      { ...tied, name: "tied" },
      memoryTensor("shape", int64Tensor([2], [2, 3])),
      memoryTensor("ids", int64Tensor([2], [0, 1])),
      bytes("table", "int8", 5, 4),
      weight("step"),
      bytes("zero", "int8"),
      packed,
      weight("blocks", 8, 2),
    ],
    ["y", "c", "e"],
  );
  const report = await analyze(built);
  expect(report.parameters).toBe(1 + 36 + 5 * 4 + 1 + 64 * 8 + 16);
  expect(report.weightBytes).toBe(4 * (1 + 36 + 1 + 16) + 20 + 256);
});

const body = (nodes: readonly Node[], output: string, inputs: Graph["inputs"] = []): Attribute => ({
  type: "graph",
  value: graph({
    nodes,
    inputs,
    outputs: [tensorInfo(output, "float32", undefined)],
    initializers: [weight(`w_${output}`, 4, 4)],
  }),
});

test("of a branch the dearer side counts, and both sides' nodes and parameters are there", async () => {
  const built = network(
    [
      node("Cast", ["x"], ["flag"], { to: int(9) }),
      node("Squeeze", ["flag"], ["c"]),
      node("If", ["c"], ["y"], {
        then_branch: body([node("Relu", ["m"], ["t"])], "t"),
        else_branch: body([node("MatMul", ["m", "w_e"], ["e"])], "e"),
      }),
    ],
    { x: [1], m: [3, 4] },
  );
  const report = await analyze(built);
  expect(report.macs).toBe(3 * 4 * 4);
  expect(report.parameters).toBe(32);
  expect(report.operators).toEqual({ Cast: 1, If: 1, MatMul: 1, Relu: 1, Squeeze: 1 });
  expect(report.byNode.find(({ opType }) => opType === "Relu")).toMatchObject({
    path: "If_2/then_branch/Relu_0",
    executions: 0,
    flops: 0,
  });
});

test("a loop costs its trips; where only the data knows them it counts once and says so", async () => {
  const loop = (trips: string): Node =>
    node("Loop", [trips, "", "m"], ["y"], {
      body: {
        type: "graph",
        value: graph({
          nodes: [node("Identity", ["on"], ["on_out"]), node("MatMul", ["carried", "w"], ["next"])],
          inputs: [
            tensorInfo("i", "int64", []),
            tensorInfo("on", "bool", []),
            tensorInfo("carried", "float32", undefined),
          ],
          outputs: [tensorInfo("on_out", "bool", []), tensorInfo("next", "float32", undefined)],
          initializers: [weight("w", 4, 4)],
        }),
      },
    });
  const fixed = network([loop("n")], { m: [3, 4] }, [memoryTensor("n", int64Tensor([], [5]))]);
  expect(await analyze(fixed)).toMatchObject({ macs: 5 * 48, assumptions: [] });
  const open = network([node("Size", ["m"], ["s"]), node("Add", ["s", "extra"], ["n"]), loop("n")], {
    m: [3, 4],
    extra: [],
  });
  const report = await analyze(open);
  expect(report.macs).toBe(48);
  expect(report.assumptions.map(({ key }) => key)).toEqual(["loop.Loop_2"]);
});

test("an operator without a rule is named with its share, never counted as free", async () => {
  const built = network([node("Mystery", ["x"], ["m"], {}, { domain: "vendor" }), node("Relu", ["x"], ["y"])], {
    x: [4],
  });
  const report = await analyze(built);
  expect(report.coverage).toEqual({
    knownFraction: 0.5,
    unknown: [{ path: "Mystery_0", opType: "vendor:Mystery", reason: "operator vendor:Mystery has no shape rule" }],
  });
  expect(report.byNode[0]).toMatchObject({ macs: null, flops: null, bytesMoved: null });
  expect(report.flops).toBe(4);
});

test("peak activations: a value lives from its maker to its last reader, inputs from the start, outputs to the end", async () => {
  const built = network(
    [
      node("Relu", ["x"], ["a"]), // x 10, a 10
      node("Concat", ["a", "a", "a"], ["b"], { axis: int(0) }), // x 10, a 10, b 30: the peak
      node("Add", ["x", "w"], ["y"]), // x 10, y 10 (b has no reader)
    ],
    { x: [10] },
    [weight("w", 10)],
  );
  expect((await analyze(built)).peakActivationBytes).toBe(4 * 50);
});

test("bytes moved: inputs read and outputs written once, views free, a Gather reads what it gives", async () => {
  const built = network(
    [node("Reshape", ["x", "shape"], ["r"]), node("Gather", ["r", "ids"], ["g"]), node("MatMul", ["r", "w"], ["y"])],
    { x: [3, 4] },
    [memoryTensor("shape", int64Tensor([2], [4, 3])), memoryTensor("ids", int64Tensor([2], [0, 1])), weight("w", 3, 2)],
    ["y", "g"],
  );
  const report = await analyze(built);
  expect(report.byNode.map(({ bytesMoved }) => bytesMoved)).toEqual([0, 4 * 6 + 2 * 8 + 4 * 6, 4 * (12 + 6 + 8)]);
});

test("names do not matter, and multiply-adds follow the batch", async () => {
  const renamed = (name: string): ModelGraph => {
    const base = worked();
    const other = (old: string) => (old === "" ? "" : `${name}${old}`);
    const { nodes, inputs, outputs, initializers } = base.graph;
    return model(
      {
        nodes: nodes.map((one) => node(one.opType, one.inputs.map(other), one.outputs.map(other))),
        inputs: inputs.map((info) => tensorInfo(other(info.name), "float32", ["N", 784])),
        outputs: outputs.map((info) => tensorInfo(other(info.name), "float32", undefined)),
        initializers: [...initializers].map(([old, tensor]) => Object.assign({}, tensor, { name: other(old) })),
      },
      23,
    );
  };
  const plain = await analyze(worked());
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 512 }), async (name, batch) => {
      const report = await analyze(renamed(name), { batch });
      expect(report.macs).toBe(batch * plain.macs);
      expect(report.flops).toBe(batch * plain.flops);
      expect(report.peakActivationBytes).toBe(batch * plain.peakActivationBytes);
      expect(report.parameters).toBe(plain.parameters);
    }),
    { numRuns: 30, seed: 20261124 },
  );
});

test("an input that the model does not have, or has otherwise, is a usage error that lists the inputs", async () => {
  const hint = "The model's inputs are x=?x784.";
  await expect(analyze(worked(), { inputs: { y: [1, 784] } })).rejects.toMatchObject({ code: "E_USAGE", hint });
  await expect(analyze(worked(), { inputs: { x: [784] } })).rejects.toMatchObject({ code: "E_USAGE", hint });
  await expect(analyze(worked(), { inputs: { x: [1, 785] } })).rejects.toMatchObject({ code: "E_USAGE", hint });
  await expect(analyze(worked(), { inputs: { x: [2, 784] }, batch: 2 })).rejects.toMatchObject({
    code: "E_USAGE",
    hint,
  });
});

test("on a device every node is bound by arithmetic or by memory, and the time is modelled with a band", async () => {
  const report = await analyze(worked(), { batch: 4096, hardware: "nvidia-l4" });
  const seconds = report.byNode.reduce((sum, { rooflineSeconds = 0 }) => sum + rooflineSeconds, 0);
  expect(report.byNode.every(({ bound }) => bound === "compute" || bound === "memory")).toBe(true);
  expect(report.roofline?.duration).toMatchObject({ unit: "s", method: "modelled" });
  expect(report.roofline!.duration.low).toBeCloseTo(seconds, 12);
  expect(report.roofline!.duration.high).toBeGreaterThan(report.roofline!.duration.value);
  const two = await analyze(worked(), { batch: 4096, hardware: "nvidia-l4:2" });
  expect(two.roofline!.duration.value).toBeCloseTo(report.roofline!.duration.value / 2, 12);
  expect(two.assumptions.map(({ key }) => key)).toContain("roofline.perfect-split");
});
