// Exports say what the ledger says, in the words of each format, and leave out what is not known; depends on its room.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testWriter, writeRun } from "../../../test/fixtures/sample-ledger.ts";
import { parseCodeCarbon } from "../../footprint/exchange/codecarbon.ts";
import { readParquet } from "../../io/parquet.ts";
import { openLedgerQuery } from "../query.ts";
import { readRunDetails } from "../runs.ts";
import { formatEmissionsCsv } from "./codecarbon.ts";
import { grafanaDashboard } from "./grafana.ts";
import { formatOtlp } from "./otlp.ts";
import { formatPrometheus, PROMETHEUS_METRICS } from "./prometheus.ts";
import { writeSamples } from "./samples.ts";
import { telemetryOf, type RunTelemetry } from "./telemetry.ts";

let base = "";
let run: RunTelemetry;
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "lightfoot-export-"));
  const writer = testWriter(base);
  writeRun(writer, 100);
  writer.close();
  const query = await openLedgerQuery(base);
  [run] = (await readRunDetails(query, base, undefined)).map(telemetryOf);
  query.close();
});
afterAll(() => rmSync(base, { recursive: true }));

/** A reader of the text format, by its grammar: `name{label="text",…} value`. */
function parseExposition(text: string): { name: string; labels: Record<string, string>; value: number }[] {
  const typed = new Set<string>();
  return text.split("\n").flatMap((line) => {
    if (line === "" || line.startsWith("# HELP ")) return [];
    const type = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line);
    if (type !== null) {
      expect(typed.has(type[1])).toBe(false);
      typed.add(type[1]);
      if (type[2] === "counter") expect(type[1]).toMatch(/_total$/);
      return [];
    }
    const sample = /^([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)$/.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    expect(typed.has(sample[1])).toBe(true);
    const unescape = (value: string) =>
      value.replaceAll(/\\(["\\n])/g, (_, what: string) => (what === "n" ? "\n" : what));
    const labels = Array.from(sample[2].matchAll(/([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"/g), ([, key, value]) => [
      key,
      unescape(value),
    ]);
    return [
      { name: sample[1], labels: Object.fromEntries(labels) as Record<string, string>, value: Number(sample[3]) },
    ];
  });
}

describe("Prometheus", () => {
  it("has joules as counters, with what may be added up marked", () => {
    const found = parseExposition(formatPrometheus([run]));
    const joules = found.filter(({ name }) => name === "lightfoot_domain_energy_joules_total");
    expect(joules.map(({ labels, value }) => [labels["domain"], labels["in_total"], value])).toEqual([
      ["c", "false", 400],
      ["g", "true", 2000],
      ["p", "true", 1000],
    ]);
    const value = (metric: string) => found.find(({ name }) => name === metric)?.value;
    expect(value("lightfoot_run_energy_joules_total")).toBe(3000);
    expect(value("lightfoot_run_emissions_grams_total")).toBe(250);
    expect(value("lightfoot_run_elapsed_seconds")).toBe(50);
    expect(value("lightfoot_run_water_liters_total")).toBeUndefined(); // not known is not 0
    expect(value("lightfoot_run_money_total")).toBeUndefined();
  });

  it("survives any text in a label", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (title) => {
        fc.pre(!title.includes("\r"));
        const [info] = parseExposition(formatPrometheus([{ ...run, title }]));
        expect(info.labels["title"]).toBe(title);
      }),
      { seed: 2 },
    );
  });

  it("is empty for no runs, and keeps several apart", () => {
    expect(formatPrometheus([])).toBe("");
    const found = parseExposition(formatPrometheus([run, { ...run, run: "other" }]));
    expect(new Set(found.map(({ name, labels }) => name + JSON.stringify(labels))).size).toBe(found.length);
  });
});

interface Otlp {
  resourceMetrics: {
    resource: { attributes: Attribute[] };
    scopeMetrics: { metrics: OtlpMetric[] }[];
  }[];
}
interface Attribute {
  key: string;
  value: { stringValue: string };
}
interface OtlpPoint {
  attributes: Attribute[];
  startTimeUnixNano?: string;
  timeUnixNano: string;
  asDouble: number;
}
interface OtlpMetric {
  name: string;
  unit: string;
  sum?: { isMonotonic: boolean; aggregationTemporality: number; dataPoints: OtlpPoint[] };
  gauge?: { dataPoints: OtlpPoint[] };
}

const metricsOf = (runs: readonly RunTelemetry[]): Map<string, OtlpMetric> => {
  const document = JSON.parse(formatOtlp(runs)) as Otlp;
  return new Map(
    document.resourceMetrics.flatMap(({ scopeMetrics }) =>
      scopeMetrics[0].metrics.map((metric) => [metric.name, metric] as const),
    ),
  );
};

describe("OTLP", () => {
  it("has hw.energy as a monotonic sum in joules since the start, without domains that another contains", () => {
    const metrics = metricsOf([run]);
    const energy = metrics.get("hw.energy");
    expect(energy).toMatchObject({ unit: "J", sum: { isMonotonic: true, aggregationTemporality: 2 } });
    const points = energy?.sum?.dataPoints ?? [];
    const text = (point: OtlpPoint, key: string) =>
      point.attributes.find((entry) => entry.key === key)?.value.stringValue;
    expect(points.map((point) => [text(point, "hw.id"), text(point, "hw.type"), point.asDouble])).toEqual([
      ["g", "gpu", 2000],
      ["p", "cpu", 1000],
    ]);
    expect(points[0]).toMatchObject({ startTimeUnixNano: "1772366400000000000", timeUnixNano: "1772366450000000000" });
    expect(metrics.get("hw.power")).toMatchObject({
      unit: "W",
      gauge: { dataPoints: [{ asDouble: 40 }, { asDouble: 20 }] },
    });
    expect([...metrics.keys()]).not.toContain("hw.host.energy");
  });

  it("keeps what sees the whole host apart from its parts, as the conventions ask", () => {
    const psys = {
      id: "y",
      label: "psys",
      kind: "psys",
      method: "measured",
      countsTowardsTotal: true,
      energyJoules: 9000,
      powerWatts: 180,
      gapSeconds: 0,
    } as const;
    const metrics = metricsOf([{ ...run, domains: [...run.domains, psys] }]);
    expect(metrics.get("hw.host.energy")?.sum?.dataPoints).toHaveLength(1);
    expect(metrics.get("hw.energy")?.sum?.dataPoints).toHaveLength(2);
  });
});

describe("CodeCarbon's emissions.csv", () => {
  it("has kWh, kg and W, and empty cells where nothing is known", () => {
    const [row] = parseCodeCarbon(formatEmissionsCsv([run]), "emissions.csv");
    const { line, ...cells } = row;
    expect(line).toBe(2);
    expect(cells).toEqual({
      timestamp: "2026-03-01T12:00:50",
      project_name: "python train.py",
      run_id: "w0000",
      duration: "50",
      emissions: "0.25",
      emissions_rate: "0.005",
      cpu_power: "20",
      gpu_power: "40",
      cpu_energy: String(1000 / 3.6e6),
      gpu_energy: String(2000 / 3.6e6),
      energy_consumed: String(3000 / 3.6e6),
    });
  });

  it("does not take a domain that was not read for one that used nothing", () => {
    const domains = run.domains.map((domain) => (domain.id === "p" ? { ...domain, energyJoules: null } : domain));
    const [row] = parseCodeCarbon(formatEmissionsCsv([{ ...run, domains, elapsedSeconds: 0 }]), "emissions.csv");
    expect(row.cpu_energy).toBeUndefined();
    expect(row.gpu_energy).toBeDefined();
    expect(row.emissions_rate).toBeUndefined();
  });
});

describe("samples", () => {
  it("go into CSV and Parquet whole, with what is known of their domains", async () => {
    const [csv, parquet] = ["samples.csv", "samples.parquet"].map((name) => join(base, "..", `${Date.now()}-${name}`));
    expect(await writeSamples(base, "csv", csv, undefined)).toBe(300);
    expect(await writeSamples(base, "parquet", parquet, "w0000")).toBe(300);
    expect(await writeSamples(base, "parquet", parquet, "other")).toBe(0);
    const [head, first, ...rest] = readFileSync(csv, "utf8").trimEnd().split("\n");
    expect(head).toBe(
      "run,time,elapsedSeconds,domain,label,kind,device,method,countsTowardsTotal,energyJoules,powerWatts,gapSeconds,gap",
    );
    expect(first).toBe("w0000,2026-03-01T12:00:00.500Z,0.5,c,core,core,,measured,false,4.0,8.0,0.0,");
    expect(rest).toHaveLength(299);
    expect(await writeSamples(base, "parquet", parquet, "w0000")).toBe(300);
    await expect(readParquet(parquet)).rejects.toMatchObject({ code: "E_DATA" }); // empty cells: a table for DuckDB, not for training
    for (const file of [csv, parquet]) rmSync(file);
  });

  it("cannot go where nothing can be written", async () => {
    await expect(writeSamples(base, "csv", join(base, "no", "folder.csv"), undefined)).rejects.toMatchObject({
      code: "E_FILE_WRITE",
    });
  });
});

describe("the Grafana dashboard", () => {
  const dashboard = JSON.parse(grafanaDashboard()) as {
    panels: { gridPos: { x: number; y: number; w: number; h: number }; targets: { expr: string }[]; id: number }[];
  };

  it("asks only for metrics that are exported, and for every kind of them", () => {
    const known = new Set(PROMETHEUS_METRICS.map(({ name }) => name));
    const asked = dashboard.panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/lightfoot_[a-z_]+/g) ?? []),
    );
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
    expect([...known].filter((name) => !asked.includes(name))).toEqual([]);
  });

  it("has panels that do not overlap", () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)}/${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(cells.every((cell) => Number(cell.split("/")[0]) < 24)).toBe(true);
  });

  it("is the file in docs", () => {
    const file = fileURLToPath(new URL("../../../docs/grafana/lightfoot.json", import.meta.url));
    expect(readFileSync(file, "utf8")).toBe(grafanaDashboard());
  });
});
