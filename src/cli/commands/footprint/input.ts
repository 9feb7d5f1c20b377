// The options of `lightfoot footprint` as the input of an assessment; may depend on this room, facts, footprint, quantity and errors.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { intensityMethod, type GridIntensity } from "../../../facts/grid-intensity.ts";
import { hourlyShape } from "../../../facts/intensity-shape.ts";
import { findPlace, type Place } from "../../../facts/place.ts";
import type { FootprintInput } from "../../../footprint/assess.ts";
import { bounded, type EnergyBoundary } from "../../../footprint/boundary.ts";
import type { GridFactor } from "../../../footprint/grid-emissions.ts";
import {
  deviceHourPrice,
  embodiedPartsOf,
  energyOfHardware,
  hardwareUse,
  type HardwareUse,
} from "../../../footprint/hardware-use.ts";
import type { MarketInput } from "../../../footprint/intensity-market.ts";
import { resolveIntensity, type PlaceIntensities } from "../../../footprint/intensity-resolve.ts";
import type { PriceOf } from "../../../footprint/money.ts";
import { SECONDS_PER_HOUR } from "../../../quantity/convert.ts";
import { figure, type Assumption, type Figure } from "../../../quantity/figure.ts";
import { declaredQuantity, parseQuantity } from "../../../quantity/parse-quantity.ts";
import { parseIntensity, parsePrice, parseRatio, parseWaterPerEnergy } from "../../../quantity/parse-rate.ts";
import { asksForSeries, intensityPorts, periodOf, sourceOf, type IntensityFlags } from "../../intensity-options.ts";

export interface FootprintFlags extends IntensityFlags {
  readonly energy?: string;
  readonly boundary?: EnergyBoundary;
  readonly where?: string;
  readonly hardware?: string;
  readonly hours?: string;
  readonly intensity?: string;
  readonly marketIntensity?: string;
  readonly marketShare?: string;
  readonly residualMix?: string;
  readonly pue?: string;
  readonly wue?: string;
  readonly price?: string;
  readonly gpuHourPrice?: string;
  readonly carbonPrice?: string;
  readonly life?: string;
  readonly use?: string;
}

/**
 * What the options ask to assess.
 *
 * @throws LightfootError E_USAGE for options that are missing, malformed or pointless; what places, hardware and series throw
 */
export async function footprintInput(
  flags: FootprintFlags,
  world: { readonly thisYear: number; readonly signal: AbortSignal },
): Promise<FootprintInput> {
  const period = periodOf(flags);
  const hardware = givenHardware(flags, period);
  const energy = givenEnergy(flags) ?? (hardware === undefined ? undefined : energyOfHardware(hardware));
  if (energy === undefined) {
    throw new LightfootError("E_USAGE", "no energy was given, and no hardware whose energy could be modelled", {
      hint: "Add --energy 12.5kWh, or --hardware nvidia-h100-sxm5-80gb:8 --hours 3.",
    });
  }
  const place = flags.where === undefined ? undefined : placeOf(flags.where, flags);
  const parts = hardware === undefined ? undefined : embodiedPartsOf(hardware);
  return {
    energy,
    place,
    intensity: givenIntensity(flags),
    over: await intensityOver(flags, period, place, world.signal),
    market: givenMarket(flags),
    period,
    factors: {
      powerUsageEffectiveness: ratio("--pue", flags.pue),
      waterUsageEffectiveness: given(flags.wue, "--wue", parseWaterPerEnergy, "L/kWh"),
    },
    embodied:
      hardware === undefined || parts === undefined
        ? undefined
        : { parts, usedSeconds: hardware.seconds, lifetime: givenLife(flags), useFraction: givenUse(flags) },
    unknown:
      hardware === undefined || parts !== undefined
        ? []
        : [{ what: "embodied", why: `nobody published what making ${hardware.device.id} emits, nor its parts` }],
    devices: hardware === undefined ? undefined : { count: hardware.count, seconds: hardware.seconds },
    prices: {
      electricity: givenPrice("--price", flags.price, "kWh"),
      deviceHour:
        givenPrice("--gpu-hour-price", flags.gpuHourPrice, "h") ??
        (hardware === undefined ? undefined : deviceHourPrice(hardware.device.id, place?.provider, world.thisYear)),
      carbon: givenPrice("--carbon-price", flags.carbonPrice, "tCO2e"),
    },
    thisYear: world.thisYear,
  };
}

/** The place, with the intensities that `--kind` and `--scope` ask for first. */
function placeOf(where: string, { kind, scope }: FootprintFlags): Place {
  const place = findPlace(where);
  const fits = (entry: GridIntensity): boolean =>
    (kind === undefined || entry.kind === kind) && (scope === undefined || entry.scope === scope);
  const wanted = place.intensities.filter(fits);
  if (wanted.length > 0 || (kind === undefined && scope === undefined)) {
    return { ...place, intensities: [...wanted, ...place.intensities.filter((entry) => !fits(entry))] };
  }
  const known = place.intensities.map(intensityMethod).join("; ");
  throw new LightfootError(
    "E_USAGE",
    `no intensity of ${place.name} is ${[kind, scope].filter((word) => word !== undefined).join(" and ")}`,
    { hint: known === "" ? "None is known: give --intensity." : `Known are ${known}.` },
  );
}

type Period = NonNullable<FootprintInput["period"]>;

/** A file's or a publisher's series, or the place's own average shaped by month and hour, where the time is known. */
async function intensityOver(
  flags: FootprintFlags,
  period: Period | undefined,
  place: Place | undefined,
  signal: AbortSignal,
): Promise<FootprintInput["over"]> {
  if (asksForSeries(flags)) {
    if (flags.intensity !== undefined) {
      throw new LightfootError("E_USAGE", "--intensity and a series were given, expected one of them");
    }
    if (period === undefined) {
      throw new LightfootError("E_USAGE", "an intensity series needs the time when the energy was used", {
        hint: "Add --from 2026-11-24T08:00Z --to 2026-11-24T20:00Z.",
      });
    }
  }
  // Without a place the world's average holds at any hour: no shape would be that of the unknown grid.
  if (period === undefined || flags.intensity !== undefined || (place === undefined && !asksForSeries(flags))) {
    return undefined;
  }
  const source = await sourceOf(flags, place?.zone);
  const { series, fallback } = await resolveIntensity(
    { ...period, ...source, place: place === undefined ? undefined : intensitiesOf(place) },
    await intensityPorts(signal),
  );
  const isPlaces = source.file === undefined && source.publisher === undefined;
  const [first] = isPlaces ? (place?.intensities ?? []) : [];
  return { series, fallback, basis: first?.basis, licence: first?.licence };
}

function intensitiesOf(place: Place): PlaceIntensities {
  const yearly = place.intensities.map(({ figure: intensity, kind, scope, year }) => ({
    figure: intensity,
    kind,
    scope,
    zone: place.zone ?? place.id,
    vintage: String(year),
  }));
  const shape = place.zone === undefined ? undefined : hourlyShape(place.zone);
  return { yearly, ...(shape === undefined ? {} : { shape }) };
}

function givenHardware({ hardware, hours }: FootprintFlags, period: Period | undefined): HardwareUse | undefined {
  if (hardware === undefined) {
    if (hours === undefined) return undefined;
    throw new LightfootError("E_USAGE", "--hours says how long --hardware was used, which is missing");
  }
  if (hours !== undefined) {
    const value = fromOption("--hours", () => parseHours(hours));
    return hardwareUse(hardware, value * SECONDS_PER_HOUR);
  }
  if (period !== undefined) return hardwareUse(hardware, period.toSeconds - period.fromSeconds);
  // The device is looked up first: an unknown one is the better complaint.
  hardwareUse(hardware, 0);
  throw new LightfootError("E_USAGE", "how long the hardware was used is missing", {
    hint: "Add --hours 3, or --from and --to.",
  });
}

/** `3`, `3h`, `90min`: the option's name says hours, so that a bare number has its unit. */
function parseHours(text: string): number {
  const isBare = /^[\d.]+(e[+-]?\d+)?$/i.test(text.trim());
  return parseQuantity(isBare ? `${text.trim()}h` : text, "duration", "--hours") / SECONDS_PER_HOUR;
}

const givenLife = ({ life }: FootprintFlags): Figure | undefined =>
  life === undefined ? undefined : fromOption("--life", () => declaredQuantity(life, "duration", "--life"));

function givenUse({ use }: FootprintFlags): Figure | undefined {
  const found = given(use, "--use", (text) => parseRatio(text, "a share"), "1");
  if (found === undefined || (found.value > 0 && found.value <= 1)) return found;
  throw new LightfootError("E_USAGE", `--use is ${use}, expected above 0 and at most 100 %`);
}

/** Runs a parser; what it finds wrong with an option's value is a mistake in the command line. */
function fromOption<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    const message = error.message.includes(option) ? error.message : `${option}: ${error.message}`;
    throw new LightfootError("E_USAGE", message, { hint: error.hint, cause: error });
  }
}

function given(
  text: string | undefined,
  option: string,
  parse: (text: string) => number,
  unit: string,
): Figure | undefined {
  if (text === undefined) return undefined;
  const value = fromOption(option, () => parse(text));
  return figure({ value, unit, method: "declared", sources: [`${option} ${text}`] });
}

function ratio(option: string, text: string | undefined): Figure | undefined {
  const found = given(text, option, (written) => parseRatio(written), "1");
  if (found !== undefined && !(found.value >= 1 && found.value <= 10)) {
    throw new LightfootError("E_USAGE", `${option} is ${text}, expected a ratio of 1 to 10`, {
      hint: "Power usage effectiveness is the facility's energy over that of its IT equipment, which it contains: 1.1 to 2.",
    });
  }
  return found;
}

const BOUNDARY_UNSAID: Assumption = {
  key: "energy.boundary",
  text: "What the energy covers was not said: all IT equipment is assumed, without cooling and losses (--boundary).",
};

function givenEnergy({ energy, boundary }: FootprintFlags): FootprintInput["energy"] | undefined {
  if (energy === undefined) {
    if (boundary === undefined) return undefined;
    throw new LightfootError("E_USAGE", "--boundary says what --energy covers, which is missing");
  }
  const joules = fromOption("--energy", () => declaredQuantity(energy, "energy", "--energy"));
  const stated = boundary === undefined ? { ...joules, assumptions: [BOUNDARY_UNSAID] } : joules;
  return bounded(stated, boundary ?? "IT");
}

function givenIntensity({ intensity, kind, scope }: FootprintFlags): GridFactor | undefined {
  const found = given(intensity, "--intensity", parseIntensity, "gCO2e/kWh");
  if (found === undefined) return undefined;
  const unsaid: Assumption = {
    key: "intensity.kind",
    text: "Whether the intensity is an average or a marginal one was not said: an average is assumed (--kind).",
  };
  return {
    figure: kind === undefined ? { ...found, assumptions: [unsaid] } : found,
    kind: kind ?? "average",
    scope: scope ?? "undeclared",
    basis: "undeclared",
    vintage: "undeclared",
    dataset: "given",
    licence: null,
  };
}

function givenMarket(flags: FootprintFlags): MarketInput | undefined {
  const intensity = given(flags.marketIntensity, "--market-intensity", parseIntensity, "gCO2e/kWh");
  if (intensity === undefined) {
    const alone = flags.marketShare !== undefined ? "--market-share" : "--residual-mix";
    if (flags.marketShare === undefined && flags.residualMix === undefined) return undefined;
    throw new LightfootError("E_USAGE", `${alone} belongs to --market-intensity, which is missing`);
  }
  const share = flags.marketShare;
  const fraction = share === undefined ? 1 : fromOption("--market-share", () => parseRatio(share, "a share"));
  if (!(fraction > 0 && fraction <= 1)) {
    throw new LightfootError("E_USAGE", `--market-share is ${share}, expected above 0 and at most 100 %`);
  }
  return {
    instruments: [{ kind: "contract", label: "--market-intensity", fraction, intensity }],
    residualMix: given(flags.residualMix, "--residual-mix", parseIntensity, "gCO2e/kWh"),
  };
}

function givenPrice(option: string, text: string | undefined, per: "kWh" | "h" | "tCO2e"): PriceOf | undefined {
  if (text === undefined) return undefined;
  const { value, unit } = fromOption(option, () => parsePrice(text, per));
  return { figure: figure({ value, unit, method: "declared", sources: [`${option} ${text}`] }), basis: "given" };
}
