// Sliding-window geometry that convolution and pooling share, and its adjoint; may depend on the rule interface and attributes.
import { intsAttribute, stringAttribute } from "../../../model/attributes.ts";
import * as attribute from "../../../model/attributes.ts";
import type { Node } from "../../../model/graph.ts";
import type { Emitter } from "../emitter.ts";

/** A window over the spatial axes; all arrays have one entry for each of them. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padBegin: readonly number[];
  readonly padEnd: readonly number[];
}

/** Width that a dilated kernel covers. */
const extent = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1;

/**
 * The window of a Conv or pooling node with `auto_pad` resolved to numbers.
 *
 * @param spatial sizes of the input's spatial axes
 */
export function windowOf(node: Node, spatial: readonly number[], kernel: readonly number[]): Window {
  const strides = intsAttribute(node, "strides") ?? spatial.map(() => 1);
  const dilations = intsAttribute(node, "dilations") ?? spatial.map(() => 1);
  const autoPad = stringAttribute(node, "auto_pad", "NOTSET");
  if (autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") {
    const total = spatial.map((size, axis) => {
      const count = Math.ceil(size / strides[axis]);
      return Math.max(0, (count - 1) * strides[axis] + extent(kernel[axis], dilations[axis]) - size);
    });
    const smaller = total.map((width) => Math.floor(width / 2));
    const larger = total.map((width) => Math.ceil(width / 2));
    return autoPad === "SAME_UPPER"
      ? { kernel, strides, dilations, padBegin: smaller, padEnd: larger }
      : { kernel, strides, dilations, padBegin: larger, padEnd: smaller };
  }
  const pads = intsAttribute(node, "pads") ?? spatial.flatMap(() => [0, 0]);
  const half = spatial.length;
  return { kernel, strides, dilations, padBegin: pads.slice(0, half), padEnd: pads.slice(half) };
}

/**
 * The adjoint of sliding a weight over an input: spreads each output position back over its window.
 *
 * One ConvTranspose. Where the windows do not reach the input's end, `output_padding` appends the zeros; where they
 * reach beyond it (ceil mode), or the missing part is a stride or more, the result is cut or filled by hand, since
 * ONNX Runtime refuses such paddings.
 * @param weight `[outputChannels, inputChannels / group, …kernel]`
 * @param outputSpatial spatial sizes of `dy`
 */
export function slideBack(
  emit: Emitter,
  dy: string,
  weight: string,
  window: Window,
  group: number,
  inputSpatial: readonly number[],
  outputSpatial: readonly number[],
): string {
  const { kernel, strides, dilations, padBegin, padEnd } = window;
  const covered = outputSpatial.map(
    (count, axis) => (count - 1) * strides[axis] + extent(kernel[axis], dilations[axis]),
  );
  const missing = inputSpatial.map((size, axis) => size + padBegin[axis] + padEnd[axis] - covered[axis]);
  const attributes = {
    kernel_shape: attribute.ints(kernel),
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
    group: attribute.int(group),
  };
  const direct = missing.every((width, axis) => width >= 0 && width < strides[axis]);
  if (direct && [...padBegin, ...padEnd].every((width) => width >= 0)) {
    return emit.op("ConvTranspose", [dy, weight], {
      ...attributes,
      pads: attribute.ints([...padBegin, ...padEnd]),
      output_padding: missing.some((width) => width > 0) ? attribute.ints(missing) : undefined,
    });
  }
  const full = emit.op("ConvTranspose", [dy, weight], attributes);
  const before = padBegin.map((width) => -width);
  const after = inputSpatial.map((size, axis) => size + padBegin[axis] - covered[axis]);
  return emit.pad(full, [0, 0, ...before], [0, 0, ...after]);
}
