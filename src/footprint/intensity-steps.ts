// Readings at instants made into steps: sorted, doubles dropped, step length found, gaps told; may depend on errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { formatInstant } from "./intensity-series.ts";

/** One value from `startSeconds` on; until `endSeconds` where the data say so. */
export interface Reading {
  readonly startSeconds: number;
  readonly endSeconds?: number;
  readonly gramsPerKwh: number;
  readonly estimated?: boolean;
  /** Line of the file, for the errors. */
  readonly line?: number;
}

export interface Steps {
  readonly startSeconds: Float64Array;
  readonly endSeconds: Float64Array;
  readonly gramsPerKwh: Float64Array;
  /** Left out when no reading says whether it is an estimate. */
  readonly estimated?: Uint8Array;
}

/** What was found on the way; counts, not prose. */
export interface StepFacts {
  /** The most common step. */
  readonly stepSeconds: number;
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly gapSeconds: number;
  readonly gaps: readonly { readonly fromSeconds: number; readonly toSeconds: number }[];
  /** Rows that repeat another one's instant and value. */
  readonly duplicateCount: number;
  /** Line of the first reading that lies before the one above it. */
  readonly unsortedAtLine?: number;
}

export interface StepOptions {
  /** Length of a step where one reading alone cannot tell. */
  readonly stepSeconds?: number;
  readonly file?: string;
}

/** A later start within one and a half steps continues the step (28 to 31 days are a month); beyond it lies a gap. */
const CONTIGUOUS = 1.5;
const SHORTEST_MONTH_SECONDS = 28 * 86_400;
const SHORTEST_YEAR_SECONDS = 365 * 86_400;

/**
 * Sorts readings and gives each one the time until the next, or the usual step length before a gap.
 *
 * @throws LightfootError E_SERIES when there are none, when two differ at one instant, and when the step cannot be known
 */
export function makeSteps(
  readings: readonly Reading[],
  { file, ...options }: StepOptions,
): { steps: Steps; facts: StepFacts } {
  if (readings.length === 0)
    throw new LightfootError("E_SERIES", "the intensity series has no values", { where: { file } });
  const before = readings.findIndex((reading, at) => at > 0 && reading.startSeconds < readings[at - 1].startSeconds);
  const sorted = before < 0 ? readings : readings.toSorted((a, b) => a.startSeconds - b.startSeconds);
  const kept: Reading[] = [];
  for (const reading of sorted) {
    const last = kept.at(-1);
    if (last?.startSeconds !== reading.startSeconds) kept.push(reading);
    else if (last.gramsPerKwh !== reading.gramsPerKwh) throw contradiction(last, reading, file);
  }
  const stepSeconds = options.stepSeconds ?? usualStep(kept, file);
  const count = kept.length;
  const endSeconds = new Float64Array(count);
  const gaps: { fromSeconds: number; toSeconds: number }[] = [];
  let gapSeconds = 0;
  kept.forEach((reading, at) => {
    const next = kept[at + 1]?.startSeconds;
    const said = reading.endSeconds;
    if (said !== undefined) endSeconds[at] = next === undefined ? said : Math.min(said, next);
    else if (next !== undefined && next - reading.startSeconds <= stepSeconds * CONTIGUOUS) endSeconds[at] = next;
    else endSeconds[at] = endOfStep(reading.startSeconds, stepSeconds);
    if (next !== undefined && next > endSeconds[at]) {
      gapSeconds += next - endSeconds[at];
      gaps.push({ fromSeconds: endSeconds[at], toSeconds: next });
    }
  });
  const saysEstimated = kept.some(({ estimated }) => estimated !== undefined);
  return {
    steps: {
      startSeconds: Float64Array.from(kept, (reading) => reading.startSeconds),
      endSeconds,
      gramsPerKwh: Float64Array.from(kept, (reading) => reading.gramsPerKwh),
      ...(saysEstimated ? { estimated: Uint8Array.from(kept, ({ estimated }) => (estimated === true ? 1 : 0)) } : {}),
    },
    facts: {
      stepSeconds,
      fromSeconds: kept[0].startSeconds,
      toSeconds: endSeconds[count - 1],
      gapSeconds,
      gaps,
      duplicateCount: readings.length - count,
      ...(before < 0 || readings[before].line === undefined ? {} : { unsortedAtLine: readings[before].line }),
    },
  };
}

/** The most common distance between neighbors; of equally common ones the shortest. */
function usualStep(readings: readonly Reading[], file: string | undefined): number {
  const counts = new Map<number, number>();
  for (let at = 0; at < readings.length; at++) {
    const { startSeconds, endSeconds } = readings[at];
    const step = (endSeconds ?? readings[at + 1]?.startSeconds ?? startSeconds) - startSeconds;
    if (step > 0) counts.set(step, (counts.get(step) ?? 0) + 1);
  }
  const [usual] = [...counts].toSorted(([stepA, countA], [stepB, countB]) => countB - countA || stepA - stepB);
  if (usual === undefined) {
    throw new LightfootError("E_SERIES", "one value alone does not say how long it holds", {
      where: { file },
      hint: "Give its step: hour, day, month, year or a number of seconds (--series-step).",
    });
  }
  return usual[0];
}

/** The end of a step with nothing after it; months and years that start on their first day end with their last. */
function endOfStep(startSeconds: number, stepSeconds: number): number {
  const date = new Date(startSeconds * 1000);
  const isMonthStart = date.getUTCDate() === 1 && startSeconds % 86_400 === 0;
  if (stepSeconds < SHORTEST_MONTH_SECONDS || !isMonthStart) return startSeconds + stepSeconds;
  const months = stepSeconds < SHORTEST_YEAR_SECONDS ? Math.round(stepSeconds / (30.4375 * 86_400)) : 12;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1) / 1000;
}

function contradiction(first: Reading, second: Reading, file: string | undefined): LightfootError {
  const [above, below] = [first, second].toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const place = above.line === undefined ? "" : ` (line ${above.line})`;
  return new LightfootError(
    "E_SERIES",
    `${formatInstant(first.startSeconds)} has two values, ${above.gramsPerKwh}${place} and ${below.gramsPerKwh} g/kWh`,
    {
      where: { file, line: below.line },
      hint: "Keep one row for each instant. Local time without offset repeats an hour in autumn: name its zone with --time-zone.",
    },
  );
}
