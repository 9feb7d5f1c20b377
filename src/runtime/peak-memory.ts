// Peak resident memory of a process of its own that loads a model and runs it once; may depend on io, quantity, errors and its room.
import { runNodeChild } from "../io/node-child.ts";
import { figure, type Figure } from "../quantity/figure.ts";
import { compiledModule } from "./compiled-module.ts";

export interface PeakMemoryOptions {
  /** Samples in the run; 1 if left out. */
  readonly batch?: number;
  readonly threads?: number;
  /** Shapes of inputs whose free dimensions are more than the batch. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  readonly signal?: AbortSignal;
}

/** What the child is told and answers. */
export interface PeakMemoryTask {
  /** Undefined: the engine alone, with no model. */
  readonly model: string | undefined;
  readonly batch: number;
  readonly threads: number | undefined;
  readonly inputs: Readonly<Record<string, readonly number[]>> | undefined;
}

/** Student's t for 95 % and two degrees of freedom: the spread is known from three runs. */
const T_TWO_DEGREES = 4.303;

let spread: Promise<number> | undefined;

async function peakOf(task: PeakMemoryTask, signal: AbortSignal | undefined): Promise<number> {
  return runNodeChild<number>(compiledModule("./peak-memory-child.js", import.meta.url), task, { signal });
}

/** Half of a 95 % interval for one run, from three runs of the engine alone; found once for the process. */
async function halfWidth(signal: AbortSignal | undefined): Promise<number> {
  const empty: PeakMemoryTask = { model: undefined, batch: 1, threads: undefined, inputs: undefined };
  const peaks = [await peakOf(empty, signal), await peakOf(empty, signal), await peakOf(empty, signal)];
  const mean = peaks.reduce((sum, peak) => sum + peak, 0) / peaks.length;
  const variance = peaks.reduce((sum, peak) => sum + (peak - mean) ** 2, 0) / (peaks.length - 1);
  return T_TWO_DEGREES * Math.sqrt(variance);
}

/**
 * Peak resident memory in B of a fresh process that opens the model and runs one batch: Node, the engine and the model together.
 *
 * In a child, because memory of a process that has done other work before says nothing about this model. For small models most
 * of it is the engine's own.
 * @throws LightfootError E_RUNTIME, E_SHAPE for free dimensions that were not given, E_WORKER, E_INTERRUPTED
 */
export async function peakMemory(model: string, options: PeakMemoryOptions = {}): Promise<Figure> {
  const { batch = 1, threads, inputs, signal } = options;
  const pending = (spread ??= halfWidth(signal));
  // A measurement that was stopped must not be remembered as the answer.
  const half = await pending.catch((error: unknown) => {
    spread = undefined;
    throw error;
  });
  const value = await peakOf({ model, batch, threads, inputs }, signal);
  return figure({
    value,
    low: Math.max(0, value - half),
    high: value + half,
    unit: "B",
    method: "measured",
    sources: [
      "peak resident set of a fresh process with Node, ONNX Runtime and the model; spread of three runs without model",
    ],
  });
}
