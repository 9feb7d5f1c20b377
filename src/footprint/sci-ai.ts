// SCI for AI (Green Software Foundation, ratified 2026): who reports, per what, over which boundary, with which disclosures; may depend on errors and its room.
import { closestName, LightfootError } from "../errors/index.ts";

export const PERSONAS = ["consumer", "provider"] as const;
/** Consumer: who runs or buys a service. Provider: who makes the model. Each counts its own stages; neither counts both. */
export type Persona = (typeof PERSONAS)[number];

/** Which edition of the text the rules below follow. */
export const SCI_AI_EDITION = "SCI for AI, Green Software Foundation, text of 2026-01-12 (extends ISO/IEC 21031:2024)";

export interface AiUnit {
  /** As typed and printed. */
  readonly name: string;
  readonly other?: readonly string[];
  /** Which systems it is meant for. */
  readonly use: string;
  /** The multiple in which the specification states it. */
  readonly multiple?: number;
}

/** The specification's suggestions; a service billed by something else may count that. */
export const CONSUMER_UNITS: readonly AiUnit[] = [
  { name: "token", other: ["tokens"], use: "large language models" },
  { name: "image", other: ["images"], use: "image generation" },
  { name: "second", other: ["seconds", "s"], use: "video generation, speech recognition" },
  { name: "inference", other: ["inferences", "prediction"], use: "classical machine learning" },
  { name: "workflow", other: ["workflows", "execution"], use: "agents: one run with all calls it triggers" },
  { name: "page", other: ["pages"], use: "OCR and document analysis" },
  { name: "character", other: ["characters"], use: "machine translation, text to speech" },
];

/** One of these must be used. */
export const PROVIDER_UNITS: readonly AiUnit[] = [
  { name: "flop", other: ["flops", "FLOP", "FLOPs"], use: "efficiency of algorithm and hardware" },
  { name: "training-token", other: ["training-tokens", "training token", "training tokens"], use: "quality of data" },
  { name: "parameter", other: ["parameters"], use: "size of the model", multiple: 1e9 },
];

export interface Component {
  readonly name: string;
  /** False where it counts only if material. */
  readonly isRequired: boolean;
}

const required = (name: string): Component => ({ name, isRequired: true });
const ifMaterial = (name: string): Component => ({ name, isRequired: false });

/** What the boundary of each persona holds. */
export const SCI_AI_BOUNDARIES: Readonly<
  Record<Persona, { readonly stages: string; readonly components: readonly Component[] }>
> = {
  consumer: {
    stages: "operation and monitoring",
    components: [
      required("API and inference"),
      required("orchestration and scaling"),
      required("observability and monitoring"),
      required("data and feature management"),
      required("storage and artifacts"),
      required("user experience and client"),
      required("model tools and service connectors"),
      ifMaterial("retirement"),
    ],
  },
  provider: {
    stages: "inception, design and development, deployment, retirement",
    components: [
      ifMaterial("inception"),
      required("data collection and preparation"),
      required("synthetic data generation"),
      required("model training, all runs"),
      required("evaluation and benchmarking"),
      required("deployment and integration"),
      ifMaterial("retirement"),
    ],
  },
};

/** Whether units were counted as they are, or only those that do work: active parameters, deduplicated tokens, used FLOPs. */
export type CountBasis = "gross" | "effective";

export interface AiStatement {
  readonly persona: Persona;
  readonly unit: string;
  /** When the energy was used and the units were counted. */
  readonly period?: string;
  /** Which model or service, with its version. */
  readonly subject?: string;
  /** Components of the boundary that were counted, by any part of their names. */
  readonly counted: readonly string[];
  /** Components that this system does not have, e.g. synthetic data. */
  readonly absent?: readonly string[];
  readonly countBasis?: CountBasis;
  /** Provider: why this functional unit. */
  readonly reason?: string;
  /** Pruning, sparsity, synthetic data, allocation: whatever the score hangs on. */
  readonly notes?: string;
}

export interface Disclosure {
  readonly key: string;
  /** What the specification wants said. */
  readonly requirement: string;
  /** What was said; null when it is missing. */
  readonly given: string | null;
}

export const PART_STATES = ["counted", "absent", "not counted"] as const;
/** Whether a part of the boundary is in the score; `absent` where the system has none. */
export type PartState = (typeof PART_STATES)[number];

export interface AiReport {
  readonly persona: Persona;
  readonly edition: string;
  readonly functionalUnit: string;
  /** The multiple in which the specification states the unit. */
  readonly multiple?: number;
  /** False for a consumer's own unit, which the specification allows and does not list. */
  readonly isListedUnit: boolean;
  readonly stages: string;
  readonly boundary: readonly {
    readonly component: string;
    readonly isRequired: boolean;
    readonly state: PartState;
  }[];
  readonly disclosures: readonly Disclosure[];
  /** True when nothing that the specification requires is missing. */
  readonly isComplete: boolean;
}

/**
 * Checks persona, unit, boundary and disclosures of a score.
 *
 * @throws LightfootError E_RANGE when a provider counts by something else than FLOP, training token or parameter, or a
 *   component is not in the persona's boundary
 * @example reportAi({ persona: "provider", unit: "parameter", counted: [] }).isComplete // false
 */
export function reportAi(statement: AiStatement): AiReport {
  const unit = findUnit(statement.persona, statement.unit);
  const { stages, components } = SCI_AI_BOUNDARIES[statement.persona];
  const named = (texts: readonly string[] = []): Set<string> =>
    new Set(texts.map((text) => findComponent(text, statement.persona).name));
  const [counted, absent] = [named(statement.counted), named(statement.absent)];
  const both = [...counted].find((name) => absent.has(name));
  if (both !== undefined) throw new LightfootError("E_RANGE", `'${both}' is said to be counted and to be absent`);
  const boundary = components.map(({ name, isRequired }) => ({
    component: name,
    isRequired,
    state: counted.has(name) ? ("counted" as const) : absent.has(name) ? ("absent" as const) : ("not counted" as const),
  }));
  const missing = boundary.filter(({ isRequired, state }) => isRequired && state === "not counted");
  const disclosures = disclosuresOf(
    statement,
    unit,
    missing.map(({ component }) => component),
  );
  return {
    persona: statement.persona,
    edition: SCI_AI_EDITION,
    functionalUnit: unit.name,
    ...(unit.multiple === undefined ? {} : { multiple: unit.multiple }),
    isListedUnit: unit.isListed,
    stages,
    boundary,
    disclosures,
    isComplete: disclosures.every(({ given }) => given !== null),
  };
}

type FoundUnit = Pick<AiUnit, "name" | "multiple"> & { readonly isListed: boolean };

function findUnit(persona: Persona, asked: string): FoundUnit {
  const units = persona === "consumer" ? CONSUMER_UNITS : PROVIDER_UNITS;
  const known = units.find(({ name, other = [] }) => [name, ...other].includes(asked.trim()));
  if (known !== undefined) return { ...known, isListed: true };
  if (persona === "consumer") return { name: asked.trim(), isListed: false };
  const names = units.map(({ name }) => name);
  const close = closestName(asked, names);
  throw new LightfootError("E_RANGE", `a provider's score is per ${names.join(", ")}, found '${asked}'`, {
    hint:
      close === undefined
        ? "Use the consumer persona for what a service delivers: tokens, images, seconds, inferences."
        : `Did you mean '${close}'?`,
  });
}

function findComponent(text: string, persona: Persona): Component {
  const { components } = SCI_AI_BOUNDARIES[persona];
  const wanted = text.trim().toLowerCase();
  const found = wanted === "" ? [] : components.filter(({ name }) => name.toLowerCase().includes(wanted));
  const exact =
    components.find(({ name }) => name.toLowerCase() === wanted) ?? (found.length === 1 ? found[0] : undefined);
  if (exact !== undefined) return exact;
  const names = components.map(({ name }) => name).join("; ");
  throw new LightfootError(
    "E_RANGE",
    `'${text}' is ${found.length > 1 ? "several parts" : "no part"} of the ${persona}'s boundary`,
    {
      hint: `Expected one of: ${names}.`,
    },
  );
}

function disclosuresOf(statement: AiStatement, unit: FoundUnit, missing: readonly string[]): Disclosure[] {
  const { persona, period, subject, countBasis, reason, notes } = statement;
  const said = (text: string | undefined): string | null =>
    text === undefined || text.trim() === "" ? null : text.trim();
  const disclosures: Disclosure[] = [
    { key: "period", requirement: "the period in which energy was used and units were counted", given: said(period) },
    { key: "subject", requirement: "the model or service that was measured, with its version", given: said(subject) },
    {
      key: "boundary",
      requirement:
        persona === "consumer"
          ? "every component of operation, all triggered model, tool and service calls among them"
          : "every stage from data to deployment; training with all epochs, intermediate and stopped runs",
      given: missing.length === 0 ? "all required components are counted or absent" : null,
    },
  ];
  if (persona === "provider") {
    disclosures.push(
      { key: "reason", requirement: `why the score is per ${unit.name}`, given: said(reason) },
      { key: "count-basis", requirement: "whether the units are gross or effective", given: said(countBasis) },
      {
        key: "notes",
        requirement: "strategies and assumptions that matter for the score: pruning, sparsity, synthetic data",
        given: said(notes),
      },
    );
  }
  return disclosures;
}
