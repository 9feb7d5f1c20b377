// `IntensitySeries`: grid carbon intensity over time, with what it counts and where it comes from; may depend on quantity and errors.
import { LightfootError, type Place } from "../errors/lightfoot-error.ts";
import type { Assumption, Figure, Method } from "../quantity/figure.ts";

/** Average of all generation, or of the plants that answer a change of demand. Sums and differences never mix the two. */
export type IntensityKind = "average" | "marginal";

/** What the grams count: plants from cradle to grave, their stacks (CO2, CH4, N2O), or the CO2 of the stacks alone. */
export type IntensityScope = "life-cycle" | "direct" | "direct CO2 only" | "undeclared";

/**
 * Grid carbon intensity over time as a step function: `gramsPerKwh[i]` holds on `[startSeconds[i], endSeconds[i])`.
 *
 * Times are seconds since 1970-01-01T00:00:00Z. Steps ascend, do not overlap and may have any length; between one step's
 * end and the next one's start lies a gap, where the intensity is unknown.
 */
export interface IntensitySeries {
  readonly startSeconds: Float64Array;
  readonly endSeconds: Float64Array;
  readonly gramsPerKwh: Float64Array;
  /** Ends of the 95 % interval of each step, as factors on its value: `[1, 1]` takes the numbers as declared. */
  readonly band: readonly [low: number, high: number];
  /** 1 where the publisher says that the value is an estimate; left out when it says nothing. */
  readonly estimated?: Uint8Array;
  readonly kind: IntensityKind;
  readonly scope: IntensityScope;
  /** The publisher's name of the grid zone: `DE`, `US-CAL-CISO`, `CAISO_NORTH`. */
  readonly zone?: string;
  /** State of the data: version, day of retrieval or model date. */
  readonly vintage: string;
  /** Publisher and data set. */
  readonly source: string;
  readonly method: Method;
  readonly assumptions: readonly Assumption[];
}

export interface IntensitySeriesInput extends Omit<
  IntensitySeries,
  "startSeconds" | "endSeconds" | "gramsPerKwh" | "band" | "assumptions"
> {
  readonly startSeconds: ArrayLike<number>;
  readonly endSeconds: ArrayLike<number>;
  readonly gramsPerKwh: ArrayLike<number>;
  readonly band?: readonly [low: number, high: number];
  readonly assumptions?: readonly Assumption[];
  /** Where the numbers stand, for the errors. */
  readonly where?: Place;
}

/** Coal burnt in the worst plants stays below 2,000 gCO2e/kWh, marginal rates too: beyond this a unit is wrong. */
export const MOST_GRAMS_PER_KWH = 5_000;

/**
 * A checked series.
 *
 * @throws LightfootError E_SERIES when it is empty, out of order, overlapping or not finite; E_RANGE for an intensity below
 *   0 or above 5,000 gCO2e/kWh (no grid is; the unit is wrong)
 */
export function intensitySeries(input: IntensitySeriesInput): IntensitySeries {
  const { where, assumptions = [], band = [1, 1], ...facts } = input;
  const startSeconds = Float64Array.from(input.startSeconds);
  const endSeconds = Float64Array.from(input.endSeconds);
  const gramsPerKwh = Float64Array.from(input.gramsPerKwh);
  const count = startSeconds.length;
  const bad = (message: string): LightfootError => new LightfootError("E_SERIES", message, { where });
  if (count === 0) throw bad("the intensity series has no steps, expected one at least");
  const lengths = [endSeconds.length, gramsPerKwh.length, input.estimated?.length ?? count];
  if (lengths.some((length) => length !== count)) {
    throw bad(`the intensity series has ${count} starts and ${lengths.join(", ")} ends, values and flags`);
  }
  if (!(band[0] > 0 && band[0] <= 1 && band[1] >= 1 && Number.isFinite(band[1]))) {
    throw new LightfootError("E_RANGE", `a band needs 0 < low ≤ 1 ≤ high, found ${band[0]}…${band[1]}`, { where });
  }
  for (let at = 0; at < count; at++) {
    const [start, end, grams] = [startSeconds[at], endSeconds[at], gramsPerKwh[at]];
    if (!Number.isFinite(start) || !Number.isFinite(end) || end <= start) {
      throw bad(
        `step ${at + 1} of the intensity series runs from ${start} to ${end} s, expected an end after its start`,
      );
    }
    if (at > 0 && start < endSeconds[at - 1]) {
      throw bad(`step ${at + 1} of the intensity series starts before step ${at} ends`);
    }
    if (!(grams >= 0 && grams <= MOST_GRAMS_PER_KWH)) {
      throw new LightfootError(
        "E_RANGE",
        `step ${at + 1} of the intensity series is ${grams} gCO2e/kWh, expected 0 to ${MOST_GRAMS_PER_KWH}`,
        { where, hint: "Check the unit in the header: lb/MWh, kg/MWh (= g/kWh) and g/kWh differ by up to 1,000." },
      );
    }
  }
  return { ...facts, startSeconds, endSeconds, gramsPerKwh, band, assumptions };
}

/** Electricity Maps restates its history by up to 10 % in most zones: that much its values are good to. */
export const ELECTRICITY_MAPS_BAND = [1 / 1.1, 1.1] as const;
/** Nobody publishes how good marginal rates are; the same factor as for the yearly marginal factors of the place tables. */
export const WATTTIME_BAND = [1 / 1.5, 1.5] as const;

/** Farther from 1970 than any date that JavaScript can hold. */
const FOREVER_SECONDS = 8.64e12;

/** How a constant's provenance is told; `Figure` brings the number, interval, method and assumptions. */
export interface ConstantIntensity {
  readonly figure: Figure;
  readonly kind: IntensityKind;
  readonly scope: IntensityScope;
  readonly zone?: string;
  readonly vintage: string;
}

/**
 * One intensity for all time, e.g. a place's yearly average, as a series.
 *
 * @throws LightfootError E_UNIT unless the figure is in gCO2e/kWh
 */
export function constantSeries({ figure, ...facts }: ConstantIntensity): IntensitySeries {
  requireIntensity(figure);
  const isZero = figure.value === 0;
  return intensitySeries({
    ...facts,
    startSeconds: [-FOREVER_SECONDS],
    endSeconds: [FOREVER_SECONDS],
    gramsPerKwh: [figure.value],
    band: isZero ? [1, 1] : [Math.max(figure.low / figure.value, Number.MIN_VALUE), figure.high / figure.value],
    source: figure.sources.join("; "),
    method: figure.method,
    assumptions: figure.assumptions,
  });
}

/** @throws LightfootError E_UNIT unless the figure is in gCO2e/kWh */
export function requireIntensity(part: Figure): void {
  if (part.unit !== "gCO2e/kWh") {
    throw new LightfootError("E_UNIT", `a carbon intensity is in gCO2e/kWh, found ${part.value} ${part.unit}`);
  }
}

/** Mean over the time that the series covers, weighted by step length; unit gCO2e/kWh. */
export function timeMeanGramsPerKwh(series: IntensitySeries): number {
  let [seconds, weighted] = [0, 0];
  for (let at = 0; at < series.startSeconds.length; at++) {
    const length = series.endSeconds[at] - series.startSeconds[at];
    seconds += length;
    weighted += length * series.gramsPerKwh[at];
  }
  return weighted / seconds;
}

/** The intensity at an instant, or undefined in a gap and outside the series; for deciding when to run. */
export function intensityAt(series: IntensitySeries, atSeconds: number): number | undefined {
  const step = stepAt(series, atSeconds);
  return step >= 0 && atSeconds < series.endSeconds[step] ? series.gramsPerKwh[step] : undefined;
}

/** Index of the last step that starts at or before an instant; −1 before the first. Binary search. */
export function stepAt(series: IntensitySeries, atSeconds: number): number {
  let [low, high] = [0, series.startSeconds.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (series.startSeconds[middle] <= atSeconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** An instant in ISO 8601, or its seconds when it lies beyond what dates can hold. */
export function formatInstant(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString().replace(/\.000Z$/, "Z");
}
