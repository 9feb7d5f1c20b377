// What a shape rule sees of an operator application, and the readers rules share; may depend on attributes, graph, errors
// and dimension arithmetic.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { intsAttribute } from "../attributes.ts";
import type { DType } from "../dtype.ts";
import type { Dim, Node, ValueType } from "../graph.ts";
import { isSymbol, maximum, type Size } from "./expression.ts";

/** A small tensor whose elements are known, as numbers or as expressions over symbols; null: this element is unknown. */
export interface KnownValue {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Row-major. Booleans are 0 and 1. */
  readonly elements: readonly Dim[];
}

export type Sizes = readonly Size[];
export type TensorType = ValueType & { readonly kind: "tensor" };

/** One application of an operator: the node, the types of its inputs and the values of those that are constant. */
export interface OperatorCall {
  readonly node: Node;
  /** Version of the operator set the node belongs to. */
  readonly opset: number;
  /** Undefined: left out, or of unknown type. */
  readonly inputs: readonly (ValueType | undefined)[];
  readonly values: readonly (KnownValue | undefined)[];
  /** The symbol for a size that only the data decides, e.g. how many elements of output 0 are non-zero. */
  readonly fresh: (output: number, axis: number) => string;
}

/** Types of the outputs in order. @throws LightfootError E_SHAPE (contradiction), E_SHAPE_UNKNOWN (cannot tell) */
export type ShapeRule = (call: OperatorCall) => readonly (ValueType | undefined)[];
export type RuleTable = Readonly<Record<string, ShapeRule>>;

export const tensor = (dtype: DType, shape: Sizes | undefined): TensorType => ({ kind: "tensor", dtype, shape });

/** The rule cannot tell, and why; the engine records it. */
export const cannotTell = (reason: string): LightfootError => new LightfootError("E_SHAPE_UNKNOWN", reason);
export const contradiction = (message: string): LightfootError => new LightfootError("E_SHAPE", message);

export const hasInput = (call: OperatorCall, index: number): boolean => (call.node.inputs[index] ?? "") !== "";

export function tensorOf(call: OperatorCall, index: number): TensorType {
  const type = call.inputs[index];
  if (type?.kind === "tensor") return type as TensorType;
  const name = call.node.inputs[index];
  if (!hasInput(call, index)) throw contradiction(`input ${index} is missing`);
  throw cannotTell(type === undefined ? `the type of input '${name}' is unknown` : `input '${name}' is a ${type.kind}`);
}

export const dtypeOf = (call: OperatorCall, index: number): DType => tensorOf(call, index).dtype;

/** The shape of an input. @throws LightfootError E_SHAPE_UNKNOWN */
export function shapeOf(call: OperatorCall, index: number): Sizes {
  const { shape } = tensorOf(call, index);
  if (shape === undefined) throw cannotTell(`the shape of input '${call.node.inputs[index]}' is unknown`);
  return shape as Sizes;
}

/** The shape of an input whose rank the operator fixes. */
export function shapeOfRank(call: OperatorCall, index: number, rank: number, orMore = false): Sizes {
  const shape = shapeOf(call, index);
  if (orMore ? shape.length >= rank : shape.length === rank) return shape;
  const wanted = `${rank}${orMore ? " or more" : ""}`;
  throw contradiction(`input '${call.node.inputs[index]}' is [${shape.join(", ")}], expected ${wanted} dimensions`);
}

/** The elements of a constant input, null where one is unknown; undefined: left out or not constant. */
export const elementsOf = (call: OperatorCall, index: number): readonly Dim[] | undefined =>
  call.values[index]?.elements;

/** The elements of a constant input when all are plain numbers. */
export function numbersOf(call: OperatorCall, index: number): number[] | undefined {
  const elements = elementsOf(call, index);
  return elements?.every((element) => typeof element === "number") ? (elements as number[]) : undefined;
}

/** Numbers that older opsets give as an attribute and newer ones as an input; undefined when neither is there. */
export function attributeOrInput(call: OperatorCall, name: string, index: number): number[] | undefined {
  const attribute = intsAttribute(call.node, name);
  if (attribute !== undefined) return attribute;
  if (!hasInput(call, index)) return undefined;
  const numbers = numbersOf(call, index);
  if (numbers === undefined) throw cannotTell(`'${name}' comes from data (input '${call.node.inputs[index]}')`);
  return numbers;
}

/** An axis as 0 … rank-1. @throws LightfootError E_SHAPE */
export function axisIn(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= Math.max(rank, 1)) throw contradiction(`axis ${axis} lies outside rank ${rank}`);
  return normal;
}

/** The size that two dimensions of which neither broadcasts must share: a number beats a symbol. */
export function sameSize(left: Size, right: Size, what: string): Size {
  if (left === right) return left;
  if (typeof left === "number" && typeof right === "number") {
    throw contradiction(`${what}: ${left} and ${right} must be equal`);
  }
  if (typeof left === "number" || typeof right === "number") return typeof left === "number" ? left : right;
  return left.length <= right.length ? left : right;
}

/**
 * Multidirectional broadcasting of ONNX.
 *
 * Two unlike expressions must be equal or one of them 1 at run time: for bare symbols `max` is exact in both cases; longer
 * expressions (a down- and upsampled size beside the original) are taken as equal, or the text would grow without bound.
 */
export function broadcast(...shapes: readonly Sizes[]): Sizes {
  return shapes.reduce<Sizes>((left, right) => {
    const rank = Math.max(left.length, right.length);
    return Array.from({ length: rank }, (_, i) => {
      const a = left[i - rank + left.length] ?? 1;
      const b = right[i - rank + right.length] ?? 1;
      if (a === b || b === 1) return a;
      if (a === 1) return b;
      if (isSymbol(a) && isSymbol(b)) return maximum(a, b);
      return sameSize(a, b, `[${left.join(", ")}] and [${right.join(", ")}] do not broadcast`);
    });
  }, []);
}

/** A shape with another last size. */
export const withLast = (shape: Sizes, size: Size): Sizes => [...shape.slice(0, -1), size];

/** Sizes that only the data decides, one for each axis of an output. */
export const freshShape = (call: OperatorCall, output: number, rank: number): Sizes =>
  Array.from({ length: rank }, (_, axis) => call.fresh(output, axis));

/** A rule that gives output 0 the type of input 0. */
export const sameAsInput: ShapeRule = (call) => [tensorOf(call, 0)];
