// TimeSync: observations of any length on one regular grid, computed by runs of equal cells instead of one row a second; may depend on errors and its room.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { ratio, show } from "../findings.ts";
import { cellAt, columnOf, numberColumn, type Column, type Observations } from "../observations.ts";
import { configError, findingPlace, numbersOf, placeOf, textOf, type PluginCall, type PluginKind } from "../plugin.ts";
import { parseTimestamp, timeOf } from "../timestamp.ts";

const MAX_SLOTS = 20_000_000;
const SECOND = 1_000;

/** `count` cells of `resolution` seconds from `start`, all of one observation; `isEmpty` fills a gap or an edge. */
interface Run {
  readonly start: number;
  readonly count: number;
  readonly row: number;
  readonly isEmpty: boolean;
}

interface Grid {
  readonly start: number;
  readonly end: number;
  readonly intervalSeconds: number;
  readonly allowPadding: boolean;
  readonly resolutionSeconds: number;
}

/**
 * Splits observations into cells of `upsampling-resolution` seconds, fills gaps with nothing, and sums the cells up to
 * slots of `interval` seconds: by sum, mean or last value, as each parameter's metadata says; undeclared ones become null.
 *
 * What is wrong in the framework: the mean leaves the slot's last cell out of the sum and counts it in the divisor; the
 * cell that starts at `end-time` is kept; a gap of a second or less is not filled, so that later slots start early.
 */
export const timeSync: PluginKind = {
  metadata: {
    inputs: {
      timestamp: {
        unit: "RFC3339",
        description: "when the observation starts",
        "aggregation-method": { time: "none", component: "none" },
      },
      duration: {
        unit: "seconds",
        description: "how long the observation lasts",
        "aggregation-method": { time: "sum", component: "none" },
      },
    },
  },
  run(call) {
    if (call.observations.length === 0) return call.observations;
    const grid = gridOf(call);
    const duration = numbersOf(call, "duration");
    const runs = runsOf(call, grid, duration);
    return resample(call, grid, duration, trim(call, grid, runs));
  },
};

function gridOf(call: PluginCall): Grid {
  const [start, end] = ["start-time", "end-time"].map((key) => {
    const value = call.config[key];
    const time = value instanceof Date ? value.getTime() : parseTimestamp(textOf(call, key));
    if (time === undefined) throw configError(call, `'${key}' is no date`);
    return time;
  });
  if (!(start < end)) throw configError(call, "'start-time' must be before 'end-time'");
  const { interval, "allow-padding": allowPadding, "upsampling-resolution": resolution = 1 } = call.config;
  if (typeof interval !== "number" || !(interval > 0))
    throw configError(call, "'interval' must be more than 0 seconds");
  if (typeof allowPadding !== "boolean") throw configError(call, "'allow-padding' must be true or false");
  if (typeof resolution !== "number" || !(resolution >= 1)) {
    throw configError(call, "'upsampling-resolution' must be at least 1 second");
  }
  if (interval % resolution !== 0) {
    throw configError(call, `'interval' ${interval} is no multiple of 'upsampling-resolution' ${resolution}`);
  }
  return { start, end, intervalSeconds: interval, allowPadding, resolutionSeconds: resolution };
}

function runsOf(call: PluginCall, grid: Grid, duration: Float64Array): Run[] {
  const rows = call.observations.length;
  const times = timesOf(call);
  const step = grid.resolutionSeconds;
  const runs: Run[] = [];
  const fill = (from: number, to: number, row: number): void => {
    const seconds = (to - from) / SECOND;
    if (seconds % step !== 0) {
      throw new LightfootError("E_IMPACT", `${call.name}: a gap of ${seconds} s is no multiple of ${step} s`, {
        where: placeOf(call, row, "timestamp"),
        hint: "Choose an 'upsampling-resolution' that divides every gap.",
      });
    }
    runs.push({ start: from, count: seconds / step, row, isEmpty: true });
  };
  const lastEnd = times[rows - 1] + duration[rows - 1] * SECOND;
  const pads = { start: times[0] > grid.start, end: lastEnd < grid.end };
  if (!grid.allowPadding && (pads.start || pads.end)) {
    const where = pads.start && pads.end ? "start and end" : pads.start ? "start" : "end";
    throw new LightfootError(
      "E_IMPACT",
      `${call.name}: padding is needed at the ${where}, and 'allow-padding' is false`,
      {
        where: placeOf(call, pads.start ? 0 : rows - 1, "timestamp"),
      },
    );
  }
  if (pads.start) fill(grid.start, times[0], 0);
  for (let row = 0; row < rows; row++) {
    if (row > 0 || pads.start) {
      const before = row === 0 ? times[0] : times[row - 1] + duration[row - 1] * SECOND;
      if (before > times[row]) {
        throw new LightfootError("E_IMPACT", `${call.name}: the observation starts before the one above it ends`, {
          where: placeOf(call, row, "timestamp"),
          hint: "Sort the observations by time, and let none overlap another.",
        });
      }
      if (duration[row] % step !== 0) {
        throw new LightfootError("E_IMPACT", `${call.name}: ${duration[row]} s is no multiple of ${step} s`, {
          where: placeOf(call, row, "duration"),
        });
      }
      const gap = times[row] - before;
      if (gap > SECOND) fill(before, times[row], row);
      else if (gap > 0) {
        call.report({
          code: "time-sync-gap",
          severity: "warning",
          message: "a gap of at most a second is not filled: slots are counted in cells, so all later ones start early",
          where: findingPlace(call, row, "timestamp"),
          says: "0 s",
          right: show(gap / SECOND, "s"),
        });
      }
    }
    const count = Math.max(0, Math.floor(duration[row] / step));
    const lost = duration[row] - count * step;
    if (lost > 0) {
      call.report({
        code: "time-sync-part-lost",
        severity: "error",
        message: `${show(lost, "s")} of the observation are below the resolution of ${step} s and are dropped`,
        where: findingPlace(call, row, "duration"),
        says: show(count * step, "s"),
        right: show(duration[row], "s"),
        factor: ratio(count * step, duration[row]),
      });
    }
    runs.push({ start: Math.floor(times[row] / SECOND) * SECOND, count, row, isEmpty: false });
  }
  if (pads.end) fill(lastEnd, grid.end, rows - 1);
  return runs;
}

function timesOf(call: PluginCall): Float64Array {
  const column = call.observations.columns.get("timestamp");
  if (column?.kind === "date") return column.values;
  return Float64Array.from({ length: call.observations.length }, (_, row) => {
    const time = timeOf(cellAt(column, row));
    if (time !== undefined) return time;
    throw new LightfootError("E_IMPACT", `${call.name}: the observation has no 'timestamp' that is a date`, {
      where: placeOf(call, row, "timestamp"),
    });
  });
}

/** Only cells inside the period; the framework keeps the one that starts at its very end, too. */
function trim(call: PluginCall, grid: Grid, runs: readonly Run[]): Run[] {
  const step = grid.resolutionSeconds * SECOND;
  return runs.flatMap((run) => {
    const first = Math.max(0, Math.ceil((grid.start - run.start) / step));
    let last = Math.min(run.count - 1, Math.floor((grid.end - run.start) / step));
    if (last >= first && run.start + last * step === grid.end) {
      if (!run.isEmpty) {
        call.report({
          code: "time-sync-end",
          severity: "error",
          message: `the cell that starts at 'end-time' is kept: the period is ${grid.resolutionSeconds} s longer than asked`,
          where: { path: `initialize.plugins.${call.name}.config.end-time` },
          says: new Date(grid.end + step).toISOString(),
          right: new Date(grid.end).toISOString(),
        });
      }
      if (call.arithmetic === "corrected") last--;
    }
    return last < first ? [] : [{ ...run, start: run.start + first * step, count: last - first + 1 }];
  });
}

function resample(call: PluginCall, grid: Grid, duration: Float64Array, runs: readonly Run[]): Observations {
  const perSlot = grid.intervalSeconds / grid.resolutionSeconds;
  const cells = runs.reduce((sum, { count }) => sum + count, 0);
  const slots = Math.ceil(cells / perSlot);
  if (slots > MAX_SLOTS) throw configError(call, `the grid has ${slots} slots, at most ${MAX_SLOTS} are computed`);
  const sizeOf = (slot: number): number => Math.min(perSlot, cells - slot * perSlot);
  /** Calls back for each part of a run that lies in one slot. */
  const walk = (visit: (slot: number, count: number, run: Run, isLast: boolean, offset: number) => void): void => {
    let at = 0;
    for (const run of runs) {
      let offset = 0;
      while (offset < run.count) {
        const slot = Math.floor(at / perSlot);
        const count = Math.min(run.count - offset, (slot + 1) * perSlot - at);
        visit(slot, count, run, at + count === slot * perSlot + sizeOf(slot), offset);
        at += count;
        offset += count;
      }
    }
  };
  const columns = new Map<string, Column>();
  for (const [name, column] of call.observations.columns) {
    if (name === "timestamp") {
      const texts = Array.from<string>({ length: slots });
      const seen = new Uint8Array(slots);
      walk((slot, _count, run, _isLast, offset) => {
        if (seen[slot] === 1) return;
        seen[slot] = 1;
        const start = Math.floor(run.start / SECOND) * SECOND + offset * grid.resolutionSeconds * SECOND;
        texts[slot] = new Date(start).toISOString();
      });
      columns.set(name, { kind: "any", values: texts });
      continue;
    }
    if (name === "duration") {
      columns.set(
        name,
        numberColumn(Float64Array.from({ length: slots }, (_, k) => sizeOf(k) * grid.resolutionSeconds)),
      );
      continue;
    }
    const method = call.methodOf(name);
    if (method === "none") columns.set(name, { kind: "constant", value: null });
    else if (method === "copy") {
      const values = Array.from<unknown>({ length: slots });
      const empty = emptyValue(call, name, grid);
      walk((slot, _count, run) => {
        values[slot] = run.isEmpty && empty !== 0 ? empty : cellAt(column, run.row);
      });
      columns.set(name, columnOf(values));
    } else columns.set(name, numberColumn(sumUp(call, name, method, { slots, sizeOf, walk, duration, grid })));
  }
  return { length: slots, columns };
}

/** What a cell without an observation holds: nothing, but time is reserved even then. */
const emptyValue = (call: PluginCall, name: string, grid: Grid): number =>
  name === (call.mapping["time-reserved"] ?? "time-reserved") ? grid.resolutionSeconds : 0;

interface Slots {
  readonly slots: number;
  readonly sizeOf: (slot: number) => number;
  readonly walk: (visit: (slot: number, count: number, run: Run, isLast: boolean) => void) => void;
  readonly duration: Float64Array;
  readonly grid: Grid;
}

function sumUp(
  call: PluginCall,
  name: string,
  method: "sum" | "avg",
  { slots, sizeOf, walk, duration, grid }: Slots,
): Float64Array {
  const values = numbersOf(call, name);
  const empty = emptyValue(call, name, grid);
  const sums = new Float64Array(slots);
  /** Sums without each slot's last cell. */
  const allButLast = new Float64Array(slots);
  walk((slot, count, run, isLast) => {
    const whole = run.isEmpty ? empty : values[run.row];
    const cell = method === "sum" && !run.isEmpty ? whole / (duration[run.row] / grid.resolutionSeconds) : whole;
    const before = isLast ? count - 1 : count;
    sums[slot] = addUp(sums[slot], cell, before);
    if (!isLast) return;
    allButLast[slot] = sums[slot];
    sums[slot] += cell;
  });
  if (method === "sum") return sums;
  for (let slot = 0; slot < slots; slot++) {
    const size = sizeOf(slot);
    const right = sums[slot] / size;
    const written = size > 1 ? allButLast[slot] / size : right;
    if (written !== right) {
      call.report({
        code: "time-sync-average",
        severity: "error",
        message: `the mean of '${name}' leaves the slot's last cell out of the sum and counts it in the divisor`,
        where: { path: `initialize.plugins.${call.name} (${name})` },
        says: show(written),
        right: show(right),
        factor: ratio(written, right),
      });
    }
    sums[slot] = call.arithmetic === "corrected" ? right : written;
  }
  return sums;
}

const MAX_ADDITIONS = 100_000;

/** One cell after the other, as the framework adds them, so that the last digit is the same; a product where that would take long. */
function addUp(start: number, cell: number, count: number): number {
  if (count > MAX_ADDITIONS || cell === 0) return start + cell * count;
  let sum = start;
  for (let index = 0; index < count; index++) sum += cell;
  return sum;
}
