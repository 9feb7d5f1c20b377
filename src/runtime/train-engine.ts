// The graphs and sessions of one training run: steps at each batch size, and the evaluation of a data set; may depend on
// model, statistics and its room.
import { LightfootError } from "../errors/index.ts";
import type { ModelGraph, ValueInfo } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { elementCount, float32Tensor, type TensorValue } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/random.ts";
import { assembleModel, forwardGraph, type ForwardGraph } from "./gradient/forward-graph.ts";
import { lossSource, type LossOptions } from "./gradient/losses.ts";
import { optimizerOf } from "./gradient/optimizers.ts";
import {
  buildEvaluationGraph,
  buildTrainingGraph,
  type EvaluationGraph,
  type TrainingGraph,
  type TrainingGraphOptions,
} from "./gradient/training-graph.ts";
import { liveNodes } from "./gradient/unroll.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";
import { emptyTensor, fillBatch, inputSpecs, modelArrays, type StepArrays } from "./train-data.ts";
import type { TrainingData, TrainOptions } from "./train-options.ts";
import { learningRateAt, type ScheduleSpan } from "./train-schedule.ts";
import type { TrainState } from "./train-state.ts";

/** Evaluation needs no gradients in memory, so it takes larger batches. */
const EVALUATION_BATCH = 256;

/** Elements of all values of a step, above which several steps a call save nothing. */
const UNROLL_ELEMENTS = [
  [600_000, 16],
  [2_000_000, 4],
] as const;

/**
 * Moments of weights that get no gradient decay towards 1e-40, where ordinary arithmetic is up to a hundred times
 * slower; they count as zero.
 */
const sessionOptions = (threads: number | undefined, name: string): SessionOptions => ({
  name,
  ...(threads === undefined ? {} : { threads }),
  extra: { session: { set_denormal_as_zero: "1" } },
});

/** Steps per call that pay for a model: many for small ones, where calling costs more than computing. */
export function chooseStepsPerCall(forward: ForwardGraph): number {
  const elements = [...forward.values.shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
  return UNROLL_ELEMENTS.find(([limit]) => elements <= limit)?.[1] ?? 1;
}

/** One training graph, open and with its buffers. */
export class StepRunner {
  readonly graph: TrainingGraph;
  readonly #session: Session;
  readonly #batch: number;
  readonly #buffers: readonly ReadonlyMap<string, TensorValue>[];
  readonly #masks: readonly { readonly value: TensorValue; readonly ratio: number }[][];
  readonly #schedule: TensorValue;
  readonly #losses: TensorValue;

  private constructor(graph: TrainingGraph, session: Session, batch: number, scalarCount: number) {
    this.graph = graph;
    this.#session = session;
    this.#batch = batch;
    const types = new Map(graph.inputTypes.map(({ name, type }) => [name, type]));
    const tensorOf = (name: string): TensorValue => {
      const type = types.get(name);
      if (type?.kind !== "tensor") throw new LightfootError("E_INTERNAL", `step input '${name}' is no tensor`);
      return emptyTensor(type.dtype, (type.shape ?? []) as readonly number[]);
    };
    this.#buffers = graph.stepInputs.map((names) => new Map([...names.keys()].map((name) => [name, tensorOf(name)])));
    const ratios = new Map(graph.dropouts.map(({ input, ratio }) => [input.name, ratio]));
    this.#masks = this.#buffers.map((inputs) =>
      [...inputs].flatMap(([name, value]) => (ratios.has(name) ? [{ value, ratio: ratios.get(name)! }] : [])),
    );
    const { stepsPerCall } = graph;
    const scheduleLength = stepsPerCall * scalarCount;
    this.#schedule = float32Tensor([scheduleLength], new Float32Array(scheduleLength));
    this.#losses = float32Tensor([stepsPerCall], new Float32Array(stepsPerCall));
  }

  static async open(
    forward: ForwardGraph,
    options: TrainingGraphOptions,
    batch: number,
    threads: number | undefined,
  ): Promise<StepRunner> {
    const graph = buildTrainingGraph(forward, options);
    const session = await openSession(await serializeOnnx(graph.model), sessionOptions(threads, "training graph"));
    return new StepRunner(graph, session, batch, optimizerOf(options.optimizer).scalarNames.length);
  }

  /**
   * Runs the graph once: `stepsPerCall` batches from `order[start]` on.
   *
   * @param firstStep number of the first step, from 1
   * @returns the loss of each step; a view that the next call overwrites
   */
  async run(
    arrays: StepArrays,
    order: Uint32Array,
    start: number,
    state: TrainState,
    firstStep: number,
    options: Pick<TrainOptions, "optimizer" | "learningRate" | "schedule" | "seed">,
    span: ScheduleSpan,
  ): Promise<Float32Array> {
    const optimizer = optimizerOf(options.optimizer);
    const schedule = options.schedule ?? { kind: "constant" };
    const feeds: Record<string, TensorValue> = { [this.graph.scheduleInput]: this.#schedule };
    for (const [k, names] of this.graph.stepInputs.entries()) {
      for (const [name, graphName] of names) {
        const buffer = this.#buffers[k].get(name)!;
        feeds[graphName] = buffer;
        const source = arrays.get(name);
        if (source !== undefined) fillBatch(buffer, source, order, start + k * this.#batch);
      }
      const step = firstStep + k;
      drawMasks(this.#masks[k], options.seed, step);
      const rate = learningRateAt(schedule, options.learningRate, step, span);
      const scalars = optimizer.scalars(step, rate);
      (this.#schedule.data as Float32Array).set(scalars, k * scalars.length);
    }
    const fetches: Record<string, TensorValue | null> = { [this.graph.lossOutput]: this.#losses };
    state.bind(feeds, fetches);
    await this.#session.run(feeds, fetches);
    state.swap();
    return this.#losses.data as Float32Array;
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

/** Masks are a function of seed and step, so that a resumed run draws the same. */
function drawMasks(
  masks: readonly { readonly value: TensorValue; readonly ratio: number }[],
  seed: number,
  step: number,
): void {
  if (masks.length === 0) return;
  const random = seededRandom(seed).fork("dropout").fork(`step ${step}`);
  for (const { value, ratio } of masks) {
    const data = value.data as Float32Array;
    const threshold = ratio * 2 ** 32;
    const kept = 1 / (1 - ratio);
    for (let at = 0; at < data.length; at++) data[at] = random.nextUint32() < threshold ? 0 : kept;
  }
}

export interface EvaluationResult {
  readonly loss: number;
  readonly accuracy: number | undefined;
}

interface EvaluationPart {
  readonly graph: EvaluationGraph;
  readonly session: Session;
  readonly buffers: ReadonlyMap<string, TensorValue>;
}

/** A data set judged again and again with the weights of the moment. */
export class Evaluator {
  readonly #parts: readonly EvaluationPart[];
  readonly #arrays: StepArrays;
  readonly #sampleCount: number;

  private constructor(parts: readonly EvaluationPart[], arrays: StepArrays, sampleCount: number) {
    this.#parts = parts;
    this.#arrays = arrays;
    this.#sampleCount = sampleCount;
  }

  static async open(
    model: ModelGraph,
    inputs: StepArrays,
    lossFeeds: (lossInputs: readonly ValueInfo[]) => StepArrays,
    training: TrainingGraph,
    options: Pick<TrainingGraphOptions, "loss" | "targets" | "output"> & Pick<TrainOptions, "threads">,
  ): Promise<Evaluator> {
    const sampleCount = [...inputs.values()][0].shape[0];
    const arrays = new Map(inputs);
    const parts: EvaluationPart[] = [];
    for (const batch of batchSizes(sampleCount, EVALUATION_BATCH)) {
      const forward = await forwardGraph(model, inputSpecs(inputs, batch), new Set<string>());
      const graph = buildEvaluationGraph(forward, training, options);
      const lossInputs = graph.inputTypes.filter(({ name }) => !inputs.has(name));
      for (const [name, value] of lossFeeds(lossInputs)) arrays.set(name, value);
      const session = await openSession(
        await serializeOnnx(graph.model),
        sessionOptions(options.threads, "evaluation graph"),
      );
      const names = graph.inputTypes.map(({ name }) => name);
      const buffers = names.map((name) => {
        const { dtype, shape } = arrays.get(name)!;
        return [name, emptyTensor(dtype, [batch, ...shape.slice(1)])] as const;
      });
      parts.push({ graph, session, buffers: new Map(buffers) });
    }
    return new Evaluator(parts, arrays, sampleCount);
  }

  async run(state: TrainState): Promise<EvaluationResult> {
    let lossSum = 0;
    let hitSum = 0;
    let hasAccuracy = false;
    for (const { start, rows, part } of spans(this.#sampleCount, EVALUATION_BATCH)) {
      const { graph, session, buffers } = this.#parts[part];
      const feeds: Record<string, TensorValue> = {};
      for (const input of session.inputs) {
        const buffer = buffers.get(input.name);
        if (buffer !== undefined) fillBatch(buffer, this.#arrays.get(input.name)!, undefined, start);
        feeds[input.name] = buffer ?? state.tensor(input.name)!;
      }
      const results = await session.run(feeds);
      lossSum += Number(results[graph.lossOutput].data[0]) * rows;
      if (graph.accuracyOutput !== undefined) {
        hasAccuracy = true;
        hitSum += Number(results[graph.accuracyOutput].data[0]) * rows;
      }
    }
    const count = this.#sampleCount;
    return { loss: lossSum / count, accuracy: hasAccuracy ? hitSum / count : undefined };
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ session }) => session.close()));
  }
}

/** The full size where samples fill it, and the size of the rest. */
export function batchSizes(sampleCount: number, batch: number): number[] {
  const rest = sampleCount % batch;
  return [...(sampleCount >= batch ? [batch] : []), ...(rest === 0 ? [] : [rest])];
}

/** Consecutive batches with the index of their size in `batchSizes`. */
function* spans(sampleCount: number, batch: number): Generator<{ start: number; rows: number; part: number }> {
  const sizes = batchSizes(sampleCount, batch);
  for (let start = 0; start < sampleCount; start += batch) {
    const rows = Math.min(batch, sampleCount - start);
    yield { start, rows, part: sizes.indexOf(rows) };
  }
}

/**
 * A teacher's scores on every sample: its output, taken before a final softmax, `[N, …]`.
 *
 * @throws LightfootError E_DATA when the data do not fit the teacher
 */
export async function teacherScores(
  teacher: ModelGraph,
  data: TrainingData,
  loss: LossOptions,
  threads: number | undefined,
): Promise<TensorValue> {
  const arrays = modelArrays(teacher, data);
  const pieces: TensorValue[] = [];
  const sessions: { readonly session: Session; readonly value: string }[] = [];
  try {
    for (const batch of batchSizes(data.sampleCount, EVALUATION_BATCH)) {
      const forward = await forwardGraph(teacher, inputSpecs(arrays, batch), new Set<string>());
      const { value } = lossSource(forward, forward.outputs[0], loss.kind);
      const graph = {
        ...teacher.graph,
        nodes: liveNodes(forward.nodes, [value]),
        initializers: forward.initializers,
        inputs: forward.inputs,
        outputs: [{ name: value, type: undefined }],
        valueInfo: [],
      };
      const bytes = await serializeOnnx(assembleModel(forward, graph));
      sessions.push({ session: await openSession(bytes, sessionOptions(threads, "teacher")), value });
    }
    for (const { start, rows, part } of spans(data.sampleCount, EVALUATION_BATCH)) {
      const feeds: Record<string, TensorValue> = {};
      for (const [name, array] of arrays) {
        feeds[name] = emptyTensor(array.dtype, [rows, ...array.shape.slice(1)]);
        fillBatch(feeds[name], array, undefined, start);
      }
      const { session, value } = sessions[part];
      pieces.push((await session.run(feeds))[value]);
    }
  } finally {
    await Promise.all(sessions.map(({ session }) => session.close()));
  }
  const shape = [data.sampleCount, ...pieces[0].shape.slice(1)];
  const scores = float32Tensor(shape, new Float32Array(elementCount(shape)));
  let at = 0;
  for (const { data: piece } of pieces) {
    (scores.data as Float32Array).set(piece as Float32Array, at);
    at += piece.length;
  }
  return scores;
}
