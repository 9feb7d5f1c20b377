// The report's section on rules: what each one that may be the model's says of it, and what comes next; may depend on policy, pipeline and this room.
import type { Dossier } from "../pipeline/dossier-schema.ts";
import { html, type Html } from "./html.ts";
import type { Language, Messages } from "./messages.ts";

/** Every rule that applies or may apply, failures first; undefined when the manifest asked for no check. */
export function rulesSection({ check }: Dossier, messages: Messages, language: Language): Html | undefined {
  if (check === null) return undefined;
  const words = messages.rules;
  const shown = check.rules.filter(({ outcome }) => outcome !== "notApplicable");
  return html`<p>${words.asOf(check.asOf, check.roles.map((role) => words.role[role]).join(words.comma))}</p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">${words.rule}</th>
            <th scope="col">${words.outcomeColumn}</th>
            <th scope="col">${words.says}</th>
            <th scope="col">${messages.columns.sources}</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            ({ id, title, outcome, explain, missing, evidence, source }) =>
              html`<tr>
                <th scope="row">${title[language]} <code class="quiet">${id}</code></th>
                <td>${MARK[outcome]} ${words.outcome[outcome]}</td>
                <td>
                  ${explain[language]}
                  ${evidence.map(({ field, value, method }) => html`<br /><code>${field} = ${String(value)}</code> ${messages.method[method]}`)}
                  ${missing.length > 0 && html`<br /><span class="quiet">${words.missing(missing.join(", "))}</span>`}
                </td>
                <td>${source.article ?? source.url} <span class="quiet">${words.mark[source.mark]}</span></td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="quiet">${words.notice}</p>`;
}

// Shapes, so that an outcome does not hang on color.
const MARK = { pass: "✓", fail: "✗", unknown: "?", manual: "☐", notYetApplicable: "·", notApplicable: "–" } as const;
