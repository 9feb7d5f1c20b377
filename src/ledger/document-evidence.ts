// What a result document leaves in the ledger: its figures by path, and the digests of what went in and came out; may depend on quantity and records.
import { METHODS, type Figure } from "../quantity/figure.ts";
import type { RunInput } from "./records.ts";

export interface NamedFigure {
  /** Which of several things it describes, outermost first: `compressed`, `compressed/batch 1`; null for the result itself. */
  readonly subject: string | null;
  /** Keys that lead to it: `energy`, `emissions.locationBased`, `models.accuracy`. */
  readonly name: string;
  readonly figure: Figure;
}

export interface DocumentEvidence {
  readonly figures: readonly NamedFigure[];
  /** `sha256:…` of the model the document is about, where it says so. */
  readonly model: string | null;
  readonly inputs: readonly RunInput[];
  /** Models that the run made. */
  readonly outputs: readonly RunInput[];
}

/** Keys below which digests name what came out. */
const MADE: ReadonlySet<string> = new Set(["models", "candidates", "outputs"]);

type Entries = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Entries =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads any result document, whatever its kind.
 *
 * @example evidenceIn(dossier).figures // [{ subject: "original", name: "models.accuracy", figure: … }, …]
 */
export function evidenceIn(document: unknown): DocumentEvidence {
  const [figures, inputs, outputs]: [NamedFigure[], RunInput[], RunInput[]] = [[], [], []];
  const visit = (value: unknown, keys: readonly string[], labels: readonly string[]): void => {
    if (Array.isArray(value)) {
      for (const [index, entry] of value.entries()) visit(entry, keys, [...labels, labelOf(entry, index)]);
    } else if (isObject(value)) {
      const figure = asFigure(value);
      if (figure !== undefined) {
        figures.push({ subject: labels.length === 0 ? null : labels.join("/"), name: keys.join("."), figure });
      }
      const named = namedDigest(value);
      if (named !== undefined) remember(keys.some((key) => MADE.has(key)) ? outputs : inputs, named);
      for (const [key, entry] of Object.entries(value)) {
        // What a figure was assumed from stands in the figure itself.
        if (figure === undefined || !(key in figure)) visit(entry, [...keys, key], labels);
      }
    }
  };
  visit(document, [], []);
  const models = isObject(document) ? [document["model"], firstOf(document["models"])] : [];
  const model = models
    .map((entry) => (isObject(entry) ? digestOf(entry) : undefined))
    .find((found) => found !== undefined);
  return { figures, inputs, outputs, model: model ?? null };
}

/** One content under one name counts once, however often a document speaks of it. */
function remember(list: RunInput[], { name, digest }: RunInput): void {
  if (!list.some((known) => known.name === name && known.digest === digest)) list.push({ name, digest });
}

const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : undefined);

function labelOf(entry: unknown, index: number): string {
  if (isObject(entry)) {
    for (const key of ["role", "id", "name"]) {
      const label = entry[key];
      if (typeof label === "string" && label !== "") return label;
    }
    if (typeof entry["batch"] === "number") return `batch ${entry["batch"]}`;
  }
  return String(index + 1);
}

function asFigure(value: Entries): Figure | undefined {
  const { unit, low, high, method, sources, assumptions } = value;
  const isFigure =
    [value["value"], low, high].every((part) => typeof part === "number" && Number.isFinite(part)) &&
    typeof unit === "string" &&
    METHODS.some((known) => known === method) &&
    Array.isArray(sources) &&
    Array.isArray(assumptions);
  // Documents add keys of their own to figures, such as a boundary: the ledger keeps the figure.
  return isFigure ? ({ value: value["value"], unit, low, high, method, sources, assumptions } as Figure) : undefined;
}

const digestOf = ({ digest }: Entries): string | undefined =>
  typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest) ? digest : undefined;

function namedDigest(value: Entries): RunInput | undefined {
  const digest = digestOf(value);
  const name = [value["name"], value["file"], value["path"], value["title"]].find((text) => typeof text === "string");
  return digest === undefined || typeof name !== "string" ? undefined : { name, digest };
}
