// What the doctor looks for in a graph: a pattern, where it occurs and how it is mended; may depend on model and rewrite.
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import type { GraphDraft } from "../rewrite/draft.ts";
import { producersIn } from "../rewrite/wiring.ts";

export interface Pattern {
  readonly id: string;
  /** `slow` and `inaccurate` are faults; a `note` is a choice with a price. */
  readonly severity: "slow" | "inaccurate" | "note";
  readonly what: string;
  /** What it costs, with the circumstances of the measurement. */
  readonly cost: string;
  readonly repair: {
    /**
     * `exact`: the same function of the inputs, at most summed in another order. `rounds`: activations are rounded to 8 bits.
     * `none`: not from the file alone.
     */
    readonly kind: "exact" | "rounds" | "none";
    readonly how: string;
  };
  find(subject: Subject): Promise<readonly Occurrence[]> | readonly Occurrence[];
}

export interface Occurrence {
  /** The node by name, or by operator and output. */
  readonly place: string;
  /** Mends this occurrence in the draft that it was found in; absent where it cannot be mended from the file alone. */
  readonly mend?: () => void | Promise<void>;
}

/** The graph under examination. */
export interface Subject {
  readonly draft: GraphDraft;
  /** The file's graph as ONNX Runtime runs it. */
  readonly executed: ModelGraph;
  /** True where products of u8 and i8 are added without saturation: VNNI and all that is not x86. */
  readonly hasExactDotProducts: boolean;
}

/** `node` with input `index` replaced; inputs in between are left out. */
export function withInput(node: Node, index: number, name: string): Node {
  const inputs = [...node.inputs];
  while (inputs.length <= index) inputs.push("");
  inputs[index] = name;
  return { ...node, inputs };
}

/** Constant integers behind DequantizeLinear. */
export interface StoredOperand {
  readonly dequantize: Node;
  readonly stored: TensorRef;
  readonly zeroPoint: TensorRef | undefined;
}

/** What is stored as integers for input `index` of `node`; undefined for anything else. */
export function storedOperand(
  draft: GraphDraft,
  producers: ReadonlyMap<string, Node>,
  node: Node,
  index: number,
): StoredOperand | undefined {
  const dequantize = producers.get(node.inputs[index] ?? "");
  if (dequantize?.opType !== "DequantizeLinear") return undefined;
  const stored = draft.initializer(dequantize.inputs[0]);
  return stored === undefined ? undefined : { dequantize, stored, zeroPoint: draft.initializer(dequantize.inputs[2]) };
}

/** The DequantizeLinear that gives input 0 of `node`, when it is of something computed. */
export function quantizedActivation(
  draft: GraphDraft,
  producers: ReadonlyMap<string, Node>,
  node: Node,
): Node | undefined {
  const dequantize = producers.get(node.inputs[0] ?? "");
  const isComputed = dequantize?.opType === "DequantizeLinear" && draft.initializer(dequantize.inputs[0]) === undefined;
  return isComputed ? dequantize : undefined;
}

/** A product with weights stored as integers, and the DequantizeLinear of its input where that is quantised too. */
export interface StoredProduct {
  readonly node: Node;
  readonly weights: StoredOperand;
  readonly activation: Node | undefined;
}

/** The products among `operators` whose weights (input 1) are integers behind DequantizeLinear. */
export function storedProducts(draft: GraphDraft, operators: readonly string[]): StoredProduct[] {
  const producers = producersIn(draft.nodes);
  return draft.nodes.flatMap((node): StoredProduct[] => {
    const weights = operators.includes(node.opType) ? storedOperand(draft, producers, node, 1) : undefined;
    return weights === undefined ? [] : [{ node, weights, activation: quantizedActivation(draft, producers, node) }];
  });
}
