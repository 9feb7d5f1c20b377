// Gradient rules of activation functions; may depend on the rule interface and node attributes.
import { floatAttribute, stringAttribute } from "../../../model/attributes.ts";
import type { Emitter } from "../emitter.ts";
import { firstGradient, unary, type GradientRule } from "../rule.ts";

const isPositive = (emit: Emitter, x: string): string => emit.op("Greater", [x, emit.scalar(0)]);

/** σ(x)·(1 − σ(x)) from y = σ(x). */
const sigmoidSlope = (emit: Emitter, y: string): string => emit.sub(y, emit.mul(y, y));

/** 1 − tanh²(x) from y = tanh(x). */
const tanhSlope = (emit: Emitter, y: string): string => emit.sub(emit.scalar(1), emit.mul(y, y));

const relu = unary(({ emit }, dy, _, y) => emit.keepWhere(isPositive(emit, y), dy));

const leakyRelu = unary(({ emit, node }, dy, x) =>
  emit.where(isPositive(emit, x), dy, emit.scale(dy, floatAttribute(node, "alpha", 0.01))),
);

const pRelu: GradientRule = (context) => {
  const { emit } = context;
  const [x, slope] = context.inputs as [string, string];
  const dy = firstGradient(context);
  const positive = isPositive(emit, x);
  const dSlope = (): string =>
    emit.unbroadcast(emit.where(positive, emit.scalar(0), emit.mul(dy, x)), context.shape(x), context.shape(slope));
  return [
    context.wants(0) ? emit.where(positive, dy, emit.mul(dy, slope)) : undefined,
    context.wants(1) ? dSlope() : undefined,
  ];
};

/** For x ≤ 0, y = α(eˣ − 1), so the slope is y + α. */
const elu = unary(({ emit, node }, dy, x, y) => {
  const slope = emit.add(y, emit.scalar(floatAttribute(node, "alpha", 1)));
  return emit.where(isPositive(emit, x), dy, emit.mul(dy, slope));
});

/** y = γx above zero and γα(eˣ − 1) below. */
const selu = unary(({ emit, node }, dy, x, y) => {
  const gamma = floatAttribute(node, "gamma", 1.0507010221481323);
  const alpha = floatAttribute(node, "alpha", 1.6732631921768188);
  const below = emit.mul(dy, emit.add(y, emit.scalar(gamma * alpha)));
  return emit.where(isPositive(emit, x), emit.scale(dy, gamma), below);
});

/** Where the output still equals the input nothing was clipped; that holds for both bounds, given or not. */
const clip = unary(({ emit }, dy, x, y) => emit.keepWhere(emit.op("Equal", [x, y]), dy));

const hardSigmoid = unary(({ emit, node }, dy, _, y) => {
  const inside = emit.op("And", [isPositive(emit, y), emit.op("Less", [y, emit.scalar(1)])]);
  return emit.keepWhere(inside, emit.scale(dy, floatAttribute(node, "alpha", 0.2)));
});

/** y = x·clip(x/6 + 1/2, 0, 1): slope 0 below −3, 1 above 3, x/3 + 1/2 between. */
const hardSwish = unary(({ emit }, dy, x) => {
  const between = emit.add(emit.scale(x, 1 / 3), emit.scalar(0.5));
  const above = emit.where(emit.op("GreaterOrEqual", [x, emit.scalar(3)]), emit.scalar(1), between);
  const slope = emit.where(emit.op("Greater", [x, emit.scalar(-3)]), above, emit.scalar(0));
  return emit.mul(dy, slope);
});

/** Exact Gelu: Φ(x) + x·φ(x). */
function geluSlope(emit: Emitter, x: string): string {
  const cumulative = emit.scale(emit.add(emit.op("Erf", [emit.scale(x, Math.SQRT1_2)]), emit.scalar(1)), 0.5);
  const density = emit.scale(emit.op("Exp", [emit.scale(emit.mul(x, x), -0.5)]), 1 / Math.sqrt(2 * Math.PI));
  return emit.add(cumulative, emit.mul(x, density));
}

/** Gelu through tanh(u), u = √(2/π)(x + 0.044715x³): ½(1 + t) + ½x(1 − t²)u′. */
function tanhGeluSlope(emit: Emitter, x: string): string {
  const factor = Math.sqrt(2 / Math.PI);
  const square = emit.mul(x, x);
  const inner = emit.mul(x, emit.add(emit.scale(square, 0.044715 * factor), emit.scalar(factor)));
  const innerSlope = emit.add(emit.scale(square, 3 * 0.044715 * factor), emit.scalar(factor));
  const t = emit.op("Tanh", [inner]);
  const second = emit.mul(emit.mul(x, tanhSlope(emit, t)), innerSlope);
  return emit.scale(emit.add(emit.add(t, emit.scalar(1)), second), 0.5);
}

const gelu = unary(({ emit, node }, dy, x) => {
  const approximate = stringAttribute(node, "approximate", "none") === "tanh";
  return emit.mul(dy, approximate ? tanhGeluSlope(emit, x) : geluSlope(emit, x));
});

/** y = x·tanh(softplus(x)). */
const mish = unary(({ emit }, dy, x) => {
  const t = emit.op("Tanh", [emit.op("Softplus", [x])]);
  const slope = emit.add(t, emit.mul(x, emit.mul(emit.op("Sigmoid", [x]), tanhSlope(emit, t))));
  return emit.mul(dy, slope);
});

const erf = unary(({ emit }, dy, x) => {
  const density = emit.op("Exp", [emit.neg(emit.mul(x, x))]);
  return emit.mul(dy, emit.scale(density, 2 / Math.sqrt(Math.PI)));
});

export const activation: Readonly<Record<string, GradientRule>> = {
  Relu: relu,
  LeakyRelu: leakyRelu,
  PRelu: pRelu,
  Elu: elu,
  Selu: selu,
  Clip: clip,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Gelu: gelu,
  Mish: mish,
  Erf: erf,
  Sigmoid: unary(({ emit }, dy, _, y) => emit.mul(dy, sigmoidSlope(emit, y))),
  Tanh: unary(({ emit }, dy, _, y) => emit.mul(dy, tanhSlope(emit, y))),
  Softplus: unary(({ emit }, dy, x) => emit.mul(dy, emit.op("Sigmoid", [x]))),
  Softsign: unary(({ emit }, dy, x) => {
    const denominator = emit.add(emit.op("Abs", [x]), emit.scalar(1));
    return emit.div(dy, emit.mul(denominator, denominator));
  }),
};
