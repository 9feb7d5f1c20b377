// Quantises a stored weight matrix in blocks when its parts are asked for, in this thread or in a worker; may depend on io, model,
// runtime, rewrite, blockwise, gptq and lazy-parts.
import { OpenFiles } from "../../io/file-range.ts";
import type { SpillFile } from "../../io/spill-file.ts";
import { floatPieces } from "../../model/tensor-data.ts";
import { compiledModule } from "../../runtime/compiled-module.ts";
import type { TaskContext, TaskRunner } from "../../runtime/task-runner.ts";
import type { StoredMatrix } from "../rewrite/linear.ts";
import { STRIP } from "./block-kernel.ts";
import {
  BlockQuantizer,
  wholeMatrix,
  type BlockOptions,
  type KnownInputs,
  type MatrixPart,
  type QuantizedBlocks,
} from "./blockwise.ts";
import { columnRanges, type ColumnRange } from "./column-ranges.ts";
import type { Feedback } from "./feedback.ts";
import { quantizeWithFeedback } from "./gptq.ts";
import { LazyParts, Turnstile, type LazyPartsOptions } from "./lazy-parts.ts";

/** What a worker is told: a float matrix by reference, and what is known of the inputs that it meets. */
export interface StoredBlocks {
  readonly matrix: StoredMatrix;
  readonly options: BlockOptions;
  readonly inputs?: KnownInputs;
}

/** A matrix below this is rounded to nearest in one task. */
const WORTH_SPLITTING_BYTES = 4 * 2 ** 20;
/** Float weights of a model below this are rounded to nearest sooner than threads start. */
export const WORTH_THREADS_BYTES = 64 * 2 ** 20;

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

/** Some columns of the matrix, with all their rows. */
async function storedColumns(matrix: StoredMatrix, { from, to }: ColumnRange): Promise<MatrixPart> {
  const width = to - from;
  const values = new Float32Array(matrix.k * width);
  for await (const part of storedParts(matrix, STRIP)) {
    const { firstRow, firstColumn, rowStride, columnStride } = part;
    const [first, end] = [Math.max(from, firstColumn), Math.min(to, firstColumn + part.columns)];
    for (let row = 0; row < part.rows; row++) {
      const [target, source] = [(firstRow + row) * width - from, row * rowStride - firstColumn * columnStride];
      for (let column = first; column < end; column++) {
        values[target + column] = part.values[source + column * columnStride] * matrix.alpha;
      }
    }
  }
  return wholeMatrix(values, matrix.k, width);
}

export async function quantizeStoredBlocks(task: StoredBlocks): Promise<QuantizedBlocks> {
  const { matrix, options, inputs } = task;
  const quantizer = new BlockQuantizer(matrix.k, matrix.n, options, inputs, matrix.alpha);
  for await (const part of storedParts(matrix, options.blockSize)) quantizer.take(part);
  return quantizer.result;
}

/** What a worker is told that rounds some columns with feedback. */
interface StoredColumns extends StoredBlocks {
  readonly feedback: Feedback;
  readonly columns: ColumnRange;
}

async function roundColumns({ matrix, options, inputs, feedback, columns }: StoredColumns): Promise<QuantizedBlocks> {
  return quantizeWithFeedback(await storedColumns(matrix, columns), options, feedback, inputs?.mean);
}

const handedOver = (result: QuantizedBlocks, context: TaskContext): QuantizedBlocks => {
  context.transfer(result.packed.buffer as ArrayBuffer);
  return result;
};

/** `quantizeStoredBlocks` as a task of a `TaskRunner`. */
export const quantizeTask = async (task: StoredBlocks, context: TaskContext): Promise<QuantizedBlocks> =>
  handedOver(await quantizeStoredBlocks(task), context);

/** `roundColumns` as a task of a `TaskRunner`. */
export const roundTask = async (task: StoredColumns, context: TaskContext): Promise<QuantizedBlocks> =>
  handedOver(await roundColumns(task), context);

/** Elements in memory or still to be computed would have to be copied to a thread. */
const usableRunner = ({ matrix }: StoredBlocks, runner: TaskRunner | undefined): TaskRunner | undefined =>
  matrix.weight.data.kind === "file" ? runner : undefined;

const here = (): string => compiledModule("./stored-blocks.js", import.meta.url).href;

/** Rounds with feedback, some columns at a time, on threads where there are some: the same bytes either way. */
export async function roundStoredBlocks(
  task: StoredBlocks,
  feedback: Feedback,
  runner: TaskRunner | undefined,
): Promise<QuantizedBlocks> {
  const { n } = task.matrix;
  const threads = usableRunner(task, runner);
  if (threads === undefined) return roundColumns({ ...task, feedback, columns: { from: 0, to: n } });
  // Each holds its share of the floats.
  const tasks = columnRanges(n).map((columns): StoredColumns => ({ ...task, feedback, columns }));
  const module = here();
  const run = async (input: StoredColumns) => threads.run<QuantizedBlocks>({ module, function: "roundTask", input });
  return joinColumns(await Promise.all(tasks.map(run)));
}

/** One matrix of what was made of its columns: all parts have one row, or more, a column. */
function joinColumns(parts: readonly QuantizedBlocks[]): QuantizedBlocks {
  const joined = <T extends Uint8Array | Float32Array | Float64Array>(
    arrays: readonly T[],
    make: (length: number) => T,
  ): T => {
    const whole = make(arrays.reduce((length, array) => length + array.length, 0));
    let at = 0;
    for (const array of arrays) {
      whole.set(array, at);
      at += array.length;
    }
    return whole;
  };
  const bytes = (length: number) => new Uint8Array(length);
  const zeroPoints = parts.flatMap((part) => part.zeroPoints ?? []);
  return {
    packed: joined(
      parts.map(({ packed }) => packed),
      bytes,
    ),
    scales: joined(
      parts.map(({ scales }) => scales),
      (length) => new Float32Array(length),
    ),
    zeroPoints: zeroPoints.length === 0 ? undefined : joined(zeroPoints, bytes),
    blocks: parts[0].blocks,
    shift: joined(
      parts.map(({ shift }) => shift),
      (length) => new Float64Array(length),
    ),
  };
}

/** Where a result is kept out of memory; gives what reads it back. */
export function spilled(file: SpillFile, result: QuantizedBlocks): () => Promise<QuantizedBlocks> {
  const put = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
    file.put(new Uint8Array(buffer, byteOffset, byteLength));
  const { packed, scales, zeroPoints, blocks, shift } = result;
  const [readPacked, readScales, readZeros, readShift] = [packed, scales, zeroPoints ?? new Uint8Array(), shift].map(
    put,
  ) as [() => Uint8Array, () => Uint8Array, () => Uint8Array, () => Uint8Array];
  const hasZeros = zeroPoints !== undefined;
  return async () => ({
    packed: readPacked(),
    scales: new Float32Array(readScales().buffer),
    zeroPoints: hasZeros ? readZeros() : undefined,
    blocks,
    shift: new Float64Array(readShift().buffer),
  });
}

/** A matrix in several tasks where its columns lie one after another in the file, as a table of words has them. */
function nearestTasks(task: StoredBlocks): StoredBlocks[] {
  const { weight, transposedWeight, k, n } = task.matrix;
  const { data } = weight;
  const isApart = transposedWeight && data.kind === "file" && data.encoding === "raw";
  if (!isApart || 4 * k * n < WORTH_SPLITTING_BYTES) return [task];
  return columnRanges(n).map(({ from, to }): StoredBlocks => {
    const columns = to - from;
    const place = { ...data, offset: data.offset + from * k * 4, byteLength: columns * k * 4 };
    return { ...task, matrix: { ...task.matrix, n: columns, weight: { ...weight, shape: [columns, k], data: place } } };
  });
}

/** Weights that an earlier step changed are made whole, from the whole original, before they are rounded: few at a time. */
const whole = new Turnstile(32 * 2 ** 20);

/** A matrix rounded to nearest when a part of it is asked for, on a thread where there is one. */
export function nearestBlocks(
  task: StoredBlocks,
  { runner, ...options }: LazyPartsOptions & { readonly runner: TaskRunner | undefined },
): LazyParts<QuantizedBlocks> {
  const threads = usableRunner(task, runner);
  const quantize = async (): Promise<QuantizedBlocks> => {
    const { weight, k, n } = task.matrix;
    if (weight.data.kind === "computed") return whole.pass(8 * k * n, () => quantizeStoredBlocks(task));
    if (threads === undefined) return quantizeStoredBlocks(task);
    const module = here();
    const run = async (input: StoredBlocks) =>
      threads.run<QuantizedBlocks>({ module, function: "quantizeTask", input });
    const parts = await Promise.all(nearestTasks(task).map(run));
    return parts.length === 1 ? parts[0] : joinColumns(parts);
  };
  return new LazyParts(quantize, options);
}
