// Holds CodeCarbon's `emissions.csv` against its own columns and against what hardware and grids can be; may depend on its room.
import type { CodeCarbonColumn, CodeCarbonRow } from "../exchange/codecarbon.ts";
import { checkIntensity } from "./check-intensity.ts";
import { checkPlace } from "./check-place.ts";
import { compare, failing, holding, impossible, type Check } from "./check.ts";

// Average power × duration against summed energy: the first and the last sample weigh differently, so short runs differ more.
const SHORT_RUN_SECONDS = 60;
const TOLERANCE_SHORT = 0.5;
const TOLERANCE_LONG = 0.15;
const SUM_TOLERANCE = 1e-4;

// Published estimates of memory power: Boavizta 0.284, Green Algorithms 0.3725, Cloud Carbon Footprint 0.392 W/GB.
const MEMORY_WATTS_PER_GB = { low: 0.284, high: 0.392 };

const NUMERIC = [
  "duration",
  "emissions",
  "emissions_rate",
  "cpu_power",
  "gpu_power",
  "ram_power",
  "cpu_energy",
  "gpu_energy",
  "ram_energy",
  "energy_consumed",
  "water_consumed",
  "ram_total_size",
  "pue",
  "wue",
] as const satisfies readonly CodeCarbonColumn[];

type Numbers = Readonly<Partial<Record<(typeof NUMERIC)[number], number>>>;

const show = (value: number, unit: string): string => `${Number(value.toPrecision(6))} ${unit}`;

function readNumbers(row: CodeCarbonRow): { numbers: Numbers; checks: Check[] } {
  const checks: Check[] = [];
  const numbers: Partial<Record<(typeof NUMERIC)[number], number>> = {};
  for (const name of NUMERIC) {
    const text = row[name];
    if (text === undefined) continue;
    const value = Number(text);
    const input = {
      code: "range" as const,
      where: { line: row.line, path: name },
      message: `${name} is a number of at least 0`,
      stated: text,
    };
    if (Number.isFinite(value) && value >= 0) {
      checks.push(holding(input));
      numbers[name] = value;
    } else checks.push(failing(input));
  }
  return { numbers, checks };
}

function checkSums(n: Numbers, line: number): Check[] {
  const checks: Check[] = [];
  const parts = [n.cpu_energy, n.gpu_energy, n.ram_energy];
  if (n.energy_consumed !== undefined && parts.every((part) => part !== undefined)) {
    const total = parts.reduce((running, part) => running + part, 0);
    checks.push(
      compare({
        code: "sum",
        where: { line, path: "energy_consumed" },
        message: "energy_consumed = cpu_energy + gpu_energy + ram_energy",
        statedValue: n.energy_consumed,
        recomputedValue: total,
        tolerance: SUM_TOLERANCE,
        stated: show(n.energy_consumed, "kWh"),
        recomputed: show(total, "kWh"),
      }),
    );
  }
  if (n.emissions !== undefined && n.emissions_rate !== undefined && n.duration !== undefined && n.duration > 0) {
    checks.push(
      compare({
        code: "arithmetic",
        where: { line, path: "emissions_rate" },
        message: "emissions_rate = emissions / duration (kg/s)",
        statedValue: n.emissions_rate,
        recomputedValue: n.emissions / n.duration,
        tolerance: 0.01,
        stated: show(n.emissions_rate, "kg/s"),
        recomputed: show(n.emissions / n.duration, "kg/s"),
      }),
    );
  }
  return checks;
}

/** Energy of each component against its average power over the run; a spike or a zero shows here. */
function checkPowers(n: Numbers, line: number): Check[] {
  const { duration } = n;
  if (duration === undefined || duration <= 0) return [];
  const tolerance = duration < SHORT_RUN_SECONDS ? TOLERANCE_SHORT : TOLERANCE_LONG;
  return (["cpu", "gpu", "ram"] as const).flatMap((part) => {
    const [watts, kwh] = [n[`${part}_power`], n[`${part}_energy`]];
    if (watts === undefined || kwh === undefined || (watts === 0 && kwh === 0)) return [];
    const expected = (watts * duration) / 3.6e6;
    return compare({
      code: "arithmetic",
      severity: "warning",
      where: { line, path: `${part}_energy` },
      message: `${part}_energy is ${part}_power over the duration`,
      statedValue: kwh,
      recomputedValue: expected,
      tolerance,
      stated: show(kwh, "kWh"),
      recomputed: show(expected, "kWh"),
    });
  });
}

function checkWater(n: Numbers, line: number): Check[] {
  const { water_consumed: litres, wue, energy_consumed: energy, pue = 1 } = n;
  if (litres === undefined || wue === undefined || energy === undefined || wue === 0) return [];
  const expected = (wue * energy) / pue;
  return [
    compare({
      code: "water",
      where: { line, path: "water_consumed" },
      message: "water_consumed = WUE × IT energy (energy_consumed holds PUE, WUE is litres per kWh of IT energy)",
      statedValue: litres,
      recomputedValue: expected,
      tolerance: 0.01,
      stated: show(litres, "L"),
      recomputed: show(expected, "L"),
    }),
  ];
}

function checkPue({ pue }: Numbers, line: number): Check[] {
  if (pue === undefined) return [];
  const where = { line, path: "pue" };
  const stated = String(pue);
  if (pue < 1) return [failing({ code: "pue", where, message: "PUE is at least 1", stated })];
  if (pue > 3)
    return [
      failing({ code: "pue", severity: "warning", where, message: "no known facility has a PUE above 3", stated }),
    ];
  const message = "PUE is 1, the tool's default: the figure leaves out cooling and distribution";
  return [
    pue === 1
      ? failing({ code: "boundary", severity: "note", where, message, stated })
      : holding({ code: "pue", where, message: "PUE is plausible", stated }),
  ];
}

/** Names of the run's place, the most exact first. */
function placesOf(row: CodeCarbonRow): string[] {
  const { cloud_provider: provider, cloud_region: region, country_iso_code: country } = row;
  const cloud = provider !== undefined && region !== undefined ? [`${provider}:${region}`, region] : [];
  return [...cloud, ...(row.region === undefined ? [] : [row.region]), ...(country === undefined ? [] : [country])];
}

function checkCarbon(n: Numbers, row: CodeCarbonRow): Check[] {
  const { line } = row;
  const where = { line, path: "emissions" };
  if (n.energy_consumed === undefined || n.emissions === undefined) return [];
  if (n.energy_consumed === 0) {
    const message = "energy_consumed is 0: nothing was read, which is not the same as nothing used";
    return [failing({ code: "range", where: { line, path: "energy_consumed" }, message, stated: "0 kWh" })];
  }
  const gramsPerKwh = (n.emissions * 1e3) / n.energy_consumed;
  const plausible = checkIntensity({ gramsPerKwh, where });
  if (plausible.some(({ outcome }) => outcome === "fails")) return plausible;
  return [...plausible, ...checkPlace(gramsPerKwh, placesOf(row), where)];
}

/** The memory guess that has dwarfed a GPU on shared hosts, and processors that were modelled as a constant. */
function checkModels(n: Numbers, row: CodeCarbonRow): Check[] {
  const { line } = row;
  const checks: Check[] = [];
  if (n.ram_power !== undefined && n.ram_total_size !== undefined && n.ram_total_size > 0 && n.ram_power > 0) {
    const pue = n.pue ?? 1;
    const range = [MEMORY_WATTS_PER_GB.low, MEMORY_WATTS_PER_GB.high].map((watts) => watts * n.ram_total_size! * pue);
    const input = {
      code: "model" as const,
      severity: "warning" as const,
      where: { line, path: "ram_power" },
      message: "ram_power is a guess from the number of modules, within a factor of 2 of 0.284 to 0.392 W/GB",
      stated: show(n.ram_power, "W"),
      recomputed: `${range.map((watts) => Number(watts.toPrecision(3))).join(" to ")} W`,
    };
    const isFar = n.ram_power > range[1] * 2 || n.ram_power < range[0] / 2;
    checks.push(
      isFar
        ? failing({
            ...input,
            message: `ram_power is a guess that is far from 0.284 to 0.392 W/GB (${show(n.ram_total_size, "GB")})`,
            factor: n.ram_power / range[n.ram_power > range[1] ? 1 : 0],
          })
        : holding(input),
    );
  }
  if (row.tracking_mode === "machine") {
    const message = "tracking_mode is 'machine': everything that ran on the host is in the figure";
    checks.push(failing({ code: "boundary", severity: "note", where: { line, path: "tracking_mode" }, message }));
  }
  if (Number(row.gpu_count ?? 0) > 0 && (n.gpu_energy ?? 0) === 0) {
    const message = `${row.gpu_count} GPU(s) (${row.gpu_model ?? "unnamed"}) and gpu_energy 0: their counter was not read`;
    checks.push(failing({ code: "range", where: { line, path: "gpu_energy" }, message, stated: "0 kWh" }));
  }
  return checks;
}

interface Span {
  readonly row: CodeCarbonRow;
  readonly from: number;
  readonly to: number;
}

/** Whole-machine rows that overlap in time on one host are ranks of one job: summing them counts the machine many times. */
function checkOverlaps(rows: readonly CodeCarbonRow[]): Check[] {
  const spans = rows.flatMap((row): Span[] => {
    const end = Date.parse(row.timestamp ?? "");
    const seconds = Number(row.duration);
    if (row.tracking_mode === "process" || !Number.isFinite(end) || !Number.isFinite(seconds)) return [];
    return [{ row, from: end - seconds * 1e3, to: end }];
  });
  const hostOf = ({ row }: Span): string =>
    [row.os, row.cpu_model, row.cpu_count, row.gpu_model, row.longitude, row.latitude].join("|");
  const sorted = spans.toSorted((left, right) => left.from - right.from);
  const latest = new Map<string, Span>();
  return sorted.flatMap((span) => {
    const before = latest.get(hostOf(span));
    if (before === undefined || before.to < span.to) latest.set(hostOf(span), span);
    if (before === undefined) return [];
    const where = { line: span.row.line, path: "duration" };
    // Timestamps are whole seconds.
    if (span.from >= before.to - 1_000)
      return [
        holding({ code: "double-count", where, message: "the run does not overlap another on the same machine" }),
      ];
    if (before.row.run_id !== undefined && before.row.run_id === span.row.run_id) {
      const message = `the row repeats the run of line ${before.row.line} and its totals go on growing: take the last row, not the sum`;
      return [failing({ code: "double-count", severity: "warning", where, message })];
    }
    const message = `the run overlaps that of line ${before.row.line} on what looks like the same machine: whole-machine figures must not be added`;
    return [failing({ code: "double-count", severity: "warning", where, message })];
  });
}

/**
 * Gives every check that an `emissions.csv` allows to `take`, row by row.
 *
 * @param take gets them as rows: checks of one column come out alike and are told once
 */
export function checkCodeCarbon(
  rows: readonly CodeCarbonRow[],
  take: (checks: readonly Check[], isRow: boolean) => void,
): void {
  const takeRows = (checks: readonly Check[]): void => take(checks, true);
  if (rows.length === 0) {
    take([impossible({ code: "incomplete", where: {}, message: "the file has a header and no run" })], false);
  }
  for (const row of rows) {
    const { numbers, checks } = readNumbers(row);
    takeRows(checks);
    takeRows(checkSums(numbers, row.line));
    takeRows(checkPowers(numbers, row.line));
    takeRows(checkPue(numbers, row.line));
    takeRows(checkWater(numbers, row.line));
    takeRows(checkCarbon(numbers, row));
    takeRows(checkModels(numbers, row));
  }
  takeRows(checkOverlaps(rows));
}
