// An SCI statement as a YAML or JSON object (E, I, M, R and the score, under the names people give them); may depend on its room.
import { parseWritten, powerOf, type WrittenQuantity } from "./written-quantity.ts";

/** The terms of SCI = ((E × I) + M) / R, ISO/IEC 21031, and the PUE that E may still lack. */
export const SCI_TERMS = ["energy", "pue", "intensity", "operational", "embodied", "units", "score"] as const;
export type SciTerm = (typeof SCI_TERMS)[number];

export interface SciValue {
  /** In kWh, facility over IT energy, g/kWh, g, g, functional units, g per functional unit. */
  readonly value: number;
  /** Key as written. */
  readonly key: string;
  /** The value as written. */
  readonly text: string;
  /** True when no unit was written and the standard's own was taken. */
  readonly isAssumedUnit: boolean;
}

export interface SciStatement {
  readonly terms: Readonly<Partial<Record<SciTerm, SciValue>>>;
  /** Keys that name a term and hold nothing that can be read as one. */
  readonly unreadable: readonly { readonly key: string; readonly text: string }[];
}

const NAMES: Readonly<Record<SciTerm, RegExp>> = {
  energy: /^(e|energy|energy consumption|energy consumed|electricity)$/,
  pue: /^(pue|power usage effectiveness)$/,
  intensity: /^(i|intensity|carbon intensity|grid intensity|grid carbon intensity|location based carbon intensity)$/,
  operational: /^(o|operational|operational carbon|operational emissions|carbon operational)$/,
  embodied: /^(m|embodied|embodied carbon|embodied emissions|carbon embodied)$/,
  units: /^(r|units|functional units|functional unit count|functional unit amount)$/,
  score: /^(sci|score|sci score)$/,
};

// A suffix of the key that is a unit and no part of the name: `energy_kwh`, `embodied_kg`, `emissions_grams`.
const KEY_UNITS: Readonly<Record<string, string>> = {
  kwh: "kWh",
  mwh: "MWh",
  wh: "Wh",
  j: "J",
  g: "g",
  grams: "g",
  kg: "kg",
  t: "t",
  "g per kwh": "g/kWh",
  "grams per kwh": "g/kWh",
  "kg per kwh": "kg/kWh",
};

const DEFAULT_UNITS: Readonly<Record<SciTerm, string>> = {
  energy: "kWh",
  pue: "",
  intensity: "g/kWh",
  operational: "g",
  embodied: "g",
  units: "",
  score: "g",
};

const EXPECTED: Readonly<Record<SciTerm, Readonly<Record<string, number>>>> = {
  energy: { kWh: 1 },
  pue: {},
  intensity: { g: 1, kWh: -1 },
  operational: { g: 1 },
  embodied: { g: 1 },
  units: {},
  score: { g: 1 },
};

/** `energyKwh`, `Energy (kWh)` and `energy_kwh` all read as `energy kwh`. */
const words = (key: string): string =>
  key
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll(/[^A-Za-z0-9]+/g, " ")
    .replace(/\bco2\s?e?q?\b/gi, "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .toLowerCase();

function termOf(key: string): { readonly term: SciTerm; readonly unit: string | undefined } | undefined {
  const name = words(key);
  for (const term of SCI_TERMS) if (NAMES[term].test(name)) return { term, unit: undefined };
  for (const [suffix, unit] of Object.entries(KEY_UNITS)) {
    if (!name.endsWith(` ${suffix}`)) continue;
    const bare = name.slice(0, -suffix.length - 1);
    const term = SCI_TERMS.find((candidate) => NAMES[candidate].test(bare));
    if (term !== undefined) return { term, unit };
  }
  return undefined;
}

const fits = (quantity: WrittenQuantity, term: SciTerm): boolean =>
  Object.entries(EXPECTED[term]).every(([unit, power]) => powerOf(quantity, unit) === power) &&
  ["g", "kWh"].every((unit) => powerOf(quantity, unit) === (EXPECTED[term][unit] ?? 0));

function readValue(value: unknown, term: SciTerm, unit: string | undefined): Omit<SciValue, "key"> | undefined {
  // `{ value: 12, unit: "kWh" }` is how figures are written in result documents.
  const figure =
    typeof value === "object" && value !== null ? (value as { value?: unknown; unit?: unknown }) : undefined;
  const number = figure?.value ?? value;
  const named = typeof figure?.unit === "string" && figure.unit !== "1" ? figure.unit : unit;
  const text = `${String(number)}${figure !== undefined && named !== undefined ? ` ${named}` : ""}`;
  if (typeof number !== "number" && typeof number !== "string") return undefined;
  const isNegative = String(number).trim().startsWith("-");
  const written = parseWritten(String(number).trim().replace(/^-/, ""));
  if (written === undefined) return undefined;
  const isAssumedUnit = written.units.size === 0 && named === undefined && DEFAULT_UNITS[term] !== "";
  const full = written.units.size > 0 ? written : parseWritten(`${written.value} ${named ?? DEFAULT_UNITS[term]}`);
  if (full === undefined || !fits(full, term)) return undefined;
  return { value: isNegative ? -full.value : full.value, text, isAssumedUnit };
}

/**
 * The terms of an SCI statement, found by their names at any depth; undefined when the object is none (no score, or no R).
 *
 * @example readSciStatement({ energy_kwh: 10, carbon_intensity: "400 g/kWh", embodied: "1 kg", r: 1000, sci: "5 g" })
 */
export function readSciStatement(document: unknown): SciStatement | undefined {
  const terms: Partial<Record<SciTerm, SciValue>> = {};
  const unreadable: { key: string; text: string }[] = [];
  const walk = (value: unknown, depth: number): void => {
    if (typeof value !== "object" || value === null || depth > 4) return;
    for (const [key, inner] of Object.entries(value)) {
      const named = termOf(key);
      const read = named === undefined ? undefined : readValue(inner, named.term, named.unit);
      if (named !== undefined && read !== undefined) terms[named.term] ??= { ...read, key };
      else if (named !== undefined && (typeof inner !== "object" || inner === null)) {
        unreadable.push({ key, text: String(inner) });
      } else walk(inner, depth + 1);
    }
  };
  walk(document, 0);
  return terms.score === undefined || (terms.units === undefined && terms.energy === undefined)
    ? undefined
    : { terms, unreadable };
}
