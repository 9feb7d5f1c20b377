// The effect report of a search: one HTML page that works offline and prints; may depend on quantity, compress and this room.
import { formatMaxDrop } from "../compress/budget.ts";
import type { SearchResult } from "../compress/candidate-schema.ts";
import { candidatesTable } from "./candidates-table.ts";
import { searchFigures } from "./chart-figures.ts";
import { compressionVerdict } from "./compression-text.ts";
import { html, trusted } from "./html.ts";
import { MESSAGES, type Language } from "./messages.ts";
import { STYLE } from "./style.ts";

export interface PageOptions {
  readonly title: string;
  readonly language: Language;
}

/** The page as text: no script, no request, charts as inline SVG, every text of the result escaped. */
export async function renderCompression(result: SearchResult, { title, language }: PageOptions): Promise<string> {
  const messages = MESSAGES[language];
  const { sections } = messages;
  const verdict = compressionVerdict(result, messages);
  const { original, candidates, selected, metric, budget } = result;
  const { accuracy, fileBytes, energyPerInference } = original;
  const models =
    accuracy === null || fileBytes === null
      ? []
      : [{ role: "original" as const, title: original.title, accuracy, fileBytes, energyPerInference }];
  const charts = await searchFigures({ models, candidates, selected, task: { metric, budget } }, messages);
  const page = html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${trusted(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${title}</h1>
            <p class="verdict${verdict.holds ? "" : " lost"}">${verdict.text}</p>
            <p class="quiet">${messages.goalLine(messages.goal[result.goal], formatMaxDrop(budget), metric)}</p>
          </header>
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
            ${candidatesTable({ ...result, candidates: [original, ...candidates], batch: original.latency[0].batch }, messages)}
          </section>
        </main>
      </body>
    </html> `;
  return page.text;
}
