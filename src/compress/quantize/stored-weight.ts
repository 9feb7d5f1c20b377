// Quantises a weight matrix where it lies, piece by piece, in this thread or in a worker; may depend on io, model, runtime and affine.
import { setImmediate as nextTurn } from "node:timers/promises";
import { OpenFiles } from "../../io/file-range.ts";
import type { TensorRef } from "../../model/graph.ts";
import { floatPieces } from "../../model/tensor-data.ts";
import { compiledModule } from "../../runtime/compiled-module.ts";
import type { TaskContext, TaskRunner } from "../../runtime/task-runner.ts";
import { channelLayout, channelScales, gridArray, growMaxima, roundChannels, type WeightGrid } from "./affine.ts";
import { ColumnKernel, KERNEL_WIDTH } from "./column-kernel.ts";

/** What a worker is told: a float32 matrix by reference. */
export interface StoredWeight {
  /** `[K, N]`, or `[N, K]` when `transposed`. */
  readonly weight: TensorRef;
  readonly transposed: boolean;
  readonly grid: WeightGrid;
}

export interface QuantizedColumns {
  /** `[K, N]` row-major */
  readonly data: Int8Array | Uint8Array;
  /** `[N]` */
  readonly scales: Float32Array;
}

/** Side of the squares in which a matrix is transposed, so that both sides stay in the cache. */
const TILE = 64;

function transpose(source: Int8Array | Uint8Array, rows: number, columns: number, grid: WeightGrid) {
  const result = gridArray(grid, source.length);
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(rows, top + TILE);
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(columns, left + TILE);
      for (let column = left; column < right; column++) {
        for (let row = top; row < bottom; row++) result[column * rows + row] = source[row * columns + column];
      }
    }
  }
  return result;
}

/** Rows that are worked on together stay in a core's second cache. */
const PASS_BYTES = 2 ** 19;

/** The stored matrix `[K, N]` in its own order, by vector instructions. */
async function quantizeRows({ weight, grid }: StoredWeight, files: OpenFiles): Promise<QuantizedColumns> {
  const [rows, columns] = weight.shape as [number, number];
  const kernel = new ColumnKernel(columns, PASS_BYTES, grid);
  const pieces = () => floatPieces(weight, files, kernel.rows);
  for await (const piece of pieces()) kernel.grow(piece.length / columns);
  const scales = channelScales(Float64Array.from(kernel.statistics), grid);
  kernel.statistics.set(scales);
  const data = gridArray(grid, rows * columns);
  const bytes = new Uint8Array(data.buffer);
  let position = 0;
  for await (const piece of pieces()) {
    bytes.set(kernel.round(piece.length / columns), position);
    position += piece.length;
    // What is done of other matrices can be written meanwhile.
    await nextTurn();
  }
  return { data, scales };
}

/** Symmetric 8-bit columns, as `quantizeChannels` of the matrix `[K, N]` along axis 1, with a few MiB of it in memory at a time. */
export async function quantizeStored(task: StoredWeight): Promise<QuantizedColumns> {
  const { weight, transposed, grid } = task;
  const layout = channelLayout(weight.shape, transposed ? 0 : 1);
  const elements = layout.outer * layout.channels * layout.inner;
  const files = new OpenFiles();
  try {
    const isWhole = weight.data.kind === "file" && weight.data.encoding === "raw" && layout.inner === 1;
    if (isWhole && layout.channels % KERNEL_WIDTH === 0) return await quantizeRows(task, files);
    const maxima = new Float64Array(layout.channels);
    let position = 0;
    for await (const piece of floatPieces(weight, files)) {
      growMaxima(maxima, piece, position, layout);
      position += piece.length;
    }
    const scales = channelScales(maxima, grid);
    const data = gridArray(grid, elements);
    position = 0;
    for await (const piece of floatPieces(weight, files)) {
      roundChannels(data.subarray(position, position + piece.length), piece, position, layout, scales, grid);
      position += piece.length;
    }
    const [rows, columns] = weight.shape as [number, number];
    return { data: transposed ? transpose(data, rows, columns, grid) : data, scales };
  } finally {
    await files.close();
  }
}

/** The same as a task of a `TaskRunner`. */
export async function run(task: StoredWeight, context: TaskContext): Promise<QuantizedColumns> {
  const result = await quantizeStored(task);
  context.transfer(result.data.buffer as ArrayBuffer);
  return result;
}

export type QuantizeColumns = (task: StoredWeight) => Promise<QuantizedColumns>;

/**
 * In this thread, one matrix after another: of several begun together none is done before all are, and each takes the others out of
 * the processor's cache.
 */
export function columnsHere(): QuantizeColumns {
  let last: Promise<unknown> = Promise.resolve();
  return async (task) => {
    const result = last.then(() => quantizeStored(task));
    last = result.catch(() => undefined);
    return result;
  };
}

/** On threads, those that lie in files: elements in memory or still to be computed would have to be copied there. */
export function columnsOn(runner: TaskRunner): QuantizeColumns {
  const here = columnsHere();
  const module = compiledModule("./stored-weight.js", import.meta.url).href;
  return (task) =>
    task.weight.data.kind === "file" ? runner.run<QuantizedColumns>({ module, input: task }) : here(task);
}

/** The columns of a stored matrix, quantised when somebody asks. The few scales are remembered, the matrix is not. */
export class LazyColumns {
  readonly #task: StoredWeight;
  readonly #quantize: QuantizeColumns;
  #scales: Promise<Float32Array> | undefined;

  constructor(task: StoredWeight, quantize: QuantizeColumns) {
    this.#task = task;
    this.#quantize = quantize;
  }

  async data(): Promise<Int8Array | Uint8Array> {
    const result = this.#quantize(this.#task);
    this.#scales ??= result.then(({ scales }) => scales);
    return (await result).data;
  }

  async scales(): Promise<Float32Array> {
    this.#scales ??= this.#quantize(this.#task).then(({ scales }) => scales);
    return this.#scales;
  }
}
