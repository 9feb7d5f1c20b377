// Folds what scales and shifts a convolution's channels (BatchNormalization, Mul, Add, …) into its weights and bias; may depend on
// model, draft and batch-norm.
import type { Node, TensorRef } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { channelMap, type ChannelMap } from "./batch-norm.ts";
import type { GraphDraft } from "./draft.ts";

/** One number for each channel of `[N, C, …]` out of a constant that broadcasts so; undefined for any other constant. */
async function perChannel(tensor: TensorRef | undefined, channels: number, rank: number) {
  if (tensor?.dtype !== "float32" || tensor.shape.length > rank) return undefined;
  const values = await readFloats(tensor);
  if (elementCount(tensor.shape) === 1) {
    return new Float64Array(channels).fill(values[0]);
  }
  const missing = Array.from({ length: rank - tensor.shape.length }, () => 1);
  const padded = [...missing, ...tensor.shape];
  const fits = padded.length === rank && padded.every((size, axis) => size === (axis === 1 ? channels : 1));
  return fits ? Float64Array.from(values) : undefined;
}

/** What `node` does to the channels of `name`; undefined when it does anything else. */
async function affineOf(draft: GraphDraft, node: Node, name: string, channels: number, rank: number) {
  if (node.opType === "BatchNormalization") {
    const map = await channelMap(draft, node);
    return map?.factors.length === channels ? map : undefined;
  }
  if (!["Add", "Div", "Mul", "Sub"].includes(node.opType)) return undefined;
  const isFirst = node.inputs[0] === name;
  const constant = await perChannel(draft.initializer(node.inputs[isFirst ? 1 : 0]), channels, rank);
  if (constant === undefined) return undefined;
  const [ones, zeros] = [new Float64Array(channels).fill(1), new Float64Array(channels)];
  switch (node.opType) {
    case "Add":
      return { factors: ones, shifts: constant };
    case "Mul":
      return { factors: constant, shifts: zeros };
    case "Sub":
      return isFirst
        ? { factors: ones, shifts: constant.map((value) => -value) }
        : { factors: ones.map((one) => -one), shifts: constant };
    default:
      return isFirst ? { factors: constant.map((value) => 1 / value), shifts: zeros } : undefined;
  }
}

const compose = (first: ChannelMap, then: ChannelMap): ChannelMap => ({
  factors: first.factors.map((value, at) => value * then.factors[at]),
  shifts: first.shifts.map((value, at) => value * then.factors[at] + then.shifts[at]),
});

/** The nodes after `node`, each the only reader of the one before, that together are one affine map of its channels. */
async function affineAfter(draft: GraphDraft, node: Node, uses: ReadonlyMap<string, number>, weight: TensorRef) {
  const [channels, rank] = [weight.shape[0], weight.shape.length];
  const chain: Node[] = [];
  let affine: ChannelMap | undefined;
  for (let name = node.outputs[0]; uses.get(name) === 1;) {
    const next = draft.consumersOf(name)[0];
    if (next === undefined || next.domain !== "") break;
    const step = await affineOf(draft, next, name, channels, rank);
    if (step === undefined || ![...step.factors, ...step.shifts].every(Number.isFinite)) break;
    affine = affine === undefined ? step : compose(affine, step);
    chain.push(next);
    name = next.outputs[0];
  }
  return affine === undefined ? undefined : { chain, affine };
}

/**
 * `gain·(W∗x + b) + shift = (gain·W)∗x + (gain·b + shift)` for every Conv with constant weights: the same answers within rounding,
 * fewer operators, and one range instead of several when activations become integers.
 *
 * @returns the new outputs of changed convolutions by their old ones; the new names stood in the model before
 */
export async function foldAffine(draft: GraphDraft): Promise<ReadonlyMap<string, string>> {
  const renamed = new Map<string, string>();
  for (const node of draft.nodes) {
    const weight = draft.initializer(node.inputs[1]);
    const biasName = node.inputs[2] ?? "";
    const bias = draft.initializer(biasName);
    if (node.opType !== "Conv" || node.domain !== "" || weight?.dtype !== "float32") continue;
    if (biasName !== "" && bias?.dtype !== "float32") continue;
    const found = await affineAfter(draft, node, draft.useCounts(), weight);
    if (found === undefined) continue;
    const { factors, shifts } = found.affine;
    const perOutput = elementCount(weight.shape) / factors.length;
    const scaled = draft.computed(`${weight.name}_f`, weight, async () => {
      return (await readFloats(weight)).map((value, at) => value * factors[Math.floor(at / perOutput)]);
    });
    const before = bias === undefined ? new Float32Array(factors.length) : await readFloats(bias);
    const after = Float32Array.from(shifts, (value, at) => before[at] * factors[at] + value);
    const moved = draft.constant(`${node.outputs[0]}_b`, float32Tensor([factors.length], after));
    const last = found.chain.at(-1)!;
    const replacement = { ...node, inputs: [node.inputs[0], scaled, moved], outputs: last.outputs.slice(0, 1) };
    draft.replaceAll([node, ...found.chain], [replacement]);
    renamed.set(node.outputs[0], last.outputs[0]);
  }
  return renamed;
}
