// Gradient rules of operators that move, cut, join or repeat elements; may depend on the rule interface and attributes.
import * as attribute from "../../../model/attributes.ts";
import { intAttribute, intsAttribute, stringAttribute } from "../../../model/attributes.ts";
import { isFloat } from "../../../model/dtype.ts";
import { elementCount, normalizeAxis, range } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";

/** Reshape, Flatten, Squeeze, Unsqueeze: the same elements in another shape. */
const reshaped: GradientRule = (context) => [
  context.emit.reshape(firstGradient(context), context.shape(context.inputs[0])),
];

const transpose: GradientRule = (context) => {
  const rank = context.shape(context.inputs[0]).length;
  const permutation = intsAttribute(context.node, "perm") ?? range(rank).reverse();
  const inverse = range(rank).map((axis) => permutation.indexOf(axis));
  return [context.emit.transpose(firstGradient(context), inverse)];
};

const concat: GradientRule = (context) => {
  const { emit, inputs } = context;
  const axis = normalizeAxis(intAttribute(context.node, "axis", 0), context.shape(context.outputs[0]).length);
  const sizes = inputs.map((input) => context.shape(input)[axis]);
  const dy = firstGradient(context);
  const wanted = inputs.flatMap((_, input) => (context.wants(input) ? [input] : []));
  if (wanted.length === 1) {
    const input = wanted[0];
    const start = sizes.slice(0, input).reduce((total, size) => total + size, 0);
    const part = emit.slice(dy, [axis], [start], [start + sizes[input]]);
    return inputs.map((_, at) => (at === input ? part : undefined));
  }
  const parts = emit.multi("Split", [dy, emit.ints(sizes)], inputs.length, { axis: attribute.int(axis) });
  return parts.map((part, input) => (context.wants(input) ? part : undefined));
};

const splitRule: GradientRule = (context) => {
  const { emit, outputs, outputGradients } = context;
  const axis = normalizeAxis(intAttribute(context.node, "axis", 0), context.shape(context.inputs[0]).length);
  const parts = outputs.map((output, at) => outputGradients[at] ?? emit.zeros(context.shape(output)));
  return [emit.op("Concat", parts, { axis: attribute.int(axis) })];
};

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** First index, step and count of a Slice along one axis, by NumPy's clamping rules. */
function sliceRange(start: number, end: number, step: number, size: number): { first: number; count: number } {
  const wrap = (value: number): number => (value < 0 ? value + size : value);
  const first = step > 0 ? clamp(wrap(start), 0, size) : clamp(wrap(start), -1, size - 1);
  const last = step > 0 ? clamp(wrap(end), 0, size) : clamp(wrap(end), -1, size - 1);
  return { first, count: Math.max(0, Math.ceil((last - first) / step)) };
}

/**
 * Puts the gradient back where the slice was taken and zeros elsewhere.
 *
 * Steps other than 1: one zero is appended along the axis, and a gather picks for each element its gradient or that zero.
 */
const slice: GradientRule = (context) => {
  const { emit, inputs } = context;
  const shape = context.shape(inputs[0]);
  const starts = context.constant(inputs[1]);
  const ends = context.constant(inputs[2]);
  const axes = inputs[3] ? context.constant(inputs[3]) : range(starts.length);
  const steps = inputs[4] ? context.constant(inputs[4]) : starts.map(() => 1);
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  const strided: { axis: number; first: number; step: number; count: number }[] = [];
  for (const [at, rawAxis] of axes.entries()) {
    const axis = normalizeAxis(rawAxis, shape.length);
    const step = steps[at];
    const { first, count } = sliceRange(starts[at], ends[at], step, shape[axis]);
    if (step === 1) {
      before[axis] = first;
      after[axis] = shape[axis] - first - count;
    } else {
      strided.push({ axis, first, step, count });
    }
  }
  let gradient = firstGradient(context);
  for (const { axis, first, step, count } of strided) {
    const source = range(shape[axis]).map(() => count);
    for (const position of range(count)) source[first + position * step] = position;
    const zero = shape.map((_, at) => (at === axis ? 1 : 0));
    const extended = emit.pad(
      gradient,
      shape.map(() => 0),
      zero,
    );
    gradient = emit.op("Gather", [extended, emit.ints(source)], { axis: attribute.int(axis) });
  }
  return [emit.pad(gradient, before, after)];
};

/** For each position of a padded axis the source position; edge, reflect and wrap as ONNX defines them. */
function padSource(mode: string, size: number, before: number, after: number): number[] {
  return range(before + size + after).map((position) => {
    const at = position - before;
    if (mode === "edge") return Math.min(Math.max(at, 0), size - 1);
    if (mode === "wrap") return ((at % size) + size) % size;
    const period = Math.max(1, 2 * (size - 1));
    const folded = ((at % period) + period) % period;
    return folded < size ? folded : period - folded;
  });
}

const pad: GradientRule = (context) => {
  const { emit, inputs, node } = context;
  const shape = context.shape(inputs[0]);
  const widths = context.constant(inputs[1]);
  const axes = inputs[3]
    ? context.constant(inputs[3]).map((axis) => normalizeAxis(axis, shape.length))
    : range(shape.length);
  const half = widths.length / 2;
  const before = shape.map((_, axis) => widths[axes.indexOf(axis)] ?? 0);
  const after = shape.map((_, axis) => (axes.includes(axis) ? widths[half + axes.indexOf(axis)] : 0));
  const mode = stringAttribute(node, "mode", "constant");
  const dy = firstGradient(context);
  const dData = (): string => {
    if (mode === "constant")
      return emit.pad(
        dy,
        before.map((width) => -width),
        after.map((width) => -width),
      );
    let gradient = dy;
    const current = [...context.shape(context.outputs[0])];
    for (const axis of axes.filter((at) => before[at] !== 0 || after[at] !== 0)) {
      const source = emit.ints(padSource(mode, shape[axis], before[axis], after[axis]));
      gradient = emit.scatterAdd(gradient, current, source, axis, shape[axis]);
      current[axis] = shape[axis]!;
    }
    return gradient;
  };
  return [context.wants(0) ? dData() : undefined];
};

/** Rows that are looked up twice get both gradients. */
const gather: GradientRule = (context) => {
  const { emit, inputs } = context;
  const shape = context.shape(inputs[0]);
  const axis = normalizeAxis(intAttribute(context.node, "axis", 0), shape.length);
  const count = elementCount(context.shape(inputs[1]));
  const flatIndices = emit.reshape(inputs[1], [count]);
  const updatesShape = [...shape.slice(0, axis), count, ...shape.slice(axis + 1)];
  const updates = emit.reshape(firstGradient(context), updatesShape);
  return [emit.scatterAdd(updates, updatesShape, flatIndices, axis, shape[axis])];
};

const gatherElements: GradientRule = (context) => {
  const { emit, inputs } = context;
  const attributes = {
    axis: attribute.int(intAttribute(context.node, "axis", 0)),
    reduction: attribute.string("add"),
  };
  const target = emit.zeros(context.shape(inputs[0]));
  return [emit.op("ScatterElements", [target, inputs[1], firstGradient(context)], attributes)];
};

const expand: GradientRule = (context) => {
  const from = context.shape(context.outputs[0]);
  return [context.emit.unbroadcast(firstGradient(context), from, context.shape(context.inputs[0]))];
};

/** Each axis is seen as `[repeats, size]`; the sum over the repeats is the gradient. */
const tile: GradientRule = (context) => {
  const { emit } = context;
  const shape = context.shape(context.inputs[0]);
  const repeated = context.shape(context.outputs[0]);
  const split = shape.flatMap((size, axis) => [size === 0 ? 1 : repeated[axis] / size, size]);
  const summed = emit.reduceSum(
    emit.reshape(firstGradient(context), split),
    shape.map((_, axis) => 2 * axis),
    false,
  );
  return [summed];
};

/** Between floating-point types the gradient is cast back; integers carry none. */
const cast: GradientRule = (context) => {
  const from = context.dtype(context.inputs[0]);
  return [isFloat(from) ? castGradient(context, from) : undefined];
};

function castGradient(context: RuleContext, from: ReturnType<RuleContext["dtype"]>): string {
  const dy = firstGradient(context);
  return context.dtype(context.outputs[0]) === from ? dy : context.emit.cast(dy, from);
}

export const movement: Readonly<Record<string, GradientRule>> = {
  Identity: (context) => [firstGradient(context)],
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transpose,
  Concat: concat,
  Split: splitRule,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  Expand: expand,
  Tile: tile,
  Cast: cast,
};
