// A Grafana dashboard over the Prometheus metrics, as the JSON that Grafana imports; depends on nothing.

interface Panel {
  readonly title: string;
  readonly type: "stat" | "timeseries" | "table";
  readonly unit: string;
  readonly query: string;
  readonly legend: string;
  readonly width: number;
  readonly description: string;
}

const RUN = 'run=~"$run"';

const PANELS: readonly Panel[] = [
  stat(
    "Energy metered",
    "joule",
    `sum(lightfoot_domain_energy_joules_total{${RUN}, in_total="true"})`,
    "Of the whole devices, while the chosen runs went on.",
    6,
  ),
  stat(
    "Energy charged to runs",
    "joule",
    `sum(lightfoot_run_energy_joules_total{${RUN}})`,
    "The runs' own share; known when a run has ended.",
    6,
  ),
  stat("Emissions", "massg", `sum(lightfoot_run_emissions_grams_total{${RUN}})`, "Grams CO2e.", 4),
  stat("Water", "litre", `sum(lightfoot_run_water_liters_total{${RUN}})`, "Liters consumed.", 4),
  stat("Money", "none", `sum by (currency) (lightfoot_run_money_total{${RUN}})`, "By currency.", 4, "{{currency}}"),
  {
    title: "Power by domain",
    type: "timeseries",
    unit: "watt",
    query: `lightfoot_domain_power_watts{${RUN}, in_total="true"}`,
    legend: "{{label}} ({{method}})",
    width: 24,
    description: "Only domains that no other contains: the curves may be added up.",
  },
  {
    title: "Energy over the last 5 minutes, as watts",
    type: "timeseries",
    unit: "watt",
    query: `sum by (kind) (rate(lightfoot_domain_energy_joules_total{${RUN}, in_total="true"}[5m]))`,
    legend: "{{kind}}",
    width: 12,
    description: "From the counters: right even when scrapes were missed.",
  },
  {
    title: "Time without readings",
    type: "timeseries",
    unit: "s",
    query: `lightfoot_domain_gap_seconds_total{${RUN}}`,
    legend: "{{label}}",
    width: 12,
    description: "Energy used in these gaps is missing from the sums.",
  },
  {
    title: "Runs",
    type: "table",
    unit: "s",
    query: `lightfoot_run_elapsed_seconds{${RUN}} * on (run, host) group_left (verb, title) lightfoot_run_info`,
    legend: "",
    width: 24,
    description: "Seconds since each run began.",
  },
];

function stat(title: string, unit: string, query: string, description: string, width: number, legend = ""): Panel {
  return { title, type: "stat", unit, query, legend, width, description };
}

const COLUMNS = 24;
const SOURCE = { type: "prometheus", uid: "${datasource}" };

/** Places panels from left to right, a row of 24 columns at a time. */
function placed(): { readonly panel: Panel; readonly x: number; readonly y: number; readonly height: number }[] {
  let [x, y, rowHeight] = [0, 0, 0];
  return PANELS.map((panel) => {
    const height = panel.type === "stat" ? 4 : 8;
    if (x + panel.width > COLUMNS) [x, y, rowHeight] = [0, y + rowHeight, 0];
    const place = { panel, x, y, height };
    x += panel.width;
    rowHeight = Math.max(rowHeight, height);
    return place;
  });
}

/** The dashboard's JSON text: `Dashboards → New → Import` in Grafana 10 and later. */
export function grafanaDashboard(): string {
  const panels = placed().map(({ panel, x, y, height }, at) => ({
    id: at + 1,
    title: panel.title,
    description: panel.description,
    type: panel.type,
    datasource: SOURCE,
    gridPos: { x, y, w: panel.width, h: height },
    fieldConfig: { defaults: { unit: panel.unit }, overrides: [] },
    targets: [
      {
        refId: "A",
        datasource: SOURCE,
        expr: panel.query,
        legendFormat: panel.legend,
        ...(panel.type === "table" ? { format: "table", instant: true } : {}),
      },
    ],
  }));
  const dashboard = {
    uid: "lightfoot",
    title: "Lightfoot",
    description: "Energy, power, emissions, water and money of the runs of a ledger.",
    tags: ["lightfoot", "energy"],
    schemaVersion: 39,
    editable: true,
    refresh: "5s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        { name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus", current: {}, hide: 0 },
        {
          name: "run",
          label: "Run",
          type: "query",
          datasource: SOURCE,
          query: { query: "label_values(lightfoot_run_info, run)", refId: "runs" },
          definition: "label_values(lightfoot_run_info, run)",
          multi: true,
          includeAll: true,
          current: { text: "All", value: "$__all" },
          refresh: 2,
          sort: 0,
          hide: 0,
        },
      ],
    },
    panels,
  };
  return `${JSON.stringify(dashboard, undefined, 2)}\n`;
}
