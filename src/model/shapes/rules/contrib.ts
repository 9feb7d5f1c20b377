// Shape rules of ONNX Runtime's own operators (domain com.microsoft); may depend on the call and the standard rules.
import { intAttribute, intsAttribute } from "../../attributes.ts";
import {
  axisIn,
  broadcast,
  cannotTell,
  dtypeOf,
  hasInput,
  sameAsInput,
  sameSize,
  shapeOf,
  shapeOfRank,
  tensor,
  tensorOf,
  withLast,
  type OperatorCall,
  type RuleTable,
  type ShapeRule,
  type Sizes,
} from "../call.ts";
import { add, floorDivide, multiply, type Size } from "../expression.ts";
import { CONVOLUTION, channelsLastConvolution, convolution, globalPooling, pooling } from "./convolution.ts";
import { each, ELEMENTWISE } from "./elementwise.ts";
import { gemm, MATMUL, matrixProduct, transposableProduct } from "./matmul.ts";
import { MOVEMENT } from "./movement.ts";
import { dequantize, layerNormalization, quantize } from "./normalization.ts";
import { reduction } from "./reduction.ts";

/** Weights of `MatMulNBits` and `MatMulBnb4` are packed: their logical `[K, N]` stands in the attributes. */
const packedProduct: ShapeRule = (call) => {
  const data = shapeOfRank(call, 0, 1, true);
  const [depth, columns] = [intAttribute(call.node, "K", 0), intAttribute(call.node, "N", 0)];
  sameSize(data.at(-1)!, depth, "inner sizes of the data and the packed weight");
  return [tensor(dtypeOf(call, 0), withLast(data, columns))];
};

/** Logical sizes of block-quantized rows: below 8 bits a uint8 tensor holds several values per element of its last axis. */
export function blockQuantizedShape(call: OperatorCall): Sizes {
  const data = shapeOf(call, 0);
  const perElement = dtypeOf(call, 0) === "uint8" ? 8 / intAttribute(call.node, "bits", 4) : 1;
  return withLast(data, multiply(data.at(-1)!, perElement));
}

const gatherBlocks: ShapeRule = (call) => {
  const data = blockQuantizedShape(call);
  const axis = axisIn(intAttribute(call.node, "gather_axis", 0), data.length);
  return [tensor(dtypeOf(call, 2), [...data.slice(0, axis), ...shapeOf(call, 1), ...data.slice(axis + 1)])];
};

const quantizedGemm: ShapeRule = (call) => gemm(0, 3, () => (hasInput(call, 8) ? dtypeOf(call, 8) : "float32"))(call);

const quantizedPair: ShapeRule = (call) => [tensor(dtypeOf(call, 0), broadcast(shapeOf(call, 0), shapeOf(call, 3)))];

/** Inputs: scale and zero point of the result, then tensor, scale and zero point of each part. */
const quantizedConcat: ShapeRule = (call) => {
  const parts = Array.from({ length: Math.floor((call.node.inputs.length - 2) / 3) }, (_, i) =>
    shapeOf(call, 2 + 3 * i),
  );
  const axis = axisIn(intAttribute(call.node, "axis", 1), parts[0].length);
  const total = parts.map((shape) => shape[axis]).reduce<Size>(add, 0);
  return [tensor(dtypeOf(call, 2), parts[0].with(axis, total))];
};

const quantizedWhere: ShapeRule = (call) => [
  tensor(dtypeOf(call, 1), broadcast(shapeOf(call, 0), shapeOf(call, 1), shapeOf(call, 4))),
];

/** Outputs: result, mean, inverse deviation, sum of input, skip and bias. */
const skipNormalization: ShapeRule = (call) => {
  const data = tensorOf(call, 0);
  const statistics = tensor("float32", withLast(shapeOf(call, 0), 1));
  return [data, statistics, statistics, data];
};

const embedding: ShapeRule = (call) => {
  const [batch, length] = shapeOfRank(call, 0, 2) as [Size, Size];
  const words = shapeOf(call, 2);
  const result = tensor(dtypeOf(call, 2), [batch, length, words[1]]);
  return [result, tensor("int32", [batch]), result];
};

/** `Attention` of com.microsoft: one weight `[in, q+k+v]` for all three projections. */
const packedAttention: ShapeRule = (call) => {
  const [batch, length] = shapeOfRank(call, 0, 3) as [Size, Size, Size];
  const packed = shapeOf(call, 1)[1];
  const heads = intAttribute(call.node, "num_heads", 1);
  const sizes = intsAttribute(call.node, "qkv_hidden_sizes");
  const valueWidth: Size = sizes?.[2] ?? floorDivide(packed, 3);
  const past = hasInput(call, 4) && call.node.opType === "Attention" ? shapeOf(call, 4)[3] : 0;
  const present = [2, batch, heads, add(past, length), floorDivide(valueWidth, heads)];
  const dtype = call.node.opType === "QAttention" ? dtypeOf(call, 3) : dtypeOf(call, 0);
  return [tensor(dtype, [batch, length, valueWidth]), tensor(dtype, present)];
};

/** Sizes of `MultiHeadAttention`: query `[B, S, h]`, key and value `[B, L, h]` or, as cross attention, `[B, heads, L, d]`. */
export function multiHeadSizes(call: OperatorCall) {
  const heads = intAttribute(call.node, "num_heads", 1);
  const query = shapeOf(call, 0);
  const packed = query.length === 5;
  const width = packed ? multiply(query[2], query[4]) : query[2];
  const key = hasInput(call, 1) ? shapeOf(call, 1) : query;
  const value = hasInput(call, 2) ? shapeOf(call, 2) : undefined;
  const past = hasInput(call, 6) ? shapeOf(call, 6)[2] : 0;
  const valueSize =
    value === undefined || value.length !== 3 ? (value?.[3] ?? undefined) : floorDivide(value[2], heads);
  return {
    batch: query[0],
    queryHeads: heads as Size,
    keyHeads: heads as Size,
    queryLength: query[1],
    keyLength: add(key.length === 4 ? key[2] : key[1], past),
    headSize: floorDivide(width, heads),
    valueSize: valueSize ?? floorDivide(width, heads),
  };
}

const multiHead: ShapeRule = (call) => {
  const s = multiHeadSizes(call);
  const dtype = dtypeOf(call, 0);
  return [
    tensor(dtype, [s.batch, s.queryLength, multiply(s.queryHeads, s.valueSize)]),
    tensor(dtype, [s.batch, s.keyHeads, s.keyLength, s.headSize]),
    tensor(dtype, [s.batch, s.keyHeads, s.keyLength, s.valueSize]),
  ];
};

/** Sizes of `GroupQueryAttention`: query `[B, S, heads·d]`, or all of query, key and value in one tensor. */
export function groupQuerySizes(call: OperatorCall) {
  const [batch, length, width] = shapeOfRank(call, 0, 3) as [Size, Size, Size];
  const heads = intAttribute(call.node, "num_heads", 1);
  const keyHeads = intAttribute(call.node, "kv_num_heads", heads);
  const headSize = floorDivide(width, hasInput(call, 1) ? heads : heads + 2 * keyHeads);
  const past = hasInput(call, 3) ? shapeOf(call, 3)[2] : 0;
  const total = call.values[6]?.elements[0];
  return {
    batch,
    queryHeads: heads as Size,
    keyHeads: keyHeads as Size,
    queryLength: length,
    keyLength: total ?? add(past, length),
    headSize,
    valueSize: headSize,
  };
}

const groupQuery: ShapeRule = (call) => {
  const s = groupQuerySizes(call);
  const dtype = dtypeOf(call, 0);
  const cache = tensor(dtype, [s.batch, s.keyHeads, s.keyLength, s.headSize]);
  return [tensor(dtype, [s.batch, s.queryLength, multiply(s.queryHeads, s.headSize)]), cache, cache];
};

/** The quantized recurrent weight is `[directions, hidden, 4·hidden]`, transposed against the standard operator. */
const quantizedRecurrent: ShapeRule = (call) => {
  const [sequence, batch] = shapeOfRank(call, 0, 3) as [Size, Size, Size];
  const [directions, hidden] = shapeOfRank(call, 2, 3) as [Size, Size, Size];
  const state = tensor(dtypeOf(call, 0), [directions, batch, hidden]);
  return [tensor(dtypeOf(call, 0), [sequence, directions, batch, hidden]), state, state];
};

const splitGelu: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  return [tensor(dtypeOf(call, 0), withLast(data, floorDivide(data.at(-1)!, 2)))];
};

const distances: ShapeRule = (call) => [tensor(dtypeOf(call, 0), [shapeOf(call, 0)[0], shapeOf(call, 1)[0]])];

const uniqueValues: ShapeRule = (call) => {
  const count = call.fresh(0, 0);
  return [tensor(dtypeOf(call, 0), [count]), tensor("int64", shapeOf(call, 0)), tensor("int64", [count])];
};

const spectrum: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  if (call.node.opType === "Rfft") {
    return [tensor(dtypeOf(call, 0), [...data.slice(0, -1), add(floorDivide(data.at(-1)!, 2), 1), 2])];
  }
  return [tensor(dtypeOf(call, 0), [...data.slice(0, -2), multiply(add(data.at(-2)!, -1), 2)])];
};

const channelsLastPooling: ShapeRule = (call) => {
  const attributes = new Map(call.node.attributes).set("channels_last", { type: "int", value: 1n });
  return pooling({ ...call, node: { ...call.node, attributes } });
};

const quantizedConvolution: ShapeRule = (call) => {
  if (intAttribute(call.node, "channels_last", 0) === 0) return CONVOLUTION["QLinearConv"](call);
  const [result] = channelsLastConvolution({
    ...call,
    inputs: [call.inputs[0], call.inputs[3]],
    node: { ...call.node, inputs: [call.node.inputs[0], call.node.inputs[3]] },
  });
  if (result?.kind !== "tensor") throw cannotTell("the convolution's result is unknown");
  return [{ ...result, dtype: dtypeOf(call, 7) }];
};

export const CONTRIB: RuleTable = {
  ...each(
    "Gelu FastGelu QuickGelu BiasGelu BiasAdd BiasSoftmax Inverse RotaryEmbedding GemmaRotaryEmbedding",
    sameAsInput,
  ),
  ...each("GroupNorm MoE QMoE QLinearSigmoid QLinearLeakyRelu QLinearSoftmax", sameAsInput),
  ...each("SkipLayerNormalization SkipSimplifiedLayerNormalization", skipNormalization),
  ...each("SkipGroupNorm", (call) => [tensorOf(call, 0), tensorOf(call, 0)]),
  ...each("LayerNormalization SimplifiedLayerNormalization", layerNormalization),
  ...each("QLinearAdd QLinearMul", quantizedPair),
  ...each("Rfft Irfft", spectrum),
  Attention: packedAttention,
  QAttention: packedAttention,
  MultiHeadAttention: multiHead,
  GroupQueryAttention: groupQuery,
  EmbedLayerNormalization: embedding,
  BiasDropout: ELEMENTWISE["Dropout"],
  BiasSplitGelu: splitGelu,
  FusedConv: convolution(0, 1),
  NhwcFusedConv: channelsLastConvolution,
  NhwcConv: channelsLastConvolution,
  NhwcMaxPool: channelsLastPooling,
  QLinearConv: quantizedConvolution,
  QLinearAveragePool: pooling,
  QLinearGlobalAveragePool: globalPooling,
  QLinearConcat: quantizedConcat,
  QLinearReduceMean: reduction,
  QLinearWhere: quantizedWhere,
  FusedGemm: gemm(0, 1, (call) => dtypeOf(call, 0)),
  FusedMatMul: transposableProduct,
  FusedMatMulActivation: transposableProduct,
  TransposeMatMul: transposableProduct,
  MatMulNBits: packedProduct,
  MatMulBnb4: packedProduct,
  DynamicQuantizeMatMul: matrixProduct(0, 1, (call) => dtypeOf(call, 0)),
  MatMulInteger16: matrixProduct(0, 1, () => "int32"),
  MatMulIntegerToFloat: matrixProduct(0, 1, (call) => dtypeOf(call, 2)),
  QGemm: quantizedGemm,
  GatherBlockQuantized: gatherBlocks,
  DynamicQuantizeLSTM: quantizedRecurrent,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  CDist: distances,
  Unique: uniqueValues,
  Pad: MOVEMENT["Pad"],
  Trilu: sameAsInput,
  GatherND: MOVEMENT["GatherND"],
  ExpandDims: (call) => {
    const at = call.values[1]?.elements[0];
    if (typeof at !== "number") throw cannotTell("the new axis comes from data");
    const data = shapeOf(call, 0);
    return [tensor(dtypeOf(call, 0), data.toSpliced(axisIn(at, data.length + 1), 0, 1))];
  },
  Einsum: MATMUL["Einsum"],
};
