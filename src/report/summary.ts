// The verdict in one sentence and the cards below it; may depend on quantity, compress, pipeline and this room.
import { formatMaxDrop } from "../compress/budget.ts";
import { estimateHolds } from "../compress/loss.ts";
import type { Dossier, DossierModel } from "../pipeline/dossier-schema.ts";
import { divide, exact, scale, type Figure } from "../quantity/figure.ts";
import { inferencesOf } from "./footprint-section.ts";
import { html, type Html } from "./html.ts";
import { keptOriginal } from "./kept-original.ts";
import { intervalStrip, methodGlyph } from "./marks.ts";
import type { Messages } from "./messages.ts";
import { formatLoss, formatMetric, isShare } from "./model-table.ts";

export interface Verdict {
  readonly text: string;
  /** True when a candidate holds the budget on the data that judges. */
  readonly holds: boolean;
}

/** What came out, in one sentence; the test data has the last word where there is any. */
export function verdictOf(dossier: Dossier, messages: Messages): Verdict {
  const budget = formatMaxDrop(dossier.task.budget);
  const chosen = dossier.candidates.find(({ id }) => id === dossier.selected);
  if (chosen === undefined) {
    const { text } = keptOriginal(dossier.candidates, dossier.task.budget, dossier.task.goal, messages);
    return { text, holds: false };
  }
  const judged = chosen.test ?? chosen.validation;
  const loss = judged === null ? messages.none : formatLoss(judged.loss, messages);
  if (!chosen.accepted || (judged !== null && judged.loss.value > judged.allowedLoss)) {
    const failed = judged !== null && estimateHolds(judged) ? messages.verdictTestUnsure : messages.verdictTestFailed;
    return { text: failed(chosen.title, loss, budget), holds: false };
  }
  const gain = messages.gain[dossier.task.goal](gainOf(dossier).toFixed(2));
  const text = messages.verdictAccepted(gain, loss, dossier.task.metric, budget);
  const isUnsure = judged !== null && judged.loss.high > judged.allowedLoss;
  return { text: isUnsure ? `${text} ${messages.verdictUnsure}` : text, holds: true };
}

/** How many times as much of the goal's resource the original takes. */
function gainOf({ models, task }: Dossier): number {
  const cost = (model: DossierModel | undefined): number | undefined =>
    model &&
    {
      size: model.fileBytes,
      latency: model.latency[0]?.median.value,
      energy: model.energyPerInference?.value,
      memory: model.peakMemory?.value,
    }[task.goal];
  const before = cost(models.find(({ role }) => role === "original"));
  const after = cost(models.find(({ role }) => role === "compressed"));
  return before === undefined || after === undefined ? 1 : before / after;
}

/** One number, one unit, one comparison a card, with both intervals drawn. */
export function summaryCards(dossier: Dossier, messages: Messages): Html {
  const original = dossier.models.find(({ role }) => role === "original");
  const best = dossier.models.find(({ role }) => role === "compressed") ?? original;
  if (original === undefined || best === undefined) return html``;
  const split = dossier.data.some(({ role }) => role === "test") ? "test" : "validation";
  const judged = dossier.candidates.find(({ id }) => id === dossier.selected);
  const loss = (judged?.test ?? judged?.validation)?.loss;
  const batch = Math.min(...dossier.task.batches);
  const pick = (model: DossierModel) => model.latency.find((entry) => entry.batch === batch)?.median;
  const cards = [
    card(messages.accuracyOn(dossier.task.metric, messages.split[split]), best.accuracy, original.accuracy, messages, {
      comparison: loss === undefined ? "" : differenceText(loss, messages),
    }),
    card(
      messages.sizeOnDisk,
      exact(best.fileBytes, "B", "bytes on disk"),
      exact(original.fileBytes, "B", "bytes on disk"),
      messages,
    ),
    card(messages.latencyAt(batch), pick(best), pick(original), messages),
    card(messages.energyPerThousand, perThousand(best), perThousand(original), messages),
    ...footprintCards(best, original, inferencesOf(dossier, messages), messages),
  ];
  return html`<div class="cards">${cards}</div>`;
}

/** Carbon, water and money of the same number of inferences. */
function footprintCards(best: DossierModel, original: DossierModel, count: string, messages: Messages): Html[] {
  const titles = messages.columns.footprint;
  const one = (title: string, pick: (model: DossierModel) => Figure | null | undefined): Html =>
    card(title, pick(best) ?? undefined, pick(original) ?? undefined, messages);
  return [
    one(titles.emissions(count), ({ footprint }) => footprint?.emissions.locationBased),
    one(titles.water(count), ({ footprint }) => footprint?.water.consumption),
    one(titles.cost(count), ({ footprint }) => footprint?.money.electricity),
  ];
}

const perThousand = (model: DossierModel): Figure | undefined =>
  model.energyPerInference === null ? undefined : scale(model.energyPerInference, 1000);

function differenceText(loss: Figure, messages: Messages): string {
  if (!isShare(loss)) return formatLoss(loss, messages);
  const points = -loss.value * 100;
  return messages.difference(`${points > 0 ? "+" : points < 0 ? "−" : "±"}${Math.abs(points).toFixed(2)}`);
}

function card(
  title: string,
  now: Figure | undefined,
  before: Figure | undefined,
  messages: Messages,
  options: { readonly comparison?: string } = {},
): Html {
  if (now === undefined || before === undefined) return html``;
  const whole = formatMetric(now);
  const [number, unit] = splitUnit(whole);
  const rows = [
    { figure: before, color: "original" as const, label: `${messages.roles.original}: ${formatMetric(before)}` },
    { figure: now, color: "accepted" as const, label: `${messages.roles.compressed}: ${formatMetric(now)}` },
  ];
  return html`<section class="card">
    <h3>${methodGlyph(now.method, messages.method[now.method])}${title}</h3>
    <div class="number">${number}<span class="unit">${unit}</span></div>
    <p class="comparison">${options.comparison ?? ratioText(now, before, messages)}</p>
    ${intervalStrip(rows)}
  </section>`;
}

/** `97.9 (97.6…98.2) %` as `97.9` and `%`: the interval is drawn below. */
function splitUnit(text: string): [number: string, unit: string] {
  const match = /^(\S+)(?: \([^)]*\))?[\s\u202F]*(.*)$/u.exec(text);
  return [match?.[1] ?? text, match?.[2] ?? ""];
}

/** Costs only: smaller is better. */
function ratioText(now: Figure, before: Figure, messages: Messages): string {
  if (now.value <= 0 || before.value <= 0) return "";
  const ratio = divide(
    { ...before, low: before.value, high: before.value },
    { ...now, low: now.value, high: now.value },
    "1",
  );
  const digits = (value: number) => value.toFixed(value < 10 ? 2 : 1);
  if (digits(ratio.value) === "1.00") return messages.same;
  if (now.unit === "B" && ratio.value >= 1) return messages.smaller(digits(ratio.value));
  return ratio.value >= 1 ? messages.less(digits(ratio.value)) : messages.more(digits(1 / ratio.value));
}
