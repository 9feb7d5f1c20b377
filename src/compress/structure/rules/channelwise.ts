// Coupling of operators that mix positions along some axes and pass the others: pooling, norms, softmax, reductions,
// resizing; may depend on model and its folder's call.
import { intAttribute, intsAttribute } from "../../../model/attributes.ts";
import type { Axis } from "../atoms.ts";
import { axisFrom, type CouplingCall, type CouplingRule, type CouplingRules } from "../coupling-call.ts";

/** The axes with those in `mixed` pinned. */
function passing(call: CouplingCall, axes: readonly Axis[], mixed: (axis: number) => boolean): Axis[] {
  return axes.map((axis, at) => {
    if (!mixed(at)) return axis;
    call.atoms.pinAxis(axis, call.reason);
    return undefined;
  });
}

/** Samples and channels pass, places mix. */
const pooling: CouplingRule = (call) => {
  const axes = call.axes(0);
  // MaxPool's second output numbers the places of the whole tensor, channels included.
  if (axes === undefined || call.node.outputs.length > 1) return undefined;
  return [passing(call, axes, (axis) => axis > 1)];
};

/** The same with constants per channel. */
const channelNorm: CouplingRule = (call) => {
  const axes = call.axes(0);
  // The training form gives statistics out.
  if (axes === undefined || axes.length < 2 || call.node.outputs.length > 1) return undefined;
  for (let input = 1; input < call.node.inputs.length; input++) {
    call.atoms.joinAxes(axes[1], call.axes(input)?.[0], call.reason);
  }
  return [call.node.opType === "BatchNormalization" ? axes : passing(call, axes, (axis) => axis > 1)];
};

const softmax: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const single = call.opset >= 13;
  const from = axisFrom(intAttribute(call.node, "axis", single ? -1 : 1), axes.length);
  return [passing(call, axes, (axis) => (single ? axis === from : axis >= from))];
};

/** Statistics over all axes from `axis` on. */
const layerNorm: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const from = axisFrom(intAttribute(call.node, "axis", -1), axes.length);
  const passed = passing(call, axes, (axis) => axis >= from);
  return call.node.outputs.map(() => passed);
};

const reduction: CouplingRule = (call) => {
  const axes = call.axes(0);
  if (axes === undefined) return undefined;
  const given = (call.node.inputs[1] ?? "") !== "";
  const listed = given ? call.numbers(1) : intsAttribute(call.node, "axes");
  if (given && listed === undefined) return undefined;
  if (listed === undefined && intAttribute(call.node, "noop_with_empty_axes", 0) !== 0) return [axes];
  const reduced = listed && listed.length > 0 ? listed.map((axis) => axisFrom(axis, axes.length)) : [...axes.keys()];
  const passed = passing(call, axes, (axis) => reduced.includes(axis));
  const keeps = intAttribute(call.node, "keepdims", 1) !== 0;
  return [keeps ? passed : passed.filter((_, axis) => !reduced.includes(axis))];
};

/** Axes that a scale of 1 leaves alone pass. An explicit list of sizes would have to be written anew: it pins. */
const resize: CouplingRule = (call) => {
  const axes = call.axes(0);
  const scales = call.numbers(call.node.opType === "Upsample" || call.opset < 11 ? 1 : 2);
  if (axes === undefined || scales?.length !== axes.length) return undefined;
  return [passing(call, axes, (axis) => scales[axis] !== 1)];
};

const REDUCTIONS = `ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
  ReduceSumSquare`.split(/\s+/);

export const CHANNELWISE: CouplingRules = {
  AveragePool: pooling,
  BatchNormalization: channelNorm,
  GlobalAveragePool: pooling,
  GlobalLpPool: pooling,
  GlobalMaxPool: pooling,
  InstanceNormalization: channelNorm,
  LayerNormalization: layerNorm,
  LogSoftmax: softmax,
  LpPool: pooling,
  MaxPool: pooling,
  RMSNormalization: layerNorm,
  Resize: resize,
  SimplifiedLayerNormalization: layerNorm,
  Softmax: softmax,
  Upsample: resize,
  ...Object.fromEntries(REDUCTIONS.map((name) => [name, reduction])),
};
