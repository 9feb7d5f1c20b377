// Activation-aware scaling (AWQ): weights that meet strong inputs are scaled up before they are rounded in blocks, and their inputs
// scaled down; may depend on model, rewrite, quantize and input-statistics.
import type { ModelGraph } from "../../model/graph.ts";
import type { TaskRunner } from "../../runtime/task-runner.ts";
import { inputStatistics, type InputStatistics } from "../input-statistics.ts";
import type { BlockOptions } from "../quantize/blockwise.ts";
import { outputErrors, ScaleScratch } from "../quantize/scale-search.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  chosenLayers,
  denseWeight,
  findLinearLayers,
  isDense,
  type DenseLayer,
  type LayerChoice,
} from "../rewrite/linear.ts";
import { findScaledInputs, migrate } from "../rewrite/scale-migration.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

/** The blocks that the weights will be rounded in by a later `weight-blocks`. */
export interface ActivationAwareOptions extends LayerChoice, BlockOptions {}

/** Strengths tried: 0 leaves the weights alone, 1 evens out the inputs. */
const ALPHAS = Array.from({ length: 10 }, (_, step) => (step + 1) / 10);
/** Error must fall to this share at least, or the change is not worth another file. */
const WORTH = 0.98;

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

/** The different scales that the strengths give, the plain ones first. */
function triedScales(meanSquare: Float64Array): Float64Array[] {
  const plain = new Float64Array(meanSquare.length).fill(1);
  const all = [plain, ...ALPHAS.map((alpha) => scalesFor(alpha, meanSquare))];
  return [...new Map(all.map((scales) => [scales.join(), scales])).values()];
}

/** The scales of least error over all readers; undefined when none is worth the change. */
async function bestScales(
  { rows, meanSquare }: InputStatistics,
  readers: readonly DenseLayer[],
  draft: GraphDraft,
  options: BlockOptions,
  runner: TaskRunner | undefined,
  scratch: ScaleScratch,
): Promise<Float64Array | undefined> {
  const scales = triedScales(meanSquare);
  const errors = new Float64Array(scales.length);
  for (const layer of readers) {
    const { k, n } = layer;
    // An earlier candidate may have scaled its columns.
    const weight = await denseWeight({ ...layer, weight: draft.initializer(layer.weight.name)! });
    const found = await outputErrors({ weight, k, n, rows, meanSquare, scales, options }, runner, scratch);
    found.forEach((error, at) => (errors[at] += error));
  }
  const best = errors.indexOf(Math.min(...errors));
  return errors[best] < WORTH * errors[0] ? scales[best] : undefined;
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
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal" | "runner">,
): Promise<TechniqueResult> {
  if (context.calibration === undefined) return refused("scales of channels need calibration data, none was given");
  const draft = new GraphDraft(model);
  const layers = chosenLayers(findLinearLayers(draft), options).filter(isDense);
  const candidates = findScaledInputs(draft, layers).filter(({ origin }) => origin !== undefined);
  if (candidates.length === 0)
    return refused("no MatMul or Gemm behind a normalization or product that could take scales");
  const names = candidates.map(({ name }) => name);
  const statistics = await inputStatistics(draft.finish(), names, context.calibration, context);
  const scratch = new ScaleScratch();
  let changed = 0;
  for (const candidate of candidates) {
    const seen = statistics.get(candidate.name);
    if (seen === undefined || seen.mean.length !== candidate.width || !seen.meanSquare.every(Number.isFinite)) continue;
    const scales = await bestScales(seen, candidate.readers, draft, options, context.runner, scratch);
    if (scales === undefined) continue;
    migrate(draft, candidate, scales);
    changed++;
  }
  if (changed === 0) return refused("no layer would lose less to rounding with scaled channels");
  return made(draft.finish(), [`scaled weights by their inputs in ${changed} of ${candidates.length} places`]);
}
