// Software Carbon Intensity, ISO/IEC 21031:2024: SCI = ((E · I) + M) / R with R above 0; may depend on quantity, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { kwhFromJoules } from "../quantity/convert.ts";
import { divide, figure, multiply, scale, sum, type Figure } from "../quantity/figure.ts";
import { requireIntensity, type IntensityKind } from "./intensity-series.ts";

/** One hardware's embodied emissions and the share that the software reserved. */
export interface EmbodiedShare {
  /** TE: gCO2e of all the hardware, cradle to grave as far as known. */
  readonly total: Figure;
  /** TiR. */
  readonly reservedSeconds: number;
  /** EL. */
  readonly lifespanSeconds: number;
  /** RR and ToR in one unit: devices, vCPUs, bytes. Left out: all of it. */
  readonly resources?: { readonly reserved: number; readonly total: number };
}

/**
 * M = TE · (TiR / EL) · (RR / ToR), gCO2e.
 *
 * @throws LightfootError E_UNIT unless TE is in gCO2e; E_RANGE for a share of time or resources that is not above 0 and at most 1
 * @example // 1,000 kg over four years, reserved for an hour: 28.5 g
 * embodiedEmissions({ total, reservedSeconds: 3600, lifespanSeconds: 4 * 365 * 86_400 }).value
 */
export function embodiedEmissions({ total, reservedSeconds, lifespanSeconds, resources }: EmbodiedShare): Figure {
  requireCarbon(total, "the total embodied emissions");
  const time = share(reservedSeconds, lifespanSeconds, "time reserved", "expected lifespan");
  const resource =
    resources === undefined ? 1 : share(resources.reserved, resources.total, "resources reserved", "total resources");
  return scale(total, time * resource);
}

function share(part: number, whole: number, partName: string, wholeName: string): number {
  if (part > 0 && whole > 0 && Number.isFinite(whole) && part <= whole) return part / whole;
  throw new LightfootError(
    "E_RANGE",
    `the ${partName} is ${part} of ${whole} (${wholeName}), expected a share above 0 and at most 1`,
  );
}

export interface SciInput {
  /** E: J for all of R, everything inside the boundary, idle and reserved hardware and the data center's overhead too. */
  readonly energy: Figure;
  /** I: gCO2e/kWh, location-based. */
  readonly intensity: Figure;
  /** Average or marginal; the standard allows both and wants it said. */
  readonly intensityKind: IntensityKind;
  /** M: gCO2e, the share for all of R. */
  readonly embodied: Figure;
  /** R. */
  readonly units: { readonly name: string; readonly count: number };
}

export interface Sci {
  /** gCO2e per functional unit, e.g. `gCO2e/request`. */
  readonly score: Figure;
  readonly energy: Figure;
  readonly intensity: Figure;
  readonly intensityKind: IntensityKind;
  /** O = E · I, gCO2e. */
  readonly operational: Figure;
  /** M, gCO2e. */
  readonly embodied: Figure;
  /** C = O + M, gCO2e. */
  readonly total: Figure;
  readonly functionalUnit: string;
  /** R. */
  readonly unitCount: number;
}

const UNIT_NAME = /^[\p{L}][\p{L}\p{N} _-]{0,59}$/u;

/**
 * The score and what it is made of.
 *
 * @throws LightfootError E_RANGE when R is not above 0 or E, I or M can be negative, E_UNIT for other units
 * @example sci({ energy, intensity, intensityKind: "average", embodied, units: { name: "request", count: 1000 } }).score.unit
 */
export function sci({ energy, intensity, intensityKind, embodied, units }: SciInput): Sci {
  requireUnits(units);
  if (energy.unit !== "J") throw new LightfootError("E_UNIT", `E is energy in J, found ${energy.value} ${energy.unit}`);
  requireIntensity(intensity);
  requireCarbon(embodied, "M, the embodied emissions,");
  for (const [name, part] of [
    ["E", energy],
    ["I", intensity],
  ] as const) {
    if (part.low < 0)
      throw new LightfootError("E_RANGE", `${name} is ${part.low} ${part.unit} at its low end, expected 0 or more`);
  }
  const inKwh = figure({
    ...energy,
    value: kwhFromJoules(energy.value),
    low: kwhFromJoules(energy.low),
    high: kwhFromJoules(energy.high),
    unit: "kWh",
  });
  const operational = multiply(inKwh, intensity, "gCO2e");
  return conclude({ energy, intensity, intensityKind, operational, embodied, units });
}

type Parts = SciInput & { readonly operational: Figure };

function conclude({ operational, embodied, units, energy, intensity, intensityKind }: Parts): Sci {
  const total = sum([operational, embodied]);
  return {
    score: perUnit(total, units),
    energy,
    intensity,
    intensityKind,
    operational,
    embodied,
    total,
    functionalUnit: units.name,
    unitCount: units.count,
  };
}

/** C / R. @throws LightfootError E_RANGE when R is not above 0 */
export function perUnit(total: Figure, units: SciInput["units"]): Figure {
  requireUnits(units);
  const count = figure({ value: units.count, unit: units.name, method: "measured" });
  return divide(total, count, `gCO2e/${units.name}`);
}

function requireUnits({ name, count }: SciInput["units"]): void {
  if (!UNIT_NAME.test(name)) {
    throw new LightfootError(
      "E_RANGE",
      `'${name.slice(0, 60)}' names no functional unit, expected a word such as request`,
    );
  }
  if (!(count > 0 && Number.isFinite(count))) {
    throw new LightfootError("E_RANGE", `R is ${count} ${name}, expected above 0: a score per no unit is not defined`, {
      hint: "Count the functional units of the period in which the energy was used.",
    });
  }
}

function requireCarbon(part: Figure, name: string): void {
  if (part.unit !== "gCO2e")
    throw new LightfootError("E_UNIT", `${name} are in gCO2e, found ${part.value} ${part.unit}`);
  if (part.low < 0)
    throw new LightfootError("E_RANGE", `${name} are ${part.low} gCO2e at their low end, expected 0 or more`);
}

/**
 * The score of a system from its components' scores.
 *
 * @throws LightfootError E_BASIS unless all count the same functional unit in the same kind of intensity
 */
export function sumSci(components: readonly Sci[]): Figure {
  const [first, ...others] = components;
  if (first === undefined) throw new LightfootError("E_RANGE", "there are no components to add");
  for (const other of others) {
    for (const part of ["functionalUnit", "intensityKind"] as const) {
      if (other[part] === first[part]) continue;
      throw new LightfootError("E_BASIS", `components differ in ${part}: '${first[part]}' and '${other[part]}'`, {
        hint: "Convert to one functional unit first, and disclose the factor.",
      });
    }
  }
  return sum(components.map(({ score }) => score));
}

/** Multiples in which scores are read: the smallest that brings the score to 1 g or more. */
const MULTIPLES = [1, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18] as const;
const SMALLEST_PER_UNIT_GRAMS = 1e-3;

export interface ReadableScore {
  /** gCO2e per `multiple` functional units. */
  readonly figure: Figure;
  readonly multiple: number;
}

/** The score per as many units as make it readable: 1.3e-4 g per token is 130 g per million tokens. */
export function readableScore({ score }: Pick<Sci, "score">, multiple?: number): ReadableScore {
  const chosen =
    multiple ??
    (score.value === 0 || score.value >= SMALLEST_PER_UNIT_GRAMS
      ? 1
      : // Beside 1, a relative slack: 0.001 · 1000 may round to 0.999….
        (MULTIPLES.find((candidate) => score.value * candidate >= 1 - 1e-9) ?? MULTIPLES[MULTIPLES.length - 1]));
  return { figure: scale(score, chosen, "gCO2e"), multiple: chosen };
}
