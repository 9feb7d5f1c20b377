// What a coupling rule sees of one operator and what it may say about it; may depend on model and atoms.
import type { Node } from "../../model/graph.ts";
import type { Sizes } from "../../model/shapes/call.ts";
import type { GraphDraft } from "../rewrite/draft.ts";
import type { Atoms, Axis } from "./atoms.ts";

/** Which positions of an axis stay, in their order. */
export type Kept = (axis: Int32Array) => readonly number[];

/** Whether a cut takes something from one of the axes. */
export const isCut = (kept: Kept, axes: readonly Axis[]): boolean =>
  axes.some((axis) => axis !== undefined && kept(axis).length < axis.length);

/** Writes the sizes in a node's attributes or shape operands anew after a cut. */
export type Repair = (kept: Kept, draft: GraphDraft, node: Node) => Node;

/** A constant matrix or kernel sums over an axis: whatever stands there speaks through these weights alone. */
export interface Contraction {
  readonly node: Node;
  /** The tensor that is summed over, and along which of its axes. */
  readonly value: string;
  readonly axis: number;
  readonly atoms: Int32Array;
  readonly weight: string;
  readonly weightAxis: number;
  /** Positions beyond the edge read zero instead of the channel: a constant of the channel is none of the sum there. */
  readonly padded: boolean;
}

/** A constant matrix or kernel that makes an axis. */
export interface Producer {
  readonly node: Node;
  readonly kind: "neurons" | "channels";
  readonly atoms: Int32Array;
}

/** A split of one axis into several: the atoms follow one of them, whichever can be cut. */
export interface AxisSplit {
  readonly node: Node;
  readonly options: number;
  readonly chosen: number;
  readonly atoms: Int32Array;
}

/** One operator application. */
export interface CouplingCall {
  readonly node: Node;
  readonly opset: number;
  readonly atoms: Atoms;
  /** Why something stays when this operator is the cause. */
  readonly reason: string;
  /** Shape of an input; undefined when it is left out or unknown. */
  sizes(input: number): Sizes | undefined;
  outputSizes(output: number): Sizes | undefined;
  /** Atoms of an input's axes; undefined when it is left out or its rank is unknown. */
  axes(input: number): readonly Axis[] | undefined;
  /** Elements of an input that is known in advance. */
  numbers(input: number): readonly number[] | undefined;
  isConstant(input: number): boolean;
  /** Operators that read a value, with what is known of their own inputs; undefined when the world outside reads it too. */
  readers(
    value: string,
  ): readonly { readonly node: Node; numbers(input: number): readonly number[] | undefined }[] | undefined;
  /** Which axis of a split the atoms follow, counted from the outermost. */
  choice(): number;
  repair(repair: Repair): void;
  contraction(found: Omit<Contraction, "node">): void;
  producer(found: Omit<Producer, "node">): void;
  split(found: Omit<AxisSplit, "node">): void;
  /** Attention runs over this axis head by head. */
  heads(axis: Int32Array): void;
}

/** Axes of the outputs, in order; undefined: the rule cannot tell, and everything that goes in stays as it is. */
export type CouplingRule = (call: CouplingCall) => readonly (readonly Axis[])[] | undefined;
export type CouplingRules = Readonly<Record<string, CouplingRule>>;

/** An axis as 0 … rank − 1. */
export const axisFrom = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Axes after broadcasting the inputs against each other, aligned at their ends. */
export function broadcastAxes(
  call: Pick<CouplingCall, "atoms" | "reason">,
  inputs: readonly { readonly axes: readonly Axis[]; readonly sizes: Sizes }[],
): Axis[] {
  const rank = Math.max(0, ...inputs.map(({ axes }) => axes.length));
  return Array.from({ length: rank }, (_, at): Axis => {
    const meeting = inputs.flatMap(({ axes, sizes }) => {
      const axis = at - rank + axes.length;
      // A single position stands for all others: it takes no part.
      return axis < 0 || sizes[axis] === 1 ? [] : [axes[axis]];
    });
    for (const axis of meeting.slice(1)) call.atoms.joinAxes(meeting[0], axis, call.reason);
    return meeting.every((axis) => axis !== undefined) ? meeting[0] : undefined;
  });
}
