// The columns of a matrix in a few ranges, one for each task; may depend on block-kernel.
import { STRIP } from "./block-kernel.ts";

export interface ColumnRange {
  readonly from: number;
  readonly to: number;
}

/** As many however many threads there are: each task's sums are its own, so that threads change no byte. */
const TASKS = 8;

/** Columns 0 to `n` in up to eight ranges of whole strips, but for the last. */
export function columnRanges(n: number): ColumnRange[] {
  const width = Math.ceil(n / TASKS / STRIP) * STRIP;
  return Array.from({ length: Math.ceil(n / width) }, (_, at) => {
    return { from: at * width, to: Math.min(n, (at + 1) * width) };
  });
}
