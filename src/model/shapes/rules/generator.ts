// Shape rules of operators that make tensors from nothing, and of sequences and optionals; may depend on the call.
import { intAttribute, intsAttribute, tensorAttribute } from "../../attributes.ts";
import type { ValueType } from "../../graph.ts";
import {
  axisIn,
  cannotTell,
  dtypeOf,
  elementsOf,
  freshShape,
  hasInput,
  numbersOf,
  shapeOf,
  tensor,
  tensorOf,
  type OperatorCall,
  type RuleTable,
  type ShapeRule,
} from "../call.ts";
import { add, ceilDivide, floorDivide, maximum, subtract } from "../expression.ts";
import { windowFunction } from "./convolution.ts";
import { dtypeAttribute } from "./elementwise.ts";

const constant: ShapeRule = (call) => {
  const [entry] = call.node.attributes;
  const [, value] = entry ?? [];
  switch (value?.type) {
    case "tensor":
      return [tensor(value.value.dtype, value.value.shape)];
    case "sparseTensor":
      return [tensor(value.value.values.dtype, value.value.shape)];
    case "float":
      return [tensor("float32", [])];
    case "floats":
      return [tensor("float32", [value.value.length])];
    case "int":
      return [tensor("int64", [])];
    case "ints":
      return [tensor("int64", [value.value.length])];
    case "string":
      return [tensor("string", [])];
    case "strings":
      return [tensor("string", [value.value.length])];
    default:
      throw cannotTell("a Constant without a value");
  }
};

const constantOfShape: ShapeRule = (call) => {
  const dtype = tensorAttribute(call.node, "value")?.dtype ?? "float32";
  const elements = elementsOf(call, 0);
  if (elements !== undefined)
    return [
      tensor(
        dtype,
        elements.map((size, i) => size ?? call.fresh(0, i)),
      ),
    ];
  const length = shapeOf(call, 0)[0];
  if (typeof length !== "number") throw cannotTell("the rank comes from data");
  return [tensor(dtype, freshShape(call, 0, length))];
};

const range: ShapeRule = (call) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => elementsOf(call, i)?.[0]);
  if (start == null || limit == null || typeof delta !== "number")
    return [tensor(dtypeOf(call, 0), [call.fresh(0, 0)])];
  if (typeof start === "number" && typeof limit === "number") {
    return [tensor(dtypeOf(call, 0), [Math.max(0, Math.ceil((limit - start) / delta))])];
  }
  const span = subtract(limit, start);
  if (!Number.isInteger(delta)) return [tensor(dtypeOf(call, 0), [call.fresh(0, 0)])];
  const count = delta > 0 ? ceilDivide(span, delta) : ceilDivide(subtract(0, span), -delta);
  return [tensor(dtypeOf(call, 0), [typeof count === "number" ? maximum(count, 0) : count])];
};

const eyeLike: ShapeRule = (call) => [tensor(dtypeAttribute(call, "dtype", dtypeOf(call, 0)), shapeOf(call, 0))];

const drawn: ShapeRule = (call) => [
  tensor(dtypeAttribute(call, "dtype", "float32"), intsAttribute(call.node, "shape") ?? []),
];

const multinomial: ShapeRule = (call) => {
  const samples = intAttribute(call.node, "sample_size", 1);
  return [tensor(dtypeAttribute(call, "dtype", "int32"), [shapeOf(call, 0)[0], samples])];
};

const melWeights: ShapeRule = (call) => {
  const [mels, length] = [0, 1].map((i) => elementsOf(call, i)?.[0]);
  const bins = length == null ? call.fresh(0, 0) : add(floorDivide(length, 2), 1);
  return [tensor(dtypeAttribute(call, "output_datatype", "float32"), [bins, mels ?? call.fresh(0, 1)])];
};

/** The type that all of several share; an axis on which they differ becomes a fresh size, a rank that differs none. */
export function joinTypes(
  left: ValueType | undefined,
  right: ValueType | undefined,
  fresh: (axis: number) => string,
): ValueType | undefined {
  if (left === undefined || right === undefined || left.kind !== right.kind) return undefined;
  if (left.kind === "tensor" && right.kind === "tensor") {
    if (left.dtype !== right.dtype) return undefined;
    if (left.shape?.length !== right.shape?.length) return { ...left, shape: undefined };
    return { ...left, shape: left.shape?.map((size, i) => (size === right.shape![i] ? size : fresh(i))) };
  }
  if ((left.kind === "sequence" || left.kind === "optional") && left.kind === right.kind) {
    return { kind: left.kind, element: joinTypes(left.element, right.element, fresh) };
  }
  return left;
}

const sequenceOf = (element: ValueType | undefined): ValueType => ({ kind: "sequence", element });

function elementType(call: OperatorCall, index: number): ValueType {
  const type = call.inputs[index];
  if (type?.kind === "sequence" && type.element !== undefined) return type.element;
  throw cannotTell(`the element type of '${call.node.inputs[index]}' is unknown`);
}

const sequenceConstruct: ShapeRule = (call) => [
  sequenceOf(call.inputs.reduce((left, right) => joinTypes(left, right, (axis) => call.fresh(0, axis)))),
];

const sequenceInsert: ShapeRule = (call) => {
  const known = call.inputs[0]?.kind === "sequence" ? call.inputs[0].element : undefined;
  const empty = known?.kind === "tensor" && known.shape === undefined;
  if (known === undefined || empty) return [sequenceOf(tensorOf(call, 1))];
  return [sequenceOf(joinTypes(known, tensorOf(call, 1), (axis) => call.fresh(0, axis)))];
};

const splitToSequence: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.length);
  const keep = intAttribute(call.node, "keepdims", 1) === 1;
  const pieces = numbersOf(call, 1);
  const even = pieces !== undefined && pieces.every((size) => size === pieces[0]) && call.values[1]!.shape.length > 0;
  if (!hasInput(call, 1))
    return [sequenceOf(tensor(dtypeOf(call, 0), keep ? data.with(axis, 1) : data.toSpliced(axis, 1)))];
  return [sequenceOf(tensor(dtypeOf(call, 0), data.with(axis, even ? pieces[0] : call.fresh(0, axis))))];
};

const joinSequence: ShapeRule = (call) => {
  const element = elementType(call, 0);
  if (element.kind !== "tensor" || element.shape === undefined)
    throw cannotTell("the sequence's tensors have no known shape");
  const shape = element.shape.map((size, i) => size ?? call.fresh(0, i));
  const stacked = intAttribute(call.node, "new_axis", 0) === 1;
  const axis = axisIn(intAttribute(call.node, "axis", 0), shape.length + (stacked ? 1 : 0));
  const length = call.fresh(0, axis);
  return [tensor(element.dtype, stacked ? shape.toSpliced(axis, 0, length) : shape.with(axis, length))];
};

const sequenceEmpty: ShapeRule = (call) => [sequenceOf(tensor(dtypeAttribute(call, "dtype", "float32"), undefined))];

const optional: ShapeRule = (call) => {
  const declared = call.node.attributes.get("type");
  const element = call.inputs[0] ?? (declared?.type === "type" ? declared.value : undefined);
  return [{ kind: "optional", element }];
};

const optionalElement: ShapeRule = (call) => {
  const type = call.inputs[0];
  return [type?.kind === "optional" ? type.element : type];
};

export const GENERATOR: RuleTable = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: eyeLike,
  RandomNormal: drawn,
  RandomUniform: drawn,
  Multinomial: multinomial,
  MelWeightMatrix: melWeights,
  HannWindow: windowFunction,
  HammingWindow: windowFunction,
  BlackmanWindow: windowFunction,
  SequenceConstruct: sequenceConstruct,
  SequenceInsert: sequenceInsert,
  SequenceEmpty: sequenceEmpty,
  SequenceErase: (call) => [call.inputs[0]],
  SequenceAt: (call) => [elementType(call, 0)],
  SequenceLength: () => [tensor("int64", [])],
  SplitToSequence: splitToSequence,
  ConcatFromSequence: joinSequence,
  Optional: optional,
  OptionalGetElement: optionalElement,
  OptionalHasElement: () => [tensor("bool", [])],
};
