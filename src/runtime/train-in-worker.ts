// Training in a worker thread, so that the main thread can draw, listen and stop; may depend on model and its room.
import type { ModelGraph } from "../model/graph.ts";
import { compiledModule } from "./compiled-module.ts";
import { sharedDataset } from "./shared-dataset.ts";
import type { TaskContext, TaskRunner } from "./task-runner.ts";
import { finishTraining, train } from "./train.ts";
import type { TrainEvent, TrainingData, TrainOptions, TrainResult } from "./train-options.ts";

interface TrainTask {
  readonly model: ModelGraph;
  readonly data: TrainingData;
  readonly options: Omit<TrainOptions, "signal">;
}

/**
 * `train` in a worker of `runner`: the same events, the same result, the same bytes.
 *
 * Sample arrays go over through shared memory. After `signal` the worker finishes the call it is in, writes a checkpoint if
 * it has a folder, and the generator throws E_INTERRUPTED.
 */
export async function* trainInWorker(
  runner: TaskRunner,
  model: ModelGraph,
  data: TrainingData,
  options: Omit<TrainOptions, "signal"> & { readonly signal?: AbortSignal },
): AsyncGenerator<TrainEvent, TrainResult> {
  const { signal, ...rest } = options;
  const validation = rest.validation === undefined ? undefined : sharedDataset(rest.validation);
  const input: TrainTask = { model, data: sharedDataset(data), options: { ...rest, validation } };
  const waiting: TrainEvent[] = [];
  let wake: (() => void) | undefined;
  let finished = false;
  const abandoned = new AbortController();
  const result = runner.run<TrainResult>(
    { module: compiledModule("./train-in-worker.js", import.meta.url).href, input },
    {
      signal: signal === undefined ? abandoned.signal : AbortSignal.any([signal, abandoned.signal]),
      onProgress: (event) => {
        waiting.push(event as TrainEvent);
        wake?.();
      },
    },
  );
  const settled = result.then(
    () => undefined,
    () => undefined,
  );
  void settled.then(() => {
    finished = true;
    wake?.();
  });
  try {
    for (;;) {
      while (waiting.length > 0) yield waiting.shift()!;
      if (finished) return await result;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (finished || waiting.length > 0) resolve();
      });
    }
  } finally {
    // A consumer that leaves its loop early must not leave a worker training for nobody.
    abandoned.abort();
    await settled;
  }
}

/** What the worker does. */
export function run(task: TrainTask, context: TaskContext): Promise<TrainResult> {
  const events = train(task.model, task.data, { ...task.options, signal: context.signal });
  return finishTraining(events, (event) => context.progress(event));
}
