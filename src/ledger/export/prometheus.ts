// Runs in Prometheus' text format, version 0.0.4; may depend on its folder.
import type { DomainTelemetry, RunTelemetry } from "./telemetry.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** Label sets with values; none where nothing is known, which is not 0. */
  readonly read: (run: RunTelemetry) => readonly (readonly [labels: Labels, value: number])[];
}
type Labels = Readonly<Record<string, string>>;

const ofRun = (run: RunTelemetry, more: Labels = {}): Labels => ({ run: run.run, host: run.host, ...more });

const ofDomains = (run: RunTelemetry, read: (domain: DomainTelemetry) => number | null): [Labels, number][] =>
  run.domains.flatMap((domain) => {
    const value = read(domain);
    if (value === null) return [];
    const { id, label, kind, device = "", method, countsTowardsTotal } = domain;
    return [[ofRun(run, { domain: id, label, kind, device, method, in_total: String(countsTowardsTotal) }), value]];
  });

const ofTotal = (run: RunTelemetry, total: RunTelemetry["energy"], more: Labels = {}): [Labels, number][] =>
  total === null ? [] : [[ofRun(run, { method: total.method, ...more }), total.value]];

/** Every metric, in base units as Prometheus asks; the dashboard and its test read the names from here. */
export const PROMETHEUS_METRICS: readonly Metric[] = [
  {
    name: "lightfoot_run_info",
    type: "gauge",
    help: "A run: what it is about. Always 1.",
    read: (run) => [[ofRun(run, { verb: run.verb, title: run.title, version: run.version }), 1]],
  },
  {
    name: "lightfoot_run_elapsed_seconds",
    type: "gauge",
    help: "Time since the run began, by a steady clock.",
    read: (run) => [[ofRun(run), run.elapsedSeconds]],
  },
  {
    name: "lightfoot_run_energy_joules_total",
    type: "counter",
    help: "Energy the run is charged with; method says how it is known.",
    read: (run) => ofTotal(run, run.energy),
  },
  {
    name: "lightfoot_run_emissions_grams_total",
    type: "counter",
    help: "Emissions of the run, grams CO2e.",
    read: (run) => ofTotal(run, run.emissions),
  },
  {
    name: "lightfoot_run_water_liters_total",
    type: "counter",
    help: "Water consumption of the run.",
    read: (run) => ofTotal(run, run.water),
  },
  {
    name: "lightfoot_run_money_total",
    type: "counter",
    help: "Cost of the run's electricity or machine time, in the currency of the label.",
    read: (run) => (run.money === null ? [] : ofTotal(run, run.money, { currency: run.money.currency })),
  },
  {
    name: "lightfoot_domain_energy_joules_total",
    type: "counter",
    help: "Energy of one counter, sensor or model since the run began. Add up only those with in_total=true.",
    read: (run) => ofDomains(run, ({ energyJoules }) => energyJoules),
  },
  {
    name: "lightfoot_domain_power_watts",
    type: "gauge",
    help: "Mean power of one domain over its last interval.",
    read: (run) => ofDomains(run, ({ powerWatts }) => powerWatts),
  },
  {
    name: "lightfoot_domain_gap_seconds_total",
    type: "counter",
    help: "Time of which nothing is known about a domain: its energy is too low by what was used then.",
    read: (run) => ofDomains(run, ({ gapSeconds }) => gapSeconds),
  },
];

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"').replaceAll("\r", "\\r");

/** The body of a scrape. @example formatPrometheus([telemetry]) for one live run */
export function formatPrometheus(runs: readonly RunTelemetry[]): string {
  const lines = PROMETHEUS_METRICS.flatMap(({ name, type, help, read }) => {
    const series = runs.flatMap(read);
    if (series.length === 0) return [];
    return [
      `# HELP ${name} ${escapeHelp(help)}`,
      `# TYPE ${name} ${type}`,
      ...series.map(([labels, value]) => {
        const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
        return `${name}{${pairs.join(",")}} ${value}`;
      }),
    ];
  });
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
