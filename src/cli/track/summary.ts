// The summary of a tracked run in plain text; may depend on pipeline, footprint, quantity and this room.
import type { Footprint } from "../../footprint/footprint-schema.ts";
import type { RunDocument } from "../../pipeline/track/run-schema.ts";
import type { Figure } from "../../quantity/figure.ts";
import { formatFigure, formatNumber } from "../../quantity/format.ts";
import { onStderr } from "../output.ts";
import { wrapText } from "../wrap-text.ts";

const withMethod = (part: Figure): string => `${formatFigure(part)}  ${onStderr("dim", part.method)}`;

/** Lines for people, no wider than the terminal. */
export function describeTrackedRun(run: RunDocument, columns: number): string {
  const facts: (readonly [name: string, value: string])[] = [
    ["command", run.command.join(" ").slice(0, Math.max(20, columns - 16))],
    [
      "ended",
      `exit ${run.exitCode}${run.signal === null ? "" : ` (${run.signal})`} after ${formatFigure(run.duration)}`,
    ],
    ["energy", run.energy === null ? "not known: nothing could be read" : `${withMethod(run.energy)}, ${scopeOf(run)}`],
    ...(run.power === null ? [] : [["mean power", formatFigure(run.power)] as const]),
    ...shareLines(run),
    ...footprintLines(run.footprint),
    ...usageLine(run),
    ...run.budgets.map(({ budget, used, unit, exceeded, limit }): readonly [string, string] => [
      "budget",
      `${budget}: ${formatNumber(used, unit)} used, ${percent(used / limit)}${exceeded ? onStderr("red", "  EXCEEDED") : ""}`,
    ]),
    ["read", coverageOf(run)],
    ...notRead(run),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.flatMap(([name, value]) =>
    wrapText(`${onStderr("bold", name.padEnd(width))}  ${value}`, columns, " ".repeat(width + 2)),
  );
  const notes = [...run.assumptions, ...(run.footprint?.assumptions ?? [])];
  const unique = [...new Map(notes.map(({ key, text }) => [key, text]))];
  const assumed = unique.flatMap(([key, text]) =>
    wrapText(`${onStderr("yellow", "○")} ${text} ${onStderr("dim", `[${key}]`)}`, columns - 2, "  "),
  );
  const troubles = run.troubles.flatMap((text) => wrapText(`${onStderr("red", "!")} ${text}`, columns - 2, "  "));
  return [
    ...lines,
    ...(assumed.length === 0 ? [] : ["Assumed:", ...assumed.map((line) => `  ${line}`)]),
    ...troubles.map((line) => `  ${line}`),
    "",
  ].join("\n");
}

function scopeOf({ attribution }: RunDocument): string {
  if (attribution.role === "attribute") return `counted by another rank (${attribution.roleBecause ?? ""})`;
  return { machine: "the whole machine", process: "the command's share", cgroup: "the control group's share" }[
    attribution.scope
  ];
}

/** What each idle policy says, so that nobody takes one of them for the truth. */
function shareLines({ attribution }: RunDocument): (readonly [string, string])[] {
  return (["process", "cgroup"] as const).flatMap((scope) => {
    const shares = attribution[scope];
    if (shares === null) return [];
    const { none, proportional, baseline } = shares;
    const parts = [
      proportional === null ? [] : [`proportional ${formatFigure(proportional)}`],
      none === null ? [] : [`idle to nobody ${formatFigure(none)}`],
      baseline === null ? [] : [`baseline off ${formatFigure(baseline)}`],
    ].flat();
    return [
      [scope === "process" ? "its share" : "group's share", `${parts.join(" · ")}  ${onStderr("dim", "modelled")}`],
    ];
  });
}

function footprintLines(footprint: Footprint | null): (readonly [string, string])[] {
  if (footprint === null) return [];
  const { emissions, water, money } = footprint;
  return [
    ["carbon", withMethod(emissions.locationBased)],
    ["water", withMethod(water.consumption)],
    ...(money.electricity === null ? [] : [["electricity", withMethod(money.electricity)] as const]),
  ];
}

function usageLine({ usage }: RunDocument): (readonly [string, string])[] {
  const { cpu, mostProcesses, mostResidentBytes } = usage;
  if (cpu === null) return [];
  const parts = [
    `${formatNumber(cpu.value, "s", 3)} of processor time`,
    ...(mostProcesses === 0 ? [] : [`${mostProcesses} process${mostProcesses === 1 ? "" : "es"} at most`]),
    ...(mostResidentBytes === 0 ? [] : [`${formatNumber(mostResidentBytes, "B")} of memory`]),
  ];
  return [["used", parts.join(" · ")]];
}

/** Sources that are there and cannot be read; those that this machine does not have are no news. */
function notRead({ problems }: RunDocument): (readonly [string, string])[] {
  const named = problems
    .filter(({ code }) => code === "permission" || code === "broken")
    .map(({ source, message }) => `${source}: ${message}`);
  return named.length === 0 ? [] : [["not read", `${named.join("; ")} (lightfoot doctor says what helps)`]];
}

function coverageOf(run: RunDocument): string {
  const counting = run.domains.filter(({ countsTowardsTotal }) => countsTowardsTotal);
  const names = counting.map(({ label }) => label).join(", ");
  const gaps = run.gaps.length === 0 ? "" : `, ${run.gaps.length} gap${run.gaps.length === 1 ? "" : "s"}`;
  return counting.length === 0
    ? "no source (lightfoot doctor says why)"
    : `${names}; ${percent(run.coverage)} of the time${gaps}`;
}

const percent = (fraction: number): string =>
  `${(fraction * 100).toFixed(fraction >= 0.9995 || fraction === 0 ? 0 : 1)} %`;
