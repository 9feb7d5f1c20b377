// Activation-aware scaling (AWQ): weights that meet strong inputs are scaled up before they are rounded in blocks, and their inputs
// scaled down; may depend on model, rewrite, quantize and input-statistics.
import type { ModelGraph } from "../../model/graph.ts";
import { inputStatistics, type InputStatistics } from "../input-statistics.ts";
import { dequantizeBlocks, quantizeBlocks, type BlockOptions } from "../quantize/blockwise.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, denseWeight, findLinearLayers, isDense, type LayerChoice } from "../rewrite/linear.ts";
import { findScaledInputs, migrate } from "../rewrite/scale-migration.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

/** The blocks that the weights will be rounded in by a later `weight-blocks`. */
export interface ActivationAwareOptions extends LayerChoice, BlockOptions {}

/** Strengths tried: 0 leaves the weights alone, 1 evens out the inputs. */
const ALPHAS = Array.from({ length: 10 }, (_, step) => (step + 1) / 10);
/** Error must fall to this share at least, or the change is not worth another file. */
const WORTH = 0.98;

interface Reader {
  /** `[K, N]` */
  readonly weight: Float32Array;
  readonly n: number;
}

/**
 * Powers of two nearest to `rms(x_k)^α`, around 1: a product with one only shifts the exponent, so the float model answers as
 * before, bit for bit.
 */
function scalesFor(alpha: number, meanSquare: Float64Array): Float64Array {
  const exponents = meanSquare.map((square) => (square > 0 ? (alpha * Math.log2(square)) / 2 : Number.NaN));
  const known = exponents.filter((exponent) => !Number.isNaN(exponent));
  const middle = known.reduce((sum, exponent) => sum + exponent, 0) / Math.max(1, known.length);
  return exponents.map((exponent) => (Number.isNaN(exponent) ? 1 : 2 ** Math.round(exponent - middle)));
}

/** Squared error of the readers' outputs on the kept rows when their scaled weights are rounded in blocks. */
function outputError(
  { rows, meanSquare }: InputStatistics,
  readers: readonly Reader[],
  scales: Float64Array,
  options: BlockOptions,
): number {
  const k = scales.length;
  const importance = meanSquare.map((square, row) => square / scales[row] ** 2);
  let total = 0;
  for (const { weight, n } of readers) {
    const shifted = weight.map((value, at) => value * scales[Math.floor(at / n)]);
    const rounded = dequantizeBlocks(quantizeBlocks(shifted, k, n, options, importance), k, n, options);
    const errors = weight.map((value, at) => value - rounded[at] / scales[Math.floor(at / n)]);
    const output = new Float64Array(n);
    for (let start = 0; start < rows.length; start += k) {
      output.fill(0);
      for (let row = 0; row < k; row++) {
        const value = rows[start + row];
        if (value === 0) continue;
        for (let column = 0; column < n; column++) output[column] += value * errors[row * n + column];
      }
      for (const error of output) total += error * error;
    }
  }
  return total;
}

/** The scales of least error; undefined when none is worth the change. */
function bestScales(
  seen: InputStatistics,
  readers: readonly Reader[],
  options: BlockOptions,
): Float64Array | undefined {
  let least = WORTH * outputError(seen, readers, new Float64Array(seen.mean.length).fill(1), options);
  let best: Float64Array | undefined;
  const tried = new Set<string>();
  for (const alpha of ALPHAS) {
    const scales = scalesFor(alpha, seen.meanSquare);
    const key = scales.join();
    if (tried.has(key)) continue;
    tried.add(key);
    const error = outputError(seen, readers, scales, options);
    if (error >= least) continue;
    least = error;
    best = scales;
  }
  return best;
}

/**
 * `y = x·W = (x/s)·(s·W)` with one scale a channel, `s = rms(x)^α`, after Lin et al. 2023, AWQ (arXiv:2306.00978): rounding errs less
 * where inputs are strong. The division goes into the normalization or product before the layer; where nothing there can take it,
 * the layer stays as it is. Each input gets the α whose output error on calibration data is least. The weights stay float32: a
 * following `weight-blocks` with the same blocks rounds them.
 */
export async function activationAware(
  model: ModelGraph,
  options: ActivationAwareOptions,
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal">,
): Promise<TechniqueResult> {
  if (context.calibration === undefined) return refused("scales of channels need calibration data, none was given");
  const draft = new GraphDraft(model);
  const layers = chosenLayers(findLinearLayers(draft), options).filter(isDense);
  const candidates = findScaledInputs(draft, layers).filter(({ origin }) => origin !== undefined);
  if (candidates.length === 0)
    return refused("no MatMul or Gemm behind a normalization or product that could take scales");
  const names = candidates.map(({ name }) => name);
  const statistics = await inputStatistics(draft.finish(), names, context.calibration, context);
  let changed = 0;
  for (const candidate of candidates) {
    const seen = statistics.get(candidate.name);
    if (seen === undefined || seen.mean.length !== candidate.width || !seen.meanSquare.every(Number.isFinite)) continue;
    const readers: Reader[] = [];
    for (const layer of candidate.readers) {
      // An earlier candidate may have scaled its columns.
      const weight = draft.initializer(layer.weight.name)!;
      readers.push({ weight: await denseWeight({ ...layer, weight }), n: layer.n });
    }
    const scales = bestScales(seen, readers, options);
    if (scales === undefined) continue;
    migrate(draft, candidate, scales);
    changed++;
  }
  if (changed === 0) return refused("no layer would lose less to rounding with scaled channels");
  return made(draft.finish(), [`scaled weights by their inputs in ${changed} of ${candidates.length} places`]);
}
