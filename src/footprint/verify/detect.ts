// Which format a report is of, told from its content; may depend on its room and yaml.
import { LineCounter, parseDocument } from "yaml";
import { isCodeCarbon } from "../exchange/codecarbon.ts";
import { readSciStatement } from "../exchange/sci-statement.ts";
import { readStatement } from "../exchange/statement.ts";
import type { ReportFormat } from "./verification-schema.ts";

export interface Detected {
  /** Undefined when the report is of no format that can be verified. */
  readonly format: ReportFormat | undefined;
  /** The parsed object of a YAML or JSON report. */
  readonly document?: unknown;
}

const FRONT_MATTER_WITH_CARBON = /^\uFEFF?---[ \t]*\r?\n(?:(?!---)[^\n]*\n)*?co2_eq_emissions[ \t]*:/;

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  if (/^\s*[{[]/.test(text)) {
    try {
      return asObject(JSON.parse(text));
    } catch {
      return undefined; // perhaps flow-style YAML
    }
  }
  const document = parseDocument(text, { lineCounter: new LineCounter(), prettyErrors: false });
  if (document.errors.length > 0) return undefined;
  try {
    return asObject(document.toJS());
  } catch {
    return undefined; // aliases that multiply without end
  }
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;

/** The format of a report, told from its content. */
export function detectFormat(text: string): Detected {
  if (isCodeCarbon(text)) return { format: "codecarbon" };
  // Told by its top-level keys: parsing a million observations only to see what they are would take a minute.
  if (/^initialize\s*:/m.test(text) && /^tree\s*:/m.test(text)) return { format: "impact-framework" };
  if (FRONT_MATTER_WITH_CARBON.test(text)) return { format: "model-card" };
  const document = objectOf(text);
  if (document?.["bomFormat"] === "CycloneDX") return { format: "cyclonedx", document };
  if (readSciStatement(document) !== undefined) return { format: "sci", document };
  // Prose counts as a statement only when it states something: some labelled quantity of carbon or energy.
  const isStatement = readStatement(text).some(({ sides }) =>
    sides.some(({ quantity }) => quantity !== undefined && (quantity.units.has("g") || quantity.units.has("kWh"))),
  );
  return { format: isStatement ? "statement" : undefined, document };
}
