// A score as the document `lightfoot.sci/1` and as prose to paste into a report; may depend on quantity, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { formatCount, formatFigure } from "../quantity/format.ts";
import { scale, type Assumption, type Figure } from "../quantity/figure.ts";
import type { IntensityKind, IntensityScope } from "./intensity-series.ts";
import { reportAi, type AiReport, type AiStatement, type PartState } from "./sci-ai.ts";
import type { SciDocument } from "./sci-schema.ts";
import { readableScore, sci } from "./sci.ts";

export interface SciRequest {
  /** J for all of R. */
  readonly energy: Figure;
  /** Power usage effectiveness to multiply the energy with, unit 1; left out: the energy is taken to include the overhead. */
  readonly powerUsageEffectiveness?: Figure;
  readonly intensity: Figure;
  /** Anything but location-based is refused. */
  readonly intensityBasis?: "location-based" | "market-based";
  readonly intensityKind: IntensityKind;
  readonly intensityScope: IntensityScope;
  /** Year, version or day of retrieval of the intensity. */
  readonly intensityVintage?: string;
  readonly embodied: Figure;
  readonly units: { readonly name: string; readonly count: number };
  readonly subject?: string;
  readonly period?: string;
  readonly boundary?: string;
  readonly ai?: Omit<AiStatement, "unit" | "period" | "subject">;
}

/**
 * Computes and words a score.
 *
 * @throws LightfootError E_BASIS for a market-based intensity; E_RANGE and E_UNIT as `sci` and `reportAi`
 */
export function sciDocument(request: SciRequest): SciDocument {
  if (request.intensityBasis === "market-based") {
    throw new LightfootError("E_BASIS", "an SCI is location-based, found a market-based intensity", {
      hint: "ISO/IEC 21031 excludes certificates, power purchase agreements and offsets: they lower no score. Give the grid's intensity.",
    });
  }
  const { ai: aiRequest, subject, period, boundary } = request;
  const ai = aiRequest === undefined ? null : reportAi({ ...aiRequest, unit: request.units.name, period, subject });
  const units = { name: ai?.functionalUnit ?? request.units.name, count: request.units.count };
  const energy = withOverhead(request);
  const result = sci({ ...request, energy, units });
  const readable = readableScore(result, ai?.multiple);
  const document = {
    schema: "lightfoot.sci/1",
    standard: "ISO/IEC 21031:2024",
    score: result.score,
    readableScore: readable,
    functionalUnit: units.name,
    units: units.count,
    energy,
    intensity: result.intensity,
    intensityBasis: "location-based",
    intensityKind: result.intensityKind,
    intensityScope: request.intensityScope,
    intensityVintage: request.intensityVintage ?? null,
    operational: result.operational,
    embodied: result.embodied,
    total: result.total,
    subject: subject ?? null,
    period: period ?? null,
    boundary: boundary ?? null,
    ai: ai === null ? null : mutable(ai),
  } as const;
  return {
    ...document,
    statement: statementOf({ ...document, ai }),
    assumptions: [...result.total.assumptions, ...ownAssumptions(request, ai)],
  };
}

/** zod's output types are not read-only. */
const mutable = (ai: AiReport): NonNullable<SciDocument["ai"]> => ({
  ...ai,
  boundary: [...ai.boundary],
  disclosures: [...ai.disclosures],
});

function withOverhead({ energy, powerUsageEffectiveness: pue }: SciRequest): Figure {
  if (pue === undefined) return energy;
  if (pue.unit !== "1" || pue.low < 1) {
    throw new LightfootError("E_RANGE", `PUE is ${pue.low} ${pue.unit}, expected a plain number of 1 or more`);
  }
  return pue.low === pue.high ? scale(energy, pue.value) : multiplyPlain(energy, pue);
}

function multiplyPlain(energy: Figure, factor: Figure): Figure {
  const scaled = scale(energy, factor.value);
  return {
    ...scaled,
    low: energy.low * factor.low,
    high: energy.high * factor.high,
    sources: [...new Set([...energy.sources, ...factor.sources])],
  };
}

function ownAssumptions(request: SciRequest, ai: AiReport | null): Assumption[] {
  const found: Assumption[] = [];
  if (request.powerUsageEffectiveness === undefined) {
    found.push({
      key: "sci.overhead",
      text: "the energy is taken to include the data center's overhead (no PUE was given)",
    });
  }
  if (request.intensityScope === "undeclared") {
    found.push({
      key: "sci.intensity-scope",
      text: "the intensity does not say whether it counts life-cycle or direct emissions",
    });
  }
  if (request.embodied.high === 0) {
    found.push({
      key: "sci.embodied-zero",
      text: "the embodied emissions are declared as 0; the standard wants an estimate of all hardware",
    });
  }
  if (request.boundary === undefined && ai === null) {
    found.push({
      key: "sci.boundary",
      text: "the software boundary is not said; the standard wants it disclosed with the score",
    });
  }
  const missing = ai?.disclosures.filter(({ given }) => given === null).map(({ key }) => key) ?? [];
  if (missing.length > 0) {
    found.push({ key: "sci-ai.disclosures", text: `SCI for AI wants more disclosed: ${missing.join(", ")}` });
  }
  return found;
}

type Told = Omit<SciDocument, "statement" | "assumptions" | "ai"> & { readonly ai: AiReport | null };

const WORDS: Readonly<Record<number, string>> = {
  1e3: "thousand",
  1e6: "million",
  1e9: "billion",
  1e12: "trillion",
  1e15: "10¹⁵",
  1e18: "10¹⁸",
};

/** `request`, `million tokens`, `billion parameters`, `10¹⁵ FLOP`. */
export function perWhat(functionalUnit: string, multiple: number): string {
  if (multiple === 1) return shownUnit(functionalUnit);
  return `${WORDS[multiple] ?? formatCount(multiple)} ${plural(functionalUnit)}`;
}

const shownUnit = (name: string): string => (name === "flop" ? "FLOP" : name.replaceAll("-", " "));

function plural(name: string): string {
  const shown = shownUnit(name);
  if (shown === "FLOP" || shown.endsWith("s")) return shown;
  if (/(ch|sh|x)$/.test(shown)) return `${shown}es`;
  return /[^aeiou]y$/.test(shown) ? `${shown.slice(0, -1)}ies` : `${shown}s`;
}

function statementOf(told: Told): string {
  const { readableScore: readable, ai, functionalUnit } = told;
  const who = told.subject ?? "the software";
  const when = told.period === null ? "" : ` (${told.period})`;
  const scope = told.intensityScope === "undeclared" ? "" : `, ${told.intensityScope}`;
  const vintage = told.intensityVintage === null ? "" : `, ${told.intensityVintage}`;
  const sentences = [
    `The Software Carbon Intensity of ${who}${when} is ${formatFigure(readable.figure)} per ${perWhat(functionalUnit, readable.multiple)}.`,
    `ISO/IEC 21031:2024, SCI = ((E · I) + M) / R, with E = ${formatFigure(told.energy)} (${told.energy.method}), I = ${formatFigure(told.intensity)}` +
      ` (${told.intensity.method}; location-based, ${told.intensityKind}${scope}${vintage}), M = ${formatFigure(told.embodied)} (${told.embodied.method}) and R = ${formatAmount(told.units)} ${told.units === 1 ? shownUnit(functionalUnit) : plural(functionalUnit)}.`,
    "No certificate, power purchase agreement or offset lowers it.",
  ];
  if (told.boundary !== null) sentences.push(`Boundary: ${told.boundary}.`);
  if (ai !== null) sentences.push(...aiSentences(ai));
  return sentences.join(" ");
}

/** R may be 5e22: past what a number shows to the unit, powers of ten. */
const formatAmount = (count: number): string =>
  count < 1e15 && Number.isInteger(count) ? formatCount(count) : String(count);

function aiSentences(ai: AiReport): string[] {
  const parts = (wanted: PartState): string =>
    ai.boundary
      .filter(({ state }) => state === wanted)
      .map(({ component }) => component)
      .join(", ");
  const absent = parts("absent");
  const missing = ai.disclosures.filter(({ given }) => given === null);
  const said = ai.disclosures.filter(
    ({ key, given }) => given !== null && ["reason", "count-basis", "notes"].includes(key),
  );
  return [
    `SCI for AI, ${ai.persona} persona (${ai.stages}); counted: ${parts("counted") || "not said"}.`,
    ...(absent === "" ? [] : [`Not part of this system: ${absent}.`]),
    ...said.map(({ key, given }) => `${DISCLOSED[key] ?? key}: ${given ?? ""}.`),
    ...(missing.length === 0 ? [] : [`Not disclosed: ${missing.map(({ requirement }) => requirement).join("; ")}.`]),
  ];
}

const DISCLOSED: Readonly<Record<string, string>> = {
  reason: "Reason for the unit",
  "count-basis": "Units counted",
  notes: "Material for the score",
};
