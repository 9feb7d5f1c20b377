// Values of small tensors that follow from constants and shapes (Shape → Gather → Concat → Reshape chains); may depend on
// the call, attributes and dimension arithmetic.
import { intAttribute, intsAttribute } from "../attributes.ts";
import { DTYPES, type DType } from "../dtype.ts";
import type { Dim, TensorRef, ValueType } from "../graph.ts";
import { axisIn, numbersOf, shapeOf, type KnownValue, type OperatorCall } from "./call.ts";
import {
  add,
  certainSign,
  floorDivide,
  floorSize,
  maximum,
  minimum,
  multiply,
  productOf,
  subtract,
  type Size,
} from "./expression.ts";
import { toSafe, VALUE_LIMIT } from "./constants.ts";

type Elements = readonly Dim[];
/** Elements of output 0 (or of all outputs), given the numeric shape of each output. */
type Folder = (call: OperatorCall, shapes: readonly (readonly number[])[]) => readonly (Elements | undefined)[];

/** Calls `pick` with every multi-index of a shape, row-major. */
function fill(shape: readonly number[], pick: (index: readonly number[]) => Dim): Dim[] {
  const count = shape.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, flat) => {
    const index = Array.from({ length: shape.length }, () => 0);
    for (let axis = shape.length - 1, rest = flat; axis >= 0; axis -= 1) {
      index[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return pick(index);
  });
}

/** The element at an index that may come from a larger, broadcast shape. */
function at(value: KnownValue, index: readonly number[]): Dim {
  const skip = index.length - value.shape.length;
  const flat = value.shape.reduce((total, size, axis) => total * size + (size === 1 ? 0 : index[axis + skip]), 0);
  return value.elements[flat] ?? null;
}

const lift =
  (operation: (...sizes: Size[]) => Dim) =>
  (...parts: Dim[]): Dim =>
    parts.every((part) => part !== null) ? operation(...(parts as Size[])) : null;

const elementwise =
  (operation: (dtype: DType, ...parts: Dim[]) => Dim): Folder =>
  (call, [shape]) => {
    const values = call.values.filter((value) => value !== undefined);
    if (values.length !== call.node.inputs.length) return [];
    return [fill(shape, (index) => operation(values[0].dtype, ...values.map((value) => at(value, index))))];
  };

const plain = (operation: (...sizes: Size[]) => Dim): Folder => {
  const lifted = lift(operation);
  return elementwise((_, ...parts) => lifted(...parts));
};

const numeric = (operation: (value: number) => number): Folder =>
  plain((value) => (typeof value === "number" ? operation(value) : null));

const isFloatKind = (dtype: DType): boolean => DTYPES[dtype].kind === "float";

function divide(dtype: DType, left: Dim, right: Dim): Dim {
  if (left === null || right === null || right === 0) return null;
  if (typeof left === "number" && typeof right === "number") {
    return isFloatKind(dtype) ? rounded(dtype, left / right) : Math.trunc(left / right);
  }
  if (!isFloatKind(dtype)) return floorDivide(left, right);
  return typeof right === "number" ? multiply(left, 1 / right) : null;
}

const rounded = (dtype: DType, value: number): number => (dtype === "float32" ? Math.fround(value) : value);

function modulo(_: DType, left: Dim, right: Dim): Dim {
  if (left === null || right === null || right === 0) return null;
  return subtract(left, multiply(right, floorDivide(left, right)));
}

const compare = (holds: (sign: -1 | 0 | 1) => boolean): Folder =>
  plain((left, right) => {
    const sign = certainSign(subtract(left, right));
    return sign === undefined ? null : Number(holds(sign));
  });

const logic = (operation: (left: boolean, right: boolean) => boolean): Folder =>
  plain((left, right) => Number(operation(left !== 0, right !== 0)));

const fold = (operation: (left: Size, right: Size) => Size): Folder => plain((...parts) => parts.reduce(operation));

/** `Equal` also knows two equal expressions, and unequal parts whose difference has a certain sign. */
const where: Folder = (call, [shape]) => {
  const [condition, left, right] = call.values;
  if (condition === undefined || left === undefined || right === undefined) return [];
  return [
    fill(shape, (index) => {
      const chosen = at(condition, index);
      const [a, b] = [at(left, index), at(right, index)];
      if (chosen === null) return a === b ? a : null;
      return chosen === 0 ? b : a;
    }),
  ];
};

const sameElements: Folder = (call) => [call.values[0]?.elements];

const cast: Folder = (call, [shape]) => {
  const [value] = call.values;
  if (value === undefined) return [];
  const code = call.node.opType === "CastLike" ? undefined : intAttribute(call.node, "to", 0);
  const like = call.inputs[1];
  const target =
    like?.kind === "tensor" ? DTYPES[like.dtype] : Object.values(DTYPES).find((entry) => entry.code === code);
  const convert = (element: Size): Dim => {
    if (target?.kind === "float") return element;
    if (target?.kind === "boolean") {
      const sign = certainSign(element);
      return sign === undefined ? null : Number(sign !== 0);
    }
    return target?.kind === "integer" ? (typeof element === "number" ? Math.trunc(element) : floorSize(element)) : null;
  };
  return [fill(shape, (index) => lift(convert)(at({ ...value, shape: shape }, index)))];
};

const shapeElements: Folder = (call) => {
  const shape = shapeOf(call, 0);
  const clamp = (place: number) => Math.min(Math.max(place < 0 ? place + shape.length : place, 0), shape.length);
  const [from, to] = [intAttribute(call.node, "start", 0), intAttribute(call.node, "end", shape.length)];
  return [shape.slice(clamp(from), clamp(to))];
};

const gather: Folder = (call, [shape]) => {
  const [data, indices] = call.values;
  if (data === undefined || indices === undefined) return [];
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.shape.length);
  return [
    fill(shape, (index) => {
      const picked = at(indices, index.slice(axis, axis + indices.shape.length));
      if (typeof picked !== "number") return null;
      const place = picked < 0 ? picked + data.shape[axis] : picked;
      return at(data, [...index.slice(0, axis), place, ...index.slice(axis + indices.shape.length)]);
    }),
  ];
};

const concat: Folder = (call, [shape]) => {
  const axis = axisIn(intAttribute(call.node, "axis", 0), shape.length);
  // An unknown part leaves its own elements unknown, not those of its neighbours: `[batch, -1]` often has one of each.
  const lengths = call.inputs.map((type) => (type?.kind === "tensor" ? type.shape?.[axis] : undefined));
  return [
    fill(shape, (index) => {
      let place = index[axis];
      for (const [part, length] of lengths.entries()) {
        if (typeof length !== "number") return null;
        if (place < length) {
          const value = call.values[part];
          return value === undefined ? null : at(value, index.with(axis, place));
        }
        place -= length;
      }
      return null;
    }),
  ];
};

const slice: Folder = (call, [shape]) => {
  const [data] = call.values;
  if (data === undefined) return [];
  const starts = intsAttribute(call.node, "starts") ?? numbersOf(call, 1);
  const axes = intsAttribute(call.node, "axes") ?? numbersOf(call, 3) ?? starts?.map((_, i) => i);
  const steps = numbersOf(call, 4);
  if (starts === undefined || axes === undefined || (call.node.inputs[4] && steps === undefined)) return [];
  const first = new Map(
    axes.map((axis, i) => {
      const size = data.shape[axisIn(axis, data.shape.length)];
      const step = steps?.[i] ?? 1;
      const start = starts[i] < 0 ? starts[i] + size : starts[i];
      const from = Math.min(Math.max(start, 0), step < 0 ? size - 1 : size);
      return [axisIn(axis, data.shape.length), { from, step }] as const;
    }),
  );
  const source = (index: readonly number[]) =>
    index.map((place, axis) => (first.get(axis)?.from ?? 0) + place * (first.get(axis)?.step ?? 1));
  return [fill(shape, (index) => at(data, source(index)))];
};

const split: Folder = (call, shapes) => {
  const [data] = call.values;
  if (data === undefined) return [];
  const axis = axisIn(intAttribute(call.node, "axis", 0), data.shape.length);
  let start = 0;
  return shapes.map((shape) => {
    const from = start;
    start += shape[axis];
    return fill(shape, (index) => at(data, index.with(axis, index[axis] + from)));
  });
};

const repeat: Folder = (call, [shape]) => {
  const [data] = call.values;
  if (data === undefined) return [];
  const skip = shape.length - data.shape.length;
  return [
    fill(shape, (index) =>
      at(
        data,
        index.slice(skip).map((place, axis) => place % data.shape[axis]),
      ),
    ),
  ];
};

const transpose: Folder = (call, [shape]) => {
  const [data] = call.values;
  if (data === undefined) return [];
  const order = intsAttribute(call.node, "perm") ?? data.shape.map((_, i) => data.shape.length - 1 - i);
  return [
    fill(shape, (index) =>
      at(
        data,
        data.shape.map((_, axis) => index[order.indexOf(axis)]),
      ),
    ),
  ];
};

const range: Folder = (call, [shape]) => {
  const [start, , delta] = call.values.map((value) => value?.elements[0]);
  if (start == null || delta == null) return [];
  return [fill(shape, ([i]) => add(start, multiply(delta, i)))];
};

/** Reduction of all elements of a vector: how exporters count elements. */
const total =
  (operation: (left: Size, right: Size) => Size, empty?: Size): Folder =>
  (call, [shape]) => {
    const [data] = call.values;
    const one = shape.every((size) => size === 1);
    if (data === undefined || data.shape.length > 1 || !one || data.elements.some((e) => e === null)) return [];
    const elements = data.elements as readonly Size[];
    if (elements.length === 0) return empty === undefined ? [] : [[empty]];
    return [[elements.reduce(operation)]];
  };

const runningSum: Folder = (call) => {
  const [data] = call.values;
  const simple = intAttribute(call.node, "exclusive", 0) === 0 && intAttribute(call.node, "reverse", 0) === 0;
  if (data === undefined || data.shape.length !== 1 || !simple) return [];
  let sum: Dim = 0;
  return [data.elements.map((element) => (sum = sum === null || element === null ? null : add(sum, element)))];
};

/** `ScatterND` and `ScatterElements` into a vector. */
const scatter: Folder = (call) => {
  const [data, indices, updates] = call.values;
  if (data === undefined || indices === undefined || updates === undefined || data.shape.length !== 1) return [];
  const reduce = call.node.attributes.get("reduction");
  if (reduce?.type === "string" && reduce.value !== "none") return [];
  if (indices.elements.some((index) => typeof index !== "number")) return [];
  const result = [...data.elements];
  (indices.elements as readonly number[]).forEach((index, i) => {
    result[index < 0 ? index + result.length : index] = updates.elements[i] ?? null;
  });
  return [result];
};

const nonZero: Folder = (call, [shape]) => {
  const [data] = call.values;
  if (data === undefined || data.elements.some((element) => typeof element !== "number")) return [];
  const places: (readonly number[])[] = [];
  fill(data.shape, (index) => {
    if (at(data, index) !== 0) places.push([...index]);
    return null;
  });
  return [fill(shape, ([axis, i]) => places[i]?.[axis] ?? null)];
};

const FOLDERS: Readonly<Record<string, Folder>> = {
  Shape: shapeElements,
  Size: (call) => [[productOf(shapeOf(call, 0))]],
  Identity: sameElements,
  Reshape: sameElements,
  Flatten: sameElements,
  Squeeze: sameElements,
  Unsqueeze: sameElements,
  Cast: cast,
  CastLike: cast,
  Gather: gather,
  Concat: concat,
  Slice: slice,
  Split: split,
  Expand: repeat,
  Tile: repeat,
  Transpose: transpose,
  Range: range,
  Where: where,
  ScatterND: scatter,
  ScatterElements: scatter,
  NonZero: nonZero,
  CumSum: runningSum,
  Add: fold(add),
  Sub: fold(subtract),
  Mul: fold(multiply),
  Max: fold(maximum),
  Min: fold(minimum),
  Sum: fold(add),
  Div: elementwise((dtype, left, right) => divide(dtype, left ?? null, right ?? null)),
  Mod: elementwise((dtype, left, right) => modulo(dtype, left ?? null, right ?? null)),
  Pow: plain((base, power) => (typeof base === "number" && typeof power === "number" ? base ** power : null)),
  Neg: plain((value) => multiply(value, -1)),
  Abs: plain((value) => (certainSign(value) === 1 ? value : typeof value === "number" ? Math.abs(value) : null)),
  Floor: plain(floorSize),
  Ceil: plain((value) => multiply(floorSize(multiply(value, -1)), -1)),
  Round: numeric((value) => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value))),
  Sqrt: numeric(Math.sqrt),
  Relu: plain((value) => maximum(value, 0)),
  Not: plain((value) => Number(value === 0)),
  And: logic((left, right) => left && right),
  Or: logic((left, right) => left || right),
  Xor: logic((left, right) => left !== right),
  Equal: compare((sign) => sign === 0),
  Less: compare((sign) => sign < 0),
  LessOrEqual: compare((sign) => sign <= 0),
  Greater: compare((sign) => sign > 0),
  GreaterOrEqual: compare((sign) => sign >= 0),
  ReduceProd: total(multiply, 1),
  ReduceSum: total(add, 0),
  ReduceMax: total(maximum),
  ReduceMin: total(minimum),
};

function constantElements(call: OperatorCall, loaded: ReadonlyMap<TensorRef, KnownValue>): KnownValue | undefined {
  const [entry] = call.node.attributes.values();
  switch (entry?.type) {
    case "tensor":
      return loaded.get(entry.value);
    case "int":
      return { dtype: "int64", shape: [], elements: [toSafe(entry.value)] };
    case "ints":
      return { dtype: "int64", shape: [entry.value.length], elements: entry.value.map(toSafe) };
    case "float":
      return { dtype: "float32", shape: [], elements: [entry.value] };
    case "floats":
      return { dtype: "float32", shape: [entry.value.length], elements: entry.value };
    default:
      return undefined;
  }
}

/** The known values of a node's outputs, undefined where nothing is known. Needs the types that its rule gave. */
export function foldValues(
  call: OperatorCall,
  types: readonly (ValueType | undefined)[],
  loaded: ReadonlyMap<TensorRef, KnownValue>,
): readonly (KnownValue | undefined)[] {
  const { domain, opType } = call.node;
  if (domain !== "" && domain !== "ai.onnx") return [];
  if (opType === "Constant") return [constantElements(call, loaded)];
  const known = types.map((type) => {
    if (type?.kind !== "tensor" || type.dtype === "string") return undefined;
    const { dtype, shape } = type;
    if (shape === undefined || !shape.every((size) => typeof size === "number")) return undefined;
    const numbers = shape;
    return numbers.reduce((product, size) => product * size, 1) <= VALUE_LIMIT ? { dtype, shape: numbers } : undefined;
  });
  if (known.some((entry) => entry === undefined)) return [];
  const complete = known as readonly { dtype: DType; shape: readonly number[] }[];
  const elements = opType === "ConstantOfShape" ? filled(call, complete, loaded) : folded(call, complete);
  return complete.map(({ dtype, shape }, i) => elements[i] && { dtype, shape, elements: elements[i] });
}

function folded(
  call: OperatorCall,
  outputs: readonly { shape: readonly number[] }[],
): readonly (Elements | undefined)[] {
  const folder = Object.hasOwn(FOLDERS, call.node.opType) ? FOLDERS[call.node.opType] : undefined;
  const pure = call.node.opType === "Shape" || call.node.opType === "Size";
  if (folder === undefined || (!pure && call.values.every((value) => value === undefined))) return [];
  return folder(
    call,
    outputs.map(({ shape }) => shape),
  ).map((part) => (part?.every((e) => e === null) ? undefined : part));
}

function filled(
  call: OperatorCall,
  [output]: readonly { shape: readonly number[] }[],
  loaded: ReadonlyMap<TensorRef, KnownValue>,
): readonly (Elements | undefined)[] {
  const attribute = call.node.attributes.get("value");
  const element = attribute?.type === "tensor" ? loaded.get(attribute.value)?.elements[0] : 0;
  return element == null ? [] : [fill(output.shape, () => element)];
}
