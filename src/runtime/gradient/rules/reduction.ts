// Gradient rules of reductions; may depend on the rule interface and node attributes.
import { intAttribute } from "../../../model/attributes.ts";
import { elementCount, normalizeAxis, range } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";

/** The reduced axes; none given means all, unless the node asks for a no-operation. */
function reducedAxes(context: RuleContext): number[] {
  const rank = context.shape(context.inputs[0]).length;
  const given = context.inputs[1] ? context.constant(context.inputs[1]) : [];
  if (given.length > 0) return given.map((axis) => normalizeAxis(axis, rank));
  return intAttribute(context.node, "noop_with_empty_axes", 0) !== 0 ? [] : range(rank);
}

/** A value of the output's shape with the reduced axes back in place as size 1. */
function alignedTo(context: RuleContext, value: string, axes: readonly number[]): string {
  if (intAttribute(context.node, "keepdims", 1) !== 0) return value;
  const shape = context.shape(context.inputs[0]);
  return context.emit.reshape(
    value,
    shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
  );
}

type Adjoint = (context: RuleContext, dy: string, x: string, y: string, count: number) => string;

/** From an adjoint on values aligned with x; its result may still need broadcasting to x. */
function reduction(adjoint: Adjoint, broadcasts: boolean): GradientRule {
  return (context) => {
    const x = context.inputs[0];
    const shape = context.shape(x);
    const axes = reducedAxes(context);
    const dy = alignedTo(context, firstGradient(context), axes);
    const y = broadcasts ? "" : alignedTo(context, context.outputs[0], axes);
    const gradient = adjoint(context, dy, x, y, elementCount(axes.map((axis) => shape[axis])));
    return [broadcasts ? context.emit.expand(gradient, shape) : gradient];
  };
}

const extremum = (context: RuleContext): readonly string[] => {
  const { emit } = context;
  const axes = reducedAxes(context);
  const winners = emit.indicator(emit.op("Equal", [context.inputs[0], alignedTo(context, context.outputs[0], axes)]));
  const count = emit.reduceSum(winners, axes, true);
  return [emit.mul(winners, emit.div(alignedTo(context, firstGradient(context), axes), count))];
};

export const reductions: Readonly<Record<string, GradientRule>> = {
  ReduceSum: reduction((_, dy) => dy, true),
  ReduceMean: reduction(({ emit }, dy, _x, _y, count) => emit.scale(dy, 1 / count), true),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceSumSquare: reduction(({ emit }, dy, x) => emit.mul(emit.scale(dy, 2), x), false),
  ReduceL1: reduction(({ emit }, dy, x) => emit.mul(dy, emit.op("Sign", [x])), false),
  ReduceL2: reduction(({ emit }, dy, x, y) => emit.mul(emit.div(dy, y), x), false),
  ReduceLogSumExp: reduction(({ emit }, dy, x, y) => emit.mul(dy, emit.op("Exp", [emit.sub(x, y)])), false),
};
