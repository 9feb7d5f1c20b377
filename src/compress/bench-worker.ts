// The bench's side in a worker thread: makes, runs and scores candidates there, so that the main thread can draw, listen and stop;
// may depend on model, io, runtime and this room.
import { describeThisMachine } from "../io/machine.ts";
import { abortSignalOf } from "../runtime/stop-signal.ts";
import type { TaskContext } from "../runtime/task-runner.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Candidate } from "./candidate-schema.ts";
import { Judge } from "./judge.ts";
import type { Recipe } from "./recipe.ts";
import type { BenchStage } from "./search-options.ts";
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
}

export interface FinishTask extends BenchTask {
  readonly attempt: Attempt;
  readonly original: Candidate;
  readonly selected: boolean;
  readonly rule: string;
}

export interface MeasureTask extends BenchTask {
  readonly path: string;
  readonly title: string;
  readonly original: Candidate;
}

/** What a task tells while it works. */
export type BenchProgress =
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

/** A candidate made, measured and scored on validation data. */
export function attempt(task: AttemptTask, context: TaskContext): Promise<Attempt> {
  const { settings, recipe, base, stepsDone, original: before } = task;
  const { data, model, seed, threads, retrain } = settings;
  const tell = (progress: BenchProgress): void => context.progress(progress);
  return stoppable(context, (signal) => {
    const technique: TechniqueContext = {
      calibration: data.calibration ?? data.train ?? data.validation,
      train: data.train,
      original: model,
      seed,
      threads,
      retrain,
      weightGrid: weightGridFor(describeThisMachine()).grid,
      signal,
      onEpoch: (epoch, epochs, loss) => tell({ kind: "epoch", epoch, epochs, loss }),
    };
    const onStage = (stage: BenchStage): void => tell({ kind: "stage", stage });
    return benchOf(task).attempt({ recipe, base, stepsDone, original: before }, technique, onStage);
  });
}

/** The last word on a candidate. */
export const finish = (task: FinishTask, context: TaskContext): Promise<Candidate> =>
  stoppable(context, (signal) => benchOf(task).finish(task.attempt, task.original, task.selected, task.rule, signal));

/** A model that no recipe made, as a line of its own. */
export const measure = (task: MeasureTask, context: TaskContext): Promise<Candidate> =>
  stoppable(context, (signal) => benchOf(task).measure(task.path, task.title, task.original, signal));
