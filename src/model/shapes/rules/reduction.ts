// Shape rules of reductions; may depend on the call and attributes.
import { intAttribute, intsAttribute } from "../../attributes.ts";
import {
  axisIn,
  cannotTell,
  dtypeOf,
  freshShape,
  hasInput,
  numbersOf,
  shapeOf,
  tensor,
  type RuleTable,
  type ShapeRule,
} from "../call.ts";
import { each } from "./elementwise.ts";

/** `axes` as an attribute up to opset 17 (12 for ReduceSum), then as an input. */
export const reduction: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const dtype = dtypeOf(call, 0);
  const keep = intAttribute(call.node, "keepdims", 1) === 1;
  const axes = intsAttribute(call.node, "axes") ?? numbersOf(call, 1);
  if (axes === undefined && hasInput(call, 1)) {
    if (keep) return [tensor(dtype, freshShape(call, 0, data.length))];
    const count = shapeOf(call, 1)[0];
    if (typeof count !== "number") throw cannotTell("the reduced axes come from data");
    return [tensor(dtype, freshShape(call, 0, data.length - count))];
  }
  if ((axes ?? []).length === 0 && intAttribute(call.node, "noop_with_empty_axes", 0) === 1)
    return [tensor(dtype, data)];
  const every = (axes ?? []).length === 0;
  const reduced = new Set(axes?.map((axis) => axisIn(axis, data.length)));
  const gone = (i: number) => every || reduced.has(i);
  return [tensor(dtype, keep ? data.map((size, i) => (gone(i) ? 1 : size)) : data.filter((_, i) => !gone(i)))];
};

const position: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.length);
  const keep = intAttribute(call.node, "keepdims", 1) === 1;
  return [tensor("int64", keep ? data.with(axis, 1) : data.toSpliced(axis, 1))];
};

export const REDUCTIONS =
  "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare";

export const REDUCTION: RuleTable = { ...each(REDUCTIONS, reduction), ...each("ArgMax ArgMin", position) };
