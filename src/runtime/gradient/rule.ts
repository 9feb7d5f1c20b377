// What a gradient rule is given and gives; may depend on model and the emitter.
import type { DType } from "../../model/dtype.ts";
import type { Node } from "../../model/graph.ts";
import type { Emitter } from "./emitter.ts";

/** One forward node with all that its rule may ask about it. The node is in the form of operator set 21 or later. */
export interface RuleContext {
  readonly node: Node;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** dLoss/dOutput by position, of the output's shape; undefined where the loss does not depend on that output. */
  readonly outputGradients: readonly (string | undefined)[];
  /** Whether a gradient of this input is of any use; rules emit nothing for the others. */
  wants(input: number): boolean;
  /** Static shape of a forward value. */
  shape(name: string): readonly number[];
  dtype(name: string): DType;
  /** Elements of a forward value that does not depend on data or trainable tensors. @throws LightfootError E_GRADIENT otherwise */
  constant(name: string): readonly number[];
  /** An optional output of the forward node (mean, indices), added to it on first use. */
  auxiliary(output: number): string;
  readonly emit: Emitter;
}

/** dLoss/dInput by position; undefined where not wanted or where the derivative is zero everywhere. */
export type InputGradients = readonly (string | undefined)[];

/** The adjoint of one operator: emits the nodes that take dLoss/dOutputs to dLoss/dInputs. */
export type GradientRule = (context: RuleContext) => InputGradients;

/** The gradient of the node's first output; rules run only when some output has one. */
export function firstGradient(context: RuleContext): string {
  return context.outputGradients[0]!;
}

/** A rule for `y = f(x)` element by element, from `derivative(context, dy)` to dx. */
export function unary(adjoint: (context: RuleContext, dy: string, x: string, y: string) => string): GradientRule {
  return (context) => [adjoint(context, firstGradient(context), context.inputs[0], context.outputs[0])];
}

/** Operators whose derivative is zero almost everywhere. */
export const flat: GradientRule = () => [];
