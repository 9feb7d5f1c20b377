// The report's section on rules: what each one that may be the model's says of it, and what comes next; may depend on policy, pipeline and this room.
import type { Dossier } from "../pipeline/dossier-schema.ts";
import { html, type Html } from "./html.ts";
import { methodGlyph } from "./marks.ts";
import type { Language, Messages } from "./messages.ts";

/** What was judged, failures first, and what lacks evidence behind a fold; undefined when the manifest asked for no check. */
export function rulesSection({ check }: Dossier, messages: Messages, language: Language): Html | undefined {
  if (check === null) return undefined;
  const words = messages.rules;
  const told = check.rules.filter(({ outcome }) => outcome === "pass" || outcome === "fail" || outcome === "manual");
  const open = check.rules.filter(({ outcome }) => outcome === "unknown");
  return html`<p>${words.asOf(check.asOf, check.roles.map((role) => words.role[role]).join(words.comma))}</p>
    <ul>
      ${told.map(
        ({ id, title, outcome, explain, manual, evidence, source }) =>
          html`<li>
            ${MARK[outcome]} <strong>${words.outcome[outcome]}</strong>: ${title[language]}
            <code class="quiet">${id}</code><br />
            ${outcome === "manual" ? manual?.[language] : explain[language]}
            ${evidence.map(({ field, value, method }) => html`<br /><code>${field} = ${String(value)}</code> ${methodGlyph(method, messages.method[method])}`)}
            <br /><span class="quiet">${source.article ?? source.url} · ${words.mark[source.mark]}</span>
          </li>`,
      )}
    </ul>
    ${
      open.length > 0 &&
      html`<details>
        <summary>${words.openRules(open.length)}</summary>
        <table>
          <tbody>
            ${open.map(
              ({ id, title, missing }) =>
                html`<tr>
                  <th scope="row">${title[language]} <code class="quiet">${id}</code></th>
                  <td><code>${missing.join(", ")}</code></td>
                </tr>`,
            )}
          </tbody>
        </table>
      </details>`
    }
    <p class="quiet">${words.notice}</p>`;
}

// Shapes, so that an outcome does not hang on color.
const MARK = { pass: "✓", fail: "✗", manual: "☐", unknown: "?", notYetApplicable: "·", notApplicable: "–" } as const;
