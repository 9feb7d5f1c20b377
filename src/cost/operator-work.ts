// Multiply-adds and arithmetic of one operator application from its shapes; may depend on model.
import { floatAttribute, intAttribute, stringAttribute } from "../model/attributes.ts";
import { elementCount } from "../model/tensor-value.ts";
import {
  attention,
  groupQueryAttention,
  mixtureOfExperts,
  multiHeadAttention,
  packedAttention,
} from "./attention-work.ts";
import {
  arithmetic,
  inputShape,
  last,
  multiplyAdds,
  outputElements,
  outputShape,
  type Rule,
  type ShapedNode,
  type Work,
} from "./work.ts";

/** Y[…, M, N] = A[…, M, K] · B[…, K, N]: K multiply-adds for each element of Y. */
const matMul: Rule = (shaped) => multiplyAdds(outputElements(shaped) * last(inputShape(shaped, 0)));

const fusedMatMul: Rule = (shaped) => {
  const a = inputShape(shaped, 0);
  return multiplyAdds(outputElements(shaped) * last(a, intAttribute(shaped.node, "transA", 0) === 1 ? 2 : 1));
};

const gemm: Rule = (shaped) => {
  const a = inputShape(shaped, 0);
  return multiplyAdds(outputElements(shaped) * (a[intAttribute(shaped.node, "transA", 0) === 1 ? 0 : 1] ?? 1));
};

/** Each output element sums over Cin/group · kernel; weights are [Cout, Cin/group, kernel…]. */
const convolution =
  (weightIndex: number): Rule =>
  (shaped) =>
    multiplyAdds(outputElements(shaped) * elementCount(inputShape(shaped, weightIndex).slice(1)));

/** Each input element is spread over Cout/group · kernel; weights are [Cin, Cout/group, kernel…]. */
const transposedConvolution: Rule = (shaped) =>
  multiplyAdds(elementCount(inputShape(shaped, 0)) * elementCount(inputShape(shaped, 1).slice(1)));

/** For every combination of all labels one product of the operands: size of the label space · (operands − 1). */
const einsum: Rule = (shaped) => {
  const [terms = ""] = stringAttribute(shaped.node, "equation", "").replaceAll(/\s/g, "").split("->");
  const sizes = new Map<string, number>();
  terms.split(",").forEach((term, operand) => {
    const shape = inputShape(shaped, operand);
    const labels = term.replace("...", "").split("");
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
  (shaped) => {
    const x = inputShape(shaped, 0);
    const recurrence = inputShape(shaped, 2);
    const directions = recurrence[0] ?? 1;
    const hidden = intAttribute(shaped.node, "hidden_size", last(recurrence));
    const steps = (x[0] ?? 1) * (x[1] ?? 1);
    return multiplyAdds(steps * directions * gates * hidden * (last(x) + hidden));
  };

/** Weights packed blockwise: K and N are attributes. */
const packedMatMul: Rule = (shaped) => multiplyAdds(outputElements(shaped) * intAttribute(shaped.node, "K", 0));

const perOutput: Rule = (shaped) => arithmetic(outputElements(shaped));
const perInput: Rule = (shaped) => arithmetic(elementCount(inputShape(shaped, 0)));
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

/** A fast Fourier transform of length n takes 5·n·log2 n operations; the count of transforms follows from the output. */
const fourier =
  (lengthOf: (shaped: ShapedNode) => number, perTransform: (shaped: ShapedNode, length: number) => number): Rule =>
  (shaped) => {
    const length = Math.max(1, lengthOf(shaped));
    const transforms = outputElements(shaped) / Math.max(1, perTransform(shaped, length));
    return arithmetic(Math.round(transforms * 5 * length * Math.log2(length)));
  };

/** The transformed axis is real data with 1 or complex data with 2 numbers in the last axis. */
const transformedSizes = (shaped: ShapedNode): number[] => {
  const axis = intAttribute(shaped.node, "axis", -2);
  return [shaped.inputs[0], outputShape(shaped)].map((shape) => shape?.at(axis) ?? 1);
};
const discreteFourier = fourier(
  (shaped) => Math.max(...transformedSizes(shaped)),
  (shaped) => (transformedSizes(shaped)[1] ?? 1) * last(outputShape(shaped)),
);
/** Output `[batch, frames, bins, 2]`; one-sided results hold half the bins. */
const shortTimeFourier = fourier(
  (shaped) => {
    const bins = last(outputShape(shaped), 2);
    return intAttribute(shaped.node, "onesided", 1) === 1 ? 2 * (bins - 1) : bins;
  },
  (shaped) => last(outputShape(shaped), 2) * 2,
);
const realFourier = fourier(
  (shaped) => last(inputShape(shaped, 0)),
  (shaped) => last(outputShape(shaped), 2) * 2,
);
const inverseRealFourier = fourier(
  (shaped) => last(outputShape(shaped)),
  (shaped) => last(outputShape(shaped)),
);

/** Elimination over n×n matrices: 2/3·n³ for a determinant, 2·n³ for an inverse. */
const elimination =
  (factor: number): Rule =>
  (shaped) => {
    const data = inputShape(shaped, 0);
    return arithmetic(Math.round(elementCount(data) * last(data) * factor));
  };

/** Difference, square and sum for each pair of rows. */
const distances: Rule = (shaped) => arithmetic(3 * outputElements(shaped) * last(inputShape(shaped, 0)));

/** Inference passes through; only an active mask computes. */
const dropout: Rule = (shaped) =>
  floatAttribute(shaped.node, "ratio", 0) > 0 && shaped.inputs[2] ? perOutput(shaped) : nothing(shaped);

const each = (names: string, rule: Rule): [string, Rule][] => names.split(/\s+/).map((name) => [name, rule]);

const RULES = new Map<string, Rule>([
  ...each("MatMul MatMulInteger QLinearMatMul MatMulIntegerToFloat DynamicQuantizeMatMul MatMulInteger16", matMul),
  ...each("FusedMatMul FusedMatMulActivation TransposeMatMul", fusedMatMul),
  ...each("Gemm FusedGemm QGemm", gemm),
  ...each("Conv ConvInteger FusedConv NhwcConv NhwcFusedConv DeformConv", convolution(1)),
  ...each("QLinearConv NhwcQLinearConv", convolution(3)),
  ...each("ConvTranspose", transposedConvolution),
  ...each("Einsum", einsum),
  ...each("MatMulNBits MatMulBnb4", packedMatMul),
  ...each("LSTM DynamicQuantizeLSTM", recurrent(4)),
  ...each("GRU", recurrent(3)),
  ...each("RNN", recurrent(1)),
  ["Attention", attention],
  ["com.microsoft:Attention", packedAttention(4)],
  ["QAttention", packedAttention(8)],
  ["MultiHeadAttention", multiHeadAttention],
  ["GroupQueryAttention", groupQueryAttention],
  ["MoE", mixtureOfExperts([2, 4, 6], false)],
  ["QMoE", mixtureOfExperts([2, 5, 8], true)],
  ["DFT", discreteFourier],
  ["STFT", shortTimeFourier],
  ["Rfft", realFourier],
  ["Irfft", inverseRealFourier],
  ["Det", elimination(2 / 3)],
  ["Inverse", elimination(2)],
  ["CDist", distances],

  ...each(
    `Abs Acos Acosh Add Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitShift Ceil Celu Clip Cos Cosh
    CumSum CumProd DequantizeLinear Div DynamicQuantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish HardTanh LeakyRelu Log
    Max Mean Min Mish Mod Mul Neg Pow PRelu QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh
    BiasAdd BiasDropout BiasSplitGelu BlackmanWindow HammingWindow HannWindow MelWeightMatrix AffineGrid
    Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu BiasGelu FastGelu QuickGelu
    QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu`,
    perOutput,
  ),
  ...each(
    `BatchNormalization GroupNormalization InstanceNormalization LayerNormalization LogSoftmax LpNormalization LRN
    MeanVarianceNormalization RMSNormalization Softmax Hardmax SkipLayerNormalization SimplifiedLayerNormalization
    SkipSimplifiedLayerNormalization EmbedLayerNormalization RotaryEmbedding GemmaRotaryEmbedding BiasSoftmax GroupNorm SkipGroupNorm QLinearSoftmax GridSample RoiAlign`,
    perOutput,
  ),
  ...each(
    `ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    GlobalAveragePool GlobalMaxPool GlobalLpPool QLinearGlobalAveragePool QLinearReduceMean MaxRoiPool SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss`,
    perInput,
  ),
  ...each("AveragePool MaxPool NhwcMaxPool LpPool QLinearAveragePool", window),
  ...each("Resize Upsample", resize),
  ["Dropout", dropout],

  ...each(
    `And ArgMax ArgMin Bernoulli Cast CastLike Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape DepthToSpace
    Equal Expand EyeLike Flatten Gather GatherElements GatherND Greater GreaterOrEqual Identity IsInf IsNaN Less LessOrEqual
    MaxUnpool Multinomial NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or Pad
    RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reshape ReverseSequence ScatterElements ScatterND Scatter
    SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Size Slice SpaceToDepth
    Split SplitToSequence Squeeze TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze Where Xor QLinearConcat
    GatherBlockQuantized QLinearWhere ExpandDims BitCast CenterCropPad RegexFullMatch StringConcat StringNormalizer StringSplit
    TfIdfVectorizer`,
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
