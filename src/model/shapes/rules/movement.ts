// Shape rules of operators that move, pick or arrange elements; may depend on the call, attributes and dimension arithmetic.
import { intAttribute, intsAttribute } from "../../attributes.ts";
import type { Dim } from "../../graph.ts";
import {
  attributeOrInput,
  axisIn,
  broadcast,
  cannotTell,
  contradiction,
  dtypeOf,
  elementsOf,
  freshShape,
  hasInput,
  numbersOf,
  sameAsInput,
  sameSize,
  shapeOf,
  shapeOfRank,
  tensor,
  tensorOf,
  withLast,
  type OperatorCall,
  type RuleTable,
  type ShapeRule,
  type Sizes,
} from "../call.ts";
import {
  add,
  ceilDivide,
  floorDivide,
  maximum,
  minimum,
  multiply,
  productOf,
  subtract,
  type Size,
} from "../expression.ts";
import { dtypeAttribute, each } from "./elementwise.ts";

/** What a shape input asks for: its elements, or fresh sizes when only its length is known. */
function requested(call: OperatorCall, index: number): readonly Dim[] {
  const elements = elementsOf(call, index);
  if (elements !== undefined) return elements;
  const length = shapeOf(call, index)[0];
  if (typeof length === "number") return freshShape(call, 0, length);
  throw cannotTell(`the rank comes from data (input '${call.node.inputs[index]}')`);
}

const reshape: ShapeRule = (call) => {
  const dtype = dtypeOf(call, 0);
  const target: readonly Dim[] = intsAttribute(call.node, "shape") ?? requested(call, 1);
  const data = tensorOf(call, 0).shape as Sizes | undefined;
  const zeroCopies = intAttribute(call.node, "allowzero", 0) === 0;
  const sizes = target.map((size, i): Size => {
    if (size !== 0 || !zeroCopies) return size ?? call.fresh(0, i);
    const copied = data?.[i];
    if (data !== undefined && copied === undefined)
      throw contradiction(`shape asks to copy axis ${i} of rank ${data.length}`);
    return copied ?? call.fresh(0, i);
  });
  const open = sizes.indexOf(-1);
  if (open < 0) return [tensor(dtype, checkedCount(data, sizes, target.includes(null)))];
  if (data === undefined) sizes[open] = call.fresh(0, open);
  else {
    const others = productOf(sizes.filter((_, i) => i !== open));
    const total = productOf(data);
    if (
      typeof total === "number" &&
      typeof others === "number" &&
      (others === 0 ? total !== 0 : total % others !== 0)
    ) {
      throw contradiction(`${total} elements of [${data.join(", ")}] cannot be arranged as [${target.join(", ")}]`);
    }
    sizes[open] = others === 0 ? 0 : floorDivide(total, others);
  }
  return [tensor(dtype, sizes)];
};

function checkedCount(data: Sizes | undefined, sizes: Sizes, partly: boolean): Sizes {
  const [found, wanted] = [data && productOf(data), productOf(sizes)];
  if (!partly && typeof found === "number" && typeof wanted === "number" && found !== wanted) {
    throw contradiction(`${found} elements of [${data!.join(", ")}] cannot be arranged as [${sizes.join(", ")}]`);
  }
  return sizes;
}

const flatten: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = intAttribute(call.node, "axis", 1);
  const at = axis < 0 ? axis + data.length : axis;
  return [tensor(dtypeOf(call, 0), [productOf(data.slice(0, at)), productOf(data.slice(at))])];
};

const transpose: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const order = intsAttribute(call.node, "perm") ?? data.map((_, i) => data.length - 1 - i);
  if (order.length !== data.length) throw contradiction(`perm has ${order.length} axes for rank ${data.length}`);
  return [
    tensor(
      dtypeOf(call, 0),
      order.map((axis) => data[axisIn(axis, data.length)]),
    ),
  ];
};

const squeeze: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axes = attributeOrInput(call, "axes", 1)?.map((axis) => axisIn(axis, data.length));
  if (axes === undefined && data.some((size) => typeof size !== "number")) {
    throw cannotTell("Squeeze without axes on symbolic sizes");
  }
  const wide = axes?.find((axis) => typeof data[axis] === "number" && data[axis] !== 1);
  if (wide !== undefined) throw contradiction(`axis ${wide} of [${data.join(", ")}] is not 1 and cannot be squeezed`);
  return [
    tensor(
      dtypeOf(call, 0),
      data.filter((size, i) => (axes === undefined ? size !== 1 : !axes.includes(i))),
    ),
  ];
};

const unsqueeze: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axes = attributeOrInput(call, "axes", 1) ?? [];
  const rank = data.length + axes.length;
  const added = new Set(axes.map((axis) => axisIn(axis, rank)));
  const rest = [...data];
  return [
    tensor(
      dtypeOf(call, 0),
      Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : rest.shift()!)),
    ),
  ];
};

const concat: ShapeRule = (call) => {
  const shapes = call.node.inputs.map((_, i) => shapeOf(call, i));
  const first = shapes[0];
  const axis = axisIn(intAttribute(call.node, "axis", 1), first.length);
  const joined = first.map((size, i) => {
    const sizes = shapes.map((shape) => {
      if (shape.length !== first.length)
        throw contradiction(`concatenated ranks ${first.length} and ${shape.length} differ`);
      return shape[i];
    });
    if (i === axis) return sizes.reduce<Size>(add, 0);
    return sizes.reduce((left, right) => sameSize(left, right, `axis ${i} of concatenated tensors`), size);
  });
  return [tensor(dtypeOf(call, 0), joined)];
};

const split: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.length);
  const count = intAttribute(call.node, "num_outputs", call.node.outputs.length);
  const sizes: readonly Dim[] | undefined = intsAttribute(call.node, "split") ?? elementsOf(call, 1);
  const data1 = data[axis];
  const chunk = ceilDivide(data1, count);
  return call.node.outputs.map((_, output) => {
    const even = output < count - 1 ? chunk : subtract(data1, multiply(chunk, count - 1));
    const size = hasInput(call, 1) || sizes !== undefined ? (sizes?.[output] ?? call.fresh(output, axis)) : even;
    return tensor(dtypeOf(call, 0), data.with(axis, size));
  });
};

const TO_THE_END = 2 ** 31 - 1;

/** Elements that `start:end:step` picks of a size; `fresh` when the data decides. */
export function sliceLength(size: Size, start: Dim, end: Dim, step: Dim, fresh: () => Size): Size {
  if (typeof step !== "number" || start === null || end === null || step === 0) return fresh();
  if (typeof size === "number" && typeof start === "number" && typeof end === "number") {
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (at: number, floor: number) => Math.min(Math.max(at < 0 ? at + size : at, floor), high);
    // Unlike numpy, a start before the first element means the first element, in both directions.
    const [from, to] = [clamp(start, 0), clamp(end, low)];
    return Math.max(0, Math.ceil((to - from) / step));
  }
  if (step < 0) {
    const whole = step === -1 && start === -1 && typeof end === "number" && end < -TO_THE_END;
    return whole ? size : fresh();
  }
  const place = (at: Size): Size => {
    if (typeof at === "number" && at >= TO_THE_END) return size;
    if (typeof at === "number" && at < 0) return typeof size === "number" ? Math.max(0, size + at) : add(size, at);
    return minimum(at, size);
  };
  const length = ceilDivide(subtract(place(end), place(start)), step);
  return typeof length === "number" ? Math.max(0, length) : length.includes("min(") ? maximum(length, 0) : length;
}

const slice: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const input = (name: string, index: number): readonly Dim[] | undefined =>
    intsAttribute(call.node, name) ?? elementsOf(call, index);
  const [starts, ends] = [input("starts", 1), input("ends", 2)];
  const steps = elementsOf(call, 4);
  const stepsUnknown = hasInput(call, 4) && steps === undefined;
  const axes = intsAttribute(call.node, "axes") ?? numbersOf(call, 3);
  if (hasInput(call, 3) && axes === undefined) return [tensor(dtypeOf(call, 0), freshShape(call, 0, data.length))];
  const length = starts?.length ?? ends?.length ?? axes?.length ?? shapeOf(call, 1)[0];
  if (typeof length !== "number") return [tensor(dtypeOf(call, 0), freshShape(call, 0, data.length))];
  const result = [...data];
  for (let i = 0; i < length; i += 1) {
    const axis = axisIn(axes?.[i] ?? i, data.length);
    const step = stepsUnknown ? null : (steps?.[i] ?? 1);
    const fresh = () => call.fresh(0, axis);
    result[axis] = sliceLength(data[axis], starts?.[i] ?? null, ends?.[i] ?? null, step, fresh);
  }
  return [tensor(dtypeOf(call, 0), result)];
};

const pad: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const pads: readonly Dim[] | undefined =
    intsAttribute(call.node, "pads") ?? intsAttribute(call.node, "paddings") ?? elementsOf(call, 1);
  const axes = hasInput(call, 3) ? numbersOf(call, 3) : data.map((_, i) => i);
  if (pads === undefined || axes === undefined) return [tensor(dtypeOf(call, 0), freshShape(call, 0, data.length))];
  const result = [...data];
  axes.forEach((axis, i) => {
    const at = axisIn(axis, data.length);
    const [before, after] = [pads[i], pads[i + axes.length]];
    result[at] = before == null || after == null ? call.fresh(0, at) : add(add(data[at], before), after);
  });
  return [tensor(dtypeOf(call, 0), result)];
};

const gather: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.length);
  return [tensor(dtypeOf(call, 0), [...data.slice(0, axis), ...shapeOf(call, 1), ...data.slice(axis + 1)])];
};

const gatherElements: ShapeRule = (call) => [tensor(dtypeOf(call, 0), shapeOf(call, 1))];

const gatherTuples: ShapeRule = (call) => {
  const [data, indices] = [shapeOf(call, 0), shapeOf(call, 1)];
  const batch = intAttribute(call.node, "batch_dims", 0);
  const tuple = indices.at(-1);
  if (typeof tuple !== "number") throw cannotTell("the length of index tuples is symbolic");
  return [tensor(dtypeOf(call, 0), [...indices.slice(0, -1), ...data.slice(batch + tuple)])];
};

const expand: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const target = requested(call, 1).map((size, i) => size ?? call.fresh(0, i));
  if (elementsOf(call, 1) !== undefined) return [tensor(dtypeOf(call, 0), broadcast(data, target))];
  return [tensor(dtypeOf(call, 0), freshShape(call, 0, Math.max(data.length, target.length)))];
};

const tile: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const repeats = elementsOf(call, 1);
  const sizes = data.map((size, i) => (repeats?.[i] == null ? call.fresh(0, i) : multiply(size, repeats[i])));
  return [tensor(dtypeOf(call, 0), sizes)];
};

const shape: ShapeRule = (call) => {
  const rank = shapeOf(call, 0).length;
  const place = (at: number) => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
  const [from, to] = [place(intAttribute(call.node, "start", 0)), place(intAttribute(call.node, "end", rank))];
  return [tensor("int64", [Math.max(0, to - from)])];
};

const compress: ShapeRule = (call) => {
  const axis = call.node.attributes.has("axis") ? intAttribute(call.node, "axis", 0) : undefined;
  const kept = numbersOf(call, 1)?.reduce((total, flag) => total + flag, 0);
  if (axis === undefined) return [tensor(dtypeOf(call, 0), [kept ?? call.fresh(0, 0)])];
  const data = shapeOf(call, 0);
  const at = axisIn(axis, data.length);
  return [tensor(dtypeOf(call, 0), data.with(at, kept ?? call.fresh(0, at)))];
};

const unique: ShapeRule = (call) => {
  const count = call.fresh(0, 0);
  const vector = tensor("int64", [count]);
  const data = shapeOf(call, 0);
  const dtype = dtypeOf(call, 0);
  if (!call.node.attributes.has("axis")) {
    return [tensor(dtype, [count]), vector, tensor("int64", [productOf(data)]), vector];
  }
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.length);
  return [tensor(dtype, data.with(axis, count)), vector, tensor("int64", [data[axis]]), vector];
};

const nonZero: ShapeRule = (call) => {
  const rank = shapeOf(call, 0).length;
  const count = call.values[0]?.elements;
  const known = count?.every((element) => typeof element === "number")
    ? count.filter((e) => e !== 0).length
    : undefined;
  return [tensor("int64", [Math.max(rank, 1), known ?? call.fresh(0, 1)])];
};

const oneHot: ShapeRule = (call) => {
  const indices = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", -1), indices.length + 1);
  const depth = elementsOf(call, 1)?.[0] ?? call.fresh(0, axis);
  return [tensor(dtypeOf(call, 2), indices.toSpliced(axis, 0, depth))];
};

const topK: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", -1), data.length);
  const attribute = call.node.attributes.has("k") ? intAttribute(call.node, "k", 1) : undefined;
  const count = attribute ?? elementsOf(call, 1)?.[0] ?? call.fresh(0, axis);
  const result = data.with(axis, count);
  return [tensor(dtypeOf(call, 0), result), tensor("int64", result)];
};

const tfIdf: ShapeRule = (call) => {
  const width = Math.max(-1, ...(intsAttribute(call.node, "ngram_indexes") ?? [])) + 1;
  return [tensor("float32", [...shapeOf(call, 0).slice(0, -1), width])];
};

const stringSplit: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  return [tensor("string", [...data, call.fresh(0, data.length)]), tensor("int64", data)];
};

const normalizedStrings: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const stops = call.node.attributes.has("stopwords");
  return [tensor("string", stops ? withLast(data, call.fresh(0, data.length - 1)) : data)];
};

/** The same bits under another element type of the same width. */
const bitCast: ShapeRule = (call) => {
  const data = tensorOf(call, 0);
  return [tensor(dtypeAttribute(call, "to", data.dtype), data.shape as Sizes | undefined)];
};

export const MOVEMENT: RuleTable = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherTuples,
  ...each("Scatter ScatterElements ScatterND TensorScatter ReverseSequence Trilu", sameAsInput),
  BitCast: bitCast,
  Identity: (call) => [call.inputs[0] ?? tensorOf(call, 0)],
  RegexFullMatch: (call) => [tensor("bool", shapeOf(call, 0))],
  StringConcat: (call) => [tensor("string", broadcast(shapeOf(call, 0), shapeOf(call, 1)))],
  StringSplit: stringSplit,
  StringNormalizer: normalizedStrings,
  TfIdfVectorizer: tfIdf,
  Expand: expand,
  Tile: tile,
  Shape: shape,
  Size: () => [tensor("int64", [])],
  Compress: compress,
  Unique: unique,
  NonZero: nonZero,
  OneHot: oneHot,
  TopK: topK,
  Det: (call) => [tensor(dtypeOf(call, 0), shapeOfRank(call, 0, 2, true).slice(0, -2))],
};
