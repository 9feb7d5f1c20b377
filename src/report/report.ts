// The report: a dossier as one HTML file that works offline, prints, and follows light and dark; may depend on quantity, compress, pipeline and this room.
import { formatMaxDrop } from "../compress/budget.ts";
import type { Candidate } from "../compress/candidate-schema.ts";
import type { Dossier } from "../pipeline/dossier-schema.ts";
import { METHODS } from "../quantity/figure.ts";
import { chartFigures } from "./chart-figures.ts";
import { evidenceSection, reproductionSection } from "./evidence.ts";
import { footprintSection } from "./footprint-section.ts";
import { html, trusted, type Html } from "./html.ts";
import { methodGlyph } from "./marks.ts";
import { MESSAGES, type Language, type Messages } from "./messages.ts";
import { formatLoss, formatMetric, modelTable } from "./model-table.ts";
import { rulesSection } from "./rules-section.ts";
import { STYLE } from "./style.ts";
import { summaryCards, verdictOf } from "./summary.ts";
import { formatNumber } from "../quantity/format.ts";

/**
 * The whole report as HTML text: no script, no request, charts as inline SVG, every text of the dossier escaped.
 *
 * @example await writeFileAtomic("report.html", await renderReport(dossier));
 */
export async function renderReport(dossier: Dossier, language: Language = "en"): Promise<string> {
  const messages = MESSAGES[language];
  const verdict = verdictOf(dossier, messages);
  const chosen = dossier.candidates.find(({ id }) => id === dossier.selected);
  const charts = await chartFigures(dossier, messages);
  const footprint = footprintSection(dossier, messages);
  const rules = rulesSection(dossier, messages, language);
  const { sections } = messages;
  const page = html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="lightfoot ${dossier.tool.version}" />
        <title>${dossier.title}</title>
        <style>
          ${trusted(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${dossier.title}</h1>
            <p class="verdict${verdict.holds ? "" : " lost"}">${unbroken(verdict.text)}</p>
            <p class="quiet">
              ${chosen !== undefined && `${messages.chosenLine(chosen.title)} `}${messages.goalLine(messages.goal[dossier.task.goal], formatMaxDrop(dossier.task.budget), dossier.task.metric)}
            </p>
            ${summaryCards(dossier, messages)}
            <ul class="legend" aria-label="${messages.methodLegend}">
              <li>${messages.methodLegend}:</li>
              ${METHODS.map(
                (method) => html`<li>${methodGlyph(method, messages.method[method])}${messages.method[method]}</li>`,
              )}
            </ul>
          </header>
          <section>
            <h2>${sections.models}</h2>
            <p class="quiet">${messages.efficiencyNote}</p>
            ${modelsTable(dossier, messages)}
          </section>
          <section>
            <h2>${sections.fronts}</h2>
            <p class="quiet">${messages.intervalNote}</p>
            ${charts.fronts}
          </section>
          <section>
            <h2>${sections.decision}</h2>
            ${charts.losses}
          </section>
          <section>
            <h2>${sections.candidates}</h2>
            ${candidatesTable(dossier, messages)}
          </section>
          <section>
            <h2>${sections.cost}</h2>
            ${charts.operators}
          </section>
          ${
            footprint &&
            html`<section>
              <h2>${sections.footprint}</h2>
              ${footprint}
            </section>`
          }
          ${
            rules &&
            html`<section>
              <h2>${sections.rules}</h2>
              ${rules}
            </section>`
          }
          ${
            charts.training &&
            html`<section>
              <h2>${sections.training}</h2>
              ${charts.training}
            </section>`
          }
          <section>
            <h2>${sections.evidence}</h2>
            ${evidenceSection(dossier, messages)}
          </section>
          <section>
            <h2>${sections.reproduction}</h2>
            ${reproductionSection(dossier, messages)}
          </section>
          <footer>${messages.footer}</footer>
        </main>
      </body>
    </html> `;
  return page.text;
}

function modelsTable(dossier: Dossier, messages: Messages): Html {
  const { head, rows } = modelTable(dossier, messages);
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col">${messages.columns.quantity}</th>
          ${head.map((title) => html`<th scope="col" class="number">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ title, cells }) =>
            html`<tr>
              <th scope="row">${title}</th>
              ${cells.map(
                ({ text, method }) =>
                  html`<td class="number">
                    ${method !== undefined && methodGlyph(method, messages.method[method])}${unbroken(text)}
                  </td>`,
              )}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function candidatesTable(dossier: Dossier, messages: Messages): Html {
  const { columns } = messages;
  const titles = [columns.accuracy, columns.loss, columns.bytes, columns.rate];
  return html`<p class="quiet">
      ${messages.searchEnded[dossier.searchEnded]} ${messages.selectionRule}: ${dossier.selectionRule}
    </p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">${columns.candidate}</th>
            <th scope="col">${columns.verdict}</th>
            ${titles.map((title) => html`<th scope="col" class="number">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${dossier.candidates.map((candidate) => candidateRows(candidate, candidate.id === dossier.selected, messages))}
        </tbody>
      </table>
    </div>`;
}

/** A row of figures, and one below it with the reasons over the whole width. */
function candidateRows(candidate: Candidate, isChosen: boolean, messages: Messages): Html {
  const { accepted, accuracy, fileBytes, compressionRate } = candidate;
  const judged = candidate.test ?? candidate.validation;
  const cells = [
    accuracy && twoLines(formatMetric(accuracy)),
    judged && twoLines(formatLoss(judged.loss, messages)),
    fileBytes === null ? null : formatNumber(fileBytes, "B"),
    compressionRate && `${compressionRate.bytesOnDisk.toFixed(2)} ×`,
  ];
  const chosenClass = isChosen ? " chosen" : "";
  const standing = accepted ? "accepted" : "refused";
  return html`<tr class="head${chosenClass}">
      <th scope="row">${candidate.title}<br /><code class="quiet">${candidate.id}</code></th>
      <td>
        <span class="tag ${standing}">${accepted ? "✓" : "✕"} ${messages[standing]}</span
        >${isChosen && html`<br />${messages.chosen}`}
      </td>
      ${cells.map((cell) => html`<td class="number">${cell ?? messages.none}</td>`)}
    </tr>
    <tr class="why${chosenClass}">
      <td colspan="${cells.length + 2}">
        <ul class="reasons">
          ${candidate.reasons.map((reason) => html`<li>${reason}</li>`)}
        </ul>
      </td>
    </tr>`;
}

/** `97.9 (97.6…98.2) %` with the interval on a line of its own, so that columns stay narrow. */
function twoLines(text: string): Html {
  const match = /^(.*?) (\([^)]*\))(.*)$/u.exec(text);
  return match === null ? html`${text}` : html`${match[1]}${match[3]}<span class="interval">${match[2]}</span>`;
}

/** Intervals that no line break tears apart: word joiners around the ellipsis. */
const unbroken = (text: string): string => text.replaceAll("…", "\u2060…\u2060");
