// Intensity when there is no series for the period: the yearly average shaped by month and hour, or flat, with the band that costs; may depend on errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import {
  constantSeries,
  formatInstant,
  intensitySeries,
  type ConstantIntensity,
  type IntensitySeries,
} from "./intensity-series.ts";

/** Mean intensity of each hour of the day in each month of a year; only its shape is used. */
export interface MonthHourShape {
  readonly year: number;
  /** `[month 0…11][hour 0…23]`, any unit. */
  readonly byMonthHour: readonly (readonly number[])[];
  /** Whose hours; read as UTC, with a word about it where the source does not say. */
  readonly clock?: "UTC" | "as published";
}

export interface Period {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

/**
 * How far single hours lie from what stands in for them, as a coefficient of variation.
 *
 * Half-hourly 2020 data (Wiesner et al. 2021) vary by 0.35 in Germany, 0.34 in France and 0.31 in Great Britain around the
 * year's mean; 0.28, 0.23 and 0.27 of it remain around the month × hour means. The largest is taken.
 */
const VARIATION_AROUND_YEAR = 0.353;
const VARIATION_AROUND_SHAPE = 0.285;
/** Wind and weather keep the grid above or below its mean for about two days; a mean over longer evens it out. */
const CORRELATION_SECONDS = 2 * 86_400;
const NORMAL_95 = 1.959964;

/** Half-width of the 95 % interval of a period's mean, relative: 1.96 · CV · √min(1, 2τ/T). */
const halfWidth = (variation: number, { fromSeconds, toSeconds }: Period): number =>
  NORMAL_95 * variation * Math.sqrt(Math.min(1, (2 * CORRELATION_SECONDS) / Math.max(toSeconds - fromSeconds, 1)));

/** The yearly average for all time, its interval widened by how far a period of this length strays from the year's mean. */
export function yearlySeries(yearly: ConstantIntensity, period: Period): IntensitySeries {
  const series = constantSeries(yearly);
  return {
    ...series,
    band: widened(series.band, halfWidth(VARIATION_AROUND_YEAR, period)),
    assumptions: [
      ...series.assumptions,
      {
        key: "intensity-series.yearly-average",
        text: `intensity over time is unknown: the yearly average of ${yearly.vintage} stands in for every hour`,
      },
    ],
  };
}

const MOST_HOURS = 50 * 8784;

/**
 * The yearly average, scaled each hour by `shape[month][hour] / mean of the shape over the year`, hour by hour for a period.
 *
 * A year of it has the yearly average as its mean.
 * @throws LightfootError E_RANGE for a shape that is not 12 × 24 numbers of 0 or more, or a period that ends before it
 *   starts; E_LIMIT beyond 50 years
 */
export function shapedSeries(yearly: ConstantIntensity, shape: MonthHourShape, period: Period): IntensitySeries {
  const flat = constantSeries(yearly);
  const factors = shapeFactors(shape);
  const first = Math.floor(period.fromSeconds / 3600);
  const hours = Math.max(Math.ceil(period.toSeconds / 3600), first + 1) - first;
  if (!(period.toSeconds >= period.fromSeconds)) {
    throw new LightfootError("E_RANGE", `the period ends before it starts (${formatInstant(period.fromSeconds)})`);
  }
  if (hours > MOST_HOURS) {
    throw new LightfootError("E_LIMIT", `the period is ${hours} hours long, expected at most ${MOST_HOURS}`);
  }
  const startSeconds = Float64Array.from({ length: hours }, (_, at) => (first + at) * 3600);
  return intensitySeries({
    startSeconds,
    endSeconds: startSeconds.map((start) => start + 3600),
    gramsPerKwh: startSeconds.map((start) => {
      const date = new Date(start * 1000);
      return yearly.figure.value * factors[date.getUTCMonth()][date.getUTCHours()];
    }),
    band: widened(flat.band, halfWidth(VARIATION_AROUND_SHAPE, period)),
    kind: yearly.kind,
    scope: yearly.scope,
    zone: yearly.zone,
    vintage: `${yearly.vintage}, shape of ${shape.year}`,
    source: `${flat.source}; month × hour shape of ${shape.year}`,
    method: flat.method,
    assumptions: [
      ...flat.assumptions,
      {
        key: "intensity-series.shape",
        text: `intensity over time is unknown: the yearly average of ${yearly.vintage} was spread over months and hours as in ${shape.year}${
          shape.clock === "as published" ? ", whose hours are taken as UTC" : ""
        }`,
      },
    ],
  });
}

function widened([low, high]: readonly [number, number], by: number): readonly [number, number] {
  return [low * (1 - by), high * (1 + by)];
}

const DAYS_IN_MONTH = [31, 28.2425, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

function shapeFactors({ byMonthHour, year }: MonthHourShape): readonly (readonly number[])[] {
  const isWhole =
    byMonthHour.length === 12 &&
    byMonthHour.every((hours) => hours.length === 24 && hours.every((value) => Number.isFinite(value) && value >= 0));
  const days = DAYS_IN_MONTH.reduce((sum, count) => sum + count, 0);
  const mean = isWhole
    ? byMonthHour.reduce((sum, hours, month) => sum + DAYS_IN_MONTH[month] * hours.reduce((a, b) => a + b, 0), 0) /
      (days * 24)
    : 0;
  if (!(mean > 0))
    throw new LightfootError("E_RANGE", `the shape of ${year} is no 12 months × 24 hours of intensities`);
  return byMonthHour.map((hours) => hours.map((value) => value / mean));
}
