// Shape rules of operators that the corpus models lack, against what ONNX Runtime makes of one node; crosses model and runtime.
import { expect, test } from "vitest";
import { float, int, ints, string } from "../src/model/attributes.ts";
import { model, node, tensorInfo } from "../src/model/build.ts";
import type { DType } from "../src/model/dtype.ts";
import type { Attribute } from "../src/model/graph.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { inferShapes, shapeOf } from "../src/model/shapes/infer.ts";
import { memoryTensor } from "../src/model/tensor-data.ts";
import type { NumericArray, TensorValue } from "../src/model/tensor-value.ts";
import { openSession } from "../src/runtime/session.ts";

const ARRAYS = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

/** A tensor of equal elements. */
function filled(dtype: DType, shape: readonly number[], value = 1): TensorValue {
  const count = shape.reduce((product, size) => product * size, 1);
  const data: NumericArray =
    dtype === "int64"
      ? new BigInt64Array(count).fill(BigInt(value))
      : new ARRAYS[dtype as keyof typeof ARRAYS](count).fill(value);
  return { dtype, shape, data };
}
const f = (...shape: number[]) => filled("float32", shape);
const integers = (values: readonly number[], shape = [values.length]): TensorValue => ({
  dtype: "int64",
  shape,
  data: BigInt64Array.from(values, BigInt),
});
const scale = filled("float32", [], 1);
const u8 = (...shape: number[]) => filled("uint8", shape);
const i8 = (...shape: number[]) => filled("int8", shape);
const zero = filled("uint8", [], 0);

/** Inputs in order, undefined for one left out; `constants` are the positions that the model stores. */
interface Case {
  readonly op: string;
  readonly inputs: readonly (TensorValue | undefined)[];
  readonly attributes?: Record<string, Attribute>;
  readonly outputs?: number;
  readonly constants?: readonly number[];
  readonly opset?: number;
}

const STANDARD: readonly Case[] = [
  { op: "Attention", inputs: [f(2, 4, 3, 8), f(2, 2, 5, 8), f(2, 2, 5, 6)] },
  {
    op: "Attention",
    inputs: [f(2, 3, 32), f(2, 5, 16), f(2, 5, 16), undefined, f(2, 2, 4, 8), f(2, 2, 4, 8)],
    attributes: { q_num_heads: int(4), kv_num_heads: int(2) },
    outputs: 3,
  },
  { op: "RotaryEmbedding", inputs: [f(2, 4, 3, 8), f(2, 3, 4), f(2, 3, 4)] },
  { op: "RMSNormalization", inputs: [f(2, 3, 8), f(8)], attributes: { axis: int(-1) } },
  { op: "LayerNormalization", inputs: [f(2, 3, 8), f(8), f(8)], attributes: { axis: int(-1) }, outputs: 3 },
  { op: "GroupNormalization", inputs: [f(2, 6, 5), f(6), f(6)], attributes: { num_groups: int(3) } },
  { op: "Gelu", inputs: [f(2, 3)], attributes: { approximate: string("tanh") } },
  { op: "Einsum", inputs: [f(2, 3, 4, 5), f(2, 3, 6, 5)], attributes: { equation: string("bhqd,bhkd->bhqk") } },
  { op: "Trilu", inputs: [f(2, 4, 4)], attributes: { upper: int(0) } },
  { op: "ScatterND", inputs: [f(4, 5), integers([0, 2], [2, 1]), f(2, 5)] },
  { op: "ScatterElements", inputs: [f(3, 3), integers([0, 1, 2], [1, 3]), f(1, 3)] },
  { op: "GatherND", inputs: [f(2, 3, 4), integers([0, 1], [2, 1])], attributes: { batch_dims: int(1) } },
  { op: "TopK", inputs: [f(2, 7), integers([3])], constants: [1], outputs: 2 },
  { op: "CumSum", inputs: [f(2, 7), integers([1], [])], constants: [1] },
  { op: "OneHot", inputs: [integers([1, 2]), integers([6], []), f(2)], constants: [1] },
  {
    op: "MaxUnpool",
    inputs: [f(1, 1, 2, 2), integers([0, 3, 8, 15], [1, 1, 2, 2])],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  },
  {
    op: "SoftmaxCrossEntropyLoss",
    inputs: [f(3, 5), integers([0, 1, 2])],
    attributes: { reduction: string("none") },
    outputs: 2,
  },
  {
    op: "ConvTranspose",
    inputs: [f(1, 4, 5, 7), f(4, 3, 3, 2)],
    attributes: {
      strides: ints([2, 3]),
      group: int(2),
      output_padding: ints([1, 0]),
      dilations: ints([1, 2]),
      pads: ints([1, 0, 1, 1]),
    },
  },
  {
    op: "ConvTranspose",
    inputs: [f(1, 2, 4, 4), f(2, 3, 3, 3)],
    attributes: { strides: ints([2, 2]), auto_pad: string("SAME_UPPER") },
  },
  {
    op: "AveragePool",
    inputs: [f(1, 2, 7, 8)],
    attributes: { kernel_shape: ints([3, 2]), strides: ints([2, 3]), ceil_mode: int(1), pads: ints([1, 0, 1, 0]) },
  },
  {
    op: "MaxPool",
    inputs: [f(1, 2, 9)],
    attributes: { kernel_shape: ints([3]), strides: ints([2]), dilations: ints([2]), ceil_mode: int(1) },
    outputs: 2,
  },
  {
    op: "Resize",
    inputs: [f(1, 2, 6, 9), undefined, undefined, integers([4, 4])],
    constants: [3],
    attributes: { axes: ints([2, 3]), keep_aspect_ratio_policy: string("not_larger"), mode: string("linear") },
  },
  { op: "Split", inputs: [f(7, 2)], attributes: { num_outputs: int(3) }, outputs: 3 },
  { op: "GridSample", inputs: [f(1, 2, 4, 4), f(1, 5, 6, 2)], attributes: { mode: string("linear") } },
  {
    op: "LSTM",
    inputs: [f(5, 2, 3), f(2, 16, 3), f(2, 16, 4)],
    attributes: { hidden_size: int(4), direction: string("bidirectional") },
    outputs: 3,
  },
  { op: "GRU", inputs: [f(5, 2, 3), f(1, 12, 3), f(1, 12, 4)], attributes: { hidden_size: int(4) }, outputs: 2 },
  { op: "MatMul", inputs: [f(3), f(2, 3, 4)] },
  { op: "QLinearMatMul", inputs: [u8(2, 3), scale, zero, u8(3, 4), scale, zero, scale, zero] },
  { op: "ConvInteger", inputs: [u8(1, 2, 5, 5), u8(3, 2, 3, 3)] },
  { op: "DynamicQuantizeLinear", inputs: [f(2, 3)], outputs: 3 },
  { op: "DequantizeLinear", inputs: [i8(4, 6), f(2, 6)], attributes: { axis: int(0), block_size: int(2) } },
  {
    op: "Col2Im",
    inputs: [f(1, 12, 9), integers([5, 5]), integers([2, 2])],
    constants: [1, 2],
    attributes: { strides: ints([2, 2]), pads: ints([0, 0, 1, 1]) },
  },
  {
    op: "DFT",
    inputs: [f(1, 8, 3, 1), undefined, integers([1], [])],
    constants: [2],
    attributes: { onesided: int(1) },
  },
  { op: "STFT", inputs: [f(1, 64, 1), integers([8], []), f(16), integers([16], [])], constants: [1, 3] },
];

const CONTRIB: readonly Case[] = [
  {
    op: "MatMulNBits",
    inputs: [f(2, 3, 64), u8(8, 2, 16), f(8, 2)],
    constants: [1, 2],
    attributes: { K: int(64), N: int(8), bits: int(4), block_size: int(32) },
  },
  { op: "DynamicQuantizeMatMul", inputs: [f(2, 3), u8(3, 4), scale, zero], constants: [1, 2, 3] },
  { op: "MatMulIntegerToFloat", inputs: [u8(2, 3), u8(3, 4), scale, scale, zero, zero], constants: [1] },
  { op: "QGemm", inputs: [u8(2, 3), scale, zero, u8(3, 4), scale, zero], constants: [3] },
  {
    op: "QGemm",
    inputs: [u8(2, 3), scale, zero, u8(4, 3), scale, zero, undefined, scale, zero],
    constants: [3],
    attributes: { transB: int(1) },
  },
  {
    op: "GatherBlockQuantized",
    inputs: [u8(5, 16), integers([1, 3]), f(5, 1), u8(5, 1)],
    constants: [0, 2, 3],
    attributes: { bits: int(4), block_size: int(32), gather_axis: int(0), quantize_axis: int(1) },
  },
  { op: "QLinearAdd", inputs: [u8(2, 3), scale, zero, u8(3), scale, zero, scale, zero] },
  { op: "QLinearMul", inputs: [u8(2, 1), scale, zero, u8(3), scale, zero, scale, zero] },
  { op: "QLinearSigmoid", inputs: [u8(2, 3), scale, zero, scale, zero], constants: [1, 2, 3, 4] },
  {
    op: "QLinearConcat",
    inputs: [scale, zero, u8(2, 3), scale, zero, u8(2, 4), scale, zero],
    constants: [0, 1, 3, 4, 6, 7],
    attributes: { axis: int(1) },
  },
  {
    op: "QLinearAveragePool",
    inputs: [u8(1, 2, 6, 6), scale, zero, scale, zero],
    attributes: { kernel_shape: ints([3, 3]), strides: ints([2, 2]) },
  },
  { op: "QLinearGlobalAveragePool", inputs: [u8(1, 2, 6, 6), scale, zero, scale, zero], constants: [1, 2, 3, 4] },
  { op: "FusedConv", inputs: [f(1, 2, 6, 6), f(4, 2, 3, 3), f(4)], attributes: { activation: string("Relu") } },
  { op: "FusedGemm", inputs: [f(2, 3), f(4, 3), f(4)], attributes: { transB: int(1), activation: string("Relu") } },
  { op: "FusedMatMul", inputs: [f(2, 4, 3), f(2, 4, 5)], attributes: { transA: int(1), alpha: float(0.5) } },
  { op: "Gelu", inputs: [f(2, 3)] },
  { op: "FastGelu", inputs: [f(2, 3), f(3)] },
  { op: "BiasGelu", inputs: [f(2, 3), f(3)] },
  { op: "SkipLayerNormalization", inputs: [f(2, 3, 8), f(2, 3, 8), f(8), f(8)] },
  {
    op: "EmbedLayerNormalization",
    inputs: [filled("int32", [2, 3]), filled("int32", [2, 3]), f(9, 8), f(5, 8), f(2, 8), f(8), f(8)],
    outputs: 2,
  },
  { op: "Attention", inputs: [f(2, 3, 8), f(8, 24), f(24)], attributes: { num_heads: int(2) } },
  { op: "MultiHeadAttention", inputs: [f(2, 3, 8), f(2, 5, 8), f(2, 5, 8)], attributes: { num_heads: int(2) } },
  {
    op: "GroupQueryAttention",
    inputs: [
      f(1, 3, 32),
      f(1, 3, 16),
      f(1, 3, 16),
      undefined,
      undefined,
      filled("int32", [1], 2),
      filled("int32", [1], 3),
    ],
    constants: [6],
    attributes: { num_heads: int(4), kv_num_heads: int(2) },
    outputs: 3,
  },
  { op: "CDist", inputs: [f(3, 4), f(5, 4)], attributes: { metric: string("sqeuclidean") } },
];

/** Shapes of a node's outputs: as inferred, and as ONNX Runtime makes them. */
async function bothShapes(one: Case, domain: string) {
  const names = one.inputs.map((value, i) => (value === undefined ? "" : `in${i}`));
  const outputs = Array.from({ length: one.outputs ?? 1 }, (_, i) => `out${i}`);
  const stored = new Set(one.constants);
  const present = one.inputs.flatMap((value, i) => (value === undefined ? [] : [{ name: `in${i}`, value, i }]));
  const fed = present.filter(({ i }) => !stored.has(i));
  const built = model(
    {
      nodes: [node(one.op, names, outputs, one.attributes, { domain })],
      inputs: fed.map(({ name, value }) => tensorInfo(name, value.dtype, value.shape)),
      outputs: outputs.map((name) => ({ name, type: undefined })),
      initializers: present.filter(({ i }) => stored.has(i)).map(({ name, value }) => memoryTensor(name, value)),
    },
    { "": one.opset ?? 23, "com.microsoft": 1 },
    { irVersion: 11 },
  );
  const inference = await inferShapes(built);
  const session = await openSession(await serializeOnnx(built), { graphOptimization: "disabled", threads: 1 });
  try {
    const results = await session.run(Object.fromEntries(fed.map(({ name, value }) => [name, value])));
    const describe = (name: string) => {
      const type = inference.root.types.get(name);
      return { shape: shapeOf(inference, built.graph, name), dtype: type?.kind === "tensor" ? type.dtype : undefined };
    };
    return {
      inferred: outputs.map(describe),
      made: outputs.map((name) => ({ shape: results[name]?.shape, dtype: results[name]?.dtype })),
    };
  } finally {
    await session.close();
  }
}

test.each(STANDARD)("$op gives the shapes and types that ONNX Runtime makes", async (one) => {
  const { inferred, made } = await bothShapes(one, "");
  expect(inferred).toEqual(made);
});

test.each(CONTRIB)("com.microsoft $op gives the shapes and types that ONNX Runtime makes", async (one) => {
  const { inferred, made } = await bothShapes(one, "com.microsoft");
  expect(inferred).toEqual(made);
});
