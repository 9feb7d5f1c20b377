// Multiply-adds and arithmetic of one operator application from its shapes; may depend on model.
import { floatAttribute, intAttribute, stringAttribute } from "../model/attributes.ts";
import type { Node } from "../model/graph.ts";
import { elementCount } from "../model/tensor-value.ts";

/** What one run of a node computes. `flops` = 2 · macs + 1 per element that an arithmetic operator works on. */
export interface Work {
  readonly macs: number;
  readonly flops: number;
}

/** A node with concrete shapes; undefined where an optional value is left out. */
export interface ShapedNode {
  readonly node: Node;
  readonly inputs: readonly (readonly number[] | undefined)[];
  readonly outputs: readonly (readonly number[] | undefined)[];
}

type Rule = (shaped: ShapedNode) => Work;

const multiplyAdds = (macs: number): Work => ({ macs, flops: 2 * macs });
const arithmetic = (flops: number): Work => ({ macs: 0, flops });

function need(shapes: ShapedNode["inputs"], index: number): readonly number[] {
  const shape = shapes[index];
  // The caller has made sure that every value present has a shape: this one is missing from the file.
  if (shape === undefined) throw new RangeError(`value ${index} is missing`);
  return shape;
}

const last = (shape: readonly number[], back = 1): number => shape[shape.length - back] ?? 1;
const outputElements = ({ outputs }: ShapedNode): number => elementCount(need(outputs, 0));

/** Y[…, M, N] = A[…, M, K] · B[…, K, N]: K multiply-adds for each element of Y. */
const matMul: Rule = (shaped) => multiplyAdds(outputElements(shaped) * last(need(shaped.inputs, 0)));

const fusedMatMul: Rule = (shaped) => {
  const a = need(shaped.inputs, 0);
  return multiplyAdds(outputElements(shaped) * last(a, intAttribute(shaped.node, "transA", 0) === 1 ? 2 : 1));
};

const gemm: Rule = (shaped) => {
  const a = need(shaped.inputs, 0);
  return multiplyAdds(outputElements(shaped) * (a[intAttribute(shaped.node, "transA", 0) === 1 ? 0 : 1] ?? 1));
};

/** Each output element sums over Cin/group · kernel; weights are [Cout, Cin/group, kernel…]. */
const convolution =
  (weightIndex: number): Rule =>
  (shaped) =>
    multiplyAdds(outputElements(shaped) * elementCount(need(shaped.inputs, weightIndex).slice(1)));

/** Each input element is spread over Cout/group · kernel; weights are [Cin, Cout/group, kernel…]. */
const transposedConvolution: Rule = ({ inputs }) =>
  multiplyAdds(elementCount(need(inputs, 0)) * elementCount(need(inputs, 1).slice(1)));

/** For every combination of all labels one product of the operands: size of the label space · (operands − 1). */
const einsum: Rule = (shaped) => {
  const [terms = ""] = stringAttribute(shaped.node, "equation", "").replaceAll(/\s/g, "").split("->");
  const sizes = new Map<string, number>();
  terms.split(",").forEach((term, operand) => {
    const shape = need(shaped.inputs, operand);
    const labels = [...term.replace("...", "")];
    const dots = term.indexOf("...");
    const hidden = shape.length - labels.length;
    const names =
      dots < 0
        ? labels
        : [
            ...labels.slice(0, dots),
            ...Array.from({ length: hidden }, (_, i) => `…${hidden - i}`),
            ...labels.slice(dots),
          ];
    names.forEach((name, axis) => sizes.set(name, Math.max(sizes.get(name) ?? 1, shape[axis] ?? 1)));
  });
  const combinations = elementCount([...sizes.values()]);
  const operands = shaped.inputs.length;
  return operands < 2 ? arithmetic(combinations - outputElements(shaped)) : multiplyAdds(combinations * (operands - 1));
};

/** gates · hidden · (input + hidden) per step, sample and direction; X is [seq, batch, input], W [dirs, gates·hidden, input]. */
const recurrent =
  (gates: number): Rule =>
  ({ node, inputs }) => {
    const x = need(inputs, 0);
    const recurrence = need(inputs, 2);
    const directions = recurrence[0] ?? 1;
    const hidden = intAttribute(node, "hidden_size", last(recurrence));
    const steps = (x[0] ?? 1) * (x[1] ?? 1);
    return multiplyAdds(steps * directions * gates * hidden * (last(x) + hidden));
  };

/** Standard Attention (opset 23): Q [batch, heads, S, D] or [batch, S, heads·D]; scores and weighted sum. */
const attention: Rule = ({ node, inputs }) => {
  const query = need(inputs, 0);
  const key = need(inputs, 1);
  const value = need(inputs, 2);
  const past = inputs[4] === undefined ? 0 : last(inputs[4], 2);
  if (query.length === 4) {
    const rows = elementCount(query.slice(0, 3));
    return multiplyAdds(rows * (last(key, 2) + past) * (last(query) + last(value)));
  }
  const heads = intAttribute(node, "q_num_heads", 1);
  const valueHeads = intAttribute(node, "kv_num_heads", heads);
  const rows = (query[0] ?? 1) * (query[1] ?? 1);
  return multiplyAdds(rows * ((key[1] ?? 1) + past) * (last(query) + (last(value) / valueHeads) * heads));
};

/** com.microsoft Attention: X [batch, S, in] through W [in, 3·hidden], then scores and weighted sum. */
const packedAttention: Rule = (shaped) => {
  const x = need(shaped.inputs, 0);
  const weights = need(shaped.inputs, 1);
  const rows = (x[0] ?? 1) * (x[1] ?? 1);
  const hidden = last(need(shaped.outputs, 0));
  return multiplyAdds(rows * elementCount(weights) + 2 * rows * (x[1] ?? 1) * hidden);
};

/** com.microsoft MultiHeadAttention: projections are outside; scores and weighted sum only. */
const multiHeadAttention: Rule = ({ inputs, outputs }) => {
  const query = need(inputs, 0);
  const key = inputs[1] ?? query;
  const rows = (query[0] ?? 1) * (query[1] ?? 1);
  return multiplyAdds(2 * rows * last(key, key.length === 4 ? 2 : key.length - 1) * last(need(outputs, 0)));
};

/** Weights packed blockwise: K and N are attributes. */
const packedMatMul: Rule = (shaped) => multiplyAdds(outputElements(shaped) * intAttribute(shaped.node, "K", 0));

const perOutput: Rule = (shaped) => arithmetic(outputElements(shaped));
const perInput: Rule = ({ inputs }) => arithmetic(elementCount(need(inputs, 0)));
const nothing: Rule = () => ({ macs: 0, flops: 0 });

/** One operation for each element of each window. */
const window: Rule = (shaped) => {
  const kernel = shaped.node.attributes.get("kernel_shape");
  const size = kernel?.type === "ints" ? kernel.value.reduce((product, extent) => product * Number(extent), 1) : 1;
  return arithmetic(outputElements(shaped) * size);
};

/** Interpolation computes; nearest neighbor moves. */
const resize: Rule = (shaped) =>
  stringAttribute(shaped.node, "mode", "nearest") === "nearest" ? nothing(shaped) : perOutput(shaped);

/** Inference passes through; only an active mask computes. */
const dropout: Rule = (shaped) =>
  floatAttribute(shaped.node, "ratio", 0) > 0 && shaped.inputs[2] ? perOutput(shaped) : nothing(shaped);

const each = (names: string, rule: Rule): [string, Rule][] => names.split(/\s+/).map((name) => [name, rule]);

const RULES = new Map<string, Rule>([
  ...each("MatMul MatMulInteger QLinearMatMul MatMulIntegerToFloat DynamicQuantizeMatMul", matMul),
  ...each("FusedMatMul TransposeMatMul", fusedMatMul),
  ...each("Gemm FusedGemm QGemm", gemm),
  ...each("Conv ConvInteger FusedConv NhwcFusedConv", convolution(1)),
  ...each("QLinearConv NhwcQLinearConv", convolution(3)),
  ...each("ConvTranspose", transposedConvolution),
  ...each("Einsum", einsum),
  ...each("MatMulNBits MatMulBnb4", packedMatMul),
  ...each("LSTM DynamicQuantizeLSTM", recurrent(4)),
  ...each("GRU", recurrent(3)),
  ...each("RNN", recurrent(1)),
  ["Attention", attention],
  ["com.microsoft:Attention", packedAttention],
  ["com.microsoft:MultiHeadAttention", multiHeadAttention],

  ...each(
    `Abs Acos Acosh Add Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitShift Ceil Celu Clip Cos Cosh
    CumSum CumProd DequantizeLinear Div DynamicQuantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish HardTanh LeakyRelu Log
    Max Mean Min Mish Mod Mul Neg Pow PRelu QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh
    Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu BiasGelu FastGelu QuickGelu
    QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu`,
    perOutput,
  ),
  ...each(
    `BatchNormalization GroupNormalization InstanceNormalization LayerNormalization LogSoftmax LpNormalization LRN
    MeanVarianceNormalization RMSNormalization Softmax Hardmax SkipLayerNormalization SimplifiedLayerNormalization
    SkipSimplifiedLayerNormalization EmbedLayerNormalization RotaryEmbedding QLinearSoftmax GridSample RoiAlign`,
    perOutput,
  ),
  ...each(
    `ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    GlobalAveragePool GlobalMaxPool GlobalLpPool QLinearGlobalAveragePool SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss`,
    perInput,
  ),
  ...each("AveragePool MaxPool LpPool QLinearAveragePool", window),
  ...each("Resize Upsample", resize),
  ["Dropout", dropout],

  ...each(
    `And ArgMax ArgMin Bernoulli Cast CastLike Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape DepthToSpace
    Equal Expand EyeLike Flatten Gather GatherElements GatherND Greater GreaterOrEqual Identity IsInf IsNaN Less LessOrEqual
    MaxUnpool Multinomial NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or Pad
    RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reshape ReverseSequence ScatterElements ScatterND Scatter
    SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Size Slice SpaceToDepth
    Split SplitToSequence Squeeze TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze Where Xor QLinearConcat
    GatherBlockQuantized`,
    nothing,
  ),
]);

/** Operators that only relabel the same bytes: an engine moves nothing for them. */
export const VIEWS: ReadonlySet<string> = new Set(
  "Constant Flatten Identity Reshape Shape Size Squeeze Unsqueeze Optional OptionalGetElement".split(" "),
);

/** Operators that read only the elements they give out, not the whole of their first input. */
export const PICKS: ReadonlySet<string> = new Set(
  "Gather GatherElements GatherND Slice GatherBlockQuantized".split(" "),
);

/**
 * The work of one run of a node; undefined when the operator has no rule, which is not the same as no work.
 *
 * Bias additions inside Conv, Gemm and recurrent operators start the accumulation and cost nothing extra. Comparisons, logic,
 * selection and type conversion are moves.
 */
export function workOf(shaped: ShapedNode): Work | undefined {
  const { domain, opType } = shaped.node;
  const standard = domain === "" || domain === "ai.onnx";
  const rule = (standard ? undefined : RULES.get(`${domain}:${opType}`)) ?? RULES.get(opType);
  if (rule === undefined || (!standard && domain !== "com.microsoft")) return undefined;
  return rule(shaped);
}
