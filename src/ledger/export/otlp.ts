// Runs as an OTLP/HTTP metrics request in JSON, by OpenTelemetry's hardware conventions; may depend on its folder.
import { lastAtSeconds, type DomainTelemetry, type RunTelemetry } from "./telemetry.ts";

const attribute = (key: string, text: string) => ({ key, value: { stringValue: text } });
/** OTLP's JSON writes 64-bit integers as text. */
const nanoseconds = (seconds: number): string => (BigInt(Math.round(seconds * 1e6)) * 1000n).toString();

const CUMULATIVE = 2;

/** `hw.type` of a kind of domain; the conventions allow values of one's own where none of theirs fits. */
const HARDWARE_TYPES: Readonly<Record<string, string>> = {
  package: "cpu",
  core: "cpu",
  uncore: "cpu",
  "cpu-model": "cpu",
  dram: "memory",
  "memory-model": "memory",
  gpu: "gpu",
  battery: "battery",
};

/** Kinds that see the whole machine: the conventions keep them apart, so that nobody adds them to its parts. */
const WHOLE_HOST: ReadonlySet<string> = new Set(["node", "psys"]);

/** The body for `POST /v1/metrics`; one resource a run. Domains that another contains are left out, for sums to be right. */
export function formatOtlp(runs: readonly RunTelemetry[]): string {
  return `${JSON.stringify({ resourceMetrics: runs.map(resourceMetrics) }, undefined, 2)}\n`;
}

function resourceMetrics(run: RunTelemetry) {
  const { host, version } = run;
  return {
    resource: {
      attributes: [
        attribute("service.name", "lightfoot"),
        attribute("service.version", version),
        attribute("host.name", host),
        attribute("lightfoot.run", run.run),
        attribute("lightfoot.title", run.title),
      ],
    },
    scopeMetrics: [
      { scope: { name: "lightfoot", version }, metrics: metricsOf(run).filter((metric) => metric !== undefined) },
    ],
  };
}

interface Reading {
  readonly value: number;
  readonly attributes: readonly ReturnType<typeof attribute>[];
}

function metricsOf(run: RunTelemetry) {
  const [startTimeUnixNano, timeUnixNano] = [nanoseconds(run.startedAtSeconds), nanoseconds(lastAtSeconds(run))];
  const counter = (name: string, unit: string, description: string, readings: readonly Reading[]) => {
    if (readings.length === 0) return undefined;
    const dataPoints = readings.map(({ value, attributes }) => ({
      attributes,
      startTimeUnixNano,
      timeUnixNano,
      asDouble: value,
    }));
    return { name, unit, description, sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } };
  };
  const gauge = (name: string, unit: string, description: string, readings: readonly Reading[]) => {
    if (readings.length === 0) return undefined;
    const dataPoints = readings.map(({ value, attributes }) => ({ attributes, timeUnixNano, asDouble: value }));
    return { name, unit, description, gauge: { dataPoints } };
  };
  const read = (ofHost: boolean, pick: (domain: DomainTelemetry) => number | null): Reading[] =>
    run.domains.flatMap((domain) => {
      const value = pick(domain);
      const fits = WHOLE_HOST.has(domain.kind) === ofHost && (ofHost || domain.countsTowardsTotal);
      return value === null || !fits ? [] : [{ value, attributes: domainAttributes(domain, ofHost) }];
    });
  const total = (sum: RunTelemetry["energy"], ...more: ReturnType<typeof attribute>[]): Reading[] =>
    sum === null ? [] : [{ value: sum.value, attributes: [attribute("lightfoot.method", sum.method), ...more] }];
  const { money } = run;
  const joules = ({ energyJoules }: DomainTelemetry) => energyJoules;
  const watts = ({ powerWatts }: DomainTelemetry) => powerWatts;
  return [
    counter("hw.energy", "J", "Energy consumed by the component.", read(false, joules)),
    gauge("hw.power", "W", "Power of the component over the last interval.", read(false, watts)),
    counter("hw.host.energy", "J", "Energy consumed by the whole host.", read(true, joules)),
    gauge("hw.host.power", "W", "Power of the whole host over the last interval.", read(true, watts)),
    counter("lightfoot.run.energy", "J", "Energy the run is charged with.", total(run.energy)),
    counter("lightfoot.run.emissions", "g", "Emissions of the run, CO2 equivalents.", total(run.emissions)),
    counter("lightfoot.run.water", "L", "Water consumption of the run.", total(run.water)),
    counter(
      "lightfoot.run.money",
      "{money}",
      "Cost of the run.",
      money === null ? [] : total(money, attribute("lightfoot.currency", money.currency)),
    ),
  ];
}

function domainAttributes({ id, label, kind, method }: DomainTelemetry, ofHost: boolean) {
  return [
    attribute("hw.id", id),
    attribute("hw.name", label),
    ...(ofHost ? [] : [attribute("hw.type", HARDWARE_TYPES[kind] ?? kind)]),
    attribute("lightfoot.method", method),
  ];
}
