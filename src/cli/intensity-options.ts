// Options that name an intensity over time (a file, Electricity Maps, WattTime) and what they ask for; may depend on this room, footprint, io, errors.
import { InvalidArgumentError, Option, type Command } from "commander";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { IntensityPublisher } from "../footprint/intensity-publisher.ts";
import type { IntensityPorts, IntensityRequest } from "../footprint/intensity-resolve.ts";
import type { IntensityKind, IntensityScope } from "../footprint/intensity-series.ts";
import { localClock, parseStamp } from "../footprint/intensity-time.ts";

/** As commander gives them; verbs extend their own flags with these. */
export interface IntensityFlags {
  readonly from?: string;
  readonly to?: string;
  readonly series?: string;
  readonly seriesUnit?: string;
  readonly seriesColumn?: string;
  readonly seriesStep?: number;
  readonly timeZone?: string;
  readonly gridZone?: string;
  readonly scope?: IntensityScope;
  readonly kind?: IntensityKind;
  /** A zone, or true for the place's own. */
  readonly electricityMaps?: string | true;
  readonly watttime?: string | true;
  readonly offline?: boolean;
}

const STEPS: Readonly<Record<string, number>> = {
  hour: 3600,
  day: 86_400,
  month: 31 * 86_400,
  year: 365 * 86_400,
};

/** Adds the options that every verb with carbon shares. */
export function addIntensityOptions(command: Command): Command {
  return command
    .option("--from <time>", "when the energy began to be used, e.g. 2026-11-24T08:00Z")
    .option("--to <time>", "when it ended")
    .option("--series <file>", "CSV of grid intensity over time: Electricity Maps, WattTime, or timestamp,gCO2e/kWh")
    .option("--series-unit <unit>", "unit of the series where its header says none, e.g. lb/MWh")
    .option("--series-column <name>", "column of the series where several could be it")
    .option("--series-step <step>", "hour, day, month, year or seconds, for a series of one row", parseStep)
    .option("--time-zone <zone>", "zone of times without an offset: UTC, +02:00, Europe/Berlin")
    .option("--grid-zone <zone>", "zone of the grid where a file holds several or a publisher needs another name")
    .addOption(
      new Option("--scope <what>", "what the intensity counts: life-cycle, direct or direct-co2").argParser(parseScope),
    )
    .addOption(new Option("--kind <kind>", "what the intensity is").choices(["average", "marginal"]))
    .option("--electricity-maps [zone]", "hourly averages from the Electricity Maps API (ELECTRICITY_MAPS_TOKEN)")
    .option("--watttime [region]", "marginal rates from the WattTime API (WATTTIME_USER, WATTTIME_PASSWORD)")
    .option("--offline", "ask no publisher; take what the cache has");
}

const SCOPES: Readonly<Record<string, IntensityScope>> = {
  "life-cycle": "life-cycle",
  direct: "direct",
  "direct-co2": "direct CO2 only",
};

function parseScope(text: string): IntensityScope {
  const scope = Object.hasOwn(SCOPES, text) ? SCOPES[text] : undefined;
  if (scope !== undefined) return scope;
  throw new InvalidArgumentError(`Expected ${Object.keys(SCOPES).join(", ")}.`);
}

function parseStep(text: string): number {
  const seconds = Object.hasOwn(STEPS, text) ? STEPS[text] : Number(text);
  if (seconds !== undefined && seconds > 0 && Number.isFinite(seconds)) return seconds;
  throw new InvalidArgumentError("Expected hour, day, month, year or a number of seconds.");
}

/** Whether the flags ask for an intensity that changes over time. */
export const asksForSeries = (flags: IntensityFlags): boolean =>
  flags.series !== undefined || flags.electricityMaps !== undefined || flags.watttime !== undefined;

/**
 * When the energy was used; undefined when neither end is given.
 *
 * @throws LightfootError E_USAGE when one end is missing, is no time, or they are the wrong way round
 */
export function periodOf(flags: IntensityFlags): { fromSeconds: number; toSeconds: number } | undefined {
  if (flags.from === undefined && flags.to === undefined) return undefined;
  if (flags.from === undefined || flags.to === undefined) {
    throw new LightfootError(
      "E_USAGE",
      `--${flags.from === undefined ? "to" : "from"} was given without its other end`,
      {
        hint: "Give both --from and --to.",
      },
    );
  }
  const fromSeconds = instantOf(flags.from, "--from", flags.timeZone);
  const toSeconds = instantOf(flags.to, "--to", flags.timeZone);
  if (toSeconds > fromSeconds) return { fromSeconds, toSeconds };
  const relation = toSeconds === fromSeconds ? "is the same time as" : "lies before";
  throw new LightfootError("E_USAGE", `--to ${flags.to} ${relation} --from ${flags.from}`);
}

function instantOf(text: string, name: string, timeZone: string | undefined): number {
  const stamp = parseStamp(text.trim());
  if (stamp === undefined) {
    throw new LightfootError("E_USAGE", `${name} is '${text}', expected a time such as 2026-11-24T08:00Z`);
  }
  if (stamp.kind === "instant") return stamp.seconds;
  if (timeZone === undefined) {
    throw new LightfootError("E_USAGE", `${name} ${text} says no offset from UTC`, {
      hint: `Write ${text.trim()}${text.includes(":") ? "Z" : "T00:00Z"} for UTC, or give --time-zone.`,
    });
  }
  const [instant, again] = localClock(timeZone).instants(stamp.seconds);
  if (again !== undefined) {
    throw new LightfootError("E_USAGE", `${name} ${text} happens twice in ${timeZone}: the clocks go back`, {
      hint: "Write its offset from UTC, e.g. +02:00.",
    });
  }
  if (instant !== undefined) return instant;
  throw new LightfootError("E_USAGE", `${name} ${text} does not exist in ${timeZone}: the clocks skip it`);
}

/**
 * The part of an `IntensityRequest` that the flags ask for.
 *
 * @param placeZone the place's Electricity Maps zone, where `--electricity-maps` names none
 * @throws LightfootError E_USAGE for two sources at once and for what a publisher lacks
 */
export async function sourceOf(
  flags: IntensityFlags,
  placeZone?: string,
): Promise<Pick<IntensityRequest, "file" | "publisher" | "isOffline">> {
  const given = [
    ["--series", flags.series],
    ["--electricity-maps", flags.electricityMaps],
    ["--watttime", flags.watttime],
  ].filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new LightfootError(
      "E_USAGE",
      `${given.map(([name]) => String(name)).join(" and ")} were given, expected one source of intensity`,
    );
  }
  const isOffline = flags.offline === true;
  if (flags.series !== undefined) {
    const {
      seriesUnit: unit,
      seriesColumn: column,
      seriesStep: stepSeconds,
      timeZone,
      gridZone: zone,
      scope,
      kind,
    } = flags;
    return { file: { path: flags.series, unit, column, stepSeconds, timeZone, zone, scope, kind }, isOffline };
  }
  const publisher = await publisherOf(flags, placeZone);
  return publisher === undefined ? {} : { publisher, isOffline };
}

async function publisherOf(
  flags: IntensityFlags,
  placeZone: string | undefined,
): Promise<IntensityPublisher | undefined> {
  if (flags.electricityMaps !== undefined) {
    const zone = typeof flags.electricityMaps === "string" ? flags.electricityMaps : (flags.gridZone ?? placeZone);
    if (zone === undefined) throw missing("--electricity-maps", "a zone", "--electricity-maps DE, or --where");
    if (flags.kind === "marginal") throw wrongKind("Electricity Maps", "averages", "--watttime");
    if (flags.scope === "direct CO2 only" || flags.scope === "undeclared") {
      throw new LightfootError(
        "E_USAGE",
        `Electricity Maps counts life-cycle or direct emissions, not '${flags.scope}'`,
      );
    }
    const { electricityMaps } = await import("../footprint/intensity-electricity-maps.ts");
    const token = fromEnvironment("ELECTRICITY_MAPS_TOKEN", flags.offline === true);
    return electricityMaps({ zone, token, scope: flags.scope, baseUrl: process.env.ELECTRICITY_MAPS_URL });
  }
  if (flags.watttime === undefined) return undefined;
  const region = typeof flags.watttime === "string" ? flags.watttime : flags.gridZone;
  if (region === undefined) throw missing("--watttime", "a region", "--watttime CAISO_NORTH");
  const { wattTime } = await import("../footprint/intensity-watttime.ts");
  return wattTime({
    region,
    user: fromEnvironment("WATTTIME_USER", flags.offline === true),
    password: fromEnvironment("WATTTIME_PASSWORD", flags.offline === true),
    signal: flags.kind === "average" ? "co2_aoer" : "co2_moer",
    baseUrl: process.env.WATTTIME_URL,
  });
}

const missing = (option: string, what: string, example: string): LightfootError =>
  new LightfootError("E_USAGE", `${option} needs ${what}`, { hint: `Type ${example}.` });

const wrongKind = (name: string, has: string, other: string): LightfootError =>
  new LightfootError("E_USAGE", `${name} gives ${has}, found --kind marginal`, { hint: `Marginal rates: ${other}.` });

/** A secret stands in the environment, never on the command line, where every user of the machine can read it. */
function fromEnvironment(name: string, isOffline: boolean): string {
  const value = process.env[name]?.trim() ?? "";
  if (value !== "" || isOffline) return value;
  throw new LightfootError("E_CREDENTIALS", `the environment variable ${name} is not set`, {
    hint: `Set it (export ${name}=…), or give --offline to use the cache alone.`,
  });
}

/** The user's cache, the clock and Ctrl-C. */
export async function intensityPorts(signal: AbortSignal): Promise<IntensityPorts> {
  const { folderCache, userCacheFolder } = await import("../io/cache-folder.ts");
  return { cache: folderCache(userCacheFolder()), nowSeconds: Date.now() / 1000, signal };
}
