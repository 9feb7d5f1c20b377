// Quantization-aware training: what is stored in few bits is trained through its rounding, by straight-through estimators; may depend
// on model, quantize, rewrite and recovery.
import { int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { packSubByte } from "../../model/sub-byte.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { channelLayout, channelMaxima, clamp, roundHalfEven } from "../quantize/affine.ts";
import { toLatentForm } from "../quantize/latent-form.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers, type LayerChoice, type LinearLayer } from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { recover, type RecoveryContext, type RecoveryOptions } from "./recovery.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

export interface QatOptions extends LayerChoice, RecoveryOptions {
  /** Left out, the model is trained in the precision that it has. Else float weights are first stored in so many bits. */
  readonly bits?: 4 | 8;
}

/** First operator set whose DequantizeLinear takes int4, and one with a scale per channel. */
const NEEDED_OPSET = { 4: 21, 8: 13 } as const;
/** How far the largest weight may lie beyond the grid, where that rounds the rest better. */
const CLIPS = Array.from({ length: 16 }, (_, at) => 1 - at / 24);

/** The axis of the weight along which each slice feeds one output. */
const outputAxis = (layer: LinearLayer): number => (layer.kind === "conv" || layer.transposedWeight ? 0 : 1);

/** Symmetric integers `−limit … limit`, a scale for each output: the one of least squared error among some that clip. */
function roundOutputs(values: Float32Array, shape: readonly number[], axis: number, limit: number) {
  const { channels, inner } = channelLayout(shape, axis);
  const channelOf = (at: number): number => Math.floor(at / inner) % channels;
  const maxima = channelMaxima(values, shape, axis);
  const best = new Float64Array(channels).fill(Infinity);
  const scales = new Float32Array(channels).fill(1);
  for (const clip of CLIPS) {
    const candidates = Float32Array.from(maxima, (maximum) => (maximum === 0 ? 1 : (clip * maximum) / limit));
    const errors = new Float64Array(channels);
    for (const [at, value] of values.entries()) {
      const scale = candidates[channelOf(at)];
      errors[channelOf(at)] += (clamp(roundHalfEven(value / scale), -limit, limit) * scale - value) ** 2;
    }
    for (let channel = 0; channel < channels; channel++) {
      if (errors[channel] >= best[channel]) continue;
      best[channel] = errors[channel];
      scales[channel] = candidates[channel];
    }
  }
  const integers = Int8Array.from(values, (value, at) => {
    return clamp(roundHalfEven(value / scales[channelOf(at)]), -limit, limit);
  });
  return { integers, scales };
}

/** The chosen layers' weights as integers behind DequantizeLinear. */
async function storeIntegers(
  model: ModelGraph,
  bits: 4 | 8,
  options: QatOptions,
): Promise<
  { readonly kind: "stored"; readonly model: ModelGraph } | { readonly kind: "refused"; readonly reason: string }
> {
  const raised = await raiseOpset(model, NEEDED_OPSET[bits]);
  if (raised.kind === "refused") return raised;
  const draft = new GraphDraft(raised.model);
  const layers = chosenLayers(findLinearLayers(draft), options);
  if (layers.length === 0) return { kind: "refused", reason: "no MatMul, Gemm or Conv with constant float32 weights" };
  const head: Node[] = [];
  // One entry for each weight: whoever else reads it takes the integers as well, or the float copy would have to stay.
  const byName = new Map(layers.map((layer) => [layer.weight.name, layer]));
  for (const [name, layer] of byName) {
    const { shape } = layer.weight;
    const axis = outputAxis(layer);
    const { integers, scales } = roundOutputs(await readFloats(layer.weight), shape, axis, 2 ** (bits - 1) - 1);
    const dtype = bits === 4 ? "int4" : "int8";
    const pack = (values: Int8Array) => (bits === 4 ? packSubByte("int4", values) : values);
    const inputs = [
      draft.constant(`${name}_q`, { dtype, shape, data: pack(integers) }),
      draft.constant(`${name}_s`, float32Tensor([scales.length], scales)),
      draft.constant(`${name}_z`, { dtype, shape: [scales.length], data: pack(new Int8Array(scales.length)) }),
    ];
    const output = draft.fresh(`${name}_d`);
    head.push(node("DequantizeLinear", inputs, [output], { axis: int(axis) }));
    draft.nodes = draft.nodes.map((each) =>
      each.inputs.includes(name)
        ? { ...each, inputs: each.inputs.map((input) => (input === name ? output : input)) }
        : each,
    );
  }
  draft.nodes = [...head, ...draft.nodes];
  return { kind: "stored", model: draft.finish() };
}

/**
 * Trains a model through its own QuantizeLinear and DequantizeLinear nodes, the original as teacher: integers of weights move, and so do
 * float parameters; scales and zero points stay, so that what fused before fuses after.
 *
 * After `static-int8` in QDQ form it recovers what 8-bit activations cost; with `bits` it stores float weights in 4 or 8 bits itself,
 * one scale an output.
 */
export async function qat(model: ModelGraph, options: QatOptions, context: RecoveryContext): Promise<TechniqueResult> {
  if (context.train === undefined)
    return refused("quantization-aware training needs training data, and none was given");
  const stored =
    options.bits === undefined
      ? ({ kind: "stored", model } as const)
      : await storeIntegers(model, options.bits, options);
  if (stored.kind === "refused") return refused(stored.reason);
  const form = await toLatentForm(stored.model);
  if (form === undefined) {
    return refused("no weights behind DequantizeLinear to train: put static-int8 in QDQ form before, or give bits");
  }
  const recovered = await recover(form.model, context.train, options, context, { batchNormalization: "freeze" });
  return made(await form.store(recovered.model), [`${form.count} tensors of integers: ${recovered.note}`]);
}
