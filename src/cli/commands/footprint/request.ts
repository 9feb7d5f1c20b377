// What `lightfoot footprint` is asked: the options with place, hardware and intensity over time looked up; may depend on this room, facts, footprint, quantity and errors.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { intensityMethod, type GridIntensity } from "../../../facts/grid-intensity.ts";
import { findPlace, type Place } from "../../../facts/place.ts";
import type { FootprintInput } from "../../../footprint/assess.ts";
import type { EmbodiedPart } from "../../../footprint/embodied.ts";
import {
  deviceHourPrice,
  embodiedPart,
  embodiedPartsOf,
  energyOfHardware,
  hardwareUse,
  PART_KINDS,
  type HardwareUse,
} from "../../../footprint/hardware-use.ts";
import { placeIntensities } from "../../../footprint/intensity-place.ts";
import { resolveIntensity } from "../../../footprint/intensity-resolve.ts";
import { SECONDS_PER_HOUR } from "../../../quantity/convert.ts";
import { parseQuantity } from "../../../quantity/parse-quantity.ts";
import { asksForSeries, intensityPorts, periodOf, sourceOf } from "../../intensity-options.ts";
import { fromOption, givenEnergy, givenFactors, givenLife, givenUse, type FootprintFlags } from "./input.ts";

/**
 * What the options ask to assess.
 *
 * @throws LightfootError E_USAGE for options that are missing, malformed or pointless; what places, hardware and series throw
 */
export async function footprintRequest(
  flags: FootprintFlags,
  world: { readonly thisYear: number; readonly signal: AbortSignal },
): Promise<FootprintInput> {
  refusePointless(flags);
  const period = periodOf(flags);
  const seconds = usedSeconds(flags, period);
  const hardware = flags.hardware === undefined ? undefined : hardwareUse(flags.hardware, seconds);
  const energy = givenEnergy(flags) ?? (hardware === undefined ? undefined : energyOfHardware(hardware));
  if (energy === undefined) {
    throw new LightfootError("E_USAGE", "no energy was given, and no hardware whose energy could be modelled", {
      hint: "Add --energy 12.5kWh, or --hardware nvidia-h100-sxm5-80gb:8 --hours 3.",
    });
  }
  const place = flags.where === undefined ? undefined : placeOf(flags.where, flags);
  const parts = givenParts(flags, hardware);
  const given = givenFactors(flags);
  return {
    ...given,
    energy,
    place,
    over: await intensityOver(flags, period, place, world.signal),
    period,
    embodied:
      parts === undefined || parts.length === 0
        ? undefined
        : { parts, usedSeconds: seconds, lifetime: givenLife(flags), useFraction: givenUse(flags) },
    unknown:
      hardware === undefined || parts !== undefined
        ? []
        : [{ what: "embodied", why: `nobody published what making ${hardware.device.id} emits, nor its parts` }],
    devices: hardware === undefined ? undefined : { count: hardware.count, seconds: hardware.seconds },
    prices: {
      ...given.prices,
      deviceHour:
        given.prices?.deviceHour ??
        (hardware === undefined ? undefined : deviceHourPrice(hardware.device.id, place?.provider, world.thisYear)),
    },
    thisYear: world.thisYear,
  };
}

const DEVICES = ["--hardware"];
const HARDWARE = ["--hardware", "--part"];
const TIMED = ["--series", "--electricity-maps", "--watttime"];

/** Options that say something about another one, by that other one: alone they would change nothing. */
const NEEDS: readonly (readonly [option: string, key: keyof FootprintFlags, needs: readonly string[]])[] = [
  ["--hours", "hours", HARDWARE],
  ["--life", "life", HARDWARE],
  ["--use", "use", HARDWARE],
  ["--gpu-hour-price", "gpuHourPrice", DEVICES],
  ["--kind", "kind", ["--where", "--intensity", ...TIMED]],
  ["--scope", "scope", ["--where", "--intensity", ...TIMED]],
  ["--series-unit", "seriesUnit", ["--series"]],
  ["--series-column", "seriesColumn", ["--series"]],
  ["--series-step", "seriesStep", ["--series"]],
  ["--time-zone", "timeZone", ["--from", "--series"]],
  ["--grid-zone", "gridZone", TIMED],
  ["--offline", "offline", ["--electricity-maps", "--watttime"]],
];

const KEY_OF: Readonly<Record<string, keyof FootprintFlags>> = {
  "--hardware": "hardware",
  "--part": "part",
  "--where": "where",
  "--intensity": "intensity",
  "--series": "series",
  "--electricity-maps": "electricityMaps",
  "--watttime": "watttime",
  "--from": "from",
};

/** @throws LightfootError E_USAGE for an option that would be read and ignored */
function refusePointless(flags: FootprintFlags): void {
  for (const [option, key, needs] of NEEDS) {
    if (flags[key] === undefined || needs.some((other) => flags[KEY_OF[other]] !== undefined)) continue;
    throw new LightfootError("E_USAGE", `${option} changes nothing without ${needs.join(" or ")}`, {
      hint: `Add ${needs[0]}, or leave ${option} out.`,
    });
  }
}

/** The place, with the intensities that `--kind` and `--scope` ask for first. */
function placeOf(where: string, flags: FootprintFlags): Place {
  const place = findPlace(where);
  // With an intensity or a series of the user's own, these options are about that one.
  if (flags.intensity !== undefined || asksForSeries(flags)) return place;
  const { kind, scope } = flags;
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
    { ...period, ...source, place: place === undefined ? undefined : placeIntensities(place) },
    await intensityPorts(signal),
  );
  const isPlaces = source.file === undefined && source.publisher === undefined;
  const [first] = isPlaces ? (place?.intensities ?? []) : [];
  return { series, fallback, basis: first?.basis, licence: first?.licence };
}

/** How long hardware was reserved; 0 without any. */
function usedSeconds({ hardware, part, hours }: FootprintFlags, period: Period | undefined): number {
  if (hours !== undefined) return fromOption("--hours", () => parseHours(hours)) * SECONDS_PER_HOUR;
  if (hardware === undefined && part === undefined) return 0;
  if (period !== undefined) return period.toSeconds - period.fromSeconds;
  // The device is looked up first: an unknown one is the better complaint.
  if (hardware !== undefined) hardwareUse(hardware, 0);
  throw new LightfootError("E_USAGE", "how long the hardware was used is missing", {
    hint: "Add --hours 3, or --from and --to.",
  });
}

/** The devices' making and that of the parts named; undefined where the devices' is not known. */
function givenParts({ part = [] }: FootprintFlags, hardware: HardwareUse | undefined): EmbodiedPart[] | undefined {
  const named = part.map((text) => fromOption("--part", () => parsePart(text)));
  const hasServer = named.some(({ name }) => name === "server");
  const devices = hardware === undefined ? [] : embodiedPartsOf(hardware, hasServer);
  return devices && [...devices, ...named];
}

function parsePart(text: string): EmbodiedPart {
  const match = /^\s*([a-z]+)\s*=\s*([\d.]+(?:e[+-]?\d+)?)\s*(GB|TB)?\s*$/i.exec(text);
  const kind = PART_KINDS.find((name) => name === match?.[1]);
  const amount = Number(match?.[2]);
  const unit = match?.[3]?.toUpperCase();
  const fits = kind === "server" ? unit === undefined : unit !== undefined;
  if (kind === undefined || !fits || !Number.isFinite(amount)) {
    throw new LightfootError("E_USAGE", `--part is '${text}', expected a kind and an amount`, {
      hint: "Write server=1 (or a share, server=0.25), memory=512GB, ssd=4TB or hdd=8TB.",
    });
  }
  return embodiedPart(kind, unit === "TB" ? amount * 1000 : amount);
}

/** `3`, `3h`, `90min`: the option's name says hours, so that a bare number has its unit. */
function parseHours(text: string): number {
  const isBare = /^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(text.trim());
  return parseQuantity(isBare ? `${text.trim()}h` : text, "duration", "--hours") / SECONDS_PER_HOUR;
}
