// Shape rules of matrix products, Einsum, attention and recurrent layers; may depend on the call, attributes and arithmetic.
import { intAttribute, stringAttribute } from "../../attributes.ts";
import type { DType } from "../../dtype.ts";
import {
  broadcast,
  contradiction,
  dtypeOf,
  hasInput,
  sameSize,
  shapeOf,
  shapeOfRank,
  tensor,
  type OperatorCall,
  type RuleTable,
  type ShapeRule,
  type Sizes,
} from "../call.ts";
import { add, floorDivide, multiply, type Size } from "../expression.ts";

/** numpy's matmul: vectors get a unit axis that the result loses again, leading axes broadcast. */
export function productShape(left: Sizes, right: Sizes): Sizes {
  if (left.length === 0 || right.length === 0) throw contradiction("a matrix product of a scalar");
  const a = left.length === 1 ? [1, ...left] : left;
  const b = right.length === 1 ? [...right, 1] : right;
  sameSize(a.at(-1)!, b.at(-2)!, `inner sizes of [${left.join(", ")}] x [${right.join(", ")}]`);
  const rows = left.length === 1 ? [] : [a.at(-2)!];
  const columns = right.length === 1 ? [] : [b.at(-1)!];
  return [...broadcast(a.slice(0, -2), b.slice(0, -2)), ...rows, ...columns];
}

/** A matrix product of the operands at two inputs. */
export const matrixProduct =
  (leftAt: number, rightAt: number, dtype: (call: OperatorCall) => DType): ShapeRule =>
  (call) => [tensor(dtype(call), productShape(shapeOf(call, leftAt), shapeOf(call, rightAt)))];

const swapped = (shape: Sizes): Sizes => [...shape.slice(0, -2), ...shape.slice(-2).reverse()];

/** `FusedMatMul`: transposes by attribute, of the last two axes or with the batch axes. */
export const transposableProduct: ShapeRule = (call) => {
  const operand = (index: number, letter: "A" | "B") => {
    const shape = shapeOf(call, index);
    const batch = intAttribute(call.node, `transBatch${letter}`, 0) === 1;
    const arranged = batch ? [...shape.slice(1, -1), shape[0], shape.at(-1)!] : shape;
    return intAttribute(call.node, `trans${letter}`, 0) === 1 ? swapped(arranged) : arranged;
  };
  return [tensor(dtypeOf(call, 0), productShape(operand(0, "A"), operand(1, "B")))];
};

/** `Gemm`-like: 2-D operands at two inputs. */
export const gemm =
  (leftAt: number, rightAt: number, dtype: (call: OperatorCall) => DType): ShapeRule =>
  (call) => {
    const turn = (index: number, name: string) => {
      const shape = shapeOfRank(call, index, 2);
      return intAttribute(call.node, name, 0) === 1 ? swapped(shape) : shape;
    };
    return [tensor(dtype(call), productShape(turn(leftAt, "transA"), turn(rightAt, "transB")))];
  };

/** The terms of an Einsum with the ellipsis written out, and the size of each letter. */
export function einsumTerms(equation: string, shapes: readonly Sizes[]) {
  const [left = "", right] = equation.replaceAll(/\s/g, "").split("->");
  const terms = left.split(",");
  if (terms.length !== shapes.length)
    throw contradiction(`'${equation}' has ${terms.length} terms for ${shapes.length} inputs`);
  const sizes = new Map<string, Size>();
  let dots = 0;
  const inputs = terms.map((term, i) => {
    const shape = shapes[i];
    const hidden = shape.length - term.replace("...", "").length;
    if (hidden < 0 || (hidden > 0 && !term.includes("...")))
      throw contradiction(`'${term}' does not fit [${shape.join(", ")}]`);
    dots = Math.max(dots, term.includes("...") ? hidden : 0);
    const dotted = Array.from({ length: hidden }, (_, k) => `.${hidden - k}`);
    const [before, after] = term.includes("...") ? term.split("...") : [term, ""];
    const labels = [...Array.from(before), ...(term.includes("...") ? dotted : []), ...Array.from(after)];
    labels.forEach((label, axis) => {
      const known = sizes.get(label);
      sizes.set(label, known === undefined ? shape[axis] : broadcast([known], [shape[axis]])[0]);
    });
    return labels;
  });
  const all = Array.from({ length: dots }, (_, k) => `.${dots - k}`);
  const letters = terms.join("").replaceAll("...", "");
  const implicit = [
    ...all,
    ...[...new Set(letters)].sort().filter((l) => letters.indexOf(l) === letters.lastIndexOf(l)),
  ];
  const [before, after] = (right ?? "").split("...");
  const output =
    right === undefined
      ? implicit
      : right.includes("...")
        ? [...Array.from(before), ...all, ...Array.from(after)]
        : Array.from(right);
  return { inputs, output, sizes };
}

const einsum: ShapeRule = (call) => {
  const shapes = call.node.inputs.map((_, i) => shapeOf(call, i));
  const { output, sizes } = einsumTerms(stringAttribute(call.node, "equation", ""), shapes);
  return [
    tensor(
      dtypeOf(call, 0),
      output.map((label) => sizes.get(label) ?? 1),
    ),
  ];
};

/** Sizes of ONNX `Attention` (opset 23): 4-D `[B, heads, S, d]` or 3-D `[B, S, heads·d]` with head counts as attributes. */
export function attentionSizes(call: OperatorCall) {
  const [query, key, value] = [0, 1, 2].map((i) => shapeOf(call, i)) as [Sizes, Sizes, Sizes];
  const flat = query.length === 3;
  const queryHeads = flat ? intAttribute(call.node, "q_num_heads", 1) : query[1];
  const keyHeads = flat ? intAttribute(call.node, "kv_num_heads", 1) : key[1];
  const past = hasInput(call, 4) ? shapeOf(call, 4)[2] : 0;
  return {
    flat,
    batch: query[0],
    queryHeads,
    keyHeads,
    queryLength: flat ? query[1] : query[2],
    keyLength: add(flat ? key[1] : key[2], past),
    headSize: flat ? floorDivide(query[2], queryHeads) : query[3],
    valueSize: flat ? floorDivide(value[2], keyHeads) : value[3],
  };
}

const attention: ShapeRule = (call) => {
  const s = attentionSizes(call);
  const dtype = dtypeOf(call, 0);
  const result = s.flat
    ? [s.batch, s.queryLength, multiply(s.queryHeads, s.valueSize)]
    : [s.batch, s.queryHeads, s.queryLength, s.valueSize];
  return [
    tensor(dtype, result),
    tensor(dtype, [s.batch, s.keyHeads, s.keyLength, s.headSize]),
    tensor(dtype, [s.batch, s.keyHeads, s.keyLength, s.valueSize]),
    tensor(dtype, [s.batch, s.queryHeads, s.queryLength, s.keyLength]),
  ];
};

/** LSTM, GRU, RNN: X `[seq, batch, input]`, or batch first with `layout` 1; Y has the directions as an axis of its own. */
const recurrent: ShapeRule = (call) => {
  const data = shapeOfRank(call, 0, 3);
  const recurrence = shapeOfRank(call, 2, 3);
  const hidden = recurrence[2];
  const directions = recurrence[0];
  const batchFirst = intAttribute(call.node, "layout", 0) === 1;
  const [sequence, batch] = batchFirst ? [data[1], data[0]] : [data[0], data[1]];
  const dtype = dtypeOf(call, 0);
  if (hasInput(call, 5)) {
    const initial = shapeOfRank(call, 5, 3);
    sameSize(initial[batchFirst ? 0 : 1], batch, "batch of the data and of the initial state");
  }
  const states = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const every = batchFirst ? [batch, sequence, directions, hidden] : [sequence, directions, batch, hidden];
  return [tensor(dtype, every), tensor(dtype, states), tensor(dtype, states)];
};

export const MATMUL: RuleTable = {
  MatMul: matrixProduct(0, 1, (call) => dtypeOf(call, 0)),
  MatMulInteger: matrixProduct(0, 1, () => "int32"),
  QLinearMatMul: matrixProduct(0, 3, (call) => dtypeOf(call, 7)),
  Gemm: gemm(0, 1, (call) => dtypeOf(call, 0)),
  Einsum: einsum,
  Attention: attention,
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
};
