// Looks at observations as they were given: timestamps, durations, overlaps, values no meter gives; depends on its room.
import { show, type FindingInput, type FindingSeverity, type Report } from "./findings.ts";
import type { TreeNode } from "./manifest.ts";
import { ABSENT, cellAt, type Column, type Observations } from "./observations.ts";
import { timeOf } from "./timestamp.ts";

/** Amounts that cannot be below zero. */
const AMOUNT = /(^|[/_-])(energy|carbon|power|duration|emissions?|requests|users|water|memory|storage)\b/i;

/** Reports what is doubtful in the inputs of every component. */
export function checkObservations(node: TreeNode, report: Report): void {
  if (node.inputs !== undefined) checkList(node.inputs, `${node.path}.inputs`, report);
  for (const child of node.children?.values() ?? []) checkObservations(child, report);
}

function checkList(list: Observations, path: string, report: Report): void {
  const place = (row: number, key: string): FindingInput["where"] => {
    const line = list.lineOf?.(row);
    return { path: `${path}[${row}].${key}`, ...(line !== undefined && { line }) };
  };
  for (const [name, column] of list.columns) checkNumbers(name, column, list, place, report);
  checkTimes(list, place, report);
}

type PlaceOf = (row: number, key: string) => FindingInput["where"];

function checkNumbers(name: string, column: Column, list: Observations, place: PlaceOf, report: Report): void {
  const isAmount = AMOUNT.test(name);
  const count = column.kind === "constant" ? Math.min(1, list.length) : list.length;
  if (column.kind === "date") return;
  for (let row = 0; row < count; row++) {
    const value = column.kind === "number" ? column.values[row] : cellAt(column, row);
    if (typeof value !== "number") continue;
    if (!Number.isFinite(value)) {
      report({
        code: "not-finite",
        severity: "error",
        message: `'${name}' is no finite number`,
        where: place(row, name),
        says: String(value),
        right: "a number",
      });
    } else if (value < 0 && isAmount) {
      report({
        code: "negative-value",
        severity: "error",
        message: `'${name}' is negative`,
        where: place(row, name),
        says: show(value),
        right: "at least 0",
      });
    } else if (value > 100 && /(^|\/)utilization$/i.test(name)) {
      report({
        code: "implausible-value",
        severity: "warning",
        message: `'${name}' is above 100 %`,
        where: place(row, name),
        says: show(value, "%"),
        right: "0 to 100 %",
      });
    } else if (/carbon-intensity$|grid\/intensity$/i.test(name) && value > 0 && (value < 2 || value > 1_500)) {
      tellIntensity(name, value, place(row, name), report);
    } else if (/(^|[/-])pue$|power-usage-effectiveness$/i.test(name) && (value < 1 || value > 3)) {
      report({
        code: "implausible-value",
        severity: value < 1 ? "error" : "warning",
        message: `'${name}' is facility energy over IT energy: at least 1`,
        where: place(row, name),
        says: show(value),
        right: "1.0 to 3.0",
      });
    }
  }
}

function tellIntensity(name: string, value: number, where: FindingInput["where"], report: Report): void {
  const isKilogram = value < 2 && value * 1_000 >= 10;
  report({
    code: isKilogram ? "unit-slip" : "implausible-value",
    severity: isKilogram ? "error" : "warning",
    message: isKilogram
      ? `'${name}' looks like kg/kWh; carbon and intensity are in grams here`
      : `no grid has this '${name}' (2 to 1,500 gCO2e/kWh)`,
    where,
    says: show(value, "gCO2e/kWh"),
    right: isKilogram ? show(value * 1_000, "gCO2e/kWh") : "2 to 1,500 gCO2e/kWh",
    factor: isKilogram ? 1e-3 : null,
  });
}

function checkTimes(list: Observations, place: PlaceOf, report: Report): void {
  const timestamps = list.columns.get("timestamp");
  const durations = list.columns.get("duration");
  let before = Number.NaN;
  let end = Number.NaN;
  for (let row = 0; row < list.length; row++) {
    const time = timestamps?.kind === "date" ? timestamps.values[row] : timeOf(cellAt(timestamps, row));
    const duration = durations?.kind === "number" ? durations.values[row] : cellAt(durations, row);
    if (typeof duration === "number" && !(duration > 0)) {
      report({
        code: "duration-not-positive",
        severity: "error",
        message: "'duration' is not more than 0 seconds",
        where: place(row, "duration"),
        says: show(duration, "s"),
        right: "more than 0 s",
      });
    }
    if (time === undefined || Number.isNaN(time)) {
      const found = cellAt(timestamps, row);
      report({
        code: "timestamp-missing",
        severity: "warning",
        message: "the observation has no 'timestamp' that is a date",
        where: place(row, "timestamp"),
        says: found === ABSENT ? "missing" : String(found),
        right: "for example 2024-01-31T00:00:00Z",
      });
      continue;
    }
    const tell = (
      code: FindingInput["code"],
      severity: FindingSeverity,
      message: string,
      says: number,
      right: number,
    ) =>
      report({
        code,
        severity,
        message,
        where: place(row, "timestamp"),
        says: iso(says),
        right: `not before ${iso(right)}`,
      });
    if (time === before)
      tell(
        "timestamp-duplicate",
        "warning",
        "two observations in a row have one timestamp: is one counted twice?",
        time,
        end,
      );
    else if (time < before)
      tell("timestamp-order", "note", "the observation is earlier than the one above it", time, before);
    else if (time < end)
      tell(
        "observation-overlap",
        "warning",
        "the observation starts before the one above it ends: is time counted twice?",
        time,
        end,
      );
    before = time;
    end = typeof duration === "number" && duration > 0 ? time + duration * 1_000 : time;
  }
}

const iso = (time: number): string => (Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time));
