// Emissions of energy spread over time under an intensity that changes: an exact step integral; may depend on quantity, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { kwhFromJoules } from "../quantity/convert.ts";
import { figure, multiply, worstMethod, type Assumption, type Figure } from "../quantity/figure.ts";
import {
  formatInstant,
  timeMeanGramsPerKwh,
  type IntensityKind,
  type IntensityScope,
  type IntensitySeries,
} from "./intensity-series.ts";
import { CompensatedSum, StepIntegral } from "./intensity-step-integral.ts";

/**
 * Energy in intervals of time, each interval's energy spread evenly over it.
 *
 * Intervals may have any length, 0 too (a lump at an instant), lie in any order and overlap (several devices).
 */
export interface EnergyOverTime {
  /** Seconds since 1970-01-01T00:00:00Z. */
  readonly startSeconds: ArrayLike<number>;
  readonly endSeconds: ArrayLike<number>;
  readonly energyJoules: ArrayLike<number>;
  /** All of it in J, with interval, method and sources; its value is the sum of `energyJoules`. */
  readonly total: Figure;
}

/** Energy at constant power between two instants; the usual case when only a total and a period are known. */
export function evenEnergy(total: Figure, fromSeconds: number, toSeconds: number): EnergyOverTime {
  return { startSeconds: [fromSeconds], endSeconds: [toSeconds], energyJoules: [total.value], total };
}

export interface IntegralOptions {
  /** What stands in where `series` has a gap; same kind and scope. Left out: the series must cover all of the energy. */
  readonly fallback?: IntensitySeries;
}

/** Emissions with what they count; average and marginal, life-cycle and direct, are different quantities. */
export interface IntegratedEmissions {
  /** gCO2e. */
  readonly emissions: Figure;
  /** Emissions per energy, gCO2e/kWh: the energy-weighted mean intensity. */
  readonly intensity: Figure;
  readonly kind: IntensityKind;
  readonly scope: IntensityScope;
  readonly zone?: string;
  readonly vintage: string;
  /** Share of the energy, 0…1. */
  readonly coverage: {
    /** Drawn while the series has a value. */
    readonly coveredFraction: number;
    /** Of all the energy, drawn while the publisher calls its value an estimate; undefined when it says nothing. */
    readonly estimatedFraction?: number;
  };
}

/**
 * Σ over time of energy × intensity, as an exact integral of two step functions.
 *
 *     emissions = Σ_i E_i / (b_i − a_i) · ∫ I(t) dt over [a_i, b_i]
 *
 * An interval that overlaps several steps is divided among them by time, so that the result does not depend on how the
 * energy was sampled: splitting an interval changes nothing. Endpoints: energy low × intensity low … high × high.
 *
 * @throws LightfootError E_SERIES when energy falls into a gap and there is no fallback, E_BASIS when series and fallback
 *   differ in kind or scope, E_RANGE for negative or not finite energy or times, E_UNIT when the total is not in J
 * @example integrateEmissions(evenEnergy(energy, from, to), series, { fallback: constantSeries(yearly) }).emissions
 */
export function integrateEmissions(
  energy: EnergyOverTime,
  series: IntensitySeries,
  { fallback }: IntegralOptions = {},
): IntegratedEmissions {
  requireConsistent(energy);
  if (fallback !== undefined) requireSameBasis(series, fallback);
  const main = new StepIntegral(series);
  const other = fallback === undefined ? undefined : new StepIntegral(fallback);
  const sums = {
    covered: new CompensatedSum(),
    estimated: new CompensatedSum(),
    weighted: new CompensatedSum(),
    filled: new CompensatedSum(),
    filledWeighted: new CompensatedSum(),
  };
  // No energy emits nothing, at an intensity all the same: then time is the weight.
  const isIdle = energy.total.value === 0;
  for (let at = 0; at < energy.energyJoules.length; at++) {
    const [from, to] = [energy.startSeconds[at], energy.endSeconds[at]];
    const joules = isIdle ? to - from || 1 : energy.energyJoules[at];
    if (joules === 0) continue;
    const share = main.over(from, to);
    sums.covered.add(joules * share.covered);
    sums.estimated.add(joules * share.estimated);
    sums.weighted.add(joules * share.weighted);
    for (const [start, end] of main.gaps(from, to)) {
      const piece = to === from ? joules : (joules * (end - start)) / (to - from);
      if (other === undefined || other.gaps(start, end).length > 0) {
        if (isIdle) continue;
        throw uncovered(start, end, fallback !== undefined);
      }
      sums.filled.add(piece);
      sums.filledWeighted.add(piece * other.over(start, end).weighted);
    }
  }
  return conclude(energy, series, fallback, {
    covered: sums.covered.value,
    estimated: sums.estimated.value,
    weighted: sums.weighted.value,
    filled: sums.filled.value,
    filledWeighted: sums.filledWeighted.value,
  });
}

/** Joules (seconds when there are none) under the series and under the fallback; `weighted` in J · gCO2e/kWh. */
interface Sums {
  readonly covered: number;
  readonly estimated: number;
  readonly weighted: number;
  readonly filled: number;
  readonly filledWeighted: number;
}

function conclude(
  energy: EnergyOverTime,
  series: IntensitySeries,
  fallback: IntensitySeries | undefined,
  sums: Sums,
): IntegratedEmissions {
  const joules = sums.covered + sums.filled;
  const coveredFraction = joules === 0 ? 1 : sums.covered / joules;
  const filling = sums.filled > 0 ? fallback : undefined;
  const used = filling === undefined ? [series] : [series, filling];
  const mean = (end: (of: IntensitySeries) => number): number => {
    const total = sums.weighted * end(series) + (filling === undefined ? 0 : sums.filledWeighted * end(filling));
    return joules === 0 ? timeMeanGramsPerKwh(series) * end(series) : total / joules;
  };
  const intensity = figure({
    value: mean(() => 1),
    low: mean(({ band }) => band[0]),
    high: mean(({ band }) => band[1]),
    unit: "gCO2e/kWh",
    method: worstMethod(used.map(({ method }) => method)),
    sources: [...new Set(used.map(({ source }) => source))],
    assumptions: [
      ...used.flatMap(({ assumptions }) => assumptions),
      ...(filling === undefined ? [] : [gapAssumption(filling, coveredFraction)]),
    ],
  });
  const estimatedFraction = joules === 0 ? 0 : sums.estimated / joules;
  return {
    emissions: multiply(inKwh(energy.total), intensity, "gCO2e"),
    intensity,
    kind: series.kind,
    scope: series.scope,
    ...(series.zone === undefined ? {} : { zone: series.zone }),
    vintage: series.vintage,
    coverage: { coveredFraction, ...(series.estimated === undefined ? {} : { estimatedFraction }) },
  };
}

/** The figure in kWh; divided, since 1/3,600,000 has no exact double and 1 kWh × 400 g/kWh is 400 g. */
export const inKwh = (energy: Figure): Figure =>
  figure({
    ...energy,
    value: kwhFromJoules(energy.value),
    low: kwhFromJoules(energy.low),
    high: kwhFromJoules(energy.high),
    unit: "kWh",
  });

const gapAssumption = (filling: IntensitySeries, coveredFraction: number): Assumption => ({
  key: "intensity-series.gap-filled",
  text: `the intensity series covers ${percent(coveredFraction)} of the energy; the rest was counted with ${filling.source}`,
});

/** Rounded down where it would read 100 % although something is missing. */
const percent = (fraction: number): string => `${(Math.floor(fraction * 1000) / 10).toFixed(1)} %`;

function uncovered(start: number, end: number, hasFallback: boolean): LightfootError {
  const [from, to] = [start, end].map(formatInstant);
  return new LightfootError(
    "E_SERIES",
    `the intensity ${hasFallback ? "series and its fallback have" : "series has"} no value from ${from} to ${to}, when energy was used`,
    {
      hint: "Give a series that covers the run, or --where with the same kind and scope (--kind, --scope), whose yearly average fills the gap.",
    },
  );
}

/** @throws LightfootError E_BASIS */
function requireSameBasis(series: IntensitySeries, fallback: IntensitySeries): void {
  for (const part of ["kind", "scope"] as const) {
    if (series[part] === fallback[part]) continue;
    throw new LightfootError(
      "E_BASIS",
      `the intensity series is of ${part} '${series[part]}' and what would fill its gaps of ${part} '${fallback[part]}'`,
      {
        hint: "Average and marginal, life-cycle and direct intensities are different quantities: fill with the same one.",
      },
    );
  }
}

/** Sums of joules and their total may differ by rounding only. */
const TOTAL_TOLERANCE = 1e-6;

function requireConsistent({ startSeconds, endSeconds, energyJoules, total }: EnergyOverTime): void {
  if (total.unit !== "J")
    throw new LightfootError("E_UNIT", `energy over time has its total in J, found ${total.unit}`);
  const count = energyJoules.length;
  if (startSeconds.length !== count || endSeconds.length !== count) {
    const lengths = `${startSeconds.length} starts, ${endSeconds.length} ends and ${count} energies`;
    throw new LightfootError("E_RANGE", `energy over time needs one of each for every interval, found ${lengths}`);
  }
  const sum = new CompensatedSum();
  for (let at = 0; at < count; at++) {
    const [from, to, joules] = [startSeconds[at], endSeconds[at], energyJoules[at]];
    if (!(joules >= 0 && joules < Infinity && Number.isFinite(from) && Number.isFinite(to) && from <= to)) {
      throw new LightfootError(
        "E_RANGE",
        `interval ${at + 1} is ${joules} J from ${from} to ${to} s, expected 0 J or more and an end not before its start`,
      );
    }
    sum.add(joules);
  }
  if (Math.abs(sum.value - total.value) > TOTAL_TOLERANCE * Math.max(total.value, sum.value)) {
    throw new LightfootError("E_RANGE", `the intervals sum to ${sum.value} J, their total says ${total.value} J`);
  }
}
