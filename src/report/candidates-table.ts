// Every candidate of a search as a table of the page, each with its reasons; may depend on quantity, compress and this room.
import type { Candidate, SearchResult } from "../compress/candidate-schema.ts";
import type { Goal } from "../compress/search-options.ts";
import { formatFigure, formatNumber } from "../quantity/format.ts";
import { goalColumns, type GoalColumn } from "./goal-columns.ts";
import { html, type Html } from "./html.ts";
import type { Messages } from "./messages.ts";
import { formatLoss, formatMetric } from "./model-table.ts";

/** What the table shows of a search. */
export interface CandidatesView {
  readonly candidates: readonly Candidate[];
  readonly selected: string | null;
  readonly selectionRule: string;
  readonly ended: SearchResult["ended"];
  readonly goal: Goal;
  /** The batch whose latency the goal counts. */
  readonly batch: number;
}

/** Every candidate with its figures and reasons, in the order of trying. */
export function candidatesTable(search: CandidatesView, messages: Messages): Html {
  const { columns } = messages;
  const made = goalColumns(search.goal, search.batch, messages);
  const titles = [columns.accuracy, columns.loss, columns.bytes, columns.rate, columns.container];
  titles.push(...made.map(({ title }) => title));
  return html`<p class="quiet">
      ${messages.searchEnded[search.ended]} ${messages.selectionRule}: ${search.selectionRule}
      ${messages.goalNote[search.goal]}
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
          ${search.candidates.map((candidate) => candidateRows(candidate, candidate.id === search.selected, made, messages))}
        </tbody>
      </table>
    </div>`;
}

/** A row of figures, and one below it with the reasons over the whole width. */
function candidateRows(candidate: Candidate, isChosen: boolean, made: readonly GoalColumn[], messages: Messages): Html {
  const { accepted, accuracy, fileBytes, compressionRate, container } = candidate;
  const judged = candidate.test ?? candidate.validation;
  const cells = [
    accuracy && twoLines(formatMetric(accuracy)),
    judged && twoLines(formatLoss(judged.loss, messages)),
    fileBytes === null ? null : formatNumber(fileBytes, "B"),
    compressionRate && `${compressionRate.bytesOnDisk.toFixed(2)} ×`,
    container && twoLines(`${formatNumber(container.bytes, "B")} (${compressionRate?.codedContainer?.toFixed(2)} ×)`),
    ...made.map(({ of }) => {
      const found = of(candidate);
      return found && twoLines(formatFigure(found));
    }),
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
export const unbroken = (text: string): string => text.replaceAll("…", "\u2060…\u2060");
