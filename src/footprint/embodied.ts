// The share of a device's making that a use of it carries: total × time used / life × share; may depend on quantity, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { SECONDS_PER_HOUR } from "../quantity/convert.ts";
import { divide, figure, scale, sum, type Figure } from "../quantity/figure.ts";
import { bounded } from "./boundary.ts";
import type { Embodied } from "./footprint-schema.ts";

const YEAR_SECONDS = 365 * 24 * SECONDS_PER_HOUR;

/** A lifetime in years of 365 days, as a figure in s. */
export const yearsOfLife = (value: number, low = value, high = value): Figure =>
  figure({
    value: value * YEAR_SECONDS,
    low: low * YEAR_SECONDS,
    high: high * YEAR_SECONDS,
    unit: "s",
    method: "declared",
    sources: ["given"],
  });

const ASSUMED_LIFETIME: Figure = {
  ...yearsOfLife(4, 3, 6),
  method: "assumed",
  sources: ["EcoLogits (3 years), Cloud Carbon Footprint and Boavizta (4 years), cloud providers' accounts (6 years)"],
  assumptions: [
    {
      key: "embodied.lifetime",
      text: "The hardware's life is not known: 4 years (3…6) are assumed, of 365 days each.",
    },
  ],
};

const WHOLE_LIFE = figure({
  value: 1,
  unit: "1",
  method: "assumed",
  sources: ["ISO/IEC 21031 (time reserved over expected lifespan)"],
  assumptions: [
    {
      key: "embodied.use",
      text: "The hardware is taken to be of use to someone for its whole life; where it idles, each hour of use carries more (--use).",
    },
  ],
});

/** Hardware of one kind. */
export interface EmbodiedPart {
  readonly name: string;
  readonly count: number;
  /** gCO2e of making one, cradle to gate. */
  readonly perUnit: Figure;
  /** Share of each one that is reserved, 0…1; all of it when left out. */
  readonly shareOfDevice?: number;
}

export interface EmbodiedInput {
  readonly parts: readonly EmbodiedPart[];
  /** Wall time for which it is reserved, s. */
  readonly usedSeconds: number;
  /** s. */
  readonly lifetime?: Figure;
  /** Share of the life for which it is of use to anyone, above 0 to 1. */
  readonly useFraction?: Figure;
}

/**
 * M = Σ count · TE · (time used / life) · share / use, in gCO2e.
 *
 * With use = 1 this is ISO/IEC 21031's M = TE · TS · RS. A use below 1 spreads the idle part of the life over the hours of use.
 * @throws LightfootError E_RANGE for negative times, shares outside 0…1, a life or a use that can be 0; E_UNIT
 * @example 1000 kg over 4 years: one hour carries 28.5 g
 */
export function amortizedEmbodied(input: EmbodiedInput): Embodied {
  const { parts, usedSeconds } = input;
  const lifetime = input.lifetime ?? ASSUMED_LIFETIME;
  const useFraction = input.useFraction ?? WHOLE_LIFE;
  if (parts.length === 0) throw new LightfootError("E_RANGE", "embodied emissions need at least one piece of hardware");
  if (!Number.isFinite(usedSeconds) || usedSeconds < 0) {
    throw new LightfootError("E_RANGE", `the time of use is 0 s or more, found ${usedSeconds} s`);
  }
  if (lifetime.unit !== "s") throw new LightfootError("E_UNIT", `a life is in s, found ${lifetime.unit}`);
  if (lifetime.low <= 0) throw new LightfootError("E_RANGE", `a life is above 0 s, found ${lifetime.low} s`);
  if (useFraction.unit !== "1") throw new LightfootError("E_UNIT", `a use has no unit, found ${useFraction.unit}`);
  if (useFraction.low <= 0 || useFraction.high > 1) {
    throw new LightfootError("E_RANGE", `a use is above 0 and at most 1, found ${useFraction.low}…${useFraction.high}`);
  }
  const shares = parts.map((part) => {
    const whole = scale(requireGrams(part), requireCount(part) * requireShare(part) * usedSeconds, "gCO2e·s");
    const share = divide(divide(whole, lifetime, "gCO2e"), useFraction, "gCO2e");
    return { name: part.name, count: part.count, perUnit: part.perUnit, share };
  });
  return {
    ...bounded(sum(shares.map(({ share }) => share)), "embodied"),
    parts: shares,
    usedSeconds,
    lifetime,
    useFraction,
  };
}

function requireGrams({ name, perUnit }: EmbodiedPart): Figure {
  if (perUnit.unit !== "gCO2e") {
    throw new LightfootError("E_UNIT", `making one ${name} is in gCO2e, found ${perUnit.value} ${perUnit.unit}`);
  }
  if (perUnit.low < 0)
    throw new LightfootError("E_RANGE", `making one ${name} emits 0 g or more, found ${perUnit.low} g`);
  return perUnit;
}

function requireCount({ name, count }: EmbodiedPart): number {
  if (Number.isFinite(count) && count > 0) return count;
  throw new LightfootError("E_RANGE", `the number of ${name} is above 0, found ${count}`);
}

function requireShare({ name, shareOfDevice = 1 }: EmbodiedPart): number {
  if (shareOfDevice >= 0 && shareOfDevice <= 1) return shareOfDevice;
  throw new LightfootError("E_RANGE", `the share of ${name} is 0 to 1, found ${shareOfDevice}`);
}
