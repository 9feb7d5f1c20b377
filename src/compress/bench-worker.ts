// The bench's side in a worker thread: makes, runs and scores candidates there, so that the main thread can draw, listen and stop;
// may depend on model, io, runtime and this room.
import { describeThisMachine } from "../io/machine.ts";
import { readOnnx } from "../model/onnx/read.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { abortSignalOf } from "../runtime/stop-signal.ts";
import { createThreadPool, type TaskContext } from "../runtime/task-runner.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Candidate, SensitivityRow } from "./candidate-schema.ts";
import { Judge } from "./judge.ts";
import { schemesOf } from "./mixed/scheme-catalogue.ts";
import { sensitivities } from "./mixed/sensitivity.ts";
import type { Recipe } from "./recipe.ts";
import type { BenchStage, Goal } from "./search-options.ts";
import type { TechniqueContext } from "./techniques/technique.ts";
import type { Attempt } from "./verdict.ts";
import { weightGridFor } from "./weight-grid.ts";
import { Workbench } from "./workbench.ts";

/** Every task names its search, so that the original's scores are found once for all of its candidates. */
interface BenchTask {
  readonly searchId: string;
  readonly settings: BenchSettings;
}

export type OriginalTask = BenchTask;

export interface AttemptTask extends BenchTask {
  readonly recipe: Recipe;
  /** Path of the model to start from: the original, or a candidate that the recipe's first steps made. */
  readonly base: string;
  /** Steps of the recipe that `base` already has. */
  readonly stepsDone: number;
  readonly original: Candidate;
  /** Ids of the candidates that were made before, by the digests of their files. */
  readonly made: ReadonlyMap<string, string>;
}

export interface FinishTask extends BenchTask {
  readonly attempt: Attempt;
  readonly original: Candidate;
  readonly selected: boolean;
  readonly rule: string;
  /** Somebody waits: leave out what takes minutes. */
  readonly hurried: boolean;
}

export interface MeasureTask extends BenchTask {
  readonly path: string;
  readonly title: string;
  readonly original: Candidate;
}

export interface SensitivityTask extends BenchTask {
  /** Path of the model whose layers are measured. */
  readonly path: string;
  readonly techniques: readonly string[] | undefined;
  readonly goal: Goal;
  readonly timedBatch: number | undefined;
  readonly useDiskCache: boolean;
}

/** What a task tells while it works. */
export type BenchProgress =
  | { readonly kind: "layers"; readonly done: number; readonly layers: number }
  | { readonly kind: "stage"; readonly stage: BenchStage }
  | { readonly kind: "epoch"; readonly epoch: number; readonly epochs: number; readonly loss: number };

let held: { readonly searchId: string; readonly bench: Workbench } | undefined;

function benchOf({ searchId, settings }: BenchTask): Workbench {
  if (held?.searchId !== searchId) held = { searchId, bench: new Workbench(settings, new Judge(settings)) };
  return held.bench;
}

async function stoppable<Result>(
  context: TaskContext,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { signal, release } = abortSignalOf(context.signal);
  try {
    return await work(signal);
  } finally {
    release();
  }
}

/** The original as the document's first line. */
export const original = (task: OriginalTask, context: TaskContext): Promise<Candidate> =>
  stoppable(context, (signal) => benchOf(task).original(signal));

/** Threads for work on whole tensors; they start when a technique asks for them. */
const helpers = createThreadPool(describeThisMachine().logicalCpuCount);

function techniqueContext(
  { data, model, seed, threads, retrain }: BenchSettings,
  signal: AbortSignal,
  tell: (progress: BenchProgress) => void,
): TechniqueContext {
  return {
    calibration: calibrationOf(data),
    train: data.train,
    original: model,
    seed,
    threads,
    retrain,
    weightGrid: weightGridFor(describeThisMachine()).grid,
    runner: helpers,
    signal,
    onEpoch: (epoch, epochs, loss) => tell({ kind: "epoch", epoch, epochs, loss }),
  };
}

const calibrationOf = ({ calibration, train, validation }: BenchSettings["data"]): Dataset =>
  calibration ?? train ?? validation;

/** A candidate made, measured and scored on validation data. */
export function attempt(task: AttemptTask, context: TaskContext): Promise<Attempt> {
  const { settings, recipe, base, stepsDone, original: before, made } = task;
  const tell = (progress: BenchProgress): void => context.progress(progress);
  return stoppable(context, (signal) => {
    const technique = techniqueContext(settings, signal, tell);
    const onStage = (stage: BenchStage): void => tell({ kind: "stage", stage });
    return benchOf(task).attempt({ recipe, base, stepsDone, original: before, made }, technique, onStage);
  });
}

/** The last word on a candidate. */
export const finish = (task: FinishTask, context: TaskContext): Promise<Candidate> =>
  stoppable(context, (signal) => benchOf(task).finish(task.attempt, task, signal));

/** The table of the model's layers under every scheme. */
export function sensitivity(task: SensitivityTask, context: TaskContext): Promise<SensitivityRow[]> {
  const { settings, path, techniques, goal, timedBatch, useDiskCache } = task;
  const tell = (progress: BenchProgress): void => context.progress(progress);
  return stoppable(context, async (signal) =>
    sensitivities(await readOnnx(path), {
      schemes: schemesOf(goal, (technique) => techniques?.includes(technique) ?? true),
      timedBatch,
      useDiskCache,
      data: calibrationOf(settings.data),
      context: techniqueContext(settings, signal, tell),
      onLayer: (done, layers) => tell({ kind: "layers", done, layers }),
    }),
  );
}

/** A model that no recipe made, as a line of its own. */
export const measure = (task: MeasureTask, context: TaskContext): Promise<Candidate> =>
  stoppable(context, (signal) => benchOf(task).measure(task.path, task.title, task.original, signal));
