// Quantises a stored weight matrix in blocks when its parts are asked for, in this thread or in a worker; may depend on io, model,
// runtime, rewrite, lazy-parts and blockwise.
import { OpenFiles } from "../../io/file-range.ts";
import { floatPieces } from "../../model/tensor-data.ts";
import { compiledModule } from "../../runtime/compiled-module.ts";
import type { TaskContext, TaskRunner } from "../../runtime/task-runner.ts";
import { denseWeight, type StoredMatrix } from "../rewrite/linear.ts";
import { denseShift } from "./bias-correction.ts";
import { STRIP } from "./block-kernel.ts";
import {
  BlockQuantizer,
  dequantizeBlocks,
  type BlockOptions,
  type KnownInputs,
  type MatrixPart,
  type QuantizedBlocks,
} from "./blockwise.ts";
import { quantizeWithFeedback, type Feedback } from "./gptq.ts";
import { LazyParts } from "./lazy-parts.ts";

/** What a worker is told: a float matrix by reference, and what is known of the inputs that it meets. */
export interface StoredBlocks {
  readonly matrix: StoredMatrix;
  readonly options: BlockOptions;
  readonly inputs?: KnownInputs;
  /** Present: weights are rounded with it, else to nearest. */
  readonly feedback?: Feedback;
}

/** A matrix in parts of some rows, or some columns, as it lies in its file; each is void when the next is asked for. */
async function* storedParts({ weight, transposedWeight, k, n }: StoredMatrix, blockSize: number) {
  const files = new OpenFiles();
  try {
    // A buffer of whole blocks, so that no block lies in two pieces.
    const lineLength = transposedWeight ? k : n;
    const lines = transposedWeight ? STRIP : blockSize;
    let line = 0;
    for await (const values of floatPieces(weight, files, new Uint8Array(lines * lineLength * 4))) {
      const count = values.length / lineLength;
      const part: MatrixPart = transposedWeight
        ? { values, firstRow: 0, rows: k, firstColumn: line, columns: count, rowStride: 1, columnStride: k }
        : { values, firstRow: line, rows: count, firstColumn: 0, columns: n, rowStride: n, columnStride: 1 };
      yield part;
      line += count;
    }
  } finally {
    await files.close();
  }
}

export async function quantizeStoredBlocks(task: StoredBlocks): Promise<QuantizedBlocks> {
  const { matrix, options, inputs, feedback } = task;
  const { k, n } = matrix;
  if (feedback === undefined) {
    const quantizer = new BlockQuantizer(k, n, options, inputs, matrix.alpha);
    for await (const part of storedParts(matrix, options.blockSize)) quantizer.take(part);
    return quantizer.result;
  }
  const values = await denseWeight(matrix);
  const weights = quantizeWithFeedback(values, k, n, options, feedback);
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

export interface LazyOptions {
  readonly runner: TaskRunner | undefined;
  /** True: the result is remembered, for small matrices and for what is dear to find. */
  readonly keep: boolean;
}

/** The parts of a matrix in blocks. */
export class LazyBlocks extends LazyParts<QuantizedBlocks> {
  constructor(task: StoredBlocks, parts: number, { runner, keep }: LazyOptions) {
    // Elements in memory or still to be computed would have to be copied to the thread.
    const quantize = () =>
      runner === undefined || task.matrix.weight.data.kind !== "file"
        ? quantizeStoredBlocks(task)
        : runner.run<QuantizedBlocks>({
            module: compiledModule("./stored-blocks.js", import.meta.url).href,
            input: task,
          });
    super(quantize, { parts, keep });
  }
}
