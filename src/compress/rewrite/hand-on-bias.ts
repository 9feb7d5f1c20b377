// Adds a layer's bias to the next layer's, where nothing between them but pooling sees it; may depend on model, draft and linear.
import { intAttribute, intsAttribute, stringAttribute } from "../../model/attributes.ts";
import type { Node } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import type { GraphDraft } from "./draft.ts";
import { denseWeight, findLinearLayers, isDense, type ConvLayer, type LinearLayer } from "./linear.ts";

/** What gives `f(x + b) = f(x) + b` for one number `b` a channel. */
const POOLS = new Set(["GlobalAveragePool", "GlobalMaxPool", "MaxPool"]);

/** The value in which the layer's channels arrive at the next layer, and whether they were flattened on the way. */
function arrival(draft: GraphDraft, output: string, uses: ReadonlyMap<string, number>) {
  let name = output;
  let isFlat = false;
  while (uses.get(name) === 1 && !draft.isOutput(name) && !isFlat) {
    const next: Node | undefined = draft.consumersOf(name)[0];
    if (next === undefined || next.domain !== "") break;
    isFlat = next.opType === "Flatten" && intAttribute(next, "axis", 1) === 1;
    if (!isFlat && !POOLS.has(next.opType)) break;
    name = next.outputs[0];
  }
  return uses.get(name) === 1 && !draft.isOutput(name) ? { name, isFlat } : undefined;
}

/** What a constant in each input channel adds to each output, `[outputs]`; undefined where it is not the same at every position. */
async function added(reader: LinearLayer, isFlat: boolean, bias: Float32Array): Promise<Float64Array | undefined> {
  if (isDense(reader)) {
    if (!isFlat || reader.transposedInput || reader.beta !== 1) return undefined;
    const { k, n } = reader;
    const weight = await denseWeight(reader);
    const sums = new Float64Array(n);
    for (let at = 0; at < k * n; at++) sums[at % n] += weight[at] * bias[Math.floor(at / n / (k / bias.length))];
    return sums;
  }
  const [node] = reader.nodes;
  const isPadded =
    (intsAttribute(node, "pads") ?? []).some((pad) => pad !== 0) ||
    !["NOTSET", "VALID"].includes(stringAttribute(node, "auto_pad", "NOTSET"));
  if (isFlat || isPadded || intAttribute(node, "group", 1) !== 1) return undefined;
  const { weight } = reader;
  const values = await readFloats(weight);
  const sums = new Float64Array(weight.shape[0]);
  const kernel = elementCount(weight.shape.slice(2));
  const row = weight.shape[1] * kernel;
  for (let at = 0; at < values.length; at++)
    sums[Math.floor(at / row)] += values[at] * bias[Math.floor((at % row) / kernel)];
  return sums;
}

/**
 * Takes away the bias of each Conv whose channels reach the next Conv or matrix product through pooling and flattening alone, and adds
 * `W · b` to the bias there, in double precision: the same answers within float32 rounding, and fewer numbers to store. A bias that
 * was taken over goes on with that layer's own, as far as it can.
 *
 * A layer that pads keeps what it reads as it is: the padding has no bias. So does one without a bias of its own.
 *
 * @returns how many biases are gone
 */
export async function handOnBiases(draft: GraphDraft): Promise<number> {
  let count = 0;
  const names = findLinearLayers(draft).map(({ output }) => output);
  for (const name of names) {
    const uses = draft.useCounts();
    const layers = findLinearLayers(draft);
    const layer = layers.find(({ output }) => output === name)!;
    if (isDense(layer) || layer.bias?.dtype !== "float32") continue;
    const end = arrival(draft, name, uses);
    const reader = end && layers.find(({ input }) => input === end.name);
    if (reader?.bias?.dtype !== "float32" || uses.get(reader.bias.name) !== 1) continue;
    const sums = await added(reader, end!.isFlat, await readFloats(layer.bias));
    if (sums === undefined) continue;
    const { bias } = reader;
    const moved = (await readFloats(bias)).map((value, at) => value + sums[at]);
    draft.setInitializer(memoryTensor(bias.name, float32Tensor(bias.shape, moved)));
    withoutBias(draft, layer);
    count++;
  }
  return count;
}

function withoutBias(draft: GraphDraft, { nodes: [node] }: ConvLayer): void {
  draft.replaceAll([node], [{ ...node, inputs: node.inputs.slice(0, 2) }]);
}
