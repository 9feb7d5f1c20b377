// Coupling through operators that regroup axes: Reshape, Flatten, Squeeze, Unsqueeze, Expand; may depend on model and its
// folder's call.
import { intAttribute } from "../../../model/attributes.ts";
import type { Sizes } from "../../../model/shapes/call.ts";
import { int64Tensor } from "../../../model/tensor-value.ts";
import type { Axis } from "../atoms.ts";
import { isCut, type CouplingCall, type CouplingRule, type CouplingRules, type Kept } from "../coupling-call.ts";
import { reshapeGroups, type ReshapeGroup } from "../reshape-axes.ts";

/** Several axes into one: the outermost that can be cut is followed, the others stay whole. */
function merge(call: CouplingCall, axes: readonly Axis[], sizes: readonly number[]): Axis {
  const followed = axes.findIndex((axis) => call.atoms.isFree(axis));
  axes.forEach((axis, at) => {
    if (at !== followed) call.atoms.pinAxis(axis, `${call.reason}, where another axis is followed`);
  });
  const axis = axes[followed];
  if (axis === undefined) return undefined;
  const inner = sizes.slice(followed + 1).reduce((product, size) => product * size, 1);
  const whole = sizes.reduce((product, size) => product * size, 1);
  return Int32Array.from({ length: whole }, (_, at) => axis[Math.floor(at / inner) % axis.length]);
}

/** One axis into several: the atoms follow one of them, and what meets at one of its positions goes together. */
function split(call: CouplingCall, axis: Int32Array, sizes: readonly number[]): Axis[] {
  const chosen = Math.min(call.choice(), sizes.length - 1);
  const inner = sizes.slice(chosen + 1).reduce((product, size) => product * size, 1);
  const size = sizes[chosen];
  const followed = Int32Array.from({ length: size }, (_, at) => axis[at * inner]);
  axis.forEach((atom, at) => call.atoms.join(followed[Math.floor(at / inner) % size], atom));
  call.split({ options: sizes.length, chosen, atoms: followed });
  return sizes.map((_, at) => (at === chosen ? followed : undefined));
}

function throughGroup(
  call: CouplingCall,
  { from, to }: ReshapeGroup,
  axes: readonly Axis[],
  before: Sizes,
  after: Sizes,
): Axis[] {
  const taken = from.map((axis) => axes[axis]);
  const sizesOf = (all: Sizes, places: readonly number[]) => places.map((axis) => all[axis]);
  const [left, right] = [sizesOf(before, from), sizesOf(after, to)];
  const isKnown = (sizes: readonly unknown[]): sizes is number[] => sizes.every((size) => typeof size === "number");
  if (from.length === 1 && to.length === 1 && left[0] === right[0]) return taken;
  if (isKnown(left) && isKnown(right)) {
    if (to.length === 1) return [merge(call, taken, left)];
    if (from.length === 1 && taken[0] !== undefined) return split(call, taken[0], right);
  }
  for (const axis of taken) call.atoms.pinAxis(axis, `${call.reason}, which regroups it`);
  return to.map(() => undefined);
}

function regrouped(call: CouplingCall): Axis[] | undefined {
  const [axes, before, after] = [call.axes(0), call.sizes(0), call.outputSizes(0)];
  if (axes === undefined || before === undefined || after === undefined) return undefined;
  const result: Axis[] = after.map(() => undefined);
  for (const group of reshapeGroups(before, after)) {
    throughGroup(call, group, axes, before, after).forEach((axis, at) => {
      result[group.to[at]] = axis;
    });
  }
  return result;
}

const sizesUnwritten: CouplingRule = (call) => {
  const axes = regrouped(call);
  return axes && [axes];
};

/** The shape operand as numbers: as written, or made of 0 (as before) and one −1 (the rest) where it is computed. */
function writtenShape(call: CouplingCall): readonly number[] | undefined {
  const [before, after] = [call.sizes(0), call.outputSizes(0)];
  if (call.isConstant(1)) return call.numbers(1);
  if (before === undefined || after === undefined || intAttribute(call.node, "allowzero", 0) !== 0) return undefined;
  const written = after.map((size, at) => (typeof size === "number" ? size : size === before[at] ? 0 : -1));
  return written.filter((size) => size === -1).length <= 1 ? written : undefined;
}

function rewriteShape(call: CouplingCall, axes: readonly Axis[], sizesAfter: (kept: Kept) => readonly number[]): void {
  call.repair((kept, draft, node) => {
    if (!isCut(kept, axes)) return node;
    const sizes = sizesAfter(kept);
    const name = draft.constant(`${node.outputs[0]}_shape`, int64Tensor([sizes.length], sizes));
    return { ...node, inputs: [node.inputs[0], name] };
  });
}

const reshape: CouplingRule = (call) => {
  const shape = writtenShape(call);
  // Before opset 5 the shape is an attribute; such files are older than every exporter in use.
  if (shape === undefined || call.node.inputs.length !== 2) return undefined;
  const axes = regrouped(call);
  if (axes === undefined) return undefined;
  rewriteShape(call, axes, (kept) => shape.map((size, at) => (axes[at] === undefined ? size : kept(axes[at]).length)));
  return [axes];
};

/** Copies along axes of size 1; elsewhere 1 in the shape means "as it is", whatever that will be. */
const expand: CouplingRule = (call) => {
  const [axes, before, after] = [call.axes(0), call.sizes(0), call.outputSizes(0)];
  if (axes === undefined || before === undefined || after === undefined) return undefined;
  const shift = after.length - before.length;
  const old = (at: number) => (at < shift ? 1 : before[at - shift]);
  const written = call.isConstant(1) ? call.numbers(1) : undefined;
  const shape = after.map((size, at) => {
    if (size === old(at)) return 1;
    return typeof size === "number" ? size : written?.[at - after.length + written.length];
  });
  if (!shape.every((size) => size !== undefined)) return undefined;
  rewriteShape(call, axes, () => shape);
  return [after.map((size, at) => (at >= shift && size === old(at) ? axes[at - shift] : undefined))];
};

export const RESHAPING: CouplingRules = {
  Expand: expand,
  Flatten: sizesUnwritten,
  Reshape: reshape,
  Squeeze: sizesUnwritten,
  Unsqueeze: sizesUnwritten,
};
