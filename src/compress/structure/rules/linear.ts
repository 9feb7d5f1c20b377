// Coupling of matrix products and convolutions: they end one axis and begin another; may depend on model and its folder's call.
import { int, intAttribute, intsAttribute, stringAttribute } from "../../../model/attributes.ts";
import type { Axis } from "../atoms.ts";
import { broadcastAxes, type CouplingCall, type CouplingRule, type CouplingRules } from "../coupling-call.ts";

/** The matrix at `input` as rows and columns of its last two axes. */
function matrixOf(call: CouplingCall, input: number) {
  const [axes, sizes] = [call.axes(input), call.sizes(input)];
  if (axes === undefined || sizes === undefined || axes.length < 2) return undefined;
  const rank = axes.length;
  return {
    rank,
    rows: axes[rank - 2],
    columns: axes[rank - 1],
    batch: { axes: axes.slice(0, -2), sizes: sizes.slice(0, -2) },
    isWeight: rank === 2 && call.isConstant(input),
  };
}

const matMul: CouplingRule = (call) => {
  const [left, right] = [matrixOf(call, 0), matrixOf(call, 1)];
  if (left === undefined || right === undefined) return undefined;
  call.atoms.joinAxes(left.columns, right.rows, call.reason);
  const summed = left.columns ?? right.rows;
  const [first, second] = call.node.inputs;
  if (left.isWeight === right.isWeight)
    call.atoms.pinAxis(summed, `${call.reason}, which sums over it without weights`);
  else if (summed !== undefined && right.isWeight) {
    const axis = left.rank - 1;
    call.contraction({ value: first, axis, atoms: summed, weight: second, weightAxis: 0, padded: false });
    if (right.columns !== undefined) call.producer({ kind: "neurons", atoms: right.columns });
  } else if (summed !== undefined) {
    const axis = right.rank - 2;
    call.contraction({ value: second, axis, atoms: summed, weight: first, weightAxis: 1, padded: false });
    if (left.rows !== undefined) call.producer({ kind: "neurons", atoms: left.rows });
  }
  const batch = broadcastAxes(call, [left.batch, right.batch]);
  if (!left.isWeight && !right.isWeight) for (const axis of batch) if (axis !== undefined) call.heads(axis);
  return [[...batch, left.rows, right.columns]];
};

const gemm: CouplingRule = (call) => {
  const [left, right] = [matrixOf(call, 0), matrixOf(call, 1)];
  if (left === undefined || right === undefined) return undefined;
  const turned = (name: string) => intAttribute(call.node, name, 0) !== 0;
  const [rows, across] = turned("transA") ? [left.columns, left.rows] : [left.rows, left.columns];
  const [down, columns] = turned("transB") ? [right.columns, right.rows] : [right.rows, right.columns];
  call.atoms.joinAxes(across, down, call.reason);
  const summed = across ?? down;
  const [value, weight] = call.node.inputs;
  if (!right.isWeight || left.isWeight)
    call.atoms.pinAxis(summed, `${call.reason}, which sums over it without weights`);
  else {
    const place = { axis: turned("transA") ? 0 : 1, weightAxis: turned("transB") ? 1 : 0 };
    if (summed !== undefined) call.contraction({ value, weight, ...place, atoms: summed, padded: false });
    if (columns !== undefined) call.producer({ kind: "neurons", atoms: columns });
  }
  const product: Axis[] = [rows, columns];
  if ((call.node.inputs[2] ?? "") === "") return [product];
  const [bias, sizes, shape] = [call.axes(2), call.sizes(2), call.outputSizes(0)];
  if (bias === undefined || sizes === undefined || shape === undefined) return undefined;
  return [
    broadcastAxes(call, [
      { axes: product, sizes: shape },
      { axes: bias, sizes },
    ]),
  ];
};

/** Channels of a group go together: nothing smaller leaves all groups alike. */
function joinGroups(call: CouplingCall, groups: number, axes: readonly Int32Array[]): void {
  const first = axes[0];
  for (const axis of axes) {
    axis.forEach((atom, at) => {
      const group = Math.floor((at * groups) / axis.length);
      call.atoms.join(first[(group * first.length) / groups], atom);
    });
  }
}

const isPadded = (call: CouplingCall): boolean =>
  (intsAttribute(call.node, "pads") ?? []).some((pad) => pad !== 0) ||
  stringAttribute(call.node, "auto_pad", "NOTSET").startsWith("SAME");

const conv: CouplingRule = (call) => {
  const [input, weight] = [call.axes(0), call.axes(1)];
  if (input === undefined || weight === undefined || !call.isConstant(1)) return undefined;
  const groups = intAttribute(call.node, "group", 1);
  const [value, kernel] = call.node.inputs;
  const [channels, made] = [input[1], weight[0]];
  if (groups === 1) {
    call.atoms.joinAxes(channels, weight[1], call.reason);
    const summed = channels ?? weight[1];
    const place = { value, axis: 1, weight: kernel, weightAxis: 1, padded: isPadded(call) };
    if (summed !== undefined) call.contraction({ ...place, atoms: summed });
    if (made !== undefined) call.producer({ kind: "channels", atoms: made });
  } else {
    if (channels === undefined || made === undefined) return undefined;
    joinGroups(call, groups, [channels, made]);
    call.repair((kept, _draft, node) => {
      const group = int((kept(channels).length * groups) / channels.length);
      return { ...node, attributes: new Map([...node.attributes, ["group", group]]) };
    });
  }
  if ((call.node.inputs[2] ?? "") !== "") call.atoms.joinAxes(made, call.axes(2)?.[0], call.reason);
  for (const axis of input.slice(2)) call.atoms.pinAxis(axis, call.reason);
  return [[input[0], made, ...input.slice(2).map(() => undefined)]];
};

const convTranspose: CouplingRule = (call) => {
  const [input, weight] = [call.axes(0), call.axes(1)];
  if (input === undefined || weight === undefined || !call.isConstant(1)) return undefined;
  if (intAttribute(call.node, "group", 1) !== 1) return undefined;
  const [value, kernel] = call.node.inputs;
  call.atoms.joinAxes(input[1], weight[0], call.reason);
  const summed = input[1] ?? weight[0];
  // Every output near an edge misses parts of the kernel, pads or not.
  if (summed !== undefined)
    call.contraction({ value, axis: 1, atoms: summed, weight: kernel, weightAxis: 0, padded: true });
  if (weight[1] !== undefined) call.producer({ kind: "channels", atoms: weight[1] });
  if ((call.node.inputs[2] ?? "") !== "") call.atoms.joinAxes(weight[1], call.axes(2)?.[0], call.reason);
  for (const axis of input.slice(2)) call.atoms.pinAxis(axis, call.reason);
  return [[input[0], weight[1], ...input.slice(2).map(() => undefined)]];
};

export const LINEAR: CouplingRules = { MatMul: matMul, Gemm: gemm, Conv: conv, ConvTranspose: convTranspose };
