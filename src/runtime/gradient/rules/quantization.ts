// Straight-through gradient rules of QuantizeLinear and DequantizeLinear; may depend on the rule interface and attributes.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { intAttribute } from "../../../model/attributes.ts";
import { DTYPES, type DType } from "../../../model/dtype.ts";
import { normalizeAxis } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";

/** Scale or zero point lined up with the tensor: one number, or one per slice along the node's axis. */
function aligned(context: RuleContext, parameter: string, x: string): string {
  const shape = context.shape(x);
  const size = context.shape(parameter);
  if (intAttribute(context.node, "block_size", 0) !== 0) {
    const message = `${context.node.opType} '${context.node.name}' is blocked; a gradient exists per tensor and per axis`;
    throw new LightfootError("E_GRADIENT", message, {
      hint: "Quantize per channel while training, and in blocks afterwards.",
      where: { path: context.node.name },
    });
  }
  if (size.length === 0 || (size.length === 1 && size[0] === 1)) return parameter;
  const axis = normalizeAxis(intAttribute(context.node, "axis", 1), shape.length);
  return context.emit.reshape(
    parameter,
    shape.map((_, at) => (at === axis ? size[0] : 1)),
  );
}

function integerRange(dtype: DType): [number, number] {
  const { bits, kind } = DTYPES[dtype];
  if (kind !== "integer") return [-Infinity, Infinity];
  return dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/**
 * q = clip(round(x/scale) + zero, low, high). Rounding counts as the identity, clipping as what it is:
 * dx = dq/scale where x/scale + zero lies inside low … high, else 0. (Bengio et al. 2013; Jacob et al. 2018.)
 */
const quantizeLinear: GradientRule = (context) => {
  const { emit } = context;
  const [x, scale, zeroPoint] = context.inputs as [string, string, string | undefined];
  const [low, high] = integerRange(context.dtype(context.outputs[0]));
  const alignedScale = aligned(context, scale, x);
  const scaled = emit.div(x, alignedScale);
  const zero = zeroPoint ? emit.cast(aligned(context, zeroPoint, x), emit.floatType) : undefined;
  const position = zero === undefined ? scaled : emit.add(scaled, zero);
  const inside = emit.op("And", [
    emit.op("GreaterOrEqual", [position, emit.scalar(low)]),
    emit.op("LessOrEqual", [position, emit.scalar(high)]),
  ]);
  return [context.wants(0) ? emit.keepWhere(inside, emit.div(firstGradient(context), alignedScale)) : undefined];
};

/** y = (q − zero)·scale: dq = dy·scale, dscale = Σ dy·(q − zero). */
const dequantizeLinear: GradientRule = (context) => {
  const { emit } = context;
  const [q, scale, zeroPoint] = context.inputs as [string, string, string | undefined];
  const dy = firstGradient(context);
  const alignedScale = aligned(context, scale, q);
  const dScale = (): string => {
    const level = emit.cast(q, emit.floatType);
    const zero = zeroPoint ? emit.cast(aligned(context, zeroPoint, q), emit.floatType) : undefined;
    const product = emit.mul(dy, zero === undefined ? level : emit.sub(level, zero));
    const shape = context.shape(q);
    const size = context.shape(scale);
    const axis = normalizeAxis(intAttribute(context.node, "axis", 1), shape.length);
    const isPerAxis = size.length === 1 && size[0] !== 1;
    const summed = emit.unbroadcast(product, shape, isPerAxis ? shape.map((_, at) => (at === axis ? size[0] : 1)) : []);
    return emit.reshape(summed, size);
  };
  return [context.wants(0) ? emit.mul(dy, alignedScale) : undefined, context.wants(1) ? dScale() : undefined];
};

export const quantization: Readonly<Record<string, GradientRule>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
};
