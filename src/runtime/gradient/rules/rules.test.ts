// Every gradient rule against central finite differences, in float64 where ONNX Runtime has the kernels; depends on its room and vitest.
import { describe, expect, test } from "vitest";
import { float, int, ints, string } from "../../../model/attributes.ts";
import { node } from "../../../model/build.ts";
import type { Attribute } from "../../../model/graph.ts";
import { memoryTensor } from "../../../model/tensor-data.ts";
import { gradientError, int64, single, tensor, type Case } from "./finite-differences.ts";
import { differentiableOperators } from "./index.ts";
import { movement } from "./movement.ts";
import { quantization } from "./quantization.ts";
import { reductions } from "./reduction.ts";

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

const cases = [...arithmetic, ...activations, ...matrices, ...convolutions, ...pools, ...normalizations];

describe("a gradient rule agrees with central differences", () => {
  test.each(cases.map((sample) => [`${sample.operator}: ${sample.title}`, sample] as const))(
    "%s",
    async (_, sample) => {
      expect(await gradientError(sample)).toBeLessThan(sample.dtype === "float32" ? 6e-3 : 1e-7);
    },
  );
});

test("every operator with a rule has a case", () => {
  const elsewhere = [...Object.keys(movement), ...Object.keys(reductions)]; // movement.test.ts
  const straightThrough = Object.keys(quantization); // a rounding has no finite difference: see quantization.test.ts
  const flat = ["Ceil", "Floor", "Round", "Sign"];
  const covered = new Set([...cases.map(({ operator }) => operator), ...elsewhere, ...straightThrough, ...flat]);
  expect(differentiableOperators().filter((operator) => !covered.has(operator))).toEqual([]);
});
