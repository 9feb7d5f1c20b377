// Training: an asynchronous stream of events that ends with the trained model; may depend on errors, model and its room.
import { LightfootError } from "../errors/index.ts";
import { sha256 } from "../io/digest.ts";
import type { ModelGraph, ValueInfo } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";

import { Emitter } from "./gradient/emitter.ts";
import { teacherFeatures } from "./gradient/features.ts";
import { forwardGraph, type ForwardGraph } from "./gradient/forward-graph.ts";
import { emitLoss, lossSource } from "./gradient/losses.ts";
import type { TrainingGraph, TrainingGraphOptions } from "./gradient/training-graph.ts";
import { readCheckpoint, writeCheckpoint, type Checkpoint, type TrainProgress } from "./train-checkpoint.ts";
import { epochOrder, inputSpecs, lossArrays, modelArrays, targetKind, type StepArrays } from "./train-data.ts";
import { chooseStepsPerCall, Evaluator, StepRunner, teacherScores } from "./train-engine.ts";
import type { EpochRecord, TrainEvent, TrainingData, TrainOptions, TrainResult } from "./train-options.ts";
import { learningRateAt } from "./train-schedule.ts";
import { applyMasks, loadState, parameterViews, TrainState, writeBack } from "./train-state.ts";

/**
 * Trains a model on this thread and tells about it while it goes.
 *
 * The training step is an ONNX graph made from the model's own (see `buildTrainingGraph`). Same model, data and options
 * give the same weights, byte for byte, on one machine and ONNX Runtime version, whether or not the run was interrupted
 * and resumed. Each call of the engine blocks the thread: from a program with a screen use `trainInWorker`.
 *
 * @returns (as the generator's return value) the model with new weights and the history
 * @throws LightfootError E_GRADIENT, E_DATA, E_RANGE; E_TRAIN_DIVERGED when the loss is no longer finite; E_CHECKPOINT;
 *   E_INTERRUPTED after `signal`, with a checkpoint left when a folder is given
 * @example
 * const run = train(model, data, { loss: { kind: "cross-entropy" }, optimizer: { kind: "adam" }, learningRate: 1e-3, epochs: 10, batch: 32, seed: 1 });
 * const { model: trained } = await finishTraining(run, (event) => console.log(event));
 */
export async function* train(
  model: ModelGraph,
  data: TrainingData,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, TrainResult> {
  requireSensible(options, data);
  const run = await prepareRun(model, data, options);
  try {
    return yield* runEpochs(run);
  } finally {
    await run.close();
  }
}

/** Drains a run, handing each event on, and gives its result. */
export async function finishTraining(
  run: AsyncGenerator<TrainEvent, TrainResult>,
  onEvent: (event: TrainEvent) => void = () => {},
): Promise<TrainResult> {
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
    onEvent(next.value);
  }
}

function requireSensible(options: TrainOptions, data: TrainingData): void {
  const positive = { epochs: options.epochs, batch: options.batch, stepsPerCall: options.stepsPerCall ?? 1 };
  for (const [name, value] of Object.entries(positive)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new LightfootError("E_RANGE", `${name} is ${value}, expected a whole number from 1`);
    }
  }
  if (!(options.learningRate >= 0 && Number.isFinite(options.learningRate))) {
    throw new LightfootError("E_RANGE", `the learning rate is ${options.learningRate}, expected a number from 0`);
  }
  if (options.patience !== undefined && options.validation === undefined) {
    throw new LightfootError("E_USAGE", "patience needs validation data to watch", { hint: "Give validation data." });
  }
  if (options.resume === true && options.checkpoint === undefined) {
    throw new LightfootError("E_USAGE", "resume needs the folder of the checkpoint", {
      hint: "Give a checkpoint folder.",
    });
  }
  const { features } = options;
  if ((options.loss.kind === "kl" || features !== undefined) !== (options.teacher !== undefined)) {
    throw new LightfootError("E_USAGE", "the loss kl and features go with a teacher, and a teacher with one of them");
  }
  if (features !== undefined && !(features.weight > 0 && Number.isFinite(features.weight))) {
    throw new LightfootError("E_RANGE", `the weight of features is ${features.weight}, expected a number above 0`);
  }
  if (data.sampleCount < 1) throw new LightfootError("E_DATA", `'${data.name}' has no samples`);
}

/** Everything a run holds open. */
interface Run {
  readonly model: ModelGraph;
  readonly options: TrainOptions;
  readonly sampleCount: number;
  readonly arrays: StepArrays;
  /** Several steps a call, one step a call, and one step of the epoch's rest: those that the epoch needs. */
  readonly runners: readonly { readonly runner: StepRunner; readonly steps: number; readonly batch: number }[];
  readonly state: TrainState;
  readonly evaluator: Evaluator | undefined;
  readonly digest: string;
  close(): Promise<void>;
}

/** Inputs of the loss at this batch size. */
function lossInputsOf(
  forward: ForwardGraph,
  options: Pick<TrainingGraphOptions, "loss" | "targets" | "output">,
): { inputs: readonly ValueInfo[]; classes: number } {
  const source = lossSource(forward, options.output ?? forward.outputs[0], options.loss.kind);
  const { inputs } = emitLoss(new Emitter("probe/"), options.loss, source, options.targets);
  return { inputs, classes: source.shape[source.classAxis] };
}

async function prepareRun(model: ModelGraph, data: TrainingData, options: TrainOptions): Promise<Run> {
  const { batch, teacher, loss, threads, validation } = options;
  const inputs = modelArrays(model, data);
  const count = data.sampleCount;
  const fullBatch = Math.min(batch, count);
  const forward = await forwardGraph(model, inputSpecs(inputs, fullBatch), options.trainable ?? []);
  const stepsPerCall = Math.min(options.stepsPerCall ?? chooseStepsPerCall(forward), Math.floor(count / fullBatch));
  const graphOptions = async (graph: ForwardGraph, steps: number): Promise<TrainingGraphOptions> => ({
    features:
      options.features === undefined ? undefined : await teacherFeatures(graph, teacher!, loss.kind, options.features),
    loss,
    targets: targetKind(loss, data),
    optimizer: options.optimizer,
    output: options.output,
    stepsPerCall: steps,
    batchNormalization: options.batchNormalization,
    clipNorm: options.clipNorm,
    masked: options.masks === undefined ? undefined : new Set(options.masks.keys()),
    penalties: options.penalties,
  });
  const scoresOn = async (set: TrainingData) =>
    teacher === undefined || loss.kind !== "kl" ? undefined : teacherScores(teacher, set, loss, threads);
  const scores = await scoresOn(data);
  const probe = lossInputsOf(forward, { loss, targets: targetKind(loss, data), output: options.output });
  const arrays: StepArrays = new Map([...inputs, ...lossArrays(probe.inputs, data, scores, probe.classes)]);

  const runners: Run["runners"][number][] = [];
  let evaluator: Evaluator | undefined;
  const close = async (): Promise<void> => {
    await Promise.all([...runners.map(({ runner }) => runner.close()), evaluator?.close()]);
  };
  try {
    const add = async (graph: ForwardGraph, steps: number, size: number): Promise<void> => {
      const built = await graphOptions(graph, steps);
      runners.push({ runner: await StepRunner.open(graph, built, size, threads), steps, batch: size });
    };
    await add(forward, stepsPerCall, fullBatch);
    if (Math.floor(count / fullBatch) % stepsPerCall !== 0) await add(forward, 1, fullBatch);
    const rest = count % fullBatch;
    if (rest !== 0) {
      await add(await forwardGraph(model, inputSpecs(inputs, rest), forward.trainable), 1, rest);
    }
    const training = runners[0].runner.graph;
    const state = new TrainState(training.state);
    await loadState(state, training, forward.initializers, options.masks);
    if (validation !== undefined) {
      const theirs = await scoresOn(validation);
      const feeds = (lossInputs: readonly ValueInfo[]): StepArrays =>
        lossArrays(lossInputs, validation, theirs, probe.classes);
      const { output } = options;
      const judged = { loss, targets: targetKind(loss, validation), output, threads };
      evaluator = await Evaluator.open(model, modelArrays(model, validation), feeds, training, judged);
    }
    const digest = await runDigest(model, data, options, stepsPerCall);
    return { model, options, sampleCount: count, arrays, runners, state, evaluator, digest, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

const digestOf = async (model: ModelGraph): Promise<string> => sha256(await serializeOnnx(model));

/** What must be equal for a checkpoint to be of this run: model, data and every option that changes the weights. */
async function runDigest(
  model: ModelGraph,
  data: TrainingData,
  options: TrainOptions,
  stepsPerCall: number,
): Promise<string> {
  const {
    teacher,
    masks,
    remask: _chosen,
    validation,
    checkpoint: _folder,
    resume: _,
    signal: _stop,
    ...plain
  } = options;
  return sha256(
    JSON.stringify({
      options: Object.fromEntries(Object.entries(plain).sort(([a], [b]) => (a < b ? -1 : 1))),
      stepsPerCall,
      model: await digestOf(model),
      data: data.digest,
      validation: validation?.digest,
      teacher: teacher === undefined ? undefined : await digestOf(teacher),
      masks: [...(masks ?? [])].map(([name, mask]) => [name, sha256(mask)]),
    }),
  );
}

const FRESH: TrainProgress = {
  step: 0,
  epoch: 0,
  samplesDone: 0,
  epochLossSum: 0,
  history: [],
  best: undefined,
  finished: undefined,
};

const KEPT_ROLES = ["weights", "statistic"] as const;

async function* runEpochs(run: Run): AsyncGenerator<TrainEvent, TrainResult> {
  const { options, runners, state, sampleCount } = run;
  const training = runners[0].runner.graph;
  const stepsPerEpoch = Math.ceil(sampleCount / runners[0].batch);
  const span = { totalSteps: stepsPerEpoch * options.epochs, stepsPerEpoch };
  const folder = options.checkpoint?.folder;
  let progress: TrainProgress = FRESH;
  let best: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }> = new Map();

  if (options.resume === true && folder !== undefined) {
    const saved = await readCheckpoint(folder, run.digest);
    if (saved !== undefined) {
      progress = saved.progress;
      state.restore("", saved.tensors);
      best = new Map([...saved.tensors].filter(([name]) => name.startsWith("best/")));
    }
  }
  const save = async (): Promise<TrainEvent> => {
    const tensors = new Map([...state.snapshot("", ["weights", "mask", "slot", "statistic"]), ...best]);
    const checkpoint: Checkpoint = { run: run.digest, progress, tensors };
    return { type: "checkpoint", step: progress.step, file: await writeCheckpoint(folder!, checkpoint) };
  };

  const members = training.groups.flatMap((group) => group.members);
  yield {
    type: "start",
    totalSteps: span.totalSteps,
    stepsPerEpoch,
    stepsPerCall: training.stepsPerCall,
    trainable: members.map(({ name }) => name),
    trainableElements: members.reduce((sum, { length }) => sum + length, 0),
    resumedSteps: progress.step,
  };

  while (progress.epoch < options.epochs && progress.finished === undefined) {
    const epoch = progress.epoch + 1;
    const order = epochOrder(options.seed, epoch, sampleCount);
    while (progress.samplesDone < sampleCount) {
      const start = progress.samplesDone;
      const { runner, steps, batch } = runners.find((entry) => start + entry.steps * entry.batch <= sampleCount)!;
      const losses = await runner.run(run.arrays, order, start, state, progress.step + 1, options, span);
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / steps;
      if (!Number.isFinite(mean)) throw diverged(losses, progress.step, options.learningRate);
      const before = progress.step;
      progress = {
        ...progress,
        step: before + steps,
        samplesDone: start + steps * batch,
        epochLossSum: progress.epochLossSum + mean * steps * batch,
      };
      const learningRate = learningRateAt(
        options.schedule ?? { kind: "constant" },
        options.learningRate,
        progress.step,
        span,
      );
      yield { type: "step", step: progress.step, epoch, loss: mean, learningRate };
      const every = options.checkpoint?.everySteps;
      const isDue = every !== undefined && Math.floor(progress.step / every) > Math.floor(before / every);
      if (isDue && progress.samplesDone < sampleCount) yield await save();
      if (options.signal?.aborted === true) {
        if (folder !== undefined) yield await save();
        throw interrupted(progress, options);
      }
    }
    const loss = progress.epochLossSum / sampleCount;
    yield { type: "epoch", epoch, step: progress.step, loss };
    let record: EpochRecord = { epoch, loss };
    if (run.evaluator !== undefined) {
      const judged = await run.evaluator.run(state);
      const value = monitored(judged, options);
      const improved = progress.best === undefined || value < progress.best.value;
      if (improved) {
        progress = { ...progress, best: { epoch, value } };
        if (options.patience !== undefined) best = state.snapshot("best/", KEPT_ROLES);
      }
      record = { ...record, validationLoss: judged.loss };
      if (judged.accuracy !== undefined) record = { ...record, validationAccuracy: judged.accuracy };
      yield { type: "validation", epoch, loss: judged.loss, accuracy: judged.accuracy, improved };
    }
    const waited = epoch - (progress.best?.epoch ?? epoch);
    const isOver = options.patience !== undefined && waited >= options.patience;
    const reason = isOver ? "early-stop" : epoch === options.epochs ? "completed" : undefined;
    if (reason === undefined) remask(state, training, options, epoch);
    progress = {
      ...progress,
      epoch,
      samplesDone: 0,
      epochLossSum: 0,
      history: [...progress.history, record],
      finished: reason,
    };
    if (folder !== undefined) yield await save();
  }

  state.restore("best/", new Map(best));
  const reason = progress.finished ?? "completed";
  yield { type: "done", reason, epochs: progress.epoch, steps: progress.step };
  return {
    model: writeBack(run.model, training, state),
    trainable: members.map(({ name }) => name),
    steps: progress.step,
    history: progress.history,
    reason,
    epoch: best.size > 0 ? progress.best!.epoch : progress.epoch,
  };
}

function remask(state: TrainState, training: TrainingGraph, options: TrainOptions, epoch: number): void {
  const views = (kind: string) => parameterViews(state, training, kind);
  const masks = options.remask?.({
    epoch,
    weights: views("weights"),
    firstMoment: views("firstMoment"),
    secondMoment: views("secondMoment"),
  });
  if (masks !== undefined) applyMasks(state, training, masks);
}

/** Smaller is better. A loss that is not a number never counts as an improvement. */
function monitored(
  judged: { readonly loss: number; readonly accuracy: number | undefined },
  options: TrainOptions,
): number {
  if (options.monitor !== "accuracy") return Number.isNaN(judged.loss) ? Infinity : judged.loss;
  if (judged.accuracy !== undefined) return -judged.accuracy;
  throw new LightfootError("E_METRIC", "accuracy needs labels in the validation data", {
    hint: "Watch the loss instead.",
  });
}

function diverged(losses: Float32Array, stepsBefore: number, learningRate: number): LightfootError {
  const at = losses.findIndex((loss) => !Number.isFinite(loss));
  const step = stepsBefore + 1 + Math.max(0, at);
  return new LightfootError("E_TRAIN_DIVERGED", `the loss of step ${step} is ${losses[Math.max(0, at)]}`, {
    hint: `Lower the learning rate (now ${learningRate}), clip the gradients' norm, or look for values in the data that are not finite.`,
  });
}

function interrupted(progress: TrainProgress, { checkpoint, resume }: TrainOptions): LightfootError {
  const how = resume === true ? "" : " with --resume";
  return new LightfootError("E_INTERRUPTED", `training was stopped after step ${progress.step}`, {
    hint: checkpoint === undefined ? undefined : `The same command${how} goes on from ${checkpoint.folder}.`,
  });
}
