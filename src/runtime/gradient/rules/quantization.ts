// Straight-through gradient rules of QuantizeLinear and DequantizeLinear; may depend on the rule interface and attributes.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { intAttribute } from "../../../model/attributes.ts";
import { DTYPES, type DType } from "../../../model/dtype.ts";
import { normalizeAxis } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";

/**
 * Scale or zero point lined up with the tensor: one number, or one per slice along the node's axis.
 *
 * @param value the parameter in the type that is computed in
 */
function aligned(context: RuleContext, parameter: string, x: string, value = parameter): string {
  const shape = context.shape(x);
  const size = context.shape(parameter);
  if (intAttribute(context.node, "block_size", 0) !== 0) {
    const message = `${context.node.opType} '${context.node.name}' is blocked; a gradient exists per tensor and per axis`;
    throw new LightfootError("E_GRADIENT", message, {
      hint: "Quantize per channel while training, and in blocks afterwards.",
      where: { path: context.node.name },
    });
  }
  if (size.length === 0 || (size.length === 1 && size[0] === 1)) return value;
  const axis = normalizeAxis(intAttribute(context.node, "axis", 1), shape.length);
  return context.emit.reshape(
    value,
    shape.map((_, at) => (at === axis ? size[0] : 1)),
  );
}

/** Cast first: the engine reshapes no packed integers. */
const alignedZero = (context: RuleContext, zeroPoint: string, x: string): string =>
  aligned(context, zeroPoint, x, context.emit.cast(zeroPoint, context.emit.floatType));

function integerRange(dtype: DType): [number, number] {
  const { bits, kind } = DTYPES[dtype];
  if (kind !== "integer") return [-Infinity, Infinity];
  return dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/** Sums a gradient of the tensor's shape to the scale's: over everything, or over all axes but the node's. */
function toScale(context: RuleContext, gradient: string, x: string, scale: string): string {
  const { emit } = context;
  const shape = context.shape(x);
  const size = context.shape(scale);
  const axis = normalizeAxis(intAttribute(context.node, "axis", 1), shape.length);
  const isPerAxis = size.length === 1 && size[0] !== 1;
  const kept = isPerAxis ? shape.map((_, at) => (at === axis ? size[0] : 1)) : [];
  return emit.reshape(emit.unbroadcast(gradient, shape, kept), size);
}

/**
 * q = clip(round(x/scale) + zero, low, high). Rounding counts as the identity, clipping as what it is: where
 * x/scale + zero lies inside low … high, dx = dq/scale and dscale = −Σ dq·x/scale²; elsewhere both are 0. (Bengio et al.
 * 2013; Jacob et al. 2018; with the rule of DequantizeLinear the scale's gradient is that of LSQ, Esser et al. 2020.)
 */
const quantizeLinear: GradientRule = (context) => {
  const { emit } = context;
  const [x, scale, zeroPoint] = context.inputs as [string, string, string | undefined];
  const [low, high] = integerRange(context.dtype(context.outputs[0]));
  const alignedScale = aligned(context, scale, x);
  const scaled = emit.div(x, alignedScale);
  const zero = zeroPoint ? alignedZero(context, zeroPoint, x) : undefined;
  const position = zero === undefined ? scaled : emit.add(scaled, zero);
  const inside = emit.op("And", [
    emit.op("GreaterOrEqual", [position, emit.scalar(low)]),
    emit.op("LessOrEqual", [position, emit.scalar(high)]),
  ]);
  const dX = emit.keepWhere(inside, emit.div(firstGradient(context), alignedScale));
  return [
    context.wants(0) ? dX : undefined,
    context.wants(1) ? emit.neg(toScale(context, emit.mul(dX, scaled), x, scale)) : undefined,
  ];
};

/** y = (q − zero)·scale: dq = dy·scale, dscale = Σ dy·(q − zero). */
const dequantizeLinear: GradientRule = (context) => {
  const { emit } = context;
  const [q, scale, zeroPoint] = context.inputs as [string, string, string | undefined];
  const dy = firstGradient(context);
  const dScale = (): string => {
    const level = emit.cast(q, emit.floatType);
    const zero = zeroPoint ? alignedZero(context, zeroPoint, q) : undefined;
    return toScale(context, emit.mul(dy, zero === undefined ? level : emit.sub(level, zero)), q, scale);
  };
  return [
    context.wants(0) ? emit.mul(dy, aligned(context, scale, q)) : undefined,
    context.wants(1) ? dScale() : undefined,
  ];
};

export const quantization: Readonly<Record<string, GradientRule>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
};
