// The report: a dossier as one HTML file that works offline, prints, and follows light and dark; may depend on quantity, compress, pipeline and this room.
import { formatMaxDrop } from "../compress/budget.ts";
import type { Dossier } from "../pipeline/dossier-schema.ts";
import { METHODS } from "../quantity/figure.ts";
import { candidatesTable, unbroken } from "./candidates-table.ts";
import { chartFigures } from "./chart-figures.ts";
import { evidenceSection, reproductionSection } from "./evidence.ts";
import { footprintSection } from "./footprint-section.ts";
import { html, trusted, type Html } from "./html.ts";
import { methodGlyph } from "./marks.ts";
import { MESSAGES, type Language, type Messages } from "./messages.ts";
import { modelTable } from "./model-table.ts";
import { rulesSection } from "./rules-section.ts";
import { STYLE } from "./style.ts";
import { summaryCards, verdictOf } from "./summary.ts";

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
            ${candidatesTable({ ...dossier, ended: dossier.searchEnded, goal: dossier.task.goal, batch: dossier.task.batches[0] }, messages)}
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
