// Energy counters as pure functions: state + reading -> state + what it adds, in integer microjoules; may depend on nothing.

/** How a counter behaves and what it can plausibly show. */
export interface CounterSpec {
  /**
   * Largest value before the counter starts at 0 again (powercap's `max_energy_range_uj`), in the counter's own unit.
   * Without it a decrease cannot be told from a reset, and is a gap.
   */
  readonly range?: bigint;
  /** The most that the domain can draw, W. Energy beyond `PLAUSIBLE_FACTOR` times this is not believed. */
  readonly mostWatts: number;
  /** µJ of one step of the counter as a fraction, e.g. 1000/1 for millijoules; 1/1 when left out. */
  readonly scale?: { readonly numerator: bigint; readonly denominator: bigint };
  /** A counter that stands still for longer is frozen; left out where standing still is possible (an idle uncore). */
  readonly frozenAfterSeconds?: number;
}

export interface CounterReading {
  /** Monotonic seconds. */
  readonly atSeconds: number;
  /** Raw value in the counter's own unit; absent when the read failed. */
  readonly raw?: bigint;
}

export type GapReason =
  | "failed-read"
  | "reset"
  | "implausible-jump"
  | "ambiguous-wrap"
  | "frozen"
  | "time-backwards"
  | "too-far-apart"
  | "implausible-power"
  | "lost";

/** A span whose energy is not known and was not made up. */
export interface Gap {
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly reason: GapReason;
  /** The most energy that the span can have hidden, J. */
  readonly mostJoules: number;
}

interface Point {
  readonly atSeconds: number;
  readonly raw: bigint;
}

export interface CounterState {
  /** The last reading that was believed. */
  readonly base?: Point;
  /** A reading that did not fit to `base`: a glitch if the next one fits `base` again, else the new truth. */
  readonly suspect?: Point & { readonly reason: GapReason };
  /** Raw units counted so far. */
  readonly counted: bigint;
  /** Since when the raw value has not moved. */
  readonly stillSinceSeconds?: number;
  /** Until when standing still has been reported as a gap. */
  readonly frozenUntilSeconds?: number;
  /** The time of the first failed read since `base`. */
  readonly failingSinceSeconds?: number;
}

export type CounterTrouble = "failed-read" | "held" | "frozen";

export interface CounterStep {
  readonly state: CounterState;
  /** µJ that this reading added; never negative. */
  readonly addedMicrojoules: bigint;
  /** Seconds over which they were used; 0 when none were added. */
  readonly overSeconds: number;
  /** True when the counter went over its range. */
  readonly wrapped: boolean;
  readonly gaps: readonly Gap[];
  readonly trouble?: CounterTrouble;
}

export const NEW_COUNTER: CounterState = { counted: 0n };

/** Power beyond this multiple of the most a domain can draw is not believed (turbo and limits that are set too low). */
export const PLAUSIBLE_FACTOR = 1.5;

/** A value may be this much older than the time it was read at: slow counters, a descheduled reader. */
const TIME_SLACK_SECONDS = 0.25;

/** The most energy of a span, µJ: k · P_max · (dt + slack). */
function mostMicrojoules({ mostWatts }: CounterSpec, seconds: number): bigint {
  return BigInt(Math.ceil(Math.min(PLAUSIBLE_FACTOR * mostWatts * (seconds + TIME_SLACK_SECONDS) * 1e6, 1e300)));
}

/** µJ of raw units, rounded down; always taken of the running total, so that fractions are not lost step by step. */
export function microjoulesOf({ scale }: CounterSpec, raw: bigint): bigint {
  return scale === undefined ? raw : (raw * scale.numerator) / scale.denominator;
}

/** A value that is lower by at most one part in so many is the one before it, read late: no reset lands there. */
const STALE_PARTS = 1_000_000n;

type Verdict =
  | { readonly fits: true; readonly delta: bigint; readonly wrapped: boolean }
  | { readonly fits: false; readonly reason: GapReason };

/**
 * What lies between two readings.
 *
 * With range R and Δ = cur − prev, or (R − prev) + cur after a decrease, the truth is Δ + n·R for some n ≥ 0. A value is
 * plausible up to k · P_max · dt. Exactly one plausible value is the answer; none means a reset or a wrong number, several
 * mean that the counter may have gone round unseen.
 */
function compare(spec: CounterSpec, from: Point, to: Point): Verdict {
  const seconds = to.atSeconds - from.atSeconds;
  if (!(seconds > 0)) return { fits: false, reason: "time-backwards" };
  const decreased = to.raw < from.raw;
  const isStale = decreased && (from.raw - to.raw) * STALE_PARTS <= from.raw;
  const atSamePlace: Verdict = { fits: true, delta: 0n, wrapped: false };
  if (decreased && spec.range === undefined) return isStale ? atSamePlace : { fits: false, reason: "reset" };
  const range = spec.range ?? 0n;
  const delta = decreased ? range - from.raw + to.raw : to.raw - from.raw;
  const most = mostMicrojoules(spec, seconds);
  if (microjoulesOf(spec, delta) > most) {
    return isStale ? atSamePlace : { fits: false, reason: decreased ? "reset" : "implausible-jump" };
  }
  if (range > 0n && microjoulesOf(spec, delta + range) <= most) return { fits: false, reason: "ambiguous-wrap" };
  return { fits: true, delta, wrapped: decreased };
}

function gapBetween(spec: CounterSpec, fromSeconds: number, toSeconds: number, reason: GapReason): Gap {
  const to = Math.max(fromSeconds, toSeconds);
  return { fromSeconds, toSeconds: to, reason, mostJoules: spec.mostWatts * (to - fromSeconds) };
}

/** The reading as a point; undefined when the read failed or the value cannot be one of this counter. */
function pointOf({ range }: CounterSpec, { raw, atSeconds }: CounterReading): Point | undefined {
  if (raw === undefined || raw < 0n || !Number.isFinite(atSeconds)) return undefined;
  return range !== undefined && raw > range ? undefined : { atSeconds, raw };
}

/**
 * Takes one reading.
 *
 * A failed read leaves the state alone: the next good one spans it and nothing is lost. A reading that does not fit is
 * held back; if its successor fits the old base it was a glitch and costs nothing, if the successor fits the new value the
 * span in between becomes a gap. Energy is therefore right or the gap is told; it is never negative and never invented.
 *
 * @example advanceCounter({ mostWatts: 200 }, NEW_COUNTER, { atSeconds: 0, raw: 5n }).state.base // { atSeconds: 0, raw: 5n }
 */
export function advanceCounter(spec: CounterSpec, state: CounterState, reading: CounterReading): CounterStep {
  const point = pointOf(spec, reading);
  if (point === undefined) return failed(state, reading.atSeconds);
  const { base } = state;
  if (base === undefined) {
    return step({ ...state, base: point, stillSinceSeconds: point.atSeconds, failingSinceSeconds: undefined });
  }
  if (point.atSeconds === base.atSeconds && point.raw === base.raw) return step(state);
  const verdict = compare(spec, base, point);
  const { suspect } = state;
  const isExplained = suspect === undefined || suspect.reason === "time-backwards"; // a late reading says nothing new
  if (verdict.fits && isExplained) return accept(spec, state, base, point, verdict, []);
  // Time cannot cure an ambiguous wrap: the longer the wait, the more rounds are possible.
  if (!verdict.fits && verdict.reason === "ambiguous-wrap") {
    return step(restart(state, point), { gaps: [gapBetween(spec, base.atSeconds, point.atSeconds, verdict.reason)] });
  }
  if (suspect !== undefined) {
    const second = compare(spec, suspect, point);
    const gap = gapBetween(spec, base.atSeconds, suspect.atSeconds, suspect.reason);
    // Both explanations hold after a long wait: the smaller energy is the one that nobody made up.
    if (second.fits && !(verdict.fits && verdict.delta < second.delta)) {
      return accept(spec, state, suspect, point, second, [gap]);
    }
    if (verdict.fits && second.fits) return accept(spec, state, base, point, verdict, [gap]);
    if (verdict.fits && !verdict.wrapped) return accept(spec, state, base, point, verdict, []);
    if (verdict.fits) {
      // A decrease that was no wrap when it was seen does not become one by waiting.
      return step(restart(state, point), { gaps: [gapBetween(spec, base.atSeconds, point.atSeconds, suspect.reason)] });
    }
  }
  const reason = verdict.fits ? "implausible-jump" : verdict.reason;
  return step({ ...state, suspect: { ...point, reason } }, { trouble: "held" });
}

function step(state: CounterState, more: Partial<CounterStep> = {}): CounterStep {
  return { state, addedMicrojoules: 0n, overSeconds: 0, wrapped: false, gaps: [], ...more };
}

function failed(state: CounterState, atSeconds: number): CounterStep {
  const since = state.failingSinceSeconds ?? (Number.isFinite(atSeconds) ? atSeconds : undefined);
  return step({ ...state, failingSinceSeconds: since }, { trouble: "failed-read" });
}

/** The same total, counted on from another point. */
const restart = ({ counted }: CounterState, point: Point): CounterState => ({
  counted,
  base: point,
  stillSinceSeconds: point.atSeconds,
});

function accept(
  spec: CounterSpec,
  state: CounterState,
  from: Point,
  to: Point,
  { delta, wrapped }: { readonly delta: bigint; readonly wrapped: boolean },
  gaps: readonly Gap[],
): CounterStep {
  const counted = state.counted + delta;
  const isLate = delta === 0n && to.raw < from.raw;
  const base: Point = { atSeconds: to.atSeconds, raw: isLate ? from.raw : to.raw };
  if (delta === 0n) return standStill(spec, state, base, gaps, to.atSeconds - from.atSeconds);
  return step(
    { counted, base, stillSinceSeconds: to.atSeconds },
    {
      addedMicrojoules: microjoulesOf(spec, counted) - microjoulesOf(spec, state.counted),
      overSeconds: to.atSeconds - from.atSeconds,
      wrapped,
      gaps,
    },
  );
}

/** Nothing moved. What does draw power cannot stand still for long: past the limit the span is a gap. */
function standStill(
  spec: CounterSpec,
  state: CounterState,
  base: Point,
  gaps: readonly Gap[],
  overSeconds: number,
): CounterStep {
  const since = state.stillSinceSeconds ?? base.atSeconds;
  const { counted } = state;
  const limit = spec.frozenAfterSeconds;
  if (limit === undefined || base.atSeconds - since <= limit) {
    return step({ counted, base, stillSinceSeconds: since }, { gaps, overSeconds });
  }
  const from = state.frozenUntilSeconds ?? since;
  return step(
    { counted, base, stillSinceSeconds: since, frozenUntilSeconds: base.atSeconds },
    { gaps: [...gaps, gapBetween(spec, from, base.atSeconds, "frozen")], trouble: "frozen" },
  );
}

/**
 * The gap that is still open when reading ends: a held or failed last reading has no successor that could explain it.
 *
 * @example finishCounter(spec, state, 12) // [] when the last reading was believed
 */
export function finishCounter(spec: CounterSpec, state: CounterState, atSeconds: number): readonly Gap[] {
  const { base, suspect, failingSinceSeconds } = state;
  if (suspect === undefined && failingSinceSeconds === undefined) return [];
  const from = base?.atSeconds ?? failingSinceSeconds ?? atSeconds;
  return atSeconds > from ? [gapBetween(spec, from, atSeconds, suspect?.reason ?? "failed-read")] : [];
}
