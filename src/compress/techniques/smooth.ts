// Scale migration (SmoothQuant): moves large channels of activations into the weights that read them, so that eight bits suffice for
// both; may depend on rewrite, quantize and input-statistics.
import type { ModelGraph } from "../../model/graph.ts";
import { inputStatistics, type InputStatistics } from "../input-statistics.ts";
import { quantizeChannels, roundHalfEven } from "../quantize/affine.ts";
import { roundingErrors } from "../quantize/bias-correction.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, denseWeight, findLinearLayers, isDense, type LayerChoice } from "../rewrite/linear.ts";
import { findScaledInputs, migrate } from "../rewrite/scale-migration.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export interface SmoothOptions extends LayerChoice {
  /** Whether a Mul may be added where no normalization or product before the layer can take the scales. */
  readonly insert: boolean;
}

/** Shares of the difficulty that move into the weights, tried one by one. */
const ALPHAS = Array.from({ length: 11 }, (_, step) => step / 10);
/** Noise must fall to this share at least: by 0.5 dB where the change is free, by 3 dB where it costs a Mul at each run. */
const WORTH = { free: 10 ** -0.05, mul: 0.5 };
const GRID = { dtype: "int8", bits: 8 } as const;

interface Reader {
  /** `[K, N]` */
  readonly weight: Float32Array;
  readonly n: number;
}

/** `max_n |W[k,n]|` of each row over all readers. */
function rowMaxima(readers: readonly Reader[], k: number): Float64Array {
  const largest = new Float64Array(k);
  for (const { weight, n } of readers) {
    for (let at = 0; at < weight.length; at++) {
      const row = Math.floor(at / n);
      largest[row] = Math.max(largest[row], Math.abs(weight[at]));
    }
  }
  return largest;
}

/**
 * Powers of two nearest to `max|x_j|^α / max|W_j|^(1−α)`, around 1: a product with one only shifts the exponent, so the model's
 * answers keep every bit.
 */
function scalesFor(alpha: number, inputs: Float64Array, weights: Float64Array): Float64Array {
  const exponents = inputs.map((input, at) => {
    return input > 0 && weights[at] > 0 ? alpha * Math.log2(input) - (1 - alpha) * Math.log2(weights[at]) : Number.NaN;
  });
  const known = exponents.filter((exponent) => !Number.isNaN(exponent));
  const middle = known.reduce((sum, exponent) => sum + exponent, 0) / Math.max(1, known.length);
  return exponents.map((exponent) => (Number.isNaN(exponent) ? 1 : 2 ** Math.round(exponent - middle)));
}

/** Mean square of what rounding to one 8-bit range takes from each channel of the kept rows, each divided by its scale. */
function inputNoise({ rows, largest }: InputStatistics, scales: Float64Array): Float64Array {
  const width = scales.length;
  const step = (2 * largest.reduce((most, value, at) => Math.max(most, value / scales[at]), 0)) / 255;
  const noise = new Float64Array(width);
  const count = rows.length / width;
  if (step === 0) return noise;
  for (let at = 0; at < rows.length; at++) {
    const value = rows[at] / scales[at % width];
    noise[at % width] += (value - roundHalfEven(value / step) * step) ** 2 / count;
  }
  return noise;
}

/**
 * Noise over signal at the readers' outputs, summed over the readers, when input and weights are rounded to 8 bits after scaling:
 * `Σ_j noise_j·|s_j·W_j|² + Σ_j E[x_j²]/s_j²·|error of s_j·W_j|²` over `Σ_j E[x_j²]·|W_j|²`, errors of channels taken as unrelated.
 */
function relativeNoise(seen: InputStatistics, readers: readonly Reader[], scales: Float64Array): number {
  const noise = inputNoise(seen, scales);
  let total = 0;
  for (const { weight, n } of readers) {
    const k = scales.length;
    const shifted = weight.map((value, at) => value * scales[Math.floor(at / n)]);
    const errors = roundingErrors(shifted, quantizeChannels(shifted, [k, n], 1, GRID), [k, n], 1);
    let [lost, signal] = [0, 0];
    for (let at = 0; at < weight.length; at++) {
      const row = Math.floor(at / n);
      lost += noise[row] * shifted[at] ** 2 + (seen.meanSquare[row] / scales[row] ** 2) * errors[at] ** 2;
      signal += seen.meanSquare[row] * weight[at] ** 2;
    }
    if (signal > 0) total += lost / signal;
  }
  return total;
}

/** The scales of least noise; undefined when none is worth the change. */
function bestScales(seen: InputStatistics, readers: readonly Reader[], worth: number): Float64Array | undefined {
  const largest = rowMaxima(readers, seen.largest.length);
  let least = worth * relativeNoise(seen, readers, new Float64Array(largest.length).fill(1));
  let best: Float64Array | undefined;
  for (const alpha of ALPHAS) {
    const scales = scalesFor(alpha, seen.largest, largest);
    const noise = relativeNoise(seen, readers, scales);
    if (noise >= least) continue;
    least = noise;
    best = scales;
  }
  return best;
}

/**
 * `y = x·W = (x/s)·(s·W)` with one scale a channel, after Xiao et al., "SmoothQuant" (arXiv:2211.10438): the division goes into the
 * normalization, product or gain before, the factor into the weights. Each value gets the strength α whose predicted 8-bit noise is
 * least. The scales are powers of two, so the float model answers as before, bit for bit.
 */
export async function smooth(
  model: ModelGraph,
  options: SmoothOptions,
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal">,
): Promise<TechniqueResult> {
  if (context.calibration === undefined) return refused("scales of channels need calibration data, none was given");
  const draft = new GraphDraft(model);
  const layers = chosenLayers(findLinearLayers(draft), options).filter(isDense);
  const candidates = findScaledInputs(draft, layers).filter(({ origin }) => origin !== undefined || options.insert);
  if (candidates.length === 0) return refused("no MatMul or Gemm whose input could be scaled beforehand");
  const names = candidates.map(({ name }) => name);
  const statistics = await inputStatistics(draft.finish(), names, context.calibration, context);
  let changed = 0;
  for (const candidate of candidates) {
    const seen = statistics.get(candidate.name);
    if (seen === undefined || seen.largest.length !== candidate.width) continue;
    if (!seen.meanSquare.every(Number.isFinite)) continue;
    const readers: Reader[] = [];
    for (const layer of candidate.readers) {
      // An earlier candidate may have scaled its columns.
      const weight = draft.initializer(layer.weight.name)!;
      readers.push({ weight: await denseWeight({ ...layer, weight }), n: layer.n });
    }
    const scales = bestScales(seen, readers, candidate.origin === undefined ? WORTH.mul : WORTH.free);
    if (scales === undefined) continue;
    migrate(draft, candidate, scales);
    changed++;
  }
  if (changed === 0) return refused("no layer would lose less to 8 bits with scaled channels");
  return made(draft.finish(), [`scaled the channels of ${changed} of ${candidates.length} layer inputs`]);
}
