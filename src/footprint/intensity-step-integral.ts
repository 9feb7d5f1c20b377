// Integrals of a step function over intervals: exact, quick when the intervals come in order, gaps told; may depend on its room.
import { stepAt, type IntensitySeries } from "./intensity-series.ts";

/** Neumaier's compensated sum: a million small terms lose nothing to a large one. */
export class CompensatedSum {
  #sum = 0;
  #lost = 0;

  add(term: number): void {
    const next = this.#sum + term;
    this.#lost += Math.abs(this.#sum) >= Math.abs(term) ? this.#sum - next + term : term - next + this.#sum;
    this.#sum = next;
  }

  get value(): number {
    return this.#sum + this.#lost;
  }
}

/** Parts of an interval: the share of its time with a value, with an estimated one, and the mean of value × known. */
export interface Share {
  readonly covered: number;
  readonly estimated: number;
  readonly weighted: number;
}

/** More steps than this inside one interval are read off running totals; fewer are added one by one, which rounds less. */
const MOST_STEPS_ONE_BY_ONE = 64;

/** Integrals of a series over intervals, quick when the intervals come in order. */
export class StepIntegral {
  readonly #series: IntensitySeries;
  /** Gaps between steps, before the first and after the last. */
  readonly #gapStarts: number[] = [-Infinity];
  readonly #gapEnds: number[] = [];
  #running: { covered: Float64Array; estimated: Float64Array; weighted: Float64Array } | undefined;
  #last = 0;

  constructor(series: IntensitySeries) {
    this.#series = series;
    const { startSeconds, endSeconds } = series;
    for (let at = 0; at < startSeconds.length; at++) {
      if (at > 0 && endSeconds[at - 1] === startSeconds[at]) continue;
      this.#gapEnds.push(startSeconds[at]);
      if (at > 0) this.#gapStarts.push(endSeconds[at - 1]);
    }
    this.#gapStarts.push(endSeconds[endSeconds.length - 1]);
    this.#gapEnds.push(Infinity);
  }

  over(from: number, to: number): Share {
    const { startSeconds, endSeconds, gramsPerKwh, estimated } = this.#series;
    let at = this.#stepFrom(from);
    if (from === to) {
      const isKnown = at >= 0 && from < endSeconds[at];
      if (!isKnown) return { covered: 0, estimated: 0, weighted: 0 };
      return { covered: 1, estimated: estimated?.[at] ?? 0, weighted: gramsPerKwh[at] };
    }
    const share = { covered: 0, estimated: 0, weighted: 0 };
    const take = (step: number): void => {
      const seconds = Math.min(to, endSeconds[step]) - Math.max(from, startSeconds[step]);
      if (seconds <= 0) return;
      share.covered += seconds;
      share.estimated += seconds * (estimated?.[step] ?? 0);
      share.weighted += seconds * gramsPerKwh[step];
    };
    at = Math.max(at, 0);
    const last = to > from + 1 ? stepAt(this.#series, to) : undefined;
    if (last !== undefined && last - at > MOST_STEPS_ONE_BY_ONE) {
      take(at);
      take(last);
      const running = this.#totals();
      for (const part of ["covered", "estimated", "weighted"] as const) {
        share[part] += running[part][last] - running[part][at + 1];
      }
    } else {
      for (; at < startSeconds.length && startSeconds[at] < to; at++) take(at);
    }
    const length = to - from;
    return { covered: share.covered / length, estimated: share.estimated / length, weighted: share.weighted / length };
  }

  /** The pieces of `[from, to]` without a value. */
  gaps(from: number, to: number): (readonly [start: number, end: number])[] {
    const found: (readonly [number, number])[] = [];
    let [low, high] = [0, this.#gapEnds.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#gapEnds[middle] <= from) low = middle + 1;
      else high = middle;
    }
    for (let at = low; at < this.#gapStarts.length; at++) {
      const start = Math.max(from, this.#gapStarts[at]);
      const end = Math.min(to, this.#gapEnds[at]);
      // An instant lies in a gap that has begun; an interval must reach into it.
      if (from === to ? this.#gapStarts[at] > from : this.#gapStarts[at] >= to) break;
      found.push([start, end]);
    }
    return found;
  }

  /** Index of the step at or before an instant, tried first where the last search ended. */
  #stepFrom(seconds: number): number {
    const { startSeconds } = this.#series;
    for (let at = this.#last; at < Math.min(this.#last + 2, startSeconds.length); at++) {
      if (startSeconds[at] <= seconds && (startSeconds[at + 1] ?? Infinity) > seconds) {
        this.#last = at;
        return at;
      }
    }
    const at = stepAt(this.#series, seconds);
    this.#last = Math.max(at, 0);
    return at;
  }

  /** Totals of the steps before each index. */
  #totals(): { covered: Float64Array; estimated: Float64Array; weighted: Float64Array } {
    if (this.#running !== undefined) return this.#running;
    const { startSeconds, endSeconds, gramsPerKwh, estimated } = this.#series;
    const make = (value: (step: number) => number): Float64Array => {
      const totals = new Float64Array(startSeconds.length + 1);
      const sum = new CompensatedSum();
      for (let at = 0; at < startSeconds.length; at++) {
        sum.add((endSeconds[at] - startSeconds[at]) * value(at));
        totals[at + 1] = sum.value;
      }
      return totals;
    };
    this.#running = {
      covered: make(() => 1),
      estimated: make((step) => estimated?.[step] ?? 0),
      weighted: make((step) => gramsPerKwh[step]),
    };
    return this.#running;
  }
}
