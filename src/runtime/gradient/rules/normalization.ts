// Gradient rules of softmax and of the normalizations; may depend on the rule interface and node attributes.
import { floatAttribute, intAttribute } from "../../../model/attributes.ts";
import { elementCount, normalizeAxis, range } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";

function axisOf(context: RuleContext): number {
  return normalizeAxis(intAttribute(context.node, "axis", -1), context.shape(context.inputs[0]).length);
}

/** dx = (dy − Σ dy·y)·y along the axis. */
const softmax: GradientRule = (context) => {
  const { emit } = context;
  const dy = firstGradient(context);
  const y = context.outputs[0];
  const inner = emit.reduceSum(emit.mul(dy, y), [axisOf(context)], true);
  return [emit.mul(emit.sub(dy, inner), y)];
};

/** dx = dy − eʸ·Σ dy along the axis. */
const logSoftmax: GradientRule = (context) => {
  const { emit } = context;
  const dy = firstGradient(context);
  const total = emit.reduceSum(dy, [axisOf(context)], true);
  return [emit.sub(dy, emit.mul(emit.op("Exp", [context.outputs[0]]), total))];
};

/**
 * Adjoint of `x̂ = (x − mean)·inverse` with mean and 1/√(variance + ε) taken over `axes` of x itself:
 * dx = inverse·(dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂)).
 */
function standardizeAdjoint(
  context: RuleContext,
  dxHat: string,
  xHat: string,
  inverse: string,
  axes: number[],
): string {
  const { emit } = context;
  const projection = emit.mul(xHat, emit.reduceMean(emit.mul(dxHat, xHat), axes, true));
  return emit.mul(inverse, emit.sub(emit.sub(dxHat, emit.reduceMean(dxHat, axes, true)), projection));
}

/** `x̂` and the inverse standard deviation of x over `axes`, computed from x. */
function standardize(
  context: RuleContext,
  x: string,
  axes: number[],
  epsilon: number,
): { xHat: string; inverse: string } {
  const { emit } = context;
  const centered = emit.sub(x, emit.reduceMean(x, axes, true));
  const variance = emit.reduceMean(emit.mul(centered, centered), axes, true);
  const inverse = emit.op("Reciprocal", [emit.op("Sqrt", [emit.add(variance, emit.scalar(epsilon))])]);
  return { xHat: emit.mul(centered, inverse), inverse };
}

const layerNormalization: GradientRule = (context) => {
  const { emit } = context;
  const [x, scale, bias] = context.inputs as [string, string, string | undefined];
  const shape = context.shape(x);
  const dy = firstGradient(context);
  const axes = range(shape.length).slice(axisOf(context));
  const inverse = context.auxiliary(2);
  const xHat = emit.mul(emit.sub(x, context.auxiliary(1)), inverse);
  return [
    context.wants(0) ? standardizeAdjoint(context, emit.mul(dy, scale), xHat, inverse, axes) : undefined,
    context.wants(1) ? emit.unbroadcast(emit.mul(dy, xHat), shape, context.shape(scale)) : undefined,
    bias !== undefined && bias !== "" && context.wants(2)
      ? emit.unbroadcast(dy, shape, context.shape(bias))
      : undefined,
  ];
};

/** Shape that lines a vector over channels up with `[N, C, …]`. */
const overChannels = (channels: number, rank: number): number[] =>
  range(rank).map((axis) => (axis === 1 ? channels : 1));

/** Scale and bias of one entry per channel, shared by instance, group and batch normalization. */
function perChannel(context: RuleContext, dy: string, xHat: string): { dScale: () => string; dBias: () => string } {
  const { emit } = context;
  const rank = context.shape(context.inputs[0]).length;
  const others = [0, ...range(rank).slice(2)];
  return {
    dScale: () => emit.reduceSum(emit.mul(dy, xHat), others, false),
    dBias: () => emit.reduceSum(dy, others, false),
  };
}

const instanceNormalization: GradientRule = (context) => {
  const { emit, node } = context;
  const [x, scale] = context.inputs as [string, string];
  const shape = context.shape(x);
  const axes = range(shape.length).slice(2);
  const dy = firstGradient(context);
  const { xHat, inverse } = standardize(context, x, axes, floatAttribute(node, "epsilon", 1e-5));
  const dxHat = (): string => emit.mul(dy, emit.reshape(scale, overChannels(shape[1], shape.length)));
  const { dScale, dBias } = perChannel(context, dy, xHat);
  return [
    context.wants(0) ? standardizeAdjoint(context, dxHat(), xHat, inverse, axes) : undefined,
    context.wants(1) ? dScale() : undefined,
    context.wants(2) ? dBias() : undefined,
  ];
};

/** The same over groups of channels: x is seen as `[N, groups, C/groups · space]`. */
const groupNormalization: GradientRule = (context) => {
  const { emit, node } = context;
  const [x, scale] = context.inputs as [string, string];
  const shape = context.shape(x);
  const groups = intAttribute(node, "num_groups", 1);
  const grouped = [shape[0], groups, elementCount(shape) / (shape[0] * groups)];
  const dy = firstGradient(context);
  const stats = standardize(context, emit.reshape(x, grouped), [2], floatAttribute(node, "epsilon", 1e-5));
  const dX = (): string => {
    const dxHat = emit.mul(dy, emit.reshape(scale, overChannels(shape[1], shape.length)));
    const adjoint = standardizeAdjoint(context, emit.reshape(dxHat, grouped), stats.xHat, stats.inverse, [2]);
    return emit.reshape(adjoint, shape);
  };
  const { dScale, dBias } = perChannel(context, dy, emit.reshape(stats.xHat, shape));
  return [
    context.wants(0) ? dX() : undefined,
    context.wants(1) ? dScale() : undefined,
    context.wants(2) ? dBias() : undefined,
  ];
};

/**
 * Inference form: y = scale·(x − mean)/√(variance + ε) + bias with constant statistics.
 * Training form: the statistics are those of the batch, which the forward node gives as its second and third output
 * (see training-form.ts), and x acts on them too.
 */
const batchNormalization: GradientRule = (context) => {
  const { emit, node } = context;
  const [x, scale, , runningMean, runningVariance] = context.inputs as [string, string, string, string, string];
  const shape = context.shape(x);
  const isTraining = intAttribute(node, "training_mode", 0) !== 0;
  const aligned = overChannels(shape[1], shape.length);
  const dy = firstGradient(context);
  const mean = isTraining ? context.auxiliary(1) : runningMean;
  const variance = isTraining ? context.auxiliary(2) : runningVariance;
  const epsilon = emit.scalar(floatAttribute(node, "epsilon", 1e-5));
  const deviation = emit.op("Sqrt", [emit.add(variance, epsilon)]);
  const inverse = emit.reshape(emit.op("Reciprocal", [deviation]), aligned);
  const xHat = (): string => emit.mul(emit.sub(x, emit.reshape(mean, aligned)), inverse);
  const dxHat = (): string => emit.mul(dy, emit.reshape(scale, aligned));
  const dX = (standardized: string | undefined): string =>
    standardized === undefined
      ? emit.mul(dxHat(), inverse)
      : standardizeAdjoint(context, dxHat(), standardized, inverse, [0, ...range(shape.length).slice(2)]);
  const standardized = isTraining || context.wants(1) ? xHat() : undefined;
  const { dScale, dBias } = perChannel(context, dy, standardized ?? x);
  return [
    context.wants(0) ? dX(isTraining ? standardized : undefined) : undefined,
    context.wants(1) ? dScale() : undefined,
    context.wants(2) ? dBias() : undefined,
  ];
};

export const normalization: Readonly<Record<string, GradientRule>> = {
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  LayerNormalization: layerNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  BatchNormalization: batchNormalization,
};
