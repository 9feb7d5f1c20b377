// Every gradient rule against central finite differences, in float64 where ONNX Runtime has the kernels; depends on its room and vitest.
import { describe, expect, test } from "vitest";
import { float, int, ints, string } from "../../../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../../../model/build.ts";
import type { DType } from "../../../model/dtype.ts";
import type { Attribute, Node, TensorRef } from "../../../model/graph.ts";
import { serializeOnnx } from "../../../model/onnx/write.ts";
import { memoryTensor } from "../../../model/tensor-data.ts";
import { elementCount, int64Tensor, type TensorValue } from "../../../model/tensor-value.ts";
import { seededRandom, type Random } from "../../../statistics/random.ts";
import { openSession } from "../../session.ts";
import { differentiate } from "../differentiate.ts";
import { Emitter } from "../emitter.ts";
import { assembleModel, forwardGraph } from "../forward-graph.ts";
import { toTrainingForm } from "../training-form.ts";
import { differentiableOperators } from "./index.ts";

/** How test values are drawn: away from kinks, from zero, and from each other. */
type Draw = "any" | "positive" | "distinct";

interface Case {
  readonly operator: string;
  readonly title: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly nodes: readonly Node[];
  readonly constants?: readonly TensorRef[];
  readonly draw?: Draw;
  readonly dtype?: "float32" | "float64";
  readonly opset?: number;
  readonly training?: boolean;
  /** Inputs that are fed and not differentiated. */
  readonly fixed?: readonly string[];
}

const int64 = (name: string, values: number[], shape: number[] = [values.length]): TensorRef =>
  memoryTensor(name, int64Tensor(shape, values));

function drawValues(random: Random, count: number, draw: Draw): number[] {
  if (draw === "distinct") return [...random.permutation(count)].map((rank) => (rank - count / 2 + 0.3) * 0.17);
  return Array.from({ length: count }, () => {
    const size = 0.2 + 1.6 * random.next();
    return draw === "positive" || random.next() < 0.5 ? size : -size;
  });
}

function tensor(dtype: DType, shape: readonly number[], values: readonly number[]): TensorValue {
  return { dtype, shape, data: dtype === "float64" ? Float64Array.from(values) : Float32Array.from(values) };
}

/** Largest |analytic − numeric| over all inputs, relative to the gradient's own size. */
async function gradientError(sample: Case): Promise<number> {
  const dtype = sample.dtype ?? "float64";
  const random = seededRandom(11).fork(`${sample.operator}/${sample.title}`);
  const names = Object.keys(sample.inputs);
  const specs = Object.fromEntries(names.map((name) => [name, { dtype, shape: sample.inputs[name] }]));
  const source = model(
    {
      nodes: sample.nodes,
      initializers: sample.constants ?? [],
      inputs: names.map((name) => tensorInfo(name, dtype, sample.inputs[name])),
      outputs: [tensorInfo("y", dtype, undefined)],
    },
    sample.opset ?? 21,
  );
  const forward = await forwardGraph(source, specs, new Set<string>());
  const emit = new Emitter("g/", dtype);
  const nodes = sample.training
    ? toTrainingForm(forward.nodes, forward.values, new Map(names.map((name) => [name, 0])), emit, true).nodes
    : [...forward.nodes];
  const wanted = new Set(names.filter((name) => !sample.fixed?.includes(name)));
  const yShape = forward.values.shapes.get("y")!;
  const gradients = differentiate({
    forward: nodes,
    values: forward.values,
    seeds: new Map([["y", "dy"]]),
    wanted,
    emit,
  });
  expect([...gradients.keys()].sort()).toEqual([...wanted].sort());
  const initializers = new Map([...forward.initializers, ...emit.initializers]);
  const open = async (all: readonly Node[], inputs: readonly string[], outputs: readonly string[]) =>
    openSession(
      await serializeOnnx(
        assembleModel(
          forward,
          graph({
            nodes: all,
            initializers,
            inputs: inputs.map((name) => tensorInfo(name, dtype, name === "dy" ? yShape : sample.inputs[name])),
            outputs: outputs.map((name) => ({ name, type: undefined })),
          }),
        ),
      ),
      { threads: 1 },
    );
  const values = new Map(
    names.map((name) => [name, drawValues(random, elementCount(sample.inputs[name]), sample.draw ?? "any")]),
  );
  const cotangent = drawValues(random, elementCount(yShape), "any");
  const feeds = (): Record<string, TensorValue> =>
    Object.fromEntries(names.map((name) => [name, tensor(dtype, sample.inputs[name], values.get(name)!)]));

  const outputs = [...new Set(gradients.values())];
  const backward = await open([...nodes, ...emit.nodes], [...names, "dy"], outputs);
  const analytic = await backward.run({ ...feeds(), dy: tensor(dtype, yShape, cotangent) });
  await backward.close();
  const session = await open(nodes, names, ["y"]);
  const objective = async (): Promise<number> => {
    const { y } = await session.run(feeds());
    return cotangent.reduce((sum, weight, at) => sum + weight * Number(y.data[at]), 0);
  };
  const step = dtype === "float64" ? 1e-5 : 1e-2;
  let worst = 0;
  for (const [name, gradient] of gradients) {
    const found = analytic[gradient];
    expect(found.shape).toEqual(sample.inputs[name]);
    const at = values.get(name)!;
    for (let index = 0; index < at.length; index++) {
      const kept = at[index];
      at[index] = kept + step;
      const above = await objective();
      at[index] = kept - step;
      const below = await objective();
      at[index] = kept;
      const numeric = (above - below) / (2 * step);
      worst = Math.max(worst, Math.abs(numeric - Number(found.data[index])) / Math.max(1, Math.abs(numeric)));
    }
  }
  await session.close();
  return worst;
}

type Options = Partial<Omit<Case, "operator" | "title" | "inputs" | "nodes">>;

/** One node whose differentiated inputs come first and whose constants follow. */
function single(
  operator: string,
  title: string,
  shapes: readonly (readonly number[])[],
  attributes: Readonly<Record<string, Attribute>> = {},
  options: Options & { readonly after?: readonly string[] } = {},
): Case {
  const names = shapes.map((_, at) => `x${at}`);
  const inputs = Object.fromEntries(names.map((name, at) => [name, shapes[at]]));
  return {
    operator,
    title,
    inputs,
    nodes: [node(operator, [...names, ...(options.after ?? [])], ["y"], attributes)],
    ...options,
  };
}

const float32 = { dtype: "float32" } as const;
const positive = { draw: "positive" } as const;
const distinct = { draw: "distinct" } as const;
const window = (kernel: number[], more: Record<string, Attribute> = {}) => ({ kernel_shape: ints(kernel), ...more });

const arithmetic: Case[] = [
  ...["Add", "Sub", "Mul", "Div"].flatMap((operator) => [
    single(operator, "same shape", [
      [2, 3],
      [2, 3],
    ]),
    single(operator, "broadcast in both directions", [
      [2, 1, 3],
      [4, 1],
    ]),
    single(operator, "a scalar", [[2, 3], []]),
  ]),
  single("Pow", "base and exponent", [[2, 3], [3]], {}, positive),
  single(
    "Pow",
    "negative base, constant exponent 2",
    [[2, 3]],
    {},
    { constants: [memoryTensor("two", tensor("float64", [], [2]))], after: ["two"] },
  ),
  single("Sum", "three inputs of different rank", [[2, 3], [3], [2, 1]]),
  single("Mean", "broadcast", [[2, 3], [3]], {}, float32),
  single("Max", "broadcast", [[2, 3], [3], [1]], {}, distinct),
  single(
    "Min",
    "broadcast",
    [
      [2, 3],
      [2, 1],
    ],
    {},
    distinct,
  ),
  ...["Neg", "Abs", "Exp", "Sin", "Cos", "Reciprocal"].map((operator) => single(operator, "elementwise", [[2, 3]])),
  ...["Sqrt", "Log"].map((operator) => single(operator, "elementwise", [[2, 3]], {}, positive)),
  single("Erf", "elementwise", [[2, 3]], {}, float32),
  {
    operator: "Where",
    title: "both branches broadcast",
    inputs: { a: [2, 3], b: [3], c: [2, 1] },
    fixed: ["c"],
    nodes: [
      node("Sign", ["c"], ["s"]),
      node("Cast", ["s"], ["n"], { to: int(7) }),
      node("Greater", ["n", "zero"], ["p"]),
      node("Where", ["p", "a", "b"], ["y"]),
    ],
    constants: [int64("zero", [0], [])],
  },
];

const activations: Case[] = [
  ...["Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Elu", "Selu"].map((operator) =>
    single(operator, "default", [[3, 4]], {}, float32),
  ),
  single("LeakyRelu", "alpha", [[3, 4]], { alpha: float(0.3) }, float32),
  single("Elu", "alpha", [[3, 4]], { alpha: float(0.3) }, float32),
  single(
    "PRelu",
    "slope per channel",
    [
      [2, 3, 2],
      [3, 1],
    ],
    {},
    float32,
  ),
  single("HardSigmoid", "default", [[3, 4]], { alpha: float(0.5) }, float32),
  single("HardSwish", "default", [[3, 4]], {}, float32),
  single("Mish", "default", [[3, 4]], {}, float32),
  single("Gelu", "exact", [[3, 4]], {}, float32),
  single("Gelu", "tanh", [[3, 4]], { approximate: string("tanh") }, float32),
  {
    operator: "Clip",
    title: "both bounds",
    inputs: { x: [4, 5] },
    draw: "distinct",
    nodes: [node("Clip", ["x", "low", "high"], ["y"])],
    constants: [memoryTensor("low", tensor("float64", [], [-0.6])), memoryTensor("high", tensor("float64", [], [0.9]))],
  },
  {
    operator: "Clip",
    title: "attributes of operator set 6",
    inputs: { x: [4, 5] },
    dtype: "float32",
    opset: 9,
    nodes: [node("Clip", ["x"], ["y"], { min: float(-0.95) })],
  },
];

const matrices: Case[] = [
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) =>
      single("Gemm", `transA ${transA}, transB ${transB}`, [transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4], [4]], {
        transA: int(transA),
        transB: int(transB),
        alpha: float(0.5),
        beta: float(2),
      }),
    ),
  ),
  single("Gemm", "bias as column, and none", [
    [2, 3],
    [3, 4],
    [2, 1],
  ]),
  single("Gemm", "no bias", [
    [2, 3],
    [3, 4],
  ]),
  single("MatMul", "matrices", [
    [2, 3],
    [3, 4],
  ]),
  single("MatMul", "a stack times a matrix", [
    [2, 5, 3],
    [3, 4],
  ]),
  single("MatMul", "a matrix times a stack", [
    [5, 3],
    [2, 3, 4],
  ]),
  single("MatMul", "stacks that broadcast", [
    [2, 1, 5, 3],
    [3, 3, 4],
  ]),
  single("MatMul", "vector and matrix", [[3], [3, 4]]),
  single("MatMul", "matrix and vector", [[2, 4, 3], [3]]),
  single("MatMul", "two vectors", [[3], [3]]),
  single("MatMul", "vector and stack", [[3], [2, 3, 4]]),
  single(
    "Einsum",
    "attention scores",
    [
      [2, 3, 2, 4],
      [2, 5, 2, 4],
    ],
    { equation: string("bqhd,bkhd->bhqk") },
  ),
  single(
    "Einsum",
    "a letter that is only summed",
    [
      [2, 3],
      [3, 4],
    ],
    { equation: string("ab,bc->c") },
  ),
];

const convolutions: Case[] = [
  single("Conv", "plain with bias", [[2, 3, 5, 5], [4, 3, 3, 3], [4]], window([3, 3]), float32),
  single(
    "Conv",
    "stride that leaves rows unseen",
    [
      [2, 2, 6, 7],
      [3, 2, 3, 2],
    ],
    window([3, 2], { strides: ints([2, 3]), pads: ints([1, 0, 0, 1]) }),
    float32,
  ),
  single(
    "Conv",
    "dilated",
    [
      [1, 2, 7, 7],
      [2, 2, 3, 3],
    ],
    window([3, 3], { dilations: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    float32,
  ),
  single(
    "Conv",
    "groups",
    [[2, 4, 4, 4], [6, 2, 3, 3], [6]],
    window([3, 3], { group: int(2), pads: ints([1, 1, 1, 1]) }),
    float32,
  ),
  single(
    "Conv",
    "depthwise, stride 2",
    [
      [2, 3, 5, 5],
      [3, 1, 3, 3],
    ],
    window([3, 3], { group: int(3), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    float32,
  ),
  single(
    "Conv",
    "one dimension",
    [
      [2, 3, 8],
      [4, 3, 3],
    ],
    window([3], { strides: ints([2]), dilations: ints([2]), pads: ints([2, 1]) }),
    float32,
  ),
  single(
    "Conv",
    "three dimensions",
    [
      [1, 2, 3, 4, 3],
      [2, 2, 2, 2, 2],
    ],
    window([2, 2, 2], { strides: ints([1, 2, 1]) }),
    float32,
  ),
  single(
    "Conv",
    "SAME_UPPER",
    [
      [1, 2, 5, 6],
      [2, 2, 2, 3],
    ],
    window([2, 3], { auto_pad: string("SAME_UPPER"), strides: ints([2, 2]) }),
    float32,
  ),
  single(
    "Conv",
    "SAME_LOWER",
    [
      [1, 2, 5, 5],
      [2, 2, 2, 2],
    ],
    window([2, 2], { auto_pad: string("SAME_LOWER") }),
    float32,
  ),
  single(
    "Conv",
    "stride far beyond the kernel",
    [
      [1, 1, 9],
      [1, 1, 2],
    ],
    window([2], { strides: ints([4]) }),
    float32,
  ),
  single(
    "ConvTranspose",
    "stride and output padding",
    [[1, 2, 3, 3], [2, 3, 3, 3], [3]],
    window([3, 3], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), output_padding: ints([1, 1]) }),
    float32,
  ),
  single(
    "ConvTranspose",
    "groups",
    [
      [2, 4, 3],
      [4, 2, 2],
    ],
    window([2], { group: int(2) }),
    float32,
  ),
];

const pools: Case[] = [
  single("MaxPool", "tiling", [[2, 2, 4, 4]], window([2, 2], { strides: ints([2, 2]) }), { ...distinct, ...float32 }),
  single(
    "MaxPool",
    "overlapping with pads",
    [[2, 2, 5, 5]],
    window([3, 3], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    { ...distinct, ...float32 },
  ),
  single(
    "MaxPool",
    "one dimension, dilated, ceil mode",
    [[1, 2, 8]],
    window([2], { strides: ints([2]), dilations: ints([3]), ceil_mode: int(1) }),
    { ...distinct, ...float32 },
  ),
  single(
    "AveragePool",
    "overlapping, pads not counted",
    [[2, 2, 5, 5]],
    window([3, 3], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    float32,
  ),
  single(
    "AveragePool",
    "pads counted",
    [[1, 2, 5, 4]],
    window([2, 3], { pads: ints([1, 1, 0, 1]), count_include_pad: int(1) }),
    float32,
  ),
  single(
    "AveragePool",
    "ceil mode",
    [[1, 1, 5, 5]],
    window([2, 2], { strides: ints([2, 2]), ceil_mode: int(1) }),
    float32,
  ),
  single("AveragePool", "one dimension", [[1, 2, 7]], window([3], { strides: ints([3]) }), float32),
  single("GlobalAveragePool", "2-D", [[2, 3, 2, 3]], {}, float32),
  single("GlobalMaxPool", "2-D", [[2, 3, 2, 3]], {}, { ...distinct, ...float32 }),
];

const normalizations: Case[] = [
  ...[-1, 1].flatMap((axis) => [
    single("Softmax", `axis ${axis}`, [[2, 3, 4]], { axis: int(axis) }),
    single("LogSoftmax", `axis ${axis}`, [[2, 3, 4]], { axis: int(axis) }),
  ]),
  single("Softmax", "flattened at axis 1 before operator set 13", [[2, 3, 2]], { axis: int(1) }, { opset: 11 }),
  single("LayerNormalization", "last axis with bias", [[2, 3, 4], [4], [4]], { epsilon: float(1e-3) }, float32),
  single(
    "LayerNormalization",
    "two axes, no bias",
    [
      [2, 3, 4],
      [3, 4],
    ],
    { axis: int(1) },
    float32,
  ),
  single("InstanceNormalization", "2-D", [[2, 3, 2, 3], [3], [3]], {}, float32),
  single("GroupNormalization", "two groups", [[2, 4, 3], [4], [4]], { num_groups: int(2) }, float32),
  single(
    "BatchNormalization",
    "inference",
    [[2, 3, 2, 2], [3], [3], [3], [3]],
    {},
    { ...positive, ...float32, fixed: ["x3", "x4"] },
  ),
  single(
    "BatchNormalization",
    "training",
    [[3, 2, 2, 2], [2], [2], [2], [2]],
    {},
    { ...float32, training: true, fixed: ["x3", "x4"] },
  ),
  single(
    "BatchNormalization",
    "training, two dimensions, operator set 9",
    [[5, 2], [2], [2], [2], [2]],
    {},
    { ...float32, training: true, opset: 9, fixed: ["x3", "x4"] },
  ),
];

const movements: Case[] = [
  {
    operator: "Reshape",
    title: "with 0 and -1",
    inputs: { x: [2, 3, 4] },
    nodes: [node("Reshape", ["x", "s"], ["y"])],
    constants: [int64("s", [0, -1])],
  },
  {
    operator: "Reshape",
    title: "to a shape computed from Shape, Gather and Concat",
    inputs: { x: [2, 3, 4] },
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("Gather", ["shape", "zero"], ["batch"]),
      node("Concat", ["batch", "rest"], ["target"], { axis: int(0) }),
      node("Reshape", ["x", "target"], ["y"]),
    ],
    constants: [int64("zero", [0]), int64("rest", [-1])],
  },
  single("Flatten", "axis 2", [[2, 3, 4]], { axis: int(2) }),
  single("Squeeze", "all", [[2, 1, 3, 1]]),
  single("Squeeze", "axes as attribute", [[2, 1, 3, 1]], { axes: ints([1]) }, { opset: 11 }),
  single("Unsqueeze", "axes", [[2, 3]], {}, { after: ["axes"], constants: [int64("axes", [0, 2])] }),
  single("Transpose", "reversed by default", [[2, 3, 4]]),
  single("Transpose", "permutation of order 3", [[2, 3, 4]], { perm: ints([2, 0, 1]) }),
  single(
    "Concat",
    "three parts",
    [
      [2, 1, 3],
      [2, 2, 3],
      [2, 3, 3],
    ],
    { axis: int(-2) },
  ),
  single(
    "Concat",
    "one part wanted",
    [
      [2, 1],
      [2, 2],
      [2, 3],
    ],
    { axis: int(1) },
    { fixed: ["x0", "x2"] },
  ),
  {
    operator: "Split",
    title: "one part unused",
    inputs: { x: [2, 6] },
    nodes: [node("Split", ["x", "sizes"], ["a", "b", "c"], { axis: int(1) }), node("Mul", ["a", "c"], ["y"])],
    constants: [int64("sizes", [2, 2, 2])],
  },
  {
    operator: "Split",
    title: "equal parts, attribute form",
    inputs: { x: [2, 6] },
    opset: 11,
    nodes: [node("Split", ["x"], ["a", "b"], { axis: int(-1) }), node("Mul", ["a", "b"], ["y"])],
  },
  single(
    "Slice",
    "two axes, negative start, open end",
    [[4, 5, 3]],
    {},
    {
      after: ["s", "e", "a"],
      constants: [int64("s", [1, -4]), int64("e", [3, Number.MAX_SAFE_INTEGER]), int64("a", [0, -2])],
    },
  ),
  single(
    "Slice",
    "steps 2 and -2",
    [[7, 6]],
    {},
    {
      after: ["s", "e", "a", "t"],
      constants: [int64("s", [0, 4]), int64("e", [7, -100]), int64("a", [0, 1]), int64("t", [2, -2])],
    },
  ),
  single(
    "Slice",
    "attributes of operator set 1",
    [[4, 5]],
    { starts: ints([1]), ends: ints([4]), axes: ints([1]) },
    { opset: 9 },
  ),
  single("Pad", "constant, partly negative", [[3, 4]], {}, { after: ["p"], constants: [int64("p", [1, -1, 0, 2])] }),
  ...["edge", "reflect", "wrap"].map((mode) =>
    single("Pad", mode, [[3, 4]], { mode: string(mode) }, { after: ["p"], constants: [int64("p", [1, 2, 2, 3])] }),
  ),
  single(
    "Pad",
    "axes given",
    [[2, 3, 4]],
    {},
    { after: ["p", "", "a"], constants: [int64("p", [1, 2]), int64("a", [-1])] },
  ),
  single("Pad", "attributes of operator set 2", [[2, 3]], { pads: ints([1, 0, 0, 2]) }, { opset: 9, dtype: "float32" }),
  single(
    "Gather",
    "duplicates and negatives on axis 0",
    [[4, 3]],
    {},
    { after: ["i"], constants: [int64("i", [1, 3, 1, -1, 0, 1], [2, 3])] },
  ),
  single("Gather", "middle axis", [[2, 4, 3]], { axis: int(1) }, { after: ["i"], constants: [int64("i", [3, 3, 0])] }),
  single("Gather", "one number", [[2, 4, 3]], { axis: int(-2) }, { after: ["i"], constants: [int64("i", [2], [])] }),
  single(
    "GatherElements",
    "duplicates",
    [[3, 3]],
    { axis: int(0) },
    { after: ["i"], constants: [int64("i", [0, 2, 2, 0, 1, 2], [2, 3])] },
  ),
  single("Expand", "to higher rank", [[3, 1]], {}, { after: ["s"], constants: [int64("s", [2, 3, 4])] }),
  single("Tile", "two axes", [[2, 3]], {}, { after: ["r"], constants: [int64("r", [2, 3])] }),
  {
    operator: "Cast",
    title: "there and back",
    inputs: { x: [2, 3] },
    dtype: "float32",
    nodes: [node("Cast", ["x"], ["d"], { to: int(11) }), node("Cast", ["d"], ["y"], { to: int(1) })],
  },
  single("Identity", "plain", [[2, 3]]),
  {
    operator: "Add",
    title: "a value used three times",
    inputs: { x: [2, 3] },
    nodes: [node("Mul", ["x", "x"], ["s"]), node("Add", ["s", "x"], ["y"])],
  },
];

const reductionsTable: Case[] = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceSumSquare",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSumExp",
].flatMap((operator) => [
  single(operator, "two axes kept", [[2, 3, 4]], {}, { ...distinct, after: ["a"], constants: [int64("a", [0, -1])] }),
  single(
    operator,
    "one axis dropped",
    [[2, 3, 4]],
    { keepdims: int(0) },
    { ...distinct, after: ["a"], constants: [int64("a", [1])] },
  ),
  single(operator, "all axes", [[2, 3]], { keepdims: int(0) }, distinct),
]);

const cases = [
  ...arithmetic,
  ...activations,
  ...matrices,
  ...convolutions,
  ...pools,
  ...normalizations,
  ...movements,
  ...reductionsTable,
];

describe("a gradient rule agrees with central differences", () => {
  test.each(cases.map((sample) => [`${sample.operator}: ${sample.title}`, sample] as const))(
    "%s",
    async (_, sample) => {
      expect(await gradientError(sample)).toBeLessThan(sample.dtype === "float32" ? 6e-3 : 1e-7);
    },
  );
});

test("every operator with a rule has a case", () => {
  const flat = ["Ceil", "Floor", "Round", "Sign"];
  const straightThrough = ["QuantizeLinear", "DequantizeLinear"]; // a rounding has no finite difference: see quantization.test.ts
  const covered = new Set([...cases.map(({ operator }) => operator), ...flat, ...straightThrough]);
  expect(differentiableOperators().filter((operator) => !covered.has(operator))).toEqual([]);
});
