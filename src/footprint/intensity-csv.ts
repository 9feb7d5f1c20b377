// Intensity series from CSV files: Electricity Maps' and WattTime's exports and plain `timestamp,gCO2e/kWh`; may depend on io, errors, quantity and its room.
import { basename } from "node:path";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { readCsvRows } from "../io/csv.ts";
import type { Assumption } from "../quantity/figure.ts";
import { csvLayout, printable, type CsvLayout } from "./intensity-csv-layout.ts";
import {
  formatInstant,
  intensitySeries,
  type IntensityKind,
  type IntensityScope,
  type IntensitySeries,
} from "./intensity-series.ts";
import { makeSteps, type Reading, type StepFacts } from "./intensity-steps.ts";
import { localClock, parseStamp, type LocalClock } from "./intensity-time.ts";
import { intensityUnit } from "./intensity-unit.ts";

export interface SeriesFileOptions {
  /** Zone of time stamps without an offset: `UTC`, `+02:00`, `Europe/Berlin`. Such stamps are refused without it. */
  readonly timeZone?: string;
  /** Unit of the values where the header does not say: `lb/MWh`, `gCO2e/kWh`. */
  readonly unit?: string;
  /** Header of the column with the intensity where several could be it. */
  readonly column?: string;
  /** Which of Electricity Maps' columns to take; for other files, what their numbers count. */
  readonly scope?: IntensityScope;
  readonly kind?: IntensityKind;
  /** Zone to take where a file holds several. */
  readonly zone?: string;
  /** Length of a step where a single row cannot tell. */
  readonly stepSeconds?: number;
}

export interface SeriesFile {
  readonly series: IntensitySeries;
  readonly facts: StepFacts & { readonly rowCount: number; readonly emptyCount: number; readonly unit: string };
}

const EMPTY = /^(|nan|null|none|na|n\/a|-)$/i;
const DECIMAL_COMMA = /^[+-]?\d+,\d+$/;
const MOST_ROWS = 20_000_000;

/**
 * Reads a series of any step from a CSV file; the delimiter is found by itself.
 *
 * The unit stands in the column's header (`gCO2eq/kWh`, `lb/MWh`, `kg/MWh`, …), in a column `unit`, or in `options.unit`;
 * 1 lb/MWh = 453.59237/1000 g/kWh. Rows may come in any order; a row that repeats another is dropped, rows that
 * contradict each other are refused. Empty values are gaps.
 *
 * @throws LightfootError E_UNIT when no unit is found; E_SERIES with the line for a time stamp that is not ISO 8601 or lacks
 *   both offset and zone, for two values at one instant and for a file with no values; E_RANGE, E_DATA, E_FILE_NOT_FOUND
 * @example (await readIntensityCsv("DE_2025_hourly.csv")).series.kind // "average"
 */
export async function readIntensityCsv(file: string, options: SeriesFileOptions = {}): Promise<SeriesFile> {
  const reader = new RowReader(file, options);
  await readCsvRows(file, {}, (cells, line) => reader.take(cells, line));
  return reader.finish();
}

/** `data of 2026-01-01 to 2026-12-31`, UTC. */
function daysOf({ fromSeconds, toSeconds }: StepFacts): string {
  const [first, last] = [fromSeconds, toSeconds - 1].map((seconds) => formatInstant(seconds).slice(0, 10));
  return `data of ${first === last ? first : `${first} to ${last}`}`;
}

/** A row whose time stamp may still be a local one. */
interface RawRow {
  readonly kind: "instant" | "local";
  readonly seconds: number;
  readonly endSeconds?: number;
  readonly value: number;
  readonly estimated?: boolean;
  readonly line: number;
}

class RowReader {
  readonly #file: string;
  readonly #options: SeriesFileOptions;
  readonly #rows: RawRow[] = [];
  readonly #zones = new Set<string>();
  readonly #units = new Set<string>();
  #layout: CsvLayout | undefined;
  #clock: LocalClock | undefined;
  #emptyCount = 0;

  constructor(file: string, options: SeriesFileOptions) {
    this.#file = file;
    this.#options = options;
    if (options.timeZone !== undefined) this.#clock = localClock(options.timeZone);
  }

  take(cells: readonly string[], line: number): void {
    if (this.#layout === undefined) {
      this.#layout = csvLayout(cells, this.#options, this.#file);
      if (this.#layout.timeZone !== undefined) this.#clock ??= localClock(this.#layout.timeZone);
      return;
    }
    const { time, end, value, zone, unit, estimated } = this.#layout;
    const where = { file: this.#file, line };
    if (this.#rows.length >= MOST_ROWS) throw new LightfootError("E_LIMIT", `more than ${MOST_ROWS} rows`, { where });
    if (cells.length <= Math.max(time, value, zone ?? 0, unit ?? 0, end ?? 0)) {
      throw new LightfootError("E_DATA", `the row has ${cells.length} cells, the first row has ${this.#layout.width}`, {
        where,
      });
    }
    const rowZone = zone === undefined ? undefined : cells[zone].trim();
    if (rowZone !== undefined && this.#options.zone !== undefined && rowZone !== this.#options.zone) return;
    if (rowZone !== undefined) this.#zones.add(rowZone);
    const text = cells[value].trim();
    if (EMPTY.test(text)) {
      this.#emptyCount++;
      return;
    }
    if (unit !== undefined) this.#units.add(cells[unit]?.trim() ?? "");
    const stamp = this.#stamp(cells[time], line, time + 1);
    const until = end === undefined ? undefined : this.#stamp(cells[end], line, end + 1);
    this.#rows.push({
      kind: stamp.kind,
      seconds: stamp.seconds,
      endSeconds: until?.seconds,
      value: this.#number(text, line, value + 1),
      estimated: estimated === undefined ? undefined : /^(true|1|yes)$/i.test(cells[estimated]?.trim() ?? ""),
      line,
    });
  }

  finish(): SeriesFile {
    const layout = this.#layout;
    const where = { file: this.#file };
    if (layout === undefined)
      throw new LightfootError("E_SERIES", "the file is empty, expected a header and rows", { where });
    if (this.#zones.size > 1) {
      const some = [...this.#zones].toSorted().slice(0, 8).map(printable).join(", ");
      throw new LightfootError("E_SERIES", `the file holds ${this.#zones.size} zones (${some}…), expected one`, {
        where,
        hint: "Choose one with --grid-zone.",
      });
    }
    if (this.#rows.length === 0) {
      const asked = this.#options.zone === undefined ? "" : ` for zone ${this.#options.zone}`;
      throw new LightfootError("E_SERIES", `the file has no values${asked}`, { where });
    }
    const unit = this.#unit(layout);
    const readings = this.#readings(unit.gramsPerKwh);
    const { steps, facts } = makeSteps(readings, { file: this.#file, stepSeconds: this.#options.stepSeconds });
    const kind = this.#options.kind ?? layout.kind ?? "average";
    const scope = layout.scope ?? this.#options.scope ?? "undeclared";
    const series = intensitySeries({
      ...steps,
      band: layout.band,
      kind,
      scope,
      zone: [...this.#zones][0] ?? this.#options.zone ?? layout.zoneName,
      vintage: daysOf(facts),
      source: `${layout.publisher ?? "intensity series"} (${basename(this.#file)})`,
      method: layout.publisher === undefined ? "declared" : "modelled",
      assumptions: [...layout.assumptions, ...this.#undeclared(layout, scope)],
      where,
    });
    const counts = { rowCount: this.#rows.length + this.#emptyCount, emptyCount: this.#emptyCount };
    return { series, facts: { ...facts, ...counts, unit: unit.text } };
  }

  #undeclared(layout: CsvLayout, scope: IntensityScope): Assumption[] {
    const name = basename(this.#file);
    const found: Assumption[] = [];
    if (layout.kind === undefined && this.#options.kind === undefined) {
      found.push({ key: "intensity-series.kind", text: `${name} does not say average or marginal; taken as average` });
    }
    if (scope === "undeclared") {
      found.push({
        key: "intensity-series.scope",
        text: `${name} does not say whether it counts life-cycle or direct emissions; taken as it is`,
      });
    }
    return found;
  }

  #unit(layout: CsvLayout): { text: string; gramsPerKwh: number } {
    const where = { file: this.#file };
    const texts = layout.unit === undefined ? [] : [...this.#units];
    if (texts.length > 1) {
      throw new LightfootError(
        "E_UNIT",
        `column 'unit' holds several: ${texts.slice(0, 4).map(printable).join(", ")}`,
        { where },
      );
    }
    const found = texts[0] === undefined ? layout.valueUnit : intensityUnit(texts[0]);
    if (found !== undefined) return found;
    throw new LightfootError(
      "E_UNIT",
      `column '${printable(layout.valueName)}' does not say its unit, expected e.g. gCO2e/kWh in the header`,
      {
        where: { ...where, line: 1, column: layout.value + 1 },
        hint: "Write the unit into the header, or give it: --series-unit lb/MWh (or gCO2e/kWh, kg/MWh, …).",
      },
    );
  }

  #stamp(text: string | undefined, line: number, column: number): { kind: "instant" | "local"; seconds: number } {
    const trimmed = (text ?? "").trim();
    const stamp = parseStamp(trimmed);
    const where = { file: this.#file, line, column };
    if (stamp === undefined) {
      throw new LightfootError(
        "E_SERIES",
        `'${printable(trimmed)}' is no time stamp, expected ISO 8601 such as 2026-01-31T13:00Z`,
        {
          where,
          hint: "Days and months in local order are ambiguous; write year-month-day.",
        },
      );
    }
    if (stamp.kind === "local" && this.#clock === undefined) {
      throw new LightfootError(
        "E_SERIES",
        `'${printable(trimmed)}' says no offset from UTC, and no time zone was given`,
        {
          where,
          hint: "Give --time-zone UTC, +02:00 or Europe/Berlin.",
        },
      );
    }
    return stamp;
  }

  #number(text: string, line: number, column: number): number {
    const value = Number(DECIMAL_COMMA.test(text) ? text.replace(",", ".") : text);
    const where = { file: this.#file, line, column };
    if (Number.isNaN(value)) {
      throw new LightfootError("E_SERIES", `'${printable(text)}' is no number`, { where });
    }
    if (value < 0 || !Number.isFinite(value)) {
      throw new LightfootError("E_RANGE", `an intensity of ${printable(text)} cannot be, expected 0 or more`, {
        where,
      });
    }
    return value;
  }

  /** Rows as readings; local stamps in the file's order or, where the file runs backwards, from its end. */
  #readings(gramsPerKwh: number): Reading[] {
    const rows = this.#rows;
    const isBackwards = rows[0].seconds > rows[rows.length - 1].seconds;
    let last = -Infinity;
    return (isBackwards ? rows.toReversed() : rows).map((row): Reading => {
      const startSeconds = row.kind === "local" ? this.#localInstant(row, last) : row.seconds;
      last = startSeconds;
      // A period's length is the same on any clock but over the hour of change, where the next row's start bounds it.
      const length = row.endSeconds === undefined ? undefined : row.endSeconds - row.seconds;
      if (length !== undefined && !(length > 0)) {
        const where = { file: this.#file, line: row.line };
        throw new LightfootError("E_SERIES", "the row's period ends before it starts", { where });
      }
      return {
        startSeconds,
        endSeconds: length === undefined ? undefined : startSeconds + length,
        gramsPerKwh: row.value * gramsPerKwh,
        estimated: row.estimated,
        line: row.line,
      };
    });
  }

  /** In the hour that autumn repeats, a clock that has not moved on since the row before means the later instant. */
  #localInstant(row: RawRow, last: number): number {
    const clock = this.#clock;
    const instants = clock?.instants(row.seconds) ?? [];
    const chosen = instants.find((candidate) => candidate > last) ?? instants[0];
    if (chosen !== undefined) return chosen;
    throw new LightfootError("E_SERIES", `the clocks of ${clock?.zone} skip this time when summer time begins`, {
      where: { file: this.#file, line: row.line },
      hint: "Check the zone: the file may be in UTC.",
    });
  }
}
