// Coupling through operators that move, join and part positions: Transpose, Concat, Split, Slice, Gather, Pad, Tile, Shape;
// may depend on model and its folder's call.
import { intAttribute, ints, intsAttribute } from "../../../model/attributes.ts";
import type { Attribute, Node } from "../../../model/graph.ts";
import { int64Tensor } from "../../../model/tensor-value.ts";
import type { Axis } from "../atoms.ts";
import { axisFrom, isCut, type CouplingCall, type CouplingRule, type CouplingRules } from "../coupling-call.ts";

const transpose: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const order = intsAttribute(call.node, "perm") ?? [...axes.keys()].toReversed();
  return [order.map((axis) => axes[axis])];
};

/** Atoms of an axis whose positions are counted: those that have none get some that stay. */
function counted(call: CouplingCall, axis: Axis, size: unknown): Int32Array | undefined {
  if (axis !== undefined || typeof size !== "number") return axis;
  const atoms = call.atoms.fresh(size);
  call.atoms.pinAxis(atoms, call.reason);
  return atoms;
}

const concat: CouplingRule = (call) => {
  const parts = call.node.inputs.map((_, input) => ({ axes: call.axes(input), sizes: call.sizes(input) }));
  const [first] = parts;
  if (first.axes === undefined || !parts.every(({ axes, sizes }) => axes && sizes)) return undefined;
  const along = axisFrom(intAttribute(call.node, "axis", 1), first.axes.length);
  const joined = first.axes.map((axis, at): Axis => {
    if (at === along) return undefined;
    for (const { axes } of parts.slice(1)) call.atoms.joinAxes(axis, axes![at], call.reason);
    return parts.every(({ axes }) => axes![at] !== undefined) ? axis : undefined;
  });
  const pieces = parts.map(({ axes, sizes }) => counted(call, axes![along], sizes![along]));
  if (pieces.every((piece) => piece !== undefined)) {
    joined[along] = Int32Array.from(pieces.flatMap((piece) => [...piece]));
  } else for (const piece of pieces) call.atoms.pinAxis(piece, call.reason);
  return [joined];
};

/** The node without some of its attributes. */
const without = (node: Node, ...names: string[]): Map<string, Attribute> =>
  new Map([...node.attributes].filter(([name]) => !names.includes(name)));

const split: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const along = axisFrom(intAttribute(call.node, "axis", 0), axes.length);
  const whole = axes[along];
  const sizes = call.node.outputs.map((_, output) => call.outputSizes(output)?.[along]);
  if (whole === undefined || !sizes.every((size) => typeof size === "number")) {
    call.atoms.pinAxis(whole, call.reason);
    return sizes.map(() => axes.with(along, undefined));
  }
  let start = 0;
  const parts = sizes.map((size) => whole.subarray(start, (start += size)));
  call.repair((kept, draft, node) => {
    if (!isCut(kept, [whole])) return node;
    const counts = parts.map((part) => kept(part).length);
    if (call.opset < 13) {
      return { ...node, attributes: new Map([...node.attributes, ["split", ints(counts)]]) };
    }
    const name = draft.constant(`${node.outputs[0]}_split`, int64Tensor([counts.length], counts));
    return { ...node, inputs: [node.inputs[0], name], attributes: without(node, "num_outputs") };
  });
  return parts.map((part) => axes.with(along, part));
};

interface SliceParts {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
}

/** What a Slice says, in attributes before opset 10 and in operands since; undefined unless constant and in steps of 1. */
function slicePartsOf(
  { node, opset }: Pick<CouplingCall, "node" | "opset">,
  numbers: (input: number) => readonly number[] | undefined,
): SliceParts | undefined {
  const inAttributes = opset < 10;
  const isGiven = (input: number) => (node.inputs[input] ?? "") !== "";
  const part = (name: string, input: number) => (inAttributes ? intsAttribute(node, name) : numbers(input));
  const [starts, ends] = [part("starts", 1), part("ends", 2)];
  const namesAxes = inAttributes ? node.attributes.has("axes") : isGiven(3);
  const axes = namesAxes ? part("axes", 3) : starts?.map((_, axis) => axis);
  const inSteps = inAttributes || !isGiven(4) || numbers(4)?.every((step) => step === 1);
  return starts && ends && axes && inSteps ? { starts, ends, axes } : undefined;
}

/** Start and end of each sliced axis in positions. */
function slicedRanges(call: CouplingCall, axes: readonly Axis[]): Map<number, readonly [number, number]> | undefined {
  const parts = slicePartsOf(call, (input) => call.numbers(input));
  if (parts === undefined) return undefined;
  return new Map(
    parts.axes.map((place, at) => {
      const axis = axisFrom(place, axes.length);
      const size = axes[axis]?.length ?? 0;
      const position = (value: number) => Math.max(0, Math.min(size, value < 0 ? value + size : value));
      return [axis, [position(parts.starts[at]), position(parts.ends[at])] as const];
    }),
  );
}

const slice: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const ranges = slicedRanges(call, axes);
  if (ranges === undefined) return undefined;
  const result = axes.map((axis, at) => {
    const range = ranges.get(at);
    return range === undefined ? axis : axis?.subarray(...range);
  });
  const cuttable = [...ranges].flatMap(([at, [start]]) => {
    const [before, part] = [axes[at]?.subarray(0, start), result[at]];
    return before === undefined || part === undefined ? [] : [{ at, before, part }];
  });
  if (cuttable.length === 0) return [result];
  if (cuttable.length < ranges.size) {
    for (const { at } of cuttable) call.atoms.pinAxis(axes[at], call.reason);
    return [result];
  }
  call.repair((kept, draft, node) => {
    if (!isCut(kept, axes)) return node;
    const starts = cuttable.map(({ before }) => kept(before).length);
    const ends = cuttable.map(({ part }, at) => starts[at] + kept(part).length);
    const places = cuttable.map(({ at }) => at);
    if (call.opset < 10) {
      const sizes = Object.entries({ starts, ends, axes: places }).map(
        ([name, values]) => [name, ints(values)] as const,
      );
      return { ...node, attributes: new Map(sizes) };
    }
    const constant = (what: string, values: readonly number[]) =>
      draft.constant(`${node.outputs[0]}_${what}`, int64Tensor([values.length], values));
    const inputs = [node.inputs[0], constant("starts", starts), constant("ends", ends), constant("axes", places)];
    return { ...node, inputs };
  });
  return [result];
};

/** The gathered axis is counted by the indices; the others pass. */
const gather: CouplingRule = (call) => {
  const [axes, indices] = [call.axes(0), call.sizes(1)];
  if (axes === undefined || indices === undefined) return undefined;
  const along = axisFrom(intAttribute(call.node, "axis", 0), axes.length);
  call.atoms.pinAxis(axes[along], `${call.reason}, which counts its positions`);
  return [[...axes.slice(0, along), ...indices.map(() => undefined), ...axes.slice(along + 1)]];
};

/** Axes that grow by nothing pass. */
const pad: CouplingRule = (call) => {
  const axes = call.axes(0);
  const pads = call.opset < 11 ? intsAttribute(call.node, "pads") : call.numbers(1);
  if (axes === undefined || pads?.length !== 2 * axes.length || (call.node.inputs[3] ?? "") !== "") return undefined;
  return [
    axes.map((axis, at) => {
      if (pads[at] === 0 && pads[at + axes.length] === 0) return axis;
      call.atoms.pinAxis(axis, call.reason);
      return undefined;
    }),
  ];
};

const tile: CouplingRule = (call) => {
  const [axes, repeats] = [call.axes(0), call.numbers(1)];
  if (axes === undefined || repeats?.length !== axes.length) return undefined;
  return [
    axes.map((axis, at) => {
      if (repeats[at] === 1) return axis;
      call.atoms.pinAxis(axis, call.reason);
      return undefined;
    }),
  ];
};

/** Which sizes the readers of a Shape pick out; undefined when one of them takes all. */
function sizesRead(call: CouplingCall, rank: number): ReadonlySet<number> | undefined {
  const picked = new Set<number>();
  const values = [call.node.outputs[0]];
  for (const value of values) {
    const readers = call.readers(value);
    if (readers === undefined) return undefined;
    for (const reader of readers) {
      const { node } = reader;
      if (node.opType === "Cast" || node.opType === "Identity") {
        values.push(node.outputs[0]);
        continue;
      }
      const numbers = (input: number) => reader.numbers(input);
      const gathered = node.opType === "Gather" ? numbers(1) : undefined;
      const sliced = node.opType === "Slice" ? slicePartsOf({ node, opset: call.opset }, numbers) : undefined;
      if (gathered !== undefined) for (const at of gathered) picked.add(axisFrom(at, rank));
      else if (sliced?.starts.length === 1) {
        const end = axisFrom(Math.min(sliced.ends[0], rank), rank);
        for (let at = axisFrom(sliced.starts[0], rank); at < end; at++) picked.add(at);
      } else return undefined;
    }
  }
  return picked;
}

/** Reads sizes: those of axes that could be cut must then stay, for their numbers may be used anywhere. */
const shape: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const whole = call.node.attributes.size === 0;
  const picked = whole ? sizesRead(call, axes.length) : undefined;
  axes.forEach((axis, at) => {
    if (picked?.has(at) ?? true) call.atoms.pinAxis(axis, `${call.reason}, which reads its size`);
  });
  return [[undefined]];
};

export const MOVEMENT: CouplingRules = {
  Concat: concat,
  Gather: gather,
  Pad: pad,
  Shape: shape,
  Slice: slice,
  Split: split,
  Tile: tile,
  Transpose: transpose,
};
