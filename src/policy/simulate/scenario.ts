// Reads a scenario: every mistake with its place, defaults recorded, each uncertain number given a dimension; may depend on errors, io, quantity and its room.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { LightfootError, type Finding } from "../../errors/lightfoot-error.ts";
import { sha256 } from "../../io/digest.ts";
import { fileError } from "../../io/file-range.ts";
import { checkAgainst, inReadingOrder, locateYaml, type LocatedDocument } from "../../io/yaml-findings.ts";
import type { Assumption } from "../../quantity/figure.ts";
import type { EvidenceValue } from "../rules/conditions.ts";
import type { Role } from "../rules/roles.ts";
import type { Amount } from "./amount.ts";
import { readFront } from "./front.ts";
import { GROUP_DEFAULTS, scenarioSchema, type Levers, type ModelOption, type RawScenario } from "./scenario-schema.ts";

/** A number that draws may change; `dimension` −1 for one that is certain. */
export interface Uncertain extends Amount {
  readonly dimension: number;
}

export const GROUP_FIELDS = [
  "itEnergy",
  "pue",
  "intensity",
  "intensityChange",
  "powerPrice",
  "carbonPrice",
  "passThrough",
  "electricityShare",
  "deviceShare",
  "elasticity",
  "growth",
  "efficiencyGrowth",
  "reoptimizing",
  "water",
  "accuracyFloor",
] as const;
export type GroupField = (typeof GROUP_FIELDS)[number];

export interface Group {
  readonly id: string;
  /** Index into the scenario's models. */
  readonly model: number;
  readonly fields: Readonly<Record<GroupField, Uncertain>>;
  /** False where neither the group nor the defaults say how much water is used. */
  readonly hasWater: boolean;
  /** Declared for rules: the group's own over that of all groups. */
  readonly evidence: Readonly<Record<string, EvidenceValue>>;
}

export interface Policy {
  readonly id: string;
  readonly title: string;
  readonly status: "inForce" | "proposal" | "idea";
  readonly from: number;
  /** One entry a group: true where the policy holds. */
  readonly holds: readonly boolean[];
  readonly levers: Levers;
  /** Dimension of each uncertain number of the levers, by its path: `carbonPrice`, `pueCap.max`. */
  readonly dimensions: Readonly<Record<string, number>>;
}

/** Who is judged when, and under which draft laws. */
export interface ScenarioCheck {
  readonly roles: readonly Role[];
  /** ISO date in a year of the scenario. */
  readonly asOf: string;
  readonly proposals: readonly string[];
}

export interface Dimension extends Amount {
  /** Where the number stands: `defaults.elasticity`, `groups.eu-colo.pue`, `policies.cap.pueCap.max`. */
  readonly path: string;
}

export interface Scenario {
  readonly title: string;
  readonly currency: string;
  readonly seed: number;
  readonly draws: number;
  readonly from: number;
  readonly to: number;
  readonly groups: readonly Group[];
  readonly models: readonly ModelOption[];
  readonly policies: readonly Policy[];
  /** Undefined where the scenario asks for no rules. */
  readonly check: ScenarioCheck | undefined;
  readonly dimensions: readonly Dimension[];
  readonly assumptions: readonly Assumption[];
  readonly digest: string;
}

const REQUIRED: readonly GroupField[] = ["itEnergy", "pue", "intensity", "powerPrice"];

/**
 * The scenario of a file.
 *
 * @throws LightfootError E_FILE_NOT_FOUND; E_SCENARIO with every finding, each with line, column and path
 */
export async function readScenario(path: string): Promise<Scenario> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw fileError(thrown, path);
  });
  return parseScenario(text, path, dirname(resolve(path)));
}

/** The scenario of a text. @param folder what a dossier's path is relative to */
export async function parseScenario(text: string, file = "scenario.yaml", folder = "."): Promise<Scenario> {
  const located = locateYaml(text, file);
  const currency = (located.data as { currency?: unknown } | null | undefined)?.currency;
  const { value: raw, findings } = checkAgainst(
    scenarioSchema(typeof currency === "string" ? currency : "EUR"),
    located,
  );
  throwIfAny(findings, file);
  const scenario = raw as RawScenario;
  throwIfAny(crossFindings(scenario, located), file);
  const models = Array.isArray(scenario.models)
    ? scenario.models
    : await readFront(resolve(folder, scenario.models.dossier));
  throwIfAny(modelFindings(scenario, models, located), file);
  return compile(scenario, models, sha256(text));
}

function throwIfAny(findings: readonly Finding[], file: string): void {
  if (findings.length === 0) return;
  const count = findings.length === 1 ? "a mistake" : `${findings.length} mistakes`;
  throw new LightfootError("E_SCENARIO", `the scenario has ${count}`, {
    where: { file },
    findings: inReadingOrder(findings),
  });
}

function crossFindings(raw: RawScenario, located: LocatedDocument): Finding[] {
  const findings: Finding[] = [];
  if (raw.to < raw.from) findings.push(located.find(["to"], `found ${raw.to}, expected a year from ${raw.from}`));
  const year = Number(raw.check?.asOf?.slice(0, 4) ?? raw.to);
  if (year < raw.from || year > raw.to)
    findings.push(located.find(["check", "asOf"], `found a day of ${year}, expected one of ${raw.from} to ${raw.to}`));
  const ids = new Set<string>();
  for (const [index, group] of raw.groups.entries()) {
    if (ids.has(group.id))
      findings.push(located.find(["groups", index, "id"], `a second group is called '${group.id}'`));
    ids.add(group.id);
    if (group.evidence !== undefined && raw.check === undefined)
      findings.push(located.find(["groups", index, "evidence"], "there is no 'check' that the evidence is for"));
    for (const field of REQUIRED) {
      if (group[field] !== undefined || raw.defaults[field] !== undefined) continue;
      findings.push(located.find(["groups", index], `'${field}' is missing here and in defaults`));
    }
    findings.push(...costFindings(raw, index, located));
  }
  const policies = new Set<string>();
  for (const [index, policy] of raw.policies.entries()) {
    if (policies.has(policy.id))
      findings.push(located.find(["policies", index, "id"], `a second policy is called '${policy.id}'`));
    policies.add(policy.id);
    if (Object.keys(policy.levers).length === 0)
      findings.push(located.find(["policies", index, "levers"], "the policy pulls no lever"));
    for (const [at, name] of (policy.groups ?? []).entries()) {
      if (!ids.has(name)) findings.push(located.find(["policies", index, "groups", at], `there is no group '${name}'`));
    }
  }
  return findings;
}

/** Shares of the unit cost stay below 1, and a carbon price cannot be more than the whole price of electricity. */
function costFindings(raw: RawScenario, index: number, located: LocatedDocument): Finding[] {
  const group = raw.groups[index];
  const pick = (field: GroupField): Amount | undefined => group[field] ?? raw.defaults[field] ?? GROUP_DEFAULTS[field];
  const [electricity, device] = [pick("electricityShare"), pick("deviceShare")];
  const findings: Finding[] = [];
  if (electricity !== undefined && device !== undefined && electricity.high + device.high > 1 + 1e-9) {
    const sum = `${electricity.high} + ${device.high}`;
    findings.push(located.find(["groups", index], `electricityShare and deviceShare reach ${sum}, expected at most 1`));
  }
  const [price, carbon, intensity, passed] = (["powerPrice", "carbonPrice", "intensity", "passThrough"] as const).map(
    pick,
  );
  if (price !== undefined && carbon !== undefined && intensity !== undefined && passed !== undefined) {
    if (passed.high * carbon.high * intensity.high >= price.low && price.low > 0) {
      findings.push(
        located.find(["groups", index], "the carbon price passed through is more than the whole powerPrice"),
      );
    }
  }
  return findings;
}

function modelFindings(raw: RawScenario, models: readonly ModelOption[], located: LocatedDocument): Finding[] {
  const known = new Set(models.map((model) => model.id));
  const findings: Finding[] = [];
  if (known.size < models.length) findings.push(located.find(["models"], "two models have one id"));
  const require = (name: string | undefined, path: (string | number)[]): void => {
    if (name !== undefined && !known.has(name)) {
      findings.push(located.find(path, `there is no model '${name}'`, `Known are ${[...known].join(", ")}.`));
    }
  };
  for (const [index, group] of raw.groups.entries()) require(group.model, ["groups", index, "model"]);
  for (const [index, { levers }] of raw.policies.entries())
    require(levers.adopt?.model, ["policies", index, "levers", "adopt", "model"]);
  return findings;
}

/** Gives each uncertain number its dimension and fills in defaults. */
function compile(raw: RawScenario, models: readonly ModelOption[], digest: string): Scenario {
  const dimensions: Dimension[] = [];
  const defaulted = new Set<string>();
  const dimensionOf = (amount: Amount, path: string): number => {
    if (amount.low === amount.high) return -1;
    const known = dimensions.findIndex((dimension) => dimension.path === path);
    if (known >= 0) return known;
    return dimensions.push({ ...amount, path }) - 1;
  };
  const fieldOf = (group: RawScenario["groups"][number], field: GroupField): Uncertain => {
    const [own, shared, ours] = [group[field], raw.defaults[field], GROUP_DEFAULTS[field]];
    const amount = own ?? shared ?? ours ?? { value: 0, low: 0, high: 0 };
    if (own === undefined && shared === undefined && ours !== undefined && ours.low !== ours.high) defaulted.add(field);
    const path = own === undefined ? `defaults.${field}` : `groups.${group.id}.${field}`;
    return { ...amount, dimension: dimensionOf(amount, path) };
  };
  const groups = raw.groups.map((group): Group => ({
    id: group.id,
    model: Math.max(
      0,
      models.findIndex(({ id }) => id === group.model),
    ),
    fields: Object.fromEntries(GROUP_FIELDS.map((field) => [field, fieldOf(group, field)])) as Group["fields"],
    hasWater: (group.water ?? raw.defaults.water) !== undefined,
    evidence: { ...raw.check?.evidence, ...group.evidence },
  }));
  const policies = raw.policies.map((policy): Policy => ({
    id: policy.id,
    title: policy.title ?? policy.id,
    status: policy.status,
    from: policy.from ?? raw.from,
    holds: raw.groups.map(({ id }) => policy.groups?.includes(id) ?? true),
    levers: policy.levers,
    dimensions: Object.fromEntries(
      amountsOf(policy.levers).map(([path, amount]) => [path, dimensionOf(amount, `policies.${policy.id}.${path}`)]),
    ),
  }));
  const assumptions = [...defaulted].map((field): Assumption => {
    const { value, low, high } = GROUP_DEFAULTS[field];
    return {
      key: `simulation.default.${field}`,
      text: `${field} was not given: ${value} (${low} to ${high}) is assumed.`,
    };
  });
  const { title, currency, seed, draws, from, to } = raw;
  const check = raw.check && { ...raw.check, asOf: raw.check.asOf ?? `${to}-12-31` };
  return { title, currency, seed, draws, from, to, groups, models, policies, check, dimensions, assumptions, digest };
}

const isAmount = (value: unknown): value is Amount =>
  typeof value === "object" && value !== null && "low" in value && "high" in value && "value" in value;

/** Every amount of the levers with its path below them. */
function amountsOf(levers: Levers): [string, Amount][] {
  return Object.entries(levers).flatMap(([name, lever]): [string, Amount][] => {
    if (isAmount(lever)) return [[name, lever]];
    return Object.entries(lever as object).flatMap(([key, value]): [string, Amount][] =>
      isAmount(value) ? [[`${name}.${key}`, value]] : [],
    );
  });
}
