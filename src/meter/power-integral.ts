// Energy from power readings, by the trapezoid rule on actual times; may depend on the counter's types.
import type { Gap, GapReason } from "./counter.ts";
import { PLAUSIBLE_FACTOR } from "./counter.ts";

export interface PowerSpec {
  /** The most that the domain can draw, W; more is not believed. */
  readonly mostWatts: number;
  /** Readings further apart say nothing about the time between them, s. */
  readonly longestStepSeconds: number;
}

export interface PowerReading {
  readonly atSeconds: number;
  /** Absent when the read failed. */
  readonly watts?: number;
}

export interface PowerState {
  readonly last?: { readonly atSeconds: number; readonly watts: number };
  readonly joules: number;
  /** Why readings have been missing since `last`. */
  readonly missing?: GapReason;
}

export interface PowerStep {
  readonly state: PowerState;
  readonly addedJoules: number;
  readonly overSeconds: number;
  readonly gaps: readonly Gap[];
  readonly trouble?: GapReason;
}

export const NEW_INTEGRAL: PowerState = { joules: 0 };

function troubleOf(spec: PowerSpec, { last }: PowerState, { atSeconds, watts }: PowerReading): GapReason | undefined {
  if (watts === undefined || !Number.isFinite(watts) || !Number.isFinite(atSeconds)) return "failed-read";
  if (watts < 0 || watts > PLAUSIBLE_FACTOR * spec.mostWatts) return "implausible-power";
  return last !== undefined && atSeconds < last.atSeconds ? "time-backwards" : undefined;
}

/**
 * Takes one reading: E += (P₀ + P₁)/2 · (t₁ − t₀).
 *
 * A reading that is missing, negative, absurd or out of order is left out; the trapezoid spans it as long as its
 * neighbors are near enough, else the span is a gap.
 *
 * @example integratePower(spec, { last: { atSeconds: 0, watts: 10 }, joules: 0 }, { atSeconds: 2, watts: 20 }).addedJoules // 30
 */
export function integratePower(spec: PowerSpec, state: PowerState, reading: PowerReading): PowerStep {
  const { last } = state;
  const { atSeconds, watts } = reading;
  const trouble = troubleOf(spec, state, reading);
  if (trouble !== undefined || watts === undefined) {
    return { state: { ...state, missing: trouble }, addedJoules: 0, overSeconds: 0, gaps: [], trouble };
  }
  const point = { atSeconds, watts };
  if (last === undefined) return { state: { ...state, last: point }, addedJoules: 0, overSeconds: 0, gaps: [] };
  const seconds = atSeconds - last.atSeconds;
  if (seconds > spec.longestStepSeconds) {
    const gap = gapOf(spec, last.atSeconds, atSeconds, state.missing ?? "too-far-apart");
    return { state: { last: point, joules: state.joules }, addedJoules: 0, overSeconds: 0, gaps: [gap] };
  }
  const addedJoules = ((last.watts + watts) / 2) * seconds;
  return {
    state: { last: point, joules: state.joules + addedJoules },
    addedJoules,
    overSeconds: seconds,
    gaps: [],
  };
}

const gapOf = (spec: PowerSpec, fromSeconds: number, toSeconds: number, reason: GapReason): Gap => ({
  fromSeconds,
  toSeconds,
  reason,
  mostJoules: spec.mostWatts * (toSeconds - fromSeconds),
});

/** The gap between the last reading that was believed and the end of reading. */
export function finishIntegral(spec: PowerSpec, { last, missing }: PowerState, atSeconds: number): readonly Gap[] {
  if (last === undefined || missing === undefined || atSeconds <= last.atSeconds) return [];
  return [gapOf(spec, last.atSeconds, atSeconds, missing)];
}
