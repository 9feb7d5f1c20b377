// The bench as the main thread sees it: every piece of heavy work is a task in a worker; may depend on runtime and this room.
import { compiledModule } from "../runtime/compiled-module.ts";
import { createThreadPool, type TaskRunner } from "../runtime/task-runner.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type {
  AttemptTask,
  BenchProgress,
  FinishTask,
  MeasureTask,
  OriginalTask,
  SensitivityTask,
} from "./bench-worker.ts";
import type { Candidate, SensitivityRow } from "./candidate-schema.ts";
import type { Attempt } from "./verdict.ts";

let searches = 0;

/**
 * One worker, because a second one at work would show in the first one's latencies.
 *
 * Its methods throw what the work throws: LightfootError E_RUNTIME, E_DATA, E_METRIC; E_INTERRUPTED once `signal` has fired and the
 * run of the engine that was going on is over.
 */
export class RemoteBench {
  readonly #runner: TaskRunner = createThreadPool(1);
  readonly #searchId = String(++searches);
  readonly #settings: BenchSettings;

  constructor(settings: BenchSettings) {
    this.#settings = settings;
  }

  original(signal: AbortSignal | undefined): Promise<Candidate> {
    return this.#run<OriginalTask, Candidate>("original", {}, signal);
  }

  attempt(
    task: Omit<AttemptTask, "searchId" | "settings">,
    signal: AbortSignal,
    onProgress: (progress: BenchProgress) => void,
  ): Promise<Attempt> {
    return this.#run<AttemptTask, Attempt>("attempt", task, signal, onProgress);
  }

  finish(task: Omit<FinishTask, "searchId" | "settings">, signal: AbortSignal | undefined): Promise<Candidate> {
    return this.#run<FinishTask, Candidate>("finish", task, signal);
  }

  measure(task: Omit<MeasureTask, "searchId" | "settings">, signal: AbortSignal | undefined): Promise<Candidate> {
    return this.#run<MeasureTask, Candidate>("measure", task, signal);
  }

  sensitivity(
    task: Omit<SensitivityTask, "searchId" | "settings">,
    signal: AbortSignal,
    onProgress: (progress: BenchProgress) => void,
  ): Promise<SensitivityRow[]> {
    return this.#run<SensitivityTask, SensitivityRow[]>("sensitivity", task, signal, onProgress);
  }

  close(): Promise<void> {
    return this.#runner.close();
  }

  #run<Task extends { searchId: string; settings: BenchSettings }, Result>(
    name: string,
    task: Omit<Task, "searchId" | "settings">,
    signal: AbortSignal | undefined,
    onProgress?: (progress: BenchProgress) => void,
  ): Promise<Result> {
    const module = compiledModule("./bench-worker.js", import.meta.url).href;
    const input = { ...task, searchId: this.#searchId, settings: this.#settings };
    return this.#runner.run<Result>(
      { module, function: name, input },
      { signal, onProgress: (value) => onProgress?.(value as BenchProgress) },
    );
  }
}
