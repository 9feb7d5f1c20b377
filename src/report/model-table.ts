// The one table of a dossier, a row a quantity and a column a model, as text with marks; feeds terminal and page; may depend on quantity, pipeline.
import type { Dossier, DossierModel } from "../pipeline/dossier-schema.ts";
import { figure, scale, type Figure, type Method } from "../quantity/figure.ts";
import { formatCount, formatFigure, formatFraction, formatNumber } from "../quantity/format.ts";
import { inferencesOf } from "./footprint-section.ts";
import type { Messages } from "./messages.ts";

export interface Cell {
  readonly text: string;
  /** How the figure is known; undefined where the model has none. */
  readonly method: Method | undefined;
}

export interface ModelTable {
  readonly head: readonly string[];
  readonly rows: readonly { readonly title: string; readonly cells: readonly Cell[] }[];
}

/** Metrics that are shares of samples are shown as percent. */
export const isShare = (metric: Figure): boolean => metric.unit === "1";

/** A metric's figure for people: a share as percent, anything else in its own unit. */
export const formatMetric = (metric: Figure): string =>
  isShare(metric) ? formatFraction(metric) : formatFigure(metric);

const count = (value: number): Cell => ({ text: formatCount(value), method: "measured" });
const shown = (part: Figure): Cell => ({ text: formatFigure(part), method: part.method });

/** An efficiency without its unit, which the row's title says; such figures span many orders of magnitude. */
function formatRatio(part: Figure): string {
  const power = Math.floor(Math.log10(Math.abs(part.value) || 1));
  if (power > -4 && power < 6) return formatFigure({ ...part, unit: "" });
  return formatFigure(scale(part, 10 ** -power, `× 10${superscript(power)}`));
}

const SUPERSCRIPTS: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from("-0123456789", (digit, at) => [digit, Array.from("⁻⁰¹²³⁴⁵⁶⁷⁸⁹")[at] ?? ""]),
);
const superscript = (power: number): string => Array.from(String(power), (digit) => SUPERSCRIPTS[digit]).join("");

const RESOURCES = [
  "energy",
  "flops",
  "fileBytes",
  "latency",
  "deviceHours",
  "emissions",
  "water",
] as const satisfies readonly DossierModel["efficiency"][number]["resource"][];

/** Every model of the dossier against every quantity; a quantity that no model has is left out. */
export function modelTable(dossier: Dossier, messages: Messages): ModelTable {
  const { columns } = messages;
  const { models } = dossier;
  const none: Cell = { text: messages.none, method: undefined };
  const rows: { title: string; cells: Cell[] }[] = [];
  const add = (title: string, cellOf: (model: DossierModel) => Cell | null | undefined) => {
    const cells = models.map((model) => cellOf(model) ?? none);
    if (cells.some((cell) => cell !== none)) rows.push({ title, cells });
  };
  const split = dossier.data.some(({ role }) => role === "test") ? "test" : "validation";
  add(messages.accuracyOn(dossier.task.metric, messages.split[split]), ({ accuracy }) => ({
    text: formatMetric(accuracy),
    method: accuracy.method,
  }));
  add(columns.bytes, ({ fileBytes }) => ({ text: formatNumber(fileBytes, "B"), method: "measured" }));
  add(
    columns.container,
    ({ container }) => container && { text: formatNumber(container.bytes, "B"), method: "measured" },
  );
  add(`${columns.rate}, ${columns.rateBasis.bytesOnDisk}`, ({ compressionRate }) => rate(compressionRate?.bytesOnDisk));
  add(`${columns.rate}, ${columns.rateBasis.codedContainer}`, ({ compressionRate }) =>
    rate(compressionRate?.codedContainer ?? undefined),
  );
  add(`${columns.rate}, ${columns.rateBasis.parameters}`, ({ compressionRate }) => rate(compressionRate?.parameters));
  add(`${columns.rate}, ${columns.rateBasis.peakMemory}`, ({ compressionRate }) =>
    compressionRate?.peakMemory ? shown({ ...compressionRate.peakMemory, unit: "×" }) : undefined,
  );
  add(columns.parameters, ({ parameters }) => count(parameters));
  // Counted from the graph by rules, not by a counter of the processor.
  add(columns.flops, ({ flops }) => ({ text: formatNumber(flops, "FLOP"), method: "modelled" }));
  for (const batch of dossier.task.batches) {
    add(columns.latency(batch), ({ latency }) => {
      const found = latency.find((entry) => entry.batch === batch);
      return found && shown(found.median);
    });
  }
  add(columns.peakMemory, ({ peakMemory }) => peakMemory && shown(peakMemory));
  add(columns.energy, ({ energyPerInference: energy }) => energy && shown(scale(energy, 1000)));
  const inferences = inferencesOf(dossier, messages);
  add(
    columns.footprint.emissions(inferences),
    ({ footprint }) => footprint && shown(footprint.emissions.locationBased),
  );
  add(columns.footprint.water(inferences), ({ footprint }) => footprint && shown(footprint.water.consumption));
  add(columns.footprint.cost(inferences), ({ footprint }) => {
    const cost = footprint?.money.electricity;
    return cost && shown(cost);
  });
  if (dossier.hardware !== null) {
    add(columns.estimated(dossier.hardware), ({ cost }) => cost.estimatedDuration && shown(cost.estimatedDuration));
  }
  const addEfficiency = (title: string, resource: DossierModel["efficiency"][number]["resource"], unit?: string) =>
    add(title, ({ efficiency }) => {
      const found = efficiency.find(
        (entry) => entry.resource === resource && (unit ?? entry.figure.unit) === entry.figure.unit,
      );
      return found && { text: formatRatio(found.figure), method: found.figure.method };
    });
  for (const resource of RESOURCES) addEfficiency(columns.perResource[resource], resource);
  for (const unit of currencyUnits(models)) addEfficiency(columns.perCurrency(unit.slice(2)), "electricityCost", unit);
  return { head: models.map((model) => `${messages.roles[model.role]}: ${model.title}`), rows };
}

/** `1/EUR` for each currency in which the models' electricity is priced: one, since they share a place. */
const currencyUnits = (models: readonly DossierModel[]): string[] => [
  ...new Set(
    models.flatMap(({ efficiency }) =>
      efficiency.filter(({ resource }) => resource === "electricityCost").map(({ figure: part }) => part.unit),
    ),
  ),
];

function rate(value: number | undefined): Cell | undefined {
  if (value === undefined) return undefined;
  return { text: `${value.toFixed(value < 10 ? 2 : 1)} ×`, method: "measured" };
}

/** The loss of a candidate in points (or the metric's own unit), with its interval. */
export function formatLoss(loss: Figure, messages: Messages): string {
  if (!isShare(loss)) return formatFigure(loss);
  const points = figure({ ...scale(loss, 100), unit: messages.points });
  return formatFigure(points);
}
