// `lightfoot doctor`: which energy sources work here and how to make the others work, and `doctor model` below it; may depend on this room, meter, quantity and errors.
import { InvalidArgumentError, type Command } from "commander";
import type { DoctorReport } from "../../meter/doctor-schema.ts";
import { formatFigure, formatNumber } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { addDefaultCommand } from "../default-command.ts";
import { withExamples } from "../help.ts";
import { onStdout } from "../output.ts";
import { addModelDoctor } from "./doctor-model.ts";
import { formatTable } from "../terminal-table.ts";
import { wrapText } from "../wrap-text.ts";

interface DoctorFlags {
  readonly sysRoot?: string;
  readonly procRoot?: string;
  readonly rackMeter?: string;
  readonly seconds?: number;
}

/** Adds the verb `doctor` to the program. */
export function registerDoctor(program: Command): void {
  const verb = program
    .command("doctor")
    .description("which energy sources work here, and the least that makes the others work");
  addDefaultCommand(verb, "machine", "Without a sub-command doctor looks at this machine.")
    .option("--sys-root <folder>", "where /sys is mounted, e.g. /host/sys in a container")
    .option("--proc-root <folder>", "where /proc is mounted, e.g. /host/proc")
    .option("--rack-meter <where>", "a meter of this whole machine: a file, an HTTP address, a Prometheus query")
    .option("--seconds <n>", "how long to watch the counters (default: 1)", positive)
    .action(runAction(doctor));
  addModelDoctor(verb);
  withExamples(verb, [
    ["lightfoot doctor", "this machine"],
    ["lightfoot doctor --sys-root /host/sys --proc-root /host/proc", "in a container that mounts the host's trees"],
    [
      "lightfoot doctor --rack-meter 'http://pdu/metrics#metric=outlet_power_watts'",
      "with a power strip that speaks Prometheus",
    ],
    ["lightfoot doctor --json", "for a program"],
    ["lightfoot doctor model model_q4.onnx", "a model from elsewhere instead of this machine: what makes it slow"],
  ]);
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 3600) return value;
  throw new InvalidArgumentError("Expected seconds, more than 0 and at most 3600.");
}

async function doctor(context: ActionContext, flags: DoctorFlags): Promise<void> {
  const { examineSources } = await import("../../meter/doctor.ts");
  context.progress.phase("Looking for energy sources");
  const report = await examineSources({ ...flags, signal: context.signal });
  context.result(report, () => describe(report, context.columns), report.assumptions);
}

function describe(report: DoctorReport, columns: number): string {
  const { machine, power, sources, problems } = report;
  const name = machine.processor === "" ? "a processor without a name" : machine.processor;
  const facts: [string, string][] = [
    [
      "machine",
      `${name}${machine.isVirtual ? " (virtual)" : ""}, ${machine.logicalCpuCount} threads, ${formatNumber(machine.memoryBytes, "B", 3)}`,
    ],
    ["energy", conclusion(report)],
    ["power now", power === null || isStill(report) ? "unknown" : `${formatFigure(power)}, ${power.method}`],
  ];
  const lines = facts.flatMap(([title, value]) => wrapText(`${title.padEnd(9)}  ${value}`, columns, " ".repeat(11)));
  lines.push("", domainTable(sources, columns));
  const reasons = sources
    .flatMap(({ domains }) => domains)
    .filter(({ why, trouble }) => (why ?? trouble) !== undefined);
  if (reasons.length > 0) lines.push("", ...reasons.flatMap((domain) => note(domain, columns)));
  if (problems.length > 0)
    lines.push("", "Not available:", ...problems.flatMap((problem) => problemLines(problem, columns)));
  return lines.join("\n");
}

/** Counters that can be read and do not move say nothing about power. */
const isStill = ({ sources, method }: Pick<DoctorReport, "sources" | "method">): boolean =>
  method === "measured" &&
  sources.every(({ domains }) => domains.every((domain) => !domain.countsTowardsTotal || domain.state !== "works"));

/** The one sentence somebody runs doctor for. */
function conclusion({ sources, method }: DoctorReport): string {
  const counting = sources.flatMap(({ domains }) => domains).filter((domain) => domain.countsTowardsTotal);
  const names = counting.map(({ label }) => label);
  const shown = names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
  if (method === null) return "nothing can be read or modelled here";
  if (isStill({ sources, method }))
    return `the counters of ${shown} can be read and did not move: frozen, or made for another machine`;
  if (method === "measured") return `measured: ${shown}`;
  const isMixed = counting.some((domain) => domain.method === "measured");
  return isMixed
    ? `measured in part, the rest ${method}: ${shown}`
    : `${method}, because no counter can be read: ${shown}`;
}

const STATE_SIGNS = { works: "●", still: "◌", trouble: "✗" } as const;

function domainTable(sources: DoctorReport["sources"], columns: number): string {
  const rows = sources.flatMap(({ domains }) =>
    domains.map((domain) => [
      `${STATE_SIGNS[domain.state]} ${domain.label}`,
      domain.kind,
      domain.method,
      domain.power === undefined ? domain.state : formatFigure(domain.power),
      domain.countsTowardsTotal ? "yes" : "no",
    ]),
  );
  const head = [
    { title: "domain" },
    { title: "kind" },
    { title: "method" },
    { title: "power", align: "right" as const },
    { title: "counts" },
  ];
  return formatTable(head, rows, columns);
}

type DoctorDomain = DoctorReport["sources"][number]["domains"][number];

function note({ label, why, trouble, state }: DoctorDomain, columns: number): string[] {
  const text = [why, state === "works" ? undefined : trouble].filter((part) => part !== undefined).join("; ");
  return text === "" ? [] : wrapText(`${label}: ${text}.`, columns, "  ");
}

function problemLines(
  { source, code, message, remedies }: DoctorReport["problems"][number],
  columns: number,
): string[] {
  return [
    ...wrapText(
      `  ${code === "absent" || code === "not-configured" ? "○" : "✗"} ${source}: ${message}`,
      columns,
      "    ",
    ),
    ...remedies.flatMap(({ what, command }) => [
      ...wrapText(`    → ${what}${command === undefined ? "." : ":"}`, columns, "      "),
      // A command is never wrapped: it is there to be copied.
      ...(command === undefined ? [] : command.split("\n").map((line) => `      ${onStdout("cyan", line)}`)),
    ]),
  ];
}
