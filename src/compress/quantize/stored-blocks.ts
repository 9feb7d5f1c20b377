// Quantises a stored weight matrix in blocks when its parts are asked for, in this thread or in a worker; may depend on model, runtime,
// rewrite and blockwise.
import { compiledModule } from "../../runtime/compiled-module.ts";
import type { TaskContext, TaskRunner } from "../../runtime/task-runner.ts";
import { denseWeight, type StoredMatrix } from "../rewrite/linear.ts";
import { denseShift } from "./bias-correction.ts";
import { dequantizeBlocks, packBlocks, quantizeBlocks, type BlockedWeights, type BlockOptions } from "./blockwise.ts";
import { quantizeWithFeedback, type Feedback } from "./gptq.ts";

/** What a worker is told: a float matrix by reference, and what is known of the inputs that it meets. */
export interface StoredBlocks {
  readonly matrix: StoredMatrix;
  readonly options: BlockOptions;
  /** Mean and mean square of each input, `[K]`. */
  readonly inputs?: { readonly mean: Float64Array; readonly meanSquare: Float64Array };
  /** Present: weights are rounded with it, else to nearest. */
  readonly feedback?: Feedback;
}

export interface QuantizedBlocks extends BlockedWeights {
  /** `E[x]·(W − Ŵ)` `[N]`: what the layer's output loses in the mean; zeros when nothing is known of the inputs. */
  readonly shift: Float64Array;
}

export async function quantizeStoredBlocks(task: StoredBlocks): Promise<QuantizedBlocks> {
  const { matrix, options, inputs, feedback } = task;
  const { k, n } = matrix;
  const values = await denseWeight(matrix);
  const weights =
    feedback === undefined
      ? quantizeBlocks(values, k, n, options, inputs?.meanSquare)
      : packBlocks(quantizeWithFeedback(values, k, n, options, feedback), n, options.bits);
  if (inputs === undefined) return { ...weights, shift: new Float64Array(n) };
  const errors = dequantizeBlocks(weights, k, n, options);
  for (let at = 0; at < errors.length; at++) errors[at] = values[at] - errors[at];
  return { ...weights, shift: denseShift(errors, inputs.mean, n) };
}

/** The same as a task of a `TaskRunner`. */
export async function run(task: StoredBlocks, context: TaskContext): Promise<QuantizedBlocks> {
  const result = await quantizeStoredBlocks(task);
  context.transfer(result.packed.buffer as ArrayBuffer);
  return result;
}

/** Lets work on matrices begin as long as what is under way takes no more than `bytes`; one is always let in. */
export class Turnstile {
  readonly #bytes: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  async pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    while (this.#inside > 0 && this.#inside + bytes > this.#bytes) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inside += bytes;
    try {
      return await work();
    } finally {
      this.#inside -= bytes;
      for (const resume of this.#waiting.splice(0)) resume();
    }
  }
}

export interface LazyOptions {
  readonly runner: TaskRunner | undefined;
  readonly turnstile: Turnstile;
  /** True: the result is remembered, for small matrices and for what is dear to find. */
  readonly keep: boolean;
}

/**
 * The parts of a matrix in blocks, quantised when the first of them is asked for. Without `keep` the result is forgotten once
 * each of `parts` was taken, so that a written model need not fit into memory, and made anew for whoever asks again.
 */
export class LazyBlocks {
  readonly #task: StoredBlocks;
  readonly #options: LazyOptions;
  readonly #parts: number;
  readonly #taken = new Set<string>();
  #result: Promise<QuantizedBlocks> | undefined;

  constructor(task: StoredBlocks, parts: number, options: LazyOptions) {
    this.#task = task;
    this.#parts = parts;
    this.#options = options;
  }

  /** The whole result, for somebody who takes no part of it. */
  async look(): Promise<QuantizedBlocks> {
    if (!this.#options.keep) return this.#quantize();
    this.#result ??= this.#quantize();
    return this.#result;
  }

  /** The whole result, for this part of it. */
  async take(part: string): Promise<QuantizedBlocks> {
    this.#result ??= this.#quantize();
    const result = this.#result;
    this.#taken.add(part);
    if (this.#taken.size === this.#parts && !this.#options.keep) {
      this.#taken.clear();
      this.#result = undefined;
    }
    return result;
  }

  async #quantize(): Promise<QuantizedBlocks> {
    const { runner, turnstile } = this.#options;
    const { weight, k, n } = this.#task.matrix;
    return turnstile.pass(k * n * 4, () =>
      // Elements in memory or still to be computed would have to be copied to the thread.
      runner === undefined || weight.data.kind !== "file"
        ? quantizeStoredBlocks(this.#task)
        : runner.run({ module: compiledModule("./stored-blocks.js", import.meta.url).href, input: this.#task }),
    );
  }
}
