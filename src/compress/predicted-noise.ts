// Predicts from ranges and mean squares how much of a layer's output survives the rounding of a tensor beside it; may depend on
// quantize and rewrite.
import { readFloats } from "../model/tensor-data.ts";
import type { SeenRange } from "./quantize/range-observer.ts";
import { denseWeight, isDense, type LinearLayer } from "./rewrite/linear.ts";

const decibels = (signal: number, noise: number): number => (noise === 0 ? Infinity : 10 * Math.log10(signal / noise));

/**
 * Signal to noise at a layer's output when its input is rounded to 8 bits: `10·log10(E[y²] / (e_x·Σ_k W[k,n]² averaged over n))`, errors
 * of elements taken as unrelated. The weights' own rounding is left out: with one scale a channel it matters least.
 *
 * @param input the tensor whose range the input is rounded to
 * @param result the layer's output
 */
export async function inputDecibels(layer: LinearLayer, input: SeenRange, result: SeenRange): Promise<number> {
  const weight = isDense(layer) ? await denseWeight(layer) : await readFloats(layer.weight);
  const outputs = isDense(layer) ? layer.n : layer.weight.shape[0];
  const gain = weight.reduce((sum, value) => sum + value * value, 0) / Math.max(1, outputs);
  return decibels(result.meanSquare, input.squareError * gain);
}

/** The same when the layer's result itself, or what a Relu leaves of it, is rounded. */
export const resultDecibels = (result: SeenRange, rounded: SeenRange): number =>
  decibels(result.meanSquare, rounded.squareError);
