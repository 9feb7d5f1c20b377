// How the rounding errors of earlier inputs enter later ones: the factor of the inputs' second moments, found tile by tile, on threads
// where there are some; may depend on runtime and feedback-kernel.
import { compiledModule } from "../../runtime/compiled-module.ts";
import { SharedScratch } from "../../runtime/shared-scratch.ts";
import type { TaskRunner } from "../../runtime/task-runner.ts";
import { STRIP } from "./block-kernel.ts";
import { feedbackKernel, ROW_BYTES } from "./feedback-kernel.ts";

/** Share of the mean diagonal added to it: inputs that hardly vary must not be divided by. */
const DAMPING = 0.01;
/** Steps of a product that are in the kernel's memory at once. */
const STEPS = 256;
/** Tiles that one task works on: enough to be worth a message. */
const TILES_A_TASK = 8;

/** How the errors of earlier inputs enter later ones. */
export interface Feedback {
  /** Inputs from the strongest to the weakest, the order in which they are rounded: `[K]`. */
  readonly order: Uint32Array;
  /** Row i, left of the diagonal: what the error of the input `order[j]` adds to the weight of `order[i]`: `[K, K]`, in shared memory. */
  readonly factors: Float32Array;
  /** Mean square of each input, `[K]`. */
  readonly importance: Float64Array;
}

/** Some tiles of a panel of up to `STRIP` rows from `panel` on: those whose columns begin at `first`, `first + STRIP`, … before `end`. */
interface TileTask {
  readonly factors: Float32Array;
  readonly k: number;
  readonly panel: number;
  readonly first: number;
  readonly end: number;
}

/**
 * Splits `H = E[x·xᵀ] + damping` in rounding order into `(I + M)·D·(I + M)ᵀ` with M strictly upper triangular; `factors` is Mᵀ with D on
 * its diagonal.
 *
 * For any rounding, the squared error on X is the sum over i of `D_i · (error_i + Σ_{j<i} error_j·M_ji)²`: rounding
 * `w_i + Σ_{j<i} error_j·M_ji` leaves each term as small as a single rounding. That is GPTQ (Frantar et al. 2022) in the form of
 * Chee et al. 2023 (QuIP), which needs no inverse. K³/6 multiply-adds in float32; 4·K² bytes.
 *
 * @param second `E[x·xᵀ]`, `[K, K]`
 * @param runner takes tiles of a panel to threads; the same bytes come out without
 * @param scratch where the factors go; they are void when it is used again
 */
export async function feedbackOf(
  second: Float64Array,
  k: number,
  runner?: TaskRunner,
  scratch: SharedScratch = new SharedScratch(),
): Promise<Feedback> {
  const importance = Float64Array.from({ length: k }, (_, at) => second[at * k + at]);
  const order = Uint32Array.from({ length: k }, (_, at) => at).sort((a, b) => importance[b] - importance[a] || a - b);
  const damping = (DAMPING * importance.reduce((sum, one) => sum + one, 0)) / k || 1;
  const factors = scratch.floats(k * k);
  for (let i = 0; i < k; i++) {
    const from = order[i] * k;
    for (let j = 0; j <= i; j++) factors[i * k + j] = second[from + order[j]];
    factors[i * k + i] += damping;
  }
  for (let panel = (Math.ceil(k / STRIP) - 1) * STRIP; panel >= 0; panel -= STRIP) {
    // Every other tile of the panel is eliminated with the one on the diagonal.
    eliminate({ factors, k, panel, first: panel, end: panel + 1 });
    const tasks: TileTask[] = [];
    for (let first = 0; first < panel; first += TILES_A_TASK * STRIP) {
      tasks.push({ factors, k, panel, first, end: Math.min(panel, first + TILES_A_TASK * STRIP) });
    }
    if (runner === undefined || tasks.length < 2) for (const task of tasks) eliminate(task);
    else {
      const module = compiledModule("./feedback.js", import.meta.url).href;
      await Promise.all(tasks.map(async (input) => runner.run({ module, function: "eliminate", input })));
    }
  }
  return { order, factors, importance };
}

/** One step of `feedbackOf`, as a task of a `TaskRunner`. */
export function eliminate({ factors, k, panel, first, end }: TileTask): void {
  const [LEFT, RIGHT, TILE] = [0, STEPS * ROW_BYTES, 2 * STEPS * ROW_BYTES];
  const { memory, run } = feedbackKernel(TILE + STRIP * ROW_BYTES);
  const [left, right, tile] = [LEFT, RIGHT, TILE].map((at) => new Float32Array(memory, at)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const rows = Math.min(STRIP, k - panel);
  for (let column = first; column < end; column += STRIP) {
    const columns = Math.min(STRIP, k - column);
    for (let row = 0; row < rows; row++) {
      const from = (panel + row) * k + column;
      tile.set(factors.subarray(from, from + columns), row * STRIP);
    }
    // Less what the rows below, which are done, have in common with these.
    for (let start = panel + rows; start < k; start += STEPS) {
      const steps = Math.min(STEPS, k - start);
      for (let step = 0; step < steps; step++) {
        const from = (start + step) * k;
        const pivot = factors[from + start + step];
        for (let row = 0; row < rows; row++) left[step * STRIP + row] = -pivot * factors[from + panel + row];
        right.set(factors.subarray(from + column, from + column + columns), step * STRIP);
      }
      run.multiply(STRIP, steps, LEFT, 4, ROW_BYTES, RIGHT, TILE);
    }
    // And less what rows of the panel have in common, from the last to the first.
    for (let below = rows - 1; below >= 0; below--) {
      const isDiagonal = column === panel;
      const pivot = isDiagonal ? tile[below * STRIP + below] : factors[(panel + below) * (k + 1)];
      for (let row = 0; row < below; row++) {
        const share = isDiagonal ? tile[below * STRIP + row] / pivot : factors[(panel + below) * k + panel + row];
        for (let at = 0; at < columns; at++) tile[row * STRIP + at] -= share * tile[below * STRIP + at];
      }
      for (let at = 0; at < columns; at++) if (!isDiagonal || at !== below) tile[below * STRIP + at] /= pivot;
    }
    for (let row = 0; row < rows; row++) {
      const from = (panel + row) * k + column;
      const count = column === panel ? row + 1 : columns;
      factors.set(tile.subarray(row * STRIP, row * STRIP + count), from);
    }
  }
}
