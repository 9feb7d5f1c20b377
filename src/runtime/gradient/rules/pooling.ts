// Gradient rules of pooling; may depend on the rule interface, window and node attributes.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { intAttribute, intsAttribute } from "../../../model/attributes.ts";
import { elementCount, range } from "../emitter.ts";
import { firstGradient, type GradientRule } from "../rule.ts";
import { slideBack, windowOf, type Window } from "./window.ts";

/**
 * Sends each output's gradient to the element that was the maximum.
 *
 * The forward node's second output names it by its index in the flattened input. Overlapping windows may name one
 * element several times; the scatter adds.
 */
const maxPool: GradientRule = (context) => {
  const { emit, node } = context;
  if (intAttribute(node, "storage_order", 0) !== 0) {
    throw new LightfootError("E_GRADIENT", `MaxPool '${node.name}' has storage_order 1; a gradient exists for 0`, {
      hint: "Export the model with storage_order 0.",
      where: { path: node.name },
    });
  }
  const shape = context.shape(context.inputs[0]);
  const count = elementCount(context.shape(context.outputs[0]));
  const flatIndices = emit.reshape(context.auxiliary(1), [count]);
  const flatGradient = emit.reshape(firstGradient(context), [count]);
  return [emit.reshape(emit.scatterAdd(flatGradient, [count], flatIndices, 0, elementCount(shape)), shape)];
};

/** How many input elements each window holds along one axis, padding counted up to the declared pads or not at all. */
function windowCounts(window: Window, axis: number, size: number, outputSize: number, includePad: boolean): number[] {
  const [kernel, stride, dilation] = [window.kernel[axis], window.strides[axis], window.dilations[axis]];
  const low = includePad ? -window.padBegin[axis] : 0;
  const high = includePad ? size + window.padEnd[axis] : size;
  return range(outputSize).map((position) => {
    const start = position * stride - window.padBegin[axis];
    return range(kernel).filter((tap) => start + tap * dilation >= low && start + tap * dilation < high).length;
  });
}

/** Divides by the window's size, then spreads evenly: the adjoint of a depthwise convolution with ones. */
const averagePool: GradientRule = (context) => {
  const { emit, node } = context;
  const [, channels, ...spatial] = context.shape(context.inputs[0]) as [number, number, ...number[]];
  const outputSpatial = context.shape(context.outputs[0]).slice(2);
  const kernel = intsAttribute(node, "kernel_shape") ?? spatial.map(() => 1);
  const window = windowOf(node, spatial, kernel);
  const includePad = intAttribute(node, "count_include_pad", 0) !== 0;
  let share = firstGradient(context);
  for (const axis of range(spatial.length)) {
    const counts = windowCounts(window, axis, spatial[axis], outputSpatial[axis], includePad);
    const shape = [1, 1, ...outputSpatial.map((size, at) => (at === axis ? size : 1))];
    const isUniform = counts.every((count) => count === counts[0]);
    const inverse = counts.map((count) => 1 / count);
    share = isUniform ? emit.scale(share, inverse[0]) : emit.mul(share, emit.floats(inverse, shape));
  }
  const ones = emit.expand(emit.scalar(1), [channels, 1, ...kernel]);
  return [slideBack(emit, share, ones, window, channels, spatial, outputSpatial)];
};

const globalAveragePool: GradientRule = (context) => {
  const shape = context.shape(context.inputs[0]);
  const share = context.emit.scale(firstGradient(context), 1 / elementCount(shape.slice(2)));
  return [context.emit.expand(share, shape)];
};

/** In equal parts to all elements that hold the maximum. */
const globalMaxPool: GradientRule = (context) => {
  const { emit } = context;
  const x = context.inputs[0];
  const winners = emit.indicator(emit.op("Equal", [x, context.outputs[0]]));
  const count = emit.reduceSum(winners, range(context.shape(x).length).slice(2), true);
  return [emit.mul(winners, emit.div(firstGradient(context), count))];
};

export const pooling: Readonly<Record<string, GradientRule>> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
};
