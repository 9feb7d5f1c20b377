// Evaluation in a worker thread, data loaded there too, so that the main thread can draw, listen and stop; may depend on
// its room.
import { compiledModule } from "./compiled-module.ts";
import { evaluate, type EvaluateOptions, type Evaluation } from "./evaluate.ts";
import { loadDataset } from "./load-dataset.ts";
import type { TaskContext, TaskRunner } from "./task-runner.ts";

/** Options that can travel to another thread: metrics by name or path, models by path. */
export type PortableOptions = Omit<EvaluateOptions, "signal" | "onProgress" | "metrics" | "reference"> & {
  readonly metrics: readonly string[];
  readonly reference?: string;
};

interface EvaluateTask {
  readonly model: string;
  readonly data: string;
  readonly options: PortableOptions;
}

export interface SampleProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * `evaluate` in a worker of `runner`: the model at a path on the data that `data` names.
 *
 * @throws LightfootError as `evaluate` and `loadDataset`; E_INTERRUPTED after `signal`, once the running batch is done
 */
export async function evaluateInWorker(
  runner: TaskRunner,
  model: string,
  data: string,
  options: PortableOptions & {
    readonly signal?: AbortSignal;
    readonly onProgress?: (samplesDone: number, sampleCount: number) => void;
  },
): Promise<Evaluation> {
  const { signal, onProgress, ...portable } = options;
  const input: EvaluateTask = { model, data, options: portable };
  return runner.run<Evaluation>(
    { module: compiledModule("./evaluate-in-worker.js", import.meta.url).href, input },
    {
      signal,
      onProgress: (value) => {
        const { done, total } = value as SampleProgress;
        onProgress?.(done, total);
      },
    },
  );
}

/** The worker's side. */
export async function run(task: EvaluateTask, context: TaskContext): Promise<Evaluation> {
  return evaluate(task.model, await loadDataset(task.data), {
    ...task.options,
    signal: context.signal,
    onProgress: (done, total) => context.progress({ done, total } satisfies SampleProgress),
  });
}
