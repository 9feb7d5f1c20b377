// The `TaskRunner` port and its pool of worker threads: long work off the main thread, so that Ctrl-C and progress stay
// live; may depend on errors and its room.
import { Worker } from "node:worker_threads";
import { errorFromDocument, LightfootError, type ErrorDocument } from "../errors/index.ts";
import { compiledModule } from "./compiled-module.ts";
import type { StopSignal } from "./stop-signal.ts";

/** A piece of work: a compiled module whose exported function takes plain data and gives plain data back. */
export interface Task {
  /** `file:` URL of compiled JavaScript; see `compiledModule`. */
  readonly module: string;
  /** Name of the exported `TaskFunction`; `run` if left out. */
  readonly function?: string;
  /** What the structured clone algorithm can copy. */
  readonly input: unknown;
}

/** What a task's function is told besides its input. */
export interface TaskContext {
  /** To be polled between runs of the engine; nothing can interrupt one. */
  readonly signal: StopSignal;
  progress(value: unknown): void;
  /** Hands this memory over with the result instead of copying it; the task must not touch it afterwards. */
  transfer(memory: ArrayBuffer): void;
}

export type TaskFunction<Input, Result> = (input: Input, context: TaskContext) => Result | Promise<Result>;

export interface RunTaskOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (value: unknown) => void;
}

/** Runs tasks somewhere: on this machine's threads, or (in `distribute`) on a cluster. */
export interface TaskRunner {
  /**
   * @throws LightfootError what the task threw; E_INTERRUPTED after the signal; E_WORKER when the worker died
   */
  run<Result>(task: Task, options?: RunTaskOptions): Promise<Result>;
  /** Lets running tasks finish, then frees the workers. */
  close(): Promise<void>;
}

/** From the pool to a worker. */
export type ToWorker =
  | { readonly kind: "run"; readonly task: Task; readonly stopFlag: SharedArrayBuffer }
  | { readonly kind: "leave" };

/** From a worker to the pool. */
export type FromWorker =
  | { readonly kind: "progress"; readonly value: unknown }
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "failed"; readonly error: ErrorDocument };

/**
 * A pool of at most `size` worker threads; each runs one task at a time and is kept for the next.
 *
 * Stopping is a request: `signal` raises a flag in shared memory that tasks poll. A worker is never terminated, because
 * ending a thread inside a run of the engine aborts the whole process; what must die at once belongs in a child process.
 * Idle workers do not keep the process alive.
 */
export function createThreadPool(size: number): TaskRunner {
  const idle: PoolWorker[] = [];
  const all = new Set<PoolWorker>();
  const waiting: (() => void)[] = [];
  const outstanding = new Set<Promise<unknown>>();
  let closed = false;

  const acquire = async (): Promise<PoolWorker> => {
    while (idle.length === 0 && all.size >= size) await new Promise<void>((resolve) => waiting.push(resolve));
    const kept = idle.pop();
    if (kept !== undefined) return kept;
    const worker = new PoolWorker();
    all.add(worker);
    return worker;
  };

  const perform = async (task: Task, options: RunTaskOptions): Promise<unknown> => {
    const worker = await acquire();
    try {
      // The signal may have come while this task waited for its turn.
      if (options.signal?.aborted === true) {
        throw new LightfootError("E_INTERRUPTED", "the task was stopped before it began");
      }
      return await worker.run(task, options);
    } finally {
      if (worker.alive) idle.push(worker);
      else all.delete(worker);
      waiting.shift()?.();
    }
  };

  return {
    async run<Result>(task: Task, options: RunTaskOptions = {}): Promise<Result> {
      if (closed) throw new LightfootError("E_WORKER", "the pool of workers is closed");
      const outcome = perform(task, options);
      outstanding.add(outcome);
      try {
        return (await outcome) as Result;
      } finally {
        outstanding.delete(outcome);
      }
    },
    async close() {
      closed = true;
      // Tasks that still wait for a worker count too; a worker told to leave would leave them without an answer.
      await Promise.allSettled(outstanding);
      await Promise.all([...all].map((worker) => worker.leave()));
    },
  };
}

interface Running {
  readonly options: RunTaskOptions;
  resolve(result: unknown): void;
  reject(error: LightfootError): void;
}

class PoolWorker {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #running: Running | undefined;
  alive = true;

  constructor() {
    this.#worker = new Worker(compiledModule("./task-worker.js", import.meta.url));
    this.#worker.unref();
    this.#worker.on("message", (message: FromWorker) => this.#receive(message));
    this.#worker.on("error", (cause) => this.#die(`a worker failed: ${String(cause)}`, cause));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        this.#die(`a worker left with code ${code} before it answered`);
        resolve();
      });
    });
  }

  run(task: Task, options: RunTaskOptions): Promise<unknown> {
    const stopFlag = new SharedArrayBuffer(4);
    const stop = (): void => void Atomics.store(new Int32Array(stopFlag), 0, 1);
    if (options.signal?.aborted === true) stop();
    options.signal?.addEventListener("abort", stop);
    const outcome = new Promise<unknown>((resolve, reject) => {
      this.#running = { options, resolve, reject };
    }).finally(() => {
      options.signal?.removeEventListener("abort", stop);
      this.#running = undefined;
      this.#worker.unref();
    });
    this.#worker.ref();
    try {
      this.#send({ kind: "run", task, stopFlag });
    } catch (cause) {
      this.#running?.reject(
        new LightfootError("E_INTERNAL", `a task's input cannot be copied: ${String(cause)}`, { cause }),
      );
    }
    return outcome;
  }

  async leave(): Promise<void> {
    if (!this.alive) return;
    this.#worker.ref();
    this.#send({ kind: "leave" });
    await this.#exited;
  }

  #send(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that rule is about windows, not threads
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (message.kind === "progress") this.#running?.options.onProgress?.(message.value);
    else if (message.kind === "done") this.#running?.resolve(message.result);
    else this.#running?.reject(errorFromDocument(message.error));
  }

  #die(message: string, cause?: unknown): void {
    this.alive = false;
    this.#running?.reject(new LightfootError("E_WORKER", message, { cause }));
  }
}
