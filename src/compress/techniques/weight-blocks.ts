// Weight-only quantisation in blocks: 8-, 4- or 2-bit weights behind ONNX Runtime's MatMulNBits; may depend on model, rewrite,
// quantize and this room.
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import { SpillFile } from "../../io/spill-file.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import { SharedScratch } from "../../runtime/shared-scratch.ts";
import type { TaskRunner } from "../../runtime/task-runner.ts";
import { throwIfStopped } from "../../runtime/stop-signal.ts";
import { levelFourError } from "../accuracy-level.ts";
import { variablesKey, type Variables } from "../axis-rows.ts";
import type { WatchOptions } from "../calibrate.ts";
import { inputStatistics, type InputStatistics } from "../input-statistics.ts";
import { shifted } from "../quantize/bias-correction.ts";
import { blockShapes, type BlockOptions, type QuantizedBlocks } from "../quantize/blockwise.ts";
import { feedbackOf, type Feedback } from "../quantize/feedback.ts";
import { LazyParts } from "../quantize/lazy-parts.ts";
import {
  nearestBlocks,
  roundStoredBlocks,
  spilled,
  WORTH_THREADS_BYTES,
  type StoredBlocks,
} from "../quantize/stored-blocks.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  chosenLayers,
  denseBias,
  findLinearLayers,
  isDense,
  layerName,
  uprightInput,
  type DenseLayer,
  type LayerChoice,
} from "../rewrite/linear.ts";
import { momentsBySegment, type Moments } from "../second-moments.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

const CONTRIB = "com.microsoft";

export interface BlockwiseOptions extends LayerChoice, BlockOptions {
  /** `gptq` rounds each weight so that it makes up for the errors before it; it needs calibration data. */
  readonly rounding?: "nearest" | "gptq";
  /**
   * 4 computes with 8-bit activations, 0 with float ones. For 8 and 2 bits the kernel of level 0 is up to 22 times slower than
   * float32. `auto`: level 4 where it changes the layer's output on calibration data by no more than `tolerance`.
   */
  readonly accuracyLevel: 0 | 4 | "auto";
  /** `‖y₄ − y₀‖ / ‖y₀‖` that `auto` allows; 0.02 if left out, a fifth of what 4-bit rounding itself costs. */
  readonly tolerance?: number;
  /** Rows that a product sees at once, 1 if left out: with many rows level 4 saves nothing for 4 bits, so `auto` takes 0. */
  readonly rows?: number;
}

const DEFAULT_TOLERANCE = 0.02;
/** From here on 4-bit blocks at level 0 are as fast as at level 4 (K = 1024, N = 4096, AVX-512 VNNI). */
const MANY_ROWS = 64;
/** More samples than these behind E[x·xᵀ] change the rounding no more than another seed of the data does. */
const MOMENT_SAMPLES = 1024;
/** Float weights below this are quantised sooner than threads start; GPTQ does K/2 multiply-adds for each. */
const WORTH_THREADS = { nearest: WORTH_THREADS_BYTES, gptq: 2 ** 20 };
/** Moments of fewer inputs are split sooner than threads answer. */
const WORTH_THREADS_WIDTH = 1024;
/** Float weights below this leave results that fit into memory. */
const KEPT_BYTES = 256 * 2 ** 20;

/** Nodes of the layer in blocks; the weights are quantised when somebody reads them. */
async function blockNodes(
  draft: GraphDraft,
  layer: DenseLayer,
  options: BlockwiseOptions,
  blocks: LazyParts<QuantizedBlocks>,
  level: 0 | 4,
): Promise<Node[]> {
  const { k, n } = layer;
  const { input, nodes } = uprightInput(draft, layer);
  const stem = layer.weight.name;
  const shapes = blockShapes(k, n, options);
  const byte = (shape: readonly number[]) => ({ dtype: "uint8" as const, shape });
  const inputs = [
    input,
    draft.computed(`${stem}_q`, byte(shapes.weight), async () => (await blocks.take("weight")).packed),
    draft.computed(
      `${stem}_s`,
      { dtype: "float32", shape: shapes.scales },
      async () => (await blocks.take("scales")).scales,
    ),
  ];
  if (!options.symmetric) {
    const zeros = async () => (await blocks.take("zeroPoints")).zeroPoints!;
    inputs.push(draft.computed(`${stem}_z`, byte(shapes.zeroPoints), zeros));
  }
  const bias = await denseBias(layer);
  if (bias !== undefined) {
    // Zero points and the order of groups come before the bias; "" leaves an optional input out.
    while (inputs.length < 5) inputs.push("");
    const corrected = async () => shifted(bias, (await blocks.take("bias")).shift);
    inputs.push(draft.computed(layer.bias!.name, { dtype: "float32", shape: [n] }, corrected));
  }
  const attributes = {
    K: int(k),
    N: int(n),
    bits: int(options.bits),
    block_size: int(options.blockSize),
    ...(level === 0 ? {} : { accuracy_level: int(level) }),
  };
  return [...nodes, operator("MatMulNBits", inputs, [layer.output], attributes, { domain: CONTRIB })];
}

/** How many tensors `blockNodes` makes of one result. */
const partsOf = (layer: DenseLayer, { symmetric }: BlockwiseOptions): number =>
  2 + (symmetric ? 0 : 1) + (layer.bias === undefined || layer.beta === 0 ? 0 : 1);

/** Which level each layer got and why, for the notes. */
class Levels {
  readonly #options: BlockwiseOptions;
  readonly #threads: number | undefined;
  readonly #exact: string[] = [];
  readonly #float: string[] = [];
  #fast = 0;
  #unchecked = 0;

  constructor(options: BlockwiseOptions, threads: number | undefined) {
    this.#options = options;
    this.#threads = threads;
  }

  /** Undefined: the layer stays float32, because level 4 loses too much and level 0 would be slower than not to quantise. */
  async choose(
    layer: DenseLayer,
    blocks: LazyParts<QuantizedBlocks>,
    rows: Float32Array | undefined,
  ): Promise<0 | 4 | undefined> {
    const { accuracyLevel, bits, tolerance = DEFAULT_TOLERANCE } = this.#options;
    if (accuracyLevel !== "auto") return accuracyLevel;
    if (bits === 4 && (this.#options.rows ?? 1) >= MANY_ROWS) return 0;
    if (rows === undefined || rows.length === 0) {
      this.#unchecked++;
      return 4;
    }
    const weights = await blocks.look();
    const error = await levelFourError(weights, layer.k, layer.n, this.#options, rows, this.#threads);
    if (error <= tolerance) {
      this.#fast++;
      return 4;
    }
    const told = `${layerName(layer)} (${(error * 100).toFixed(1)} %)`;
    (bits === 4 ? this.#exact : this.#float).push(told);
    return bits === 4 ? 0 : undefined;
  }

  notes(): string[] {
    const { accuracyLevel, bits, tolerance = DEFAULT_TOLERANCE } = this.#options;
    const limit = `more than ${tolerance * 100} % change of the output`;
    const notes: string[] = [];
    if (this.#fast > 0) notes.push(`accuracy_level 4 (8-bit activations) on ${this.#fast} layers`);
    if (this.#unchecked > 0)
      notes.push(`accuracy_level 4 on ${this.#unchecked} layers without a check: there was no data to run them on`);
    if (this.#exact.length > 0) notes.push(`accuracy_level 0 where 4 made ${limit}: ${this.#exact.join(", ")}`);
    if (this.#float.length > 0)
      notes.push(
        `float32 where accuracy_level 4 made ${limit}, and level 0 would be slower than float32: ${this.#float.join(", ")}`,
      );
    if (accuracyLevel === 0 && bits !== 4)
      notes.push(`${bits}-bit blocks at accuracy_level 0 run up to 22 times slower than float32`);
    return notes;
  }
}

/** Layers with one input, and how its errors enter later ones; undefined where that cannot be told: nearest rounding then. */
interface FedLayers {
  readonly layers: readonly DenseLayer[];
  readonly feedback: Feedback | undefined;
}

const inputVariables = ({ input, k }: DenseLayer): Variables => ({ value: input, axis: -1, width: k });

/** In a scope of its own: the matrix of moments is not kept while layers are rounded. */
function takenFeedback(
  moments: Map<string, Moments>,
  key: string,
  runner: TaskRunner | undefined,
  scratch: SharedScratch,
): Promise<Feedback> {
  const { width, second } = moments.get(key)!;
  moments.delete(key);
  return feedbackOf(second, width, width < WORTH_THREADS_WIDTH ? undefined : runner, scratch);
}

/** One input after another, so that one matrix of feedback is in memory at a time; moments come for one segment of the model. */
async function* withFeedback(
  model: ModelGraph,
  layers: readonly DenseLayer[],
  calibration: Dataset,
  { threads, signal, runner, segmentBytes }: Pick<TechniqueContext, "runner"> & WatchOptions,
): AsyncGenerator<FedLayers> {
  const readers = new Map<string, DenseLayer[]>();
  for (const layer of layers) {
    if (layer.transposedInput) continue;
    const key = variablesKey(inputVariables(layer));
    readers.set(key, [...(readers.get(key) ?? []), layer]);
  }
  const variables = [...readers.values()].map(([layer]) => inputVariables(layer));
  const options = { kind: "products", samples: MOMENT_SAMPLES, threads, signal, segmentBytes } as const;
  const scratch = new SharedScratch();
  for await (const moments of momentsBySegment(model, variables, calibration, options)) {
    for (const key of moments.keys())
      yield { layers: readers.get(key)!, feedback: await takenFeedback(moments, key, runner, scratch) };
  }
  const others = layers.filter(({ transposedInput }) => transposedInput);
  if (others.length > 0) yield { layers: others, feedback: undefined };
}

/**
 * Replaces each MatMul and Gemm with constant weights by ONNX Runtime's `MatMulNBits`: blocks of weights along K share a scale.
 *
 * With calibration data an error counts by the mean square of the input it meets, and the bias makes up for the mean error.
 * Made for few rows at a time (M = 1, decoding): from about 64 rows on it is no faster than float32, and int8 is.
 * Runs in ONNX Runtime only (operator domain `com.microsoft`). Convolutions have no such kernel and stay as they are.
 */
export async function weightOnlyBlocks(
  model: ModelGraph,
  options: BlockwiseOptions,
  context: Pick<TechniqueContext, "calibration" | "runner"> & WatchOptions,
): Promise<TechniqueResult> {
  const draft = new GraphDraft(model);
  const layers = chosenLayers(findLinearLayers(draft), options);
  const dense = layers.filter(isDense);
  if (dense.length === 0) return refused("no MatMul or Gemm with constant float32 weights to quantise");
  const { calibration, threads, runner } = context;
  const { rounding = "nearest" } = options;
  const withMoments = rounding === "gptq";
  if (withMoments && calibration === undefined)
    return refused("GPTQ rounds for given inputs: it needs calibration data");
  const original = draft.finish();
  const upright = dense.filter(({ transposedInput }) => !transposedInput).map(({ input }) => input);
  const seen =
    calibration === undefined
      ? new Map<string, InputStatistics>()
      : await inputStatistics(original, upright, calibration, context);
  const statisticsOf = ({ input, transposedInput }: DenseLayer) => (transposedInput ? undefined : seen.get(input));
  const levels = new Levels(options, threads);
  const floatBytes = dense.reduce((sum, { k, n }) => sum + 4 * k * n, 0);
  const pool = floatBytes < WORTH_THREADS[rounding] ? undefined : runner;
  const fits = floatBytes < KEPT_BYTES;
  const groups = withMoments
    ? withFeedback(original, dense, calibration!, { ...context, runner: pool })
    : [{ layers: dense, feedback: undefined }];
  // What GPTQ found rests on matrices that are gone by the time the model is written.
  const spill = withMoments && !fits ? new SpillFile() : undefined;
  const blocksOf = async (layer: DenseLayer, feedback: Feedback | undefined): Promise<LazyParts<QuantizedBlocks>> => {
    const { weight, transposedWeight, alpha, k, n } = layer;
    const task: StoredBlocks = {
      matrix: { weight, transposedWeight, alpha, k, n },
      options,
      inputs: statisticsOf(layer),
    };
    const parts = partsOf(layer, options);
    if (feedback === undefined) return nearestBlocks(task, { parts, keep: fits, runner: pool });
    const result = await roundStoredBlocks(task, feedback, pool);
    return new LazyParts(spill === undefined ? async () => result : spilled(spill, result), { parts, keep: fits });
  };
  let quantized = 0;
  for await (const group of groups) {
    for (const layer of group.layers) {
      throwIfStopped(context.signal, "quantising");
      const blocks = await blocksOf(layer, group.feedback);
      const level = await levels.choose(layer, blocks, statisticsOf(layer)?.rows);
      if (level === undefined) continue;
      draft.replaceAll(layer.nodes, await blockNodes(draft, layer, options, blocks, level));
      quantized++;
    }
  }
  const convs = layers.length - dense.length;
  const notes = [
    ...levels.notes(),
    ...(convs === 0 ? [] : [`${convs} convolutions stay float: MatMulNBits has no convolution`]),
  ];
  if (quantized === 0) return refused(notes.join("; "));
  draft.requireOpset(CONTRIB, 1);
  return made(draft.finish(), notes);
}
