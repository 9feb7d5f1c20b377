// Gradient rules of arithmetic with broadcasting: sums, products, powers, extrema; may depend on the rule interface.
import { firstGradient, unary, type GradientRule, type RuleContext } from "../rule.ts";

/** Sums a gradient of the output's shape down to the shape of one input. */
function toInput(context: RuleContext, gradient: string, input: number): string {
  const { emit } = context;
  const from = context.shape(context.outputs[0]);
  return emit.unbroadcast(gradient, from, context.shape(context.inputs[input]));
}

type Adjoint = (context: RuleContext, dy: string, a: string, b: string) => string;

/** `y = f(a, b)` with broadcasting, from the two partial adjoints at the output's shape. */
function binary(left: Adjoint, right: Adjoint): GradientRule {
  return (context) => {
    const dy = firstGradient(context);
    const [a, b] = context.inputs as [string, string];
    return [left, right].map((adjoint, input) =>
      context.wants(input) ? toInput(context, adjoint(context, dy, a, b), input) : undefined,
    );
  };
}

const add = binary(
  (_, dy) => dy,
  (_, dy) => dy,
);

/** The negation is summed first: the sum is smaller. */
const sub: GradientRule = (context) => {
  const dy = firstGradient(context);
  return [
    context.wants(0) ? toInput(context, dy, 0) : undefined,
    context.wants(1) ? context.emit.neg(toInput(context, dy, 1)) : undefined,
  ];
};

const mul = binary(
  ({ emit }, dy, _, b) => emit.mul(dy, b),
  ({ emit }, dy, a) => emit.mul(dy, a),
);

const div = binary(
  ({ emit }, dy, _, b) => emit.div(dy, b),
  ({ emit, outputs }, dy, _, b) => emit.neg(emit.div(emit.mul(dy, outputs[0]), b)),
);

/** d(aᵇ)/da = b·aᵇ⁻¹. The exponent's own gradient aᵇ·ln a counts as zero where a ≤ 0, as it is undefined there. */
const pow = binary(
  (context, dy, a, b) => {
    const { emit } = context;
    const exponent = context.dtype(b) === emit.floatType ? b : emit.cast(b, emit.floatType);
    const lowered = emit.sub(exponent, emit.scalar(1));
    return emit.mul(dy, emit.mul(exponent, emit.op("Pow", [a, lowered])));
  },
  ({ emit, outputs }, dy, a) => {
    const positive = emit.op("Greater", [a, emit.scalar(0)]);
    const logarithm = emit.op("Log", [emit.where(positive, a, emit.scalar(1))]);
    return emit.mul(dy, emit.mul(outputs[0], logarithm));
  },
);

/** Sum: every input gets the gradient. */
const sum: GradientRule = (context) =>
  context.inputs.map((_, input) =>
    context.wants(input) ? toInput(context, firstGradient(context), input) : undefined,
  );

const mean: GradientRule = (context) => {
  const share = context.emit.scale(firstGradient(context), 1 / context.inputs.length);
  return context.inputs.map((_, input) => (context.wants(input) ? toInput(context, share, input) : undefined));
};

/** Max and Min: the gradient goes to the inputs that hold the extremum, in equal parts where several do. */
const extremum: GradientRule = (context) => {
  const { emit, inputs } = context;
  const winners = inputs.map((input) => emit.indicator(emit.op("Equal", [input, context.outputs[0]])));
  const share =
    inputs.length === 1
      ? firstGradient(context)
      : emit.div(
          firstGradient(context),
          winners.reduce((total, winner) => emit.add(total, winner)),
        );
  return inputs.map((_, input) =>
    context.wants(input) ? toInput(context, emit.mul(share, winners[input]), input) : undefined,
  );
};

const where: GradientRule = (context) => {
  const { emit } = context;
  const condition = context.inputs[0];
  const dy = firstGradient(context);
  return [
    undefined,
    context.wants(1) ? toInput(context, emit.where(condition, dy, emit.scalar(0)), 1) : undefined,
    context.wants(2) ? toInput(context, emit.where(condition, emit.scalar(0), dy), 2) : undefined,
  ];
};

export const arithmetic: Readonly<Record<string, GradientRule>> = {
  Add: add,
  Sub: sub,
  Mul: mul,
  Div: div,
  Pow: pow,
  Sum: sum,
  Mean: mean,
  Max: extremum,
  Min: extremum,
  Where: where,
  Neg: unary(({ emit }, dy) => emit.neg(dy)),
  Abs: unary(({ emit }, dy, x) => emit.mul(dy, emit.op("Sign", [x]))),
  Sqrt: unary(({ emit }, dy, _, y) => emit.div(emit.scale(dy, 0.5), y)),
  Reciprocal: unary(({ emit }, dy, _, y) => emit.neg(emit.mul(dy, emit.mul(y, y)))),
  Exp: unary(({ emit }, dy, _, y) => emit.mul(dy, y)),
  Log: unary(({ emit }, dy, x) => emit.div(dy, x)),
  Sin: unary(({ emit }, dy, x) => emit.mul(dy, emit.op("Cos", [x]))),
  Cos: unary(({ emit }, dy, x) => emit.neg(emit.mul(dy, emit.op("Sin", [x])))),
};
