// Tests of the report: complete, self-contained, safe against hostile text, the same in both languages.
import { describe, expect, it } from "vitest";
import { HOSTILE, sampleDossier } from "../../test/fixtures/sample-dossier.ts";
import { checkCase } from "../policy/rules/check.ts";
import { readPack } from "../policy/rules/pack.ts";
import { figure, METHODS } from "../quantity/figure.ts";
import { escapeHtml, html, trusted } from "./html.ts";
import { LANGUAGES, MESSAGES } from "./messages.ts";
import { modelTable } from "./model-table.ts";
import { renderReport } from "./report.ts";
import { verdictOf } from "./summary.ts";

describe("html", () => {
  it("escapes every value, also inside attributes and lists, and leaves its own markup alone", () => {
    const page = html`<a title="${HOSTILE}">${[HOSTILE, trusted("<b>ours</b>")]}${undefined}${false}${0}</a>`;
    const safe = escapeHtml(HOSTILE);
    expect(page.text).toBe(`<a title="${safe}">${safe}<b>ours</b>0</a>`);
    expect(safe).not.toMatch(/[<>"']/);
  });
});

describe("renderReport", () => {
  it.each(LANGUAGES)("in %s asks nothing of the network and runs no script", async (language) => {
    const page = await renderReport(sampleDossier(), language);
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed)\b/i);
    expect(page).not.toMatch(/\b(src|href|action)=|url\((?!#)|@import/i);
    // The namespace of SVG is a name, not a request.
    expect(page.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:/);
    expect(page).not.toMatch(/\son\w+=/i);
  });

  it.each(LANGUAGES)("in %s shows hostile text as text", async (language) => {
    const page = await renderReport(sampleDossier(), language);
    expect(page).not.toContain("<script");
    expect(page).toContain(escapeHtml(HOSTILE));
  });

  it.each(LANGUAGES)("in %s has balanced tags and no leftovers of missing values", async (language) => {
    const page = await renderReport(sampleDossier(), language);
    expect(unbalanced(page)).toEqual([]);
    expect(page).not.toMatch(/undefined|NaN|\[object|Infinity/);
  });

  it("gives each chart a title, a description and a data table", async () => {
    const page = await renderReport(sampleDossier());
    const figures = page.match(/<figure>.*?<\/figure>/gs) ?? [];
    expect(figures).toHaveLength(5);
    for (const one of figures) {
      expect(one).toMatch(/<svg role="img" aria-label="[^"]+"/);
      expect(one).toMatch(/<title>[^<]+<\/title><desc>[^<]+<\/desc>/);
      expect(one).toMatch(/<table>.*<td>.*<\/table>/s);
    }
  });

  it("names every candidate with its reasons, every digest and the seed", async () => {
    const dossier = sampleDossier();
    const page = await renderReport(dossier);
    for (const { title, reasons } of dossier.candidates) {
      expect(page).toContain(escapeHtml(title));
      for (const reason of reasons) expect(page).toContain(escapeHtml(reason));
    }
    for (const { digest } of [...dossier.data, ...dossier.models, dossier.manifest]) expect(page).toContain(digest);
    expect(page).toContain(`<dd>${dossier.seed}</dd>`);
  });

  it("colors charts through the page's variables, so that they follow light, dark and print", async () => {
    const page = await renderReport(sampleDossier());
    const figures = (page.match(/<figure>.*?<\/figure>/gs) ?? []).join("");
    // What clips, and a border of no width, is not painted.
    const charts = figures.replaceAll(/<clipPath.*?<\/clipPath>|<path[^>]*stroke-width="0"[^>]*>/gs, "");
    expect(charts).toContain("var(--accepted)");
    expect(charts).toContain("var(--refused)");
    expect(charts).not.toMatch(/(?:fill|stroke)="#/);
  });

  it("draws without training, candidates or energy, when there were none", async () => {
    const full = sampleDossier();
    const bare = {
      ...full,
      selected: null,
      candidates: [],
      models: full.models
        .slice(0, 1)
        .map((model) => ({ ...model, training: [], energyPerInference: null, efficiency: [] })),
    };
    const page = await renderReport(bare);
    expect(unbalanced(page)).toEqual([]);
    expect(page).not.toMatch(/undefined|NaN|Infinity/);
    expect(page).toContain(escapeHtml(MESSAGES.en.verdictUntried));
  });
});

describe("modelTable", () => {
  it("has a column for each model and the method of each figure", () => {
    const { head, rows } = modelTable(sampleDossier(), MESSAGES.en);
    expect(head).toHaveLength(3);
    for (const { cells } of rows) {
      expect(cells).toHaveLength(3);
      for (const { method } of cells) expect(METHODS).toContain(method);
    }
    expect(rows.find(({ title }) => title === MESSAGES.en.columns.energy)?.cells[0]?.method).toBe("modelled");
  });

  it("shows accuracy as percent with its interval, and sizes and rates as they are", () => {
    const { rows } = modelTable(sampleDossier(), MESSAGES.en);
    const text = (title: string) => rows.find((row) => row.title.startsWith(title))?.cells.map((cell) => cell.text);
    expect(text("Accuracy on test data")?.[0]).toMatch(/^97\.90 \(97\.62…98\.18\).%$/u);
    expect(text("Size on disk")?.[0]).toMatch(/^398\.1.KiB$/u);
    expect(text("CompressionRate, bytes on disk")).toEqual(["1.00 ×", "1.99 ×", "3.87 ×"]);
  });
});

describe("verdictOf", () => {
  it("lets test data have the last word", () => {
    const dossier = sampleDossier();
    expect(verdictOf(dossier, MESSAGES.en)).toMatchObject({ holds: true });
    const failing = dossier.candidates.map((candidate) => {
      if (!candidate.selected || candidate.test === null) return candidate;
      const loss = figure({ ...candidate.test.loss, value: 0.02, low: 0.01, high: 0.03 });
      return { ...candidate, accepted: false, test: { ...candidate.test, loss } };
    });
    const verdict = verdictOf({ ...dossier, candidates: failing }, MESSAGES.en);
    expect(verdict.holds).toBe(false);
    expect(verdict.text).toContain("on test data it loses 2");
  });
});

/** Elements that close in the wrong order or never; empty when the page is sound. */
function unbalanced(page: string): string[] {
  const empty = new Set(["meta", "br", "link", "hr"]);
  const open: string[] = [];
  for (const [, slash, name = "", rest = ""] of page.matchAll(/<(\/?)([a-z][\w]*)\b([^>]*)>/gi)) {
    if (slash === "/") {
      const last = open.pop();
      if (last !== name) return [`</${name}> closes <${last}>`];
    } else if (!rest.endsWith("/") && !empty.has(name)) {
      open.push(name);
    }
  }
  return open;
}

describe("the rules in the report", () => {
  const evidence = new Map([["model.trainEnergyMethod", { value: HOSTILE, method: "declared" as const }]]);
  const roles = ["model-provider" as const];
  const check = checkCase(readPack(), { roles, evidence }, { asOf: "2026-11-24" });

  it.each(["en", "zh"] as const)(
    "are listed with outcome, evidence and what is missing, all text escaped: %s",
    async (language) => {
      const page = await renderReport({ ...sampleDossier(), check }, language);
      const words = MESSAGES[language];
      const section = page.slice(page.indexOf(`<h2>${words.sections.rules}</h2>`));
      expect(section).toContain(words.rules.openRules(check.counts.unknown));
      const applying = check.rules.filter(({ outcome }) => !["notApplicable", "notYetApplicable"].includes(outcome));
      for (const { id, title } of applying) {
        expect(section).toContain(id);
        expect(section).toContain(escapeHtml(title[language]));
      }
      expect(page).not.toContain(HOSTILE);
    },
  );

  it("are left out when the manifest asked for no check", async () => {
    expect(await renderReport(sampleDossier())).not.toContain(`<h2>${MESSAGES.en.sections.rules}</h2>`);
  });
});

describe("the footprint in the report", () => {
  it.each(LANGUAGES)(
    "in %s states intensity, method, vintage, price age, boundary and the run's own carbon",
    async (language) => {
      const dossier = sampleDossier();
      const page = await renderReport(dossier, language);
      const words = MESSAGES[language].footprint;
      const section = page.slice(page.indexOf(MESSAGES[language].sections.footprint));
      for (const text of [
        words.kind.average,
        words.scope["life-cycle"],
        "2025",
        words.priceOf(2024, true),
        words.covers.facility,
      ]) {
        expect(section, text).toContain(text);
      }
      const table = modelTable(dossier, MESSAGES[language]);
      const title = MESSAGES[language].columns.footprint.emissions(words.inferences[1e6]);
      expect(table.rows.find((row) => row.title === title)?.cells.map(({ method }) => method)).toEqual(
        dossier.models.map(({ footprint }) => footprint?.emissions.locationBased.method),
      );
      expect(page).toContain(title);
    },
  );

  it("leaves the section out when no model's energy is known", async () => {
    const dossier = sampleDossier();
    const models = dossier.models.map((model) => ({ ...model, footprint: null }));
    expect(await renderReport({ ...dossier, models })).not.toContain(MESSAGES.en.sections.footprint);
  });
});
