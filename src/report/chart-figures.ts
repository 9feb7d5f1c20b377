// A dossier's charts as figures of the page: picture, caption, and the same numbers as a table; may depend on quantity, pipeline and this room.
import { formatMaxDrop } from "../compress/budget.ts";
import type { Dossier } from "../pipeline/dossier-schema.ts";
import { exact, scale, type Figure } from "../quantity/figure.ts";
import { formatCount, formatFigure, formatNumber } from "../quantity/format.ts";
import { frontChart, type FrontPoint } from "./charts/front-chart.ts";
import { LOSS_FRAME_HEIGHT, LOSS_ROW_HEIGHT, lossChart, type LossRow } from "./charts/loss-chart.ts";
import { operatorChart, operatorRows, type OperatorSeries } from "./charts/operator-chart.ts";
import { renderSvg } from "./charts/render-svg.ts";
import { CSS_THEME } from "./charts/theme.ts";
import { trainingChart, type TrainingLine } from "./charts/training-chart.ts";
import { html, trusted, type Html } from "./html.ts";
import type { Messages } from "./messages.ts";
import { formatLoss, formatMetric, isShare } from "./model-table.ts";

export interface ChartFigures {
  readonly fronts: readonly Html[];
  readonly losses: Html;
  readonly operators: Html;
  /** Undefined when nothing was trained. */
  readonly training: Html | undefined;
}

/** What the charts of a search show; a dossier is one. */
export interface SearchCharts {
  readonly models: readonly Pick<
    Dossier["models"][number],
    "role" | "title" | "accuracy" | "fileBytes" | "energyPerInference"
  >[];
  readonly candidates: Dossier["candidates"];
  readonly selected: string | null;
  readonly task: Pick<Dossier["task"], "metric" | "budget">;
}

/** All charts of the report. */
export async function chartFigures(dossier: Dossier, messages: Messages): Promise<ChartFigures> {
  return {
    ...(await searchFigures(dossier, messages)),
    operators: await operatorFigure(dossier, messages),
    training: await trainingFigure(dossier, messages),
  };
}

/** The charts of a search alone: quality against cost, and what each candidate lost. */
export async function searchFigures(
  dossier: SearchCharts,
  messages: Messages,
): Promise<Pick<ChartFigures, "fronts" | "losses">> {
  return {
    fronts: [
      await frontFigure(dossier, messages, messages.frontSize, messages.columns.bytes, (entry) =>
        entry.fileBytes === null ? null : exact(entry.fileBytes, "B", "bytes on disk"),
      ),
      await frontFigure(dossier, messages, messages.frontEnergy, messages.columns.energy, (entry) =>
        entry.energyPerInference === null ? null : scale(entry.energyPerInference, 1000),
      ),
    ],
    losses: await lossFigure(dossier, messages),
  };
}

interface DataTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

interface Picture {
  readonly option: Record<string, unknown>;
  readonly width: number;
  readonly height: number;
}

async function chartFigure(caption: string, picture: Picture, table: DataTable, messages: Messages): Promise<Html> {
  const description = table.rows.map((row) => row.join(", ")).join("; ");
  const svg = await renderSvg({ ...picture, title: caption, description });
  return html`<figure>
    <figcaption>${caption}</figcaption>
    ${trusted(svg)}
    <details>
      <summary>${messages.table}</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              ${table.head.map((title) => html`<th scope="col">${title}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${table.rows.map(
              (row) =>
                html`<tr>
                  ${row.map((cell) => html`<td>${cell}</td>`)}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  </figure>`;
}

interface Costed {
  readonly fileBytes: number | null;
  readonly energyPerInference: Figure | null;
}

async function frontFigure(
  dossier: SearchCharts,
  messages: Messages,
  caption: string,
  costTitle: string,
  costOf: (entry: Costed) => Figure | null,
): Promise<Html> {
  const points: FrontPoint[] = [];
  for (const model of dossier.models) {
    if (model.role === "compressed") continue;
    const cost = costOf(model);
    if (cost === null) continue;
    const label = model.role === "original" ? messages.roles.original : model.title;
    points.push({ label, cost, quality: model.accuracy, standing: model.role, chosen: false });
  }
  for (const candidate of dossier.candidates) {
    const cost = costOf(candidate);
    if (cost === null || candidate.accuracy === null) continue;
    points.push({
      label: candidate.id,
      cost,
      quality: candidate.accuracy,
      standing: candidate.accepted ? "accepted" : "refused",
      chosen: candidate.id === dossier.selected,
    });
  }
  const percent = points.every(({ quality }) => isShare(quality));
  const chart = {
    points,
    costTitle,
    qualityTitle: dossier.task.metric,
    percent,
    budget: budgetQuality(dossier, messages),
  };
  const table = {
    head: [messages.columns.model, costTitle, dossier.task.metric, messages.columns.verdict],
    rows: points.map(({ label, cost, quality, standing }) => [
      label,
      formatFigure(cost),
      formatMetric(quality),
      standing === "accepted" || standing === "refused" ? messages[standing] : messages.roles[standing],
    ]),
  };
  return chartFigure(caption, { option: frontChart(chart, CSS_THEME), width: 1060, height: 430 }, table, messages);
}

/** The metric's worst value within the budget, from the candidate's own comparison with the original. */
function budgetQuality(dossier: SearchCharts, messages: Messages): { quality: number; label: string } | undefined {
  for (const candidate of dossier.candidates) {
    const judged = candidate.test ?? candidate.validation;
    if (judged === null) continue;
    // Where less is better, a loss is a rise.
    const rises =
      judged.loss.value !== 0 &&
      Math.sign(judged.loss.value) === Math.sign(judged.candidate.value - judged.original.value);
    const quality = judged.original.value + (rises ? 1 : -1) * judged.allowedLoss;
    return { quality, label: `${messages.budgetLine} ${formatMaxDrop(dossier.task.budget)}` };
  }
  return undefined;
}

async function lossFigure(dossier: SearchCharts, messages: Messages): Promise<Html> {
  const judged = dossier.candidates.flatMap((candidate) => {
    const loss = candidate.test ?? candidate.validation;
    return loss === null ? [] : [{ candidate, loss }];
  });
  const share = judged.every(({ loss }) => isShare(loss.loss));
  const rows = judged.map(({ candidate, loss }): LossRow => ({
    label: candidate.id,
    loss: loss.loss,
    standing: candidate.accepted ? "accepted" : "refused",
  }));
  const chart = {
    rows,
    axisTitle: share ? messages.lossAxis : messages.relativeLossAxis,
    factor: share ? 100 : 1,
    budget: {
      loss: judged[0]?.loss.allowedLoss ?? 0,
      label: `${messages.budgetLine} ${formatMaxDrop(dossier.task.budget)}`,
    },
  };
  const table = {
    head: [messages.columns.candidate, messages.columns.loss, "McNemar p", messages.columns.verdict],
    rows: judged.map(({ candidate, loss }) => [
      candidate.title,
      formatLoss(loss.loss, messages),
      loss.mcnemarP === null ? messages.none : loss.mcnemarP.toPrecision(2),
      candidate.accepted ? messages.accepted : messages.refused,
    ]),
  };
  const height = LOSS_FRAME_HEIGHT + rows.length * LOSS_ROW_HEIGHT;
  return chartFigure(messages.lossChart, { option: lossChart(chart, CSS_THEME), width: 1060, height }, table, messages);
}

async function operatorFigure(dossier: Dossier, messages: Messages): Promise<Html> {
  const { columns } = messages;
  const series = dossier.models.map((model): OperatorSeries => ({
    model: messages.roles[model.role],
    standing: model.role === "compressed" ? "accepted" : model.role,
    flopsByOperator: new Map(model.cost.operators.map(({ operator, flops }) => [operator, flops])),
  }));
  const table = {
    head: [columns.model, columns.operator, columns.count, "FLOPs", columns.moved],
    rows: dossier.models.flatMap((model) =>
      model.cost.operators.map(({ operator, count, flops, movedBytes }) => [
        messages.roles[model.role],
        operator,
        formatCount(count),
        formatNumber(flops, "FLOP"),
        formatNumber(movedBytes, "B"),
      ]),
    ),
  };
  const height = 90 + operatorRows(series).length * (18 * series.length + 14);
  const picture = { option: operatorChart(series, CSS_THEME), width: 1060, height };
  return chartFigure(messages.costChart, picture, table, messages);
}

async function trainingFigure(dossier: Dossier, messages: Messages): Promise<Html | undefined> {
  const lines = dossier.models.flatMap((model): TrainingLine[] =>
    model.role === "compressed" || model.training.length === 0
      ? []
      : [{ model: model.title, standing: model.role, epochs: model.training }],
  );
  if (lines.length === 0) return undefined;
  const table = {
    head: [messages.columns.model, messages.columns.epoch, messages.columns.loss, dossier.task.metric],
    rows: dossier.models.flatMap((model) =>
      model.training.map(({ epoch, loss, validationScore }) => [
        model.title,
        String(epoch),
        loss.toPrecision(4),
        validationScore === null ? messages.none : validationScore.toPrecision(5),
      ]),
    ),
  };
  const picture = { option: trainingChart(lines, messages.columns.epoch, CSS_THEME), width: 1060, height: 300 };
  return chartFigure(messages.trainingChart, picture, table, messages);
}
