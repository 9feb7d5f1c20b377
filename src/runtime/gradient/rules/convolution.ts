// Gradient rules of Conv and ConvTranspose in any number of spatial dimensions; may depend on the rule interface and window.
import * as attribute from "../../../model/attributes.ts";
import { intAttribute } from "../../../model/attributes.ts";
import { range, type Emitter } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";
import { slideBack, windowOf, type Window } from "./window.ts";

/** Bias gradient: the sum over batch and space. */
function biasGradient(context: RuleContext, dy: string): string {
  const rank = context.shape(context.outputs[0]).length;
  return context.emit.reduceSum(dy, [0, ...range(rank).slice(2)], false);
}

/**
 * dLoss/dWeight of `y = Conv(x, w)`, as a convolution of x with dy.
 *
 * dW[o,c,k] = Σ over n and p of x[n, c, p·stride + k·dilation − pad] · dy[n,o,p]: batch takes the part of the channels, dy
 * is the kernel, and stride and dilation change places. Groups: input channels are laid out as `[group, n]`, so that
 * one grouped convolution gives them all.
 * @returns name of `[outputChannels, inputChannels / group, …kernel]`
 */
function weightGradient(
  emit: Emitter,
  x: string,
  xShape: readonly number[],
  dy: string,
  dyShape: readonly number[],
  window: Window,
  group: number,
): string {
  const [batch, channels, ...spatial] = xShape as [number, number, ...number[]];
  const outputSpatial = dyShape.slice(2);
  const space = range(spatial.length);
  const perGroup = channels / group;
  const swap = [1, 0, ...space.map((axis) => axis + 2)];

  let image: string;
  if (group === 1) {
    image = emit.transpose(x, swap);
  } else {
    const split = emit.reshape(x, [batch, group, perGroup, ...spatial]);
    const moved = emit.transpose(split, [2, 1, 0, ...space.map((axis) => axis + 3)]);
    image = emit.reshape(moved, [perGroup, group * batch, ...spatial]);
  }
  const kernel = emit.transpose(dy, swap);
  const { strides, dilations, padBegin, padEnd } = window;
  const product = emit.op("Conv", [image, kernel], {
    kernel_shape: attribute.ints(outputSpatial),
    strides: attribute.ints(dilations),
    dilations: attribute.ints(strides),
    pads: attribute.ints([...padBegin, ...padEnd]),
    group: attribute.int(group),
  });
  // A stride that does not divide the input leaves rows the forward pass never saw; they look like further kernel taps.
  const taps = spatial.map((size, axis) => {
    const reach = size + padBegin[axis] + padEnd[axis] - ((outputSpatial[axis] - 1) * strides[axis] + 1);
    return Math.floor(reach / dilations[axis]) + 1;
  });
  const surplus = space.filter((axis) => taps[axis] > window.kernel[axis]);
  const cut =
    surplus.length === 0
      ? product
      : emit.slice(
          product,
          surplus.map((axis) => axis + 2),
          surplus.map(() => 0),
          surplus.map((axis) => window.kernel[axis]),
        );
  return emit.transpose(cut, swap);
}

const conv: GradientRule = (context) => {
  const { emit, node } = context;
  const [x, w, bias] = context.inputs as [string, string, string | undefined];
  const dy = firstGradient(context);
  const [xShape, wShape, dyShape] = [context.shape(x), context.shape(w), context.shape(context.outputs[0])];
  const group = intAttribute(node, "group", 1);
  const window = windowOf(node, xShape.slice(2), wShape.slice(2));
  return [
    context.wants(0) ? slideBack(emit, dy, w, window, group, xShape.slice(2), dyShape.slice(2)) : undefined,
    context.wants(1) ? weightGradient(emit, x, xShape, dy, dyShape, window, group) : undefined,
    bias !== undefined && context.wants(2) ? biasGradient(context, dy) : undefined,
  ];
};

/** The pads of a ConvTranspose follow from its output's size: total = covered + output_padding − size. */
function transposedWindow(context: RuleContext, spatial: readonly number[], kernel: readonly number[]): Window {
  const { node } = context;
  const output = context.shape(context.outputs[0]).slice(2);
  const strides = attribute.intsAttribute(node, "strides") ?? spatial.map(() => 1);
  const dilations = attribute.intsAttribute(node, "dilations") ?? spatial.map(() => 1);
  const autoPad = attribute.stringAttribute(node, "auto_pad", "NOTSET");
  const hasOutputShape = attribute.intsAttribute(node, "output_shape") !== undefined;
  const declared = attribute.intsAttribute(node, "pads") ?? spatial.flatMap(() => [0, 0]);
  const covered = spatial.map((size, axis) => (size - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1);
  if (!hasOutputShape && !autoPad.startsWith("SAME")) {
    const padBegin = declared.slice(0, spatial.length);
    // Output padding makes the last pad negative: the sliding window then sees only part of the output.
    return {
      kernel,
      strides,
      dilations,
      padBegin,
      padEnd: covered.map((width, axis) => width - padBegin[axis] - output[axis]),
    };
  }
  const outputPadding = attribute.intsAttribute(node, "output_padding") ?? spatial.map(() => 0);
  const total = covered.map((width, axis) => Math.max(0, width + outputPadding[axis] - output[axis]));
  const begin = total.map((width) => (autoPad === "SAME_UPPER" ? Math.floor(width / 2) : Math.ceil(width / 2)));
  const padEnd = covered.map((width, axis) => width - begin[axis] - output[axis]);
  return { kernel, strides, dilations, padBegin: begin, padEnd };
}

/** ConvTranspose is the adjoint of Conv, so its own adjoint is Conv, and x and dy change places in the weight's. */
const convTranspose: GradientRule = (context) => {
  const { emit, node } = context;
  const [x, w, bias] = context.inputs as [string, string, string | undefined];
  const [xShape, wShape, dyShape] = [context.shape(x), context.shape(w), context.shape(context.outputs[0])];
  const group = intAttribute(node, "group", 1);
  const exact = transposedWindow(context, xShape.slice(2), wShape.slice(2));
  // Conv takes no negative pads: cut the part of dy that no window reaches.
  const overhang = exact.padEnd.map((width) => Math.min(0, width));
  const dy = emit.pad(firstGradient(context), [0, 0, ...overhang.map(() => 0)], [0, 0, ...overhang]);
  const seenShape = dyShape.map((size, axis) => (axis < 2 ? size : size + overhang[axis - 2]));
  const window = { ...exact, padEnd: exact.padEnd.map((width) => Math.max(0, width)) };
  const dX = (): string =>
    emit.op("Conv", [dy, w], {
      kernel_shape: attribute.ints(window.kernel),
      strides: attribute.ints(window.strides),
      dilations: attribute.ints(window.dilations),
      pads: attribute.ints([...window.padBegin, ...window.padEnd]),
      group: attribute.int(group),
    });
  return [
    context.wants(0) ? dX() : undefined,
    context.wants(1) ? weightGradient(emit, dy, seenShape, x, xShape, window, group) : undefined,
    bias !== undefined && context.wants(2) ? biasGradient(context, firstGradient(context)) : undefined,
  ];
};

export const convolution: Readonly<Record<string, GradientRule>> = { Conv: conv, ConvTranspose: convTranspose };
