// The `co2_eq_emissions` of a Hugging Face model card (README.md with YAML front matter); may depend on errors and yaml.
import { parseDocument, LineCounter, isMap, isScalar } from "yaml";
import { LightfootError } from "../../errors/lightfoot-error.ts";

/** What the hub documents: grams of CO2e, and where they come from. */
export interface ModelCardEmissions {
  /** As written: the hub asks for a number in grams. */
  readonly emissions: unknown;
  readonly source?: string;
  readonly trainingType?: string;
  readonly location?: string;
  readonly hardware?: string;
  /** 1-based line of the number. */
  readonly line: number;
}

export interface ModelCard {
  /** Undefined when the front matter has no `co2_eq_emissions`. */
  readonly emissions: ModelCardEmissions | undefined;
  /** The text with the front matter blanked out, so that lines keep their numbers. */
  readonly body: string;
}

const FRONT_MATTER = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;

/**
 * Reads a model card.
 *
 * @param file for errors only
 * @throws LightfootError E_DATA when the front matter is no YAML
 * @source https://huggingface.co/docs/hub/model-cards-co2 (structure and unit, read 2026-11)
 */
export function readModelCard(content: string, file: string): ModelCard {
  const match = FRONT_MATTER.exec(content);
  if (match === null) return { emissions: undefined, body: content };
  const lineCounter = new LineCounter();
  const document = parseDocument(match[1], { lineCounter, prettyErrors: false });
  const [mistake] = document.errors;
  if (mistake !== undefined) {
    const { line, col } = lineCounter.linePos(mistake.pos[0]);
    throw new LightfootError("E_DATA", `the front matter is no YAML: ${mistake.message}`, {
      where: { file, line: line + 1, column: col },
    });
  }
  const head = match[0].split("\n").length - 1;
  const body = "\n".repeat(head) + content.slice(match[0].length);
  const node = document.get("co2_eq_emissions", true);
  if (node === undefined || node === null) return { emissions: undefined, body };
  const value = isMap(node) ? node.get("emissions", true) : node;
  const at = value === undefined ? node : value;
  const offset = (at as { range?: readonly number[] | null }).range?.[0] ?? 0;
  const get = (key: string): string | undefined => (isMap(node) ? text(node.get(key)) : undefined);
  return {
    emissions: {
      emissions: isScalar(value) ? value.value : undefined,
      source: get("source"),
      trainingType: get("training_type"),
      location: get("geographical_location"),
      hardware: get("hardware_used"),
      line: lineCounter.linePos(offset).line + 1,
    },
    body,
  };
}
