// What one application of an operator computes, and how cost rules read shapes; may depend on model and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Node } from "../model/graph.ts";
import { elementCount } from "../model/tensor-value.ts";

/** `flops` = 2 · macs + 1 per element that an arithmetic operator works on. */
export interface Work {
  readonly macs: number;
  readonly flops: number;
}

/** A node with concrete shapes; undefined where an optional value is left out. */
export interface ShapedNode {
  readonly node: Node;
  readonly inputs: readonly (readonly number[] | undefined)[];
  readonly outputs: readonly (readonly number[] | undefined)[];
}

export type Rule = (shaped: ShapedNode) => Work;

export const multiplyAdds = (macs: number): Work => ({ macs, flops: 2 * macs });
export const arithmetic = (flops: number): Work => ({ macs: 0, flops });

function need({ node }: ShapedNode, shapes: ShapedNode["inputs"], index: number, what: string): readonly number[] {
  const shape = shapes[index];
  if (shape !== undefined) return shape;
  throw new LightfootError(
    "E_ONNX",
    `${node.opType} '${node.name}' lacks ${what} ${index}, which the operator requires`,
  );
}

/** @throws LightfootError E_ONNX when the file leaves out an input that the operator requires */
export const inputShape = (shaped: ShapedNode, index: number): readonly number[] =>
  need(shaped, shaped.inputs, index, "input");
export const outputShape = (shaped: ShapedNode): readonly number[] => need(shaped, shaped.outputs, 0, "output");
export const outputElements = (shaped: ShapedNode): number => elementCount(outputShape(shaped));

/** The last size, or the one `back` from the end. */
export const last = (shape: readonly number[], back = 1): number => shape[shape.length - back] ?? 1;
