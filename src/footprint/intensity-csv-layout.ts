// Which column of an intensity file is what, from its header; may depend on errors, quantity and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Assumption } from "../quantity/figure.ts";
import { ELECTRICITY_MAPS_BAND, WATTTIME_BAND, type IntensityKind, type IntensityScope } from "./intensity-series.ts";
import { intensityUnit, type IntensityUnit } from "./intensity-unit.ts";

/** Columns by index from 0, and what their names say. */
export interface CsvLayout {
  readonly width: number;
  readonly time: number;
  readonly end?: number;
  readonly value: number;
  readonly valueName: string;
  readonly valueUnit?: IntensityUnit;
  readonly unit?: number;
  readonly zone?: number;
  readonly zoneName?: string;
  readonly estimated?: number;
  /** Zone of local stamps when the header says one: `Datetime (UTC)`. */
  readonly timeZone?: string;
  readonly publisher?: string;
  /** Interval of a known publisher's values, as factors; other files are taken as declared. */
  readonly band?: readonly [low: number, high: number];
  readonly kind?: IntensityKind;
  readonly scope?: IntensityScope;
  readonly assumptions: readonly Assumption[];
}

interface Wanted {
  readonly unit?: string;
  readonly column?: string;
  readonly scope?: IntensityScope;
}

const TIME =
  /^(date[ _]?time|time[ _]?stamp|point[ _]?time|time|date|start|from|(period|interval)[ _]?(start|from|begin)|start[ _]?(time|date)|utc[ _]?time)\b/i;
const END = /^(end|to|until|(period|interval)[ _]?(end|to)|end[ _]?(time|date))\b/i;
const ZONE = /^(zone[ _]?(id|key)|zone|region)$/i;
const ESTIMATED = /^(data[ _]estimated|is[ _]?estimated|estimated|imputed[ _]data[ _]used)$/i;
const EM_VALUE = /^carbon intensity .*\((direct|lca|life ?cycle.*)\)$/i;

/**
 * Finds the columns.
 *
 * @throws LightfootError E_SERIES when there is no time column or no value column, or several that could be it; E_UNIT for an
 *   unknown unit that was asked for
 */
export function csvLayout(header: readonly string[], wanted: Wanted, file: string): CsvLayout {
  const names = header.map((name) => name.trim());
  const find = (pattern: RegExp): number | undefined => {
    const at = names.findIndex((name) => pattern.test(name.replaceAll("_", " ")));
    return at < 0 ? undefined : at;
  };
  const where = { file, line: 1 };
  const time = find(TIME);
  if (time === undefined) {
    throw new LightfootError("E_SERIES", `no column of the header is a time: ${list(names)}`, {
      where,
      hint: "Call it timestamp; the first line must be a header such as: timestamp,gCO2e/kWh",
    });
  }
  const common = {
    width: names.length,
    time,
    end: find(END),
    zone: find(ZONE),
    estimated: find(ESTIMATED),
    unit: find(/^units?$/i),
    ...(/\b(utc|gmt)\b/i.test(names[time].replaceAll("_", " ")) ? { timeZone: "UTC" } : {}),
  };
  const givenUnit = wanted.unit === undefined ? undefined : knownUnit(wanted.unit);
  const special = electricityMaps(names, wanted, file) ?? wattTime(names, file, givenUnit);
  const own = special ?? generic(names, wanted, common, file);
  const valueUnit = givenUnit ?? own.valueUnit ?? intensityUnit(names[own.value]);
  return {
    ...common,
    ...own,
    ...(givenUnit === undefined ? {} : { unit: undefined }),
    valueName: names[own.value],
    valueUnit,
  };
}

type Found = Pick<CsvLayout, "value" | "assumptions"> & Partial<CsvLayout>;

function knownUnit(text: string): IntensityUnit {
  const unit = intensityUnit(text);
  if (unit !== undefined) return unit;
  throw new LightfootError("E_UNIT", `'${text}' is no unit of carbon intensity`, {
    hint: "Expected mass per energy, e.g. gCO2e/kWh, kg/MWh, lb/MWh. A 'ton' may be short, long or metric: write t for 1,000 kg.",
  });
}

/** Electricity Maps' data portal gives both direct and life-cycle columns, hourly to yearly, in UTC. */
function electricityMaps(names: readonly string[], wanted: Wanted, file: string): Found | undefined {
  if (!names.some((name) => EM_VALUE.test(name)) || wanted.column !== undefined) return undefined;
  const scope = wanted.scope ?? "life-cycle";
  const pattern = scope === "direct" ? /\(direct\)$/i : /\((lca|life ?cycle.*)\)$/i;
  const value = names.findIndex((name) => EM_VALUE.test(name) && pattern.test(name));
  if (value < 0 || (scope !== "direct" && scope !== "life-cycle")) {
    throw new LightfootError(
      "E_SERIES",
      `the file has no ${scope} intensity: ${list(names.filter((name) => EM_VALUE.test(name)))}`,
      {
        where: { file, line: 1 },
        hint: "Choose --scope life-cycle or --scope direct.",
      },
    );
  }
  return {
    value,
    publisher: "Electricity Maps, ODbL 1.0",
    band: ELECTRICITY_MAPS_BAND,
    kind: "average",
    scope,
    assumptions: [],
  };
}

/** WattTime's client writes `point_time,value`, its older archives `timestamp,MOER,…`; neither header has a unit. */
function wattTime(names: readonly string[], file: string, givenUnit: IntensityUnit | undefined): Found | undefined {
  const moer = names.findIndex((name) => /^moer$/i.test(name));
  const isClient = names.some((name) => /^point[ _]time$/i.test(name));
  const value = moer >= 0 ? moer : names.findIndex((name) => /^value$/i.test(name));
  if (value < 0 || (moer < 0 && !isClient)) return undefined;
  // The client names its files CAISO_NORTH_co2_moer_2026-01-01_2026-01-31.csv.
  const signal = moer >= 0 ? ["", "", "moer"] : /([^/\\]*?)_?(?:co2_)(moer|aoer)/i.exec(file);
  if (signal === null) return { value, publisher: "WattTime", band: WATTTIME_BAND, assumptions: [] };
  const isMarginal = signal[2]?.toLowerCase() === "moer";
  return {
    value,
    band: WATTTIME_BAND,
    publisher: `WattTime ${isMarginal ? "MOER" : "AOER"}`,
    kind: isMarginal ? "marginal" : "average",
    scope: "direct CO2 only",
    ...(signal[1] === undefined || signal[1] === "" ? {} : { zoneName: signal[1] }),
    ...(givenUnit !== undefined
      ? { assumptions: [] }
      : {
          valueUnit: intensityUnit("lb/MWh"),
          assumptions: [
            {
              key: "intensity-series.watttime-unit",
              text: "the file's header names no unit; its columns or name are WattTime's, whose CO2 rates are in lb/MWh",
            },
          ],
        }),
  };
}

function generic(
  names: readonly string[],
  wanted: Wanted,
  common: Pick<CsvLayout, "time" | "end" | "zone" | "estimated" | "unit">,
  file: string,
): Found {
  const where = { file, line: 1 };
  const taken = new Set(Object.values(common));
  const others = names.flatMap((name, at) => (taken.has(at) ? [] : [{ name, at }]));
  if (wanted.column !== undefined) {
    const at = names.indexOf(wanted.column);
    if (at >= 0) return { value: at, assumptions: [] };
    throw new LightfootError("E_SERIES", `there is no column '${wanted.column}', the header has ${list(names)}`, {
      where,
    });
  }
  const withUnit = others.filter(({ name }) => intensityUnit(name) !== undefined);
  const named = others.filter(({ name }) => /intensity|moer|aoer|co2|carbon/i.test(name));
  const candidates = [withUnit, named, others].find((list_) => list_.length > 0) ?? [];
  if (candidates.length === 1) return { value: candidates[0].at, assumptions: [] };
  const [message, hint] =
    candidates.length === 0
      ? [
          "the header has a time and nothing else",
          "The second column holds the intensity, its unit in the header: timestamp,gCO2e/kWh",
        ]
      : [
          `several columns could be the intensity: ${list(candidates.map(({ name }) => name))}`,
          "Choose one with --series-column.",
        ];
  throw new LightfootError("E_SERIES", message, { where, hint });
}

const list = (names: readonly string[]): string =>
  names
    .slice(0, 8)
    .map((name) => `'${printable(name)}'`)
    .join(", ") + (names.length > 8 ? ", …" : "");

/** The start of a cell for a message; what would move the cursor or ring the bell is shown as a box. */
export const printable = (cell: string): string => cell.slice(0, 40).replaceAll(/[\p{C}\u2028\u2029]/gu, "\uFFFD");
