// Static int8, in QDQ or QOperator form: weights and activations in 8 bits with ranges found on calibration data; may depend on this
// room and runtime.
import { SpillFile } from "../../io/spill-file.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { elementCount, type TensorValue } from "../../model/tensor-value.ts";
import { sliceDataset } from "../../runtime/dataset.ts";
import { watchBySegment, type WatchOptions } from "../calibrate.ts";
import { inputDecibels, resultDecibels } from "../predicted-noise.ts";
import { activationParams, type AffineParams } from "../quantize/affine.ts";
import { ChannelMean } from "../quantize/bias-correction.ts";
import { RangeObserver, type RangeMethod, type SeenRange } from "../quantize/range-observer.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { foldAffine } from "../rewrite/fold-affine.ts";
import { chosenLayers, findLinearLayers, layerName, type LayerChoice, type LinearLayer } from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { insertPairs, quantizeConv, quantizeDense, StoredIntegers } from "../rewrite/qdq-layers.ts";
import { planQdq } from "../rewrite/qdq-plan.ts";
import { toQOperators } from "../rewrite/qoperator.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

/** Weights below this stay in memory as integers. */
const KEPT_BYTES = 32 * 2 ** 20;
/** First operator set whose DequantizeLinear takes a scale per channel. */
const NEEDED_OPSET = 13;

export interface StaticInt8Options extends LayerChoice {
  readonly range: RangeMethod;
  /** Calibration samples used. */
  readonly samples: number;
  /**
   * `qdq`: float operators between QuantizeLinear and DequantizeLinear, which any ONNX engine reads and most fuse.
   * `qoperator`: integer operators, which run as such for certain, in ONNX Runtime only.
   */
  readonly form: "qdq" | "qoperator";
  /** Whether biases make up for the mean of what rounding the weights takes away. */
  readonly biasCorrection: boolean;
  /**
   * A tensor whose rounding alone would leave less predicted signal to noise of a layer's output, in decibels, stays float, and so do the
   * layers that would need it in integers. Absent: none.
   */
  readonly minimumDecibels?: number;
}

interface Observed {
  readonly seen: SeenRange;
  readonly rank: number;
  /** Of each channel, where a layer reads the tensor. */
  readonly mean: ChannelMean | undefined;
}

/** The axis of a layer's input that its weights are summed over. */
function channelAxis(layer: LinearLayer, rank: number): number {
  if (layer.kind === "conv") return 1;
  return layer.transposedInput ? 0 : rank - 1;
}

async function observeRanges(
  model: ModelGraph,
  names: readonly string[],
  layers: readonly LinearLayer[],
  options: StaticInt8Options,
  context: Pick<TechniqueContext, "calibration"> & WatchOptions,
): Promise<Map<string, Observed>> {
  const data = context.calibration!;
  const samples = sliceDataset(data, 0, Math.min(options.samples, data.sampleCount));
  const watched = new Map<string, Omit<Observed, "seen"> & { readonly observer: RangeObserver }>();
  const observed = new Map<string, Observed>();
  const readers = new Map(layers.map((layer) => [layer.input, layer]));
  const see = (name: string, value: TensorValue, rows: number): void => {
    if (!(value.data instanceof Float32Array)) return;
    const rank = value.shape.length;
    const reader = readers.get(name);
    const axis = reader === undefined ? undefined : channelAxis(reader, rank);
    let entry = watched.get(name);
    if (entry === undefined) {
      const mean = axis === undefined ? undefined : new ChannelMean(value.shape[axis] ?? 1);
      watched.set(name, (entry = { observer: new RangeObserver(), rank, mean }));
    }
    entry.observer.observe(value.data, value.shape[0] === rows ? rows : 1);
    if (axis !== undefined) entry.mean?.observe(value.data, value.shape, axis);
  };
  const groups = names.map((name) => ({ names: [name] }));
  for await (const done of watchBySegment(model, groups, samples, context, see)) {
    // The histograms of one segment are in memory at a time.
    for (const name of done) {
      const entry = watched.get(name);
      if (entry === undefined) continue;
      const { observer, rank, mean } = entry;
      watched.delete(name);
      observed.set(name, { seen: observer.chosen(options.range), rank, mean });
    }
  }
  return observed;
}

/** Tensors that eight bits would spoil, and how much of a layer's output would be left at worst, in decibels. */
async function noisyTensors(
  draft: GraphDraft,
  layers: readonly LinearLayer[],
  observed: ReadonlyMap<string, Observed>,
  { minimumDecibels = -Infinity }: StaticInt8Options,
): Promise<Map<string, number>> {
  const noisy = new Map<string, number>();
  const note = (name: string, decibels: number): void => {
    if (decibels < Math.min(minimumDecibels, noisy.get(name) ?? Infinity)) noisy.set(name, decibels);
  };
  for (const layer of minimumDecibels === -Infinity ? [] : layers) {
    const plan = planQdq(draft, [layer]);
    const source = plan.get(layer.input) ?? layer.input;
    const [input, result] = [observed.get(source), observed.get(layer.output)];
    if (input === undefined || result === undefined) continue;
    note(source, await inputDecibels(layer, input.seen, result.seen));
    const after = [layer.output, ...draft.consumersOf(layer.output).map(({ outputs }) => outputs[0])];
    const rounded = after.find((name) => plan.get(name) === name && observed.has(name));
    if (rounded === undefined) continue;
    note(rounded, resultDecibels(result.seen, observed.get(rounded)!.seen));
  }
  return noisy;
}

/**
 * Quantises Conv, Gemm and MatMul with constant weights, and the pools, sums and reshapes between them.
 *
 * Weights: symmetric, one scale per output channel. Activations: u8 with one range per tensor; after a Relu the zero point is 0.
 * Biases: int32 at scale `s_x·s_w`, corrected by the mean of what the weights lost (Nagel et al., arXiv:1906.04721); where that would overflow, the channel's weight scale grows until it fits.
 */
export async function staticInt8(
  model: ModelGraph,
  options: StaticInt8Options,
  context: Pick<TechniqueContext, "calibration" | "weightGrid"> & WatchOptions,
): Promise<TechniqueResult> {
  if (context.calibration === undefined) return refused("static ranges need calibration data, none was given");
  const raised = await raiseOpset(model, NEEDED_OPSET);
  if (raised.kind === "refused") return raised;
  const draft = new GraphDraft(raised.model);
  const chosen = chosenLayers(findLinearLayers(draft), options).map(({ output }) => output);
  // A layer keeps one range instead of two; ONNX Runtime would fold it too, but not across a rounding.
  const { renamed } = await foldAffine(draft, { splitShared: true });
  const found = chosenLayers(findLinearLayers(draft), { layers: chosen.map((name) => renamed.get(name) ?? name) });
  if (found.length === 0) return refused("no MatMul, Gemm or Conv with constant float32 weights to quantise");
  // Ranges of the planned tensors, and the layers' own inputs for their ranks: a reshape between changes that.
  const { minimumDecibels } = options;
  const results = minimumDecibels === undefined ? [] : found.map(({ output }) => output);
  const names = [...new Set([...planQdq(draft, found).values(), ...found.map(({ input }) => input), ...results])];
  const observed = await observeRanges(raised.model, names, found, options, context);
  const params = new Map<string, AffineParams>();
  for (const [name, { seen }] of observed) {
    const { range, notFiniteCount } = seen;
    if (range !== undefined && notFiniteCount === 0) params.set(name, activationParams(range.low, range.high));
  }
  // A layer whose tensors never showed up (wrong type, NaN) stays float; planning again drops what only it needed.
  const usable = (layer: LinearLayer) => [...planQdq(draft, [layer]).values()].every((name) => params.has(name));
  const noisy = await noisyTensors(draft, found, observed, options);
  const layers: LinearLayer[] = [];
  const notes: string[] = [];
  for (const layer of found) {
    const spoiled = [...planQdq(draft, [layer]).values()].find((name) => noisy.has(name));
    if (!usable(layer)) {
      notes.push(`${layerName(layer)} stays float: its range is unknown or not finite on the calibration data`);
    } else if (spoiled !== undefined) {
      const left = noisy.get(spoiled)!.toFixed(1);
      notes.push(`${layerName(layer)} stays float: '${spoiled}' in 8 bits would leave ${left} dB`);
    } else {
      layers.push(layer);
    }
  }
  if (layers.length === 0) return refused(notes.join("; "));
  const plan = planQdq(draft, layers);
  const integers = layers.reduce((sum, { weight }) => sum + elementCount(weight.shape), 0);
  const stored = new StoredIntegers(draft, context.weightGrid, integers < KEPT_BYTES ? undefined : new SpillFile());
  for (const layer of layers) {
    const range = plan.get(layer.input)!;
    const { rank, mean } = observed.get(layer.input)!;
    const seen = { scale: params.get(range)!.scale, rank, mean: options.biasCorrection ? mean?.value : undefined };
    if (layer.kind === "conv") await quantizeConv(draft, layer, seen, stored);
    else await quantizeDense(draft, layer, seen, stored);
  }
  insertPairs(draft, plan, params);
  const result = draft.finish();
  return made(options.form === "qoperator" ? await toQOperators(result) : result, notes);
}
