// What a plugin is, and the frame that the framework puts around each: mapping, expressions, validation; may depend on errors and its room.
import { LightfootError, type Place } from "../../errors/lightfoot-error.ts";
import { evaluate, isExpression, namesIn, parseExpression } from "./expression.ts";
import type { Report } from "./findings.ts";
import {
  ABSENT,
  cellAt,
  columnOf,
  numberColumn,
  rowAt,
  withColumns,
  type Column,
  type Observations,
} from "./observations.ts";

export const AGGREGATION_METHODS = ["sum", "avg", "none", "copy"] as const;
export type AggregationMethod = (typeof AGGREGATION_METHODS)[number];

/** How a parameter is summed up over time and over components; and its unit, as the manifest or the plugin declares it. */
export interface ParameterMetadata {
  readonly unit: string;
  readonly description: string;
  readonly "aggregation-method": { readonly time: AggregationMethod; readonly component: AggregationMethod };
}

export interface PluginMetadata {
  readonly inputs?: Readonly<Record<string, ParameterMetadata>> | null;
  readonly outputs?: Readonly<Record<string, ParameterMetadata>> | null;
}

/**
 * `as-written`: the framework's own arithmetic, mistakes included, so that its outputs are reproduced;
 * `corrected`: the right arithmetic wherever a finding says that there is one.
 */
export type Arithmetic = "as-written" | "corrected";

/** What a plugin may do outside of arithmetic; each is there only when the caller allows it. */
export interface ImpactPorts {
  /** Text of a local file, relative to the manifest. */
  readonly readFile: (path: string) => Promise<string>;
  /** Text behind an http(s) address; left out: refused. */
  readonly fetchText?: (url: string) => Promise<string>;
  /** Runs a command with text on its standard input, gives its standard output; left out: refused. */
  readonly runCommand?: (command: string, input: string) => Promise<string>;
  /** Uniform in [0, 1), seeded; the same label gives the same numbers from the start. */
  readonly random: (label: string) => () => number;
  /** YAML text as plain data; for what a command prints. */
  readonly parseYaml: (text: string) => unknown[];
}

/** All that a plugin gets for one run on one node. */
export interface PluginCall {
  /** Name in `initialize.plugins`. */
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly mapping: Readonly<Record<string, string>>;
  readonly observations: Observations;
  readonly arithmetic: Arithmetic;
  readonly ports: ImpactPorts;
  readonly report: Report;
  /** Path of the observations in the YAML, e.g. `tree.children.web.inputs`. */
  readonly path: string;
  readonly file: string;
  /** How a parameter is aggregated over time, as far as any plugin declared it. */
  readonly methodOf: (parameter: string) => AggregationMethod;
}

export interface PluginKind {
  readonly metadata?: PluginMetadata;
  /** Config keys that take an expression; left out: the plugin does not look at expressions at all. */
  readonly expressions?: readonly string[];
  readonly run: (call: PluginCall) => Observations | Promise<Observations>;
}

/** A plugin as the manifest set it up. */
export interface PluginInstance {
  readonly name: string;
  readonly method: string;
  readonly kind: PluginKind;
  readonly config: Readonly<Record<string, unknown>>;
  readonly mapping: Readonly<Record<string, string>>;
  readonly metadata: Required<Pick<PluginMetadata, "inputs" | "outputs">>;
  /** Components it was run on so far. */
  runs: number;
}

/** Where an observation's value stands, for errors and findings. */
export function placeOf(call: PluginCall, row: number, key?: string): Place & { path: string } {
  const line = call.observations.lineOf?.(row);
  const step = key === undefined ? "" : /^[\w-]+$/.test(key) ? `.${key}` : `["${key}"]`;
  return { file: call.file, path: `${call.path}[${row}]${step}`, ...(line !== undefined && { line }) };
}

/** The same without the file, for a finding. */
export function findingPlace(call: PluginCall, row: number, key?: string): { path: string; line?: number } {
  const { path, line } = placeOf(call, row, key);
  return { path, ...(line !== undefined && { line }) };
}

export function configError(call: PluginCall, message: string, hint?: string): LightfootError {
  return new LightfootError("E_IMPACT", `${call.name}: ${message}`, {
    ...(hint !== undefined && { hint }),
    where: { file: call.file, path: `initialize.plugins.${call.name}.config` },
  });
}

/** A config value that must be text. */
export function textOf(call: PluginCall, key: string): string {
  const value = call.config[key];
  if (typeof value === "string" && value !== "") return value;
  throw configError(call, `'${key}' is ${value === undefined ? "missing" : JSON.stringify(value)}, expected text`);
}

export function namesOf(call: PluginCall, key: string): string[] {
  const value = call.config[key];
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
  throw configError(call, `'${key}' is ${JSON.stringify(value) ?? "missing"}, expected a list of names`);
}

/**
 * A parameter as one number an observation.
 *
 * @throws LightfootError E_IMPACT at the first observation where it is missing or no number
 */
export function numbersOf(call: PluginCall, name: string): Float64Array {
  const { observations } = call;
  const column = observations.columns.get(name);
  if (column?.kind === "number") {
    const bad = column.values.findIndex((value) => Number.isNaN(value));
    if (bad < 0) return column.values;
  }
  const result = new Float64Array(observations.length);
  for (let row = 0; row < result.length; row++) {
    const value = cellAt(column, row);
    if (typeof value !== "number" || Number.isNaN(value)) throw notANumber(call, row, name, value);
    result[row] = value;
  }
  return result;
}

function notANumber(call: PluginCall, row: number, name: string, value: unknown): LightfootError {
  const found = value === ABSENT ? "is missing" : `is ${JSON.stringify(value) ?? String(value)}`;
  return new LightfootError("E_IMPACT", `${call.name}: '${name}' ${found}, expected a number`, {
    where: placeOf(call, row, name),
    hint:
      value === ABSENT
        ? `Give '${name}' in the observation or in defaults, or run the plugin that writes it before '${call.name}'.`
        : undefined,
  });
}

/** A number for each observation, or one for all. */
export type Operand = Float64Array | number;

export const at = (operand: Operand, row: number): number => (typeof operand === "number" ? operand : operand[row]);

/**
 * What a config key that takes expressions means: a number, a parameter, or `=…`.
 *
 * The framework evaluates an expression once, with the values of the last observation, and uses that number for all;
 * `corrected` evaluates it for each.
 */
export function operandOf(call: PluginCall, key: string): Operand {
  const value = call.config[key];
  if (typeof value === "number" && !Number.isNaN(value)) return value;
  if (typeof value !== "string" || value === "") {
    throw configError(
      call,
      `'${key}' is ${value === undefined ? "missing" : JSON.stringify(value)}, expected a parameter or a number`,
    );
  }
  if (!isExpression(value)) return numbersOf(call, value);
  const expression = parseExpression(value);
  const parts = new Map(namesIn(expression).map((name) => [name, numbersOf(call, name)]));
  const { length } = call.observations;
  if (parts.size === 0 || length === 0) return evaluate(expression, () => 0);
  const each = new Float64Array(length);
  for (let row = 0; row < length; row++) each[row] = evaluate(expression, (name) => parts.get(name)?.[row] ?? 0);
  if (call.arithmetic === "corrected") return each;
  const last = each[length - 1];
  const other = each.findIndex((number) => number !== last);
  if (other >= 0) {
    call.report({
      code: "expression-last-row",
      severity: "error",
      message: `'${key}: ${value}' is evaluated with the values of the last observation and used for all ${length}`,
      where: { path: `initialize.plugins.${call.name}.config.${key}` },
      says: String(last),
      right: `${each[other]} in observation ${other}`,
      factor: Number.isFinite(last / each[other]) ? last / each[other] : null,
    });
  }
  return last;
}

/** Writes a result where the config says, `=…` in the output's name applied. */
export function writeNumbers(call: PluginCall, target: string, values: Float64Array): Observations {
  if (!target.includes("=")) return withColumns(call.observations, [[target, numberColumn(values)]]);
  const expression = parseExpression(target);
  const [name, ...more] = namesIn(expression);
  if (name === undefined || more.length > 0) {
    throw configError(
      call,
      `the output '${target}' names ${more.length + (name === undefined ? 0 : 1)} parameters, expected one`,
    );
  }
  return withColumns(call.observations, [
    [name, numberColumn(values.map((value) => evaluate(expression, () => value)))],
  ]);
}

/** Text cells that hold arithmetic (`5`, `2*3`, `=2*energy`) as numbers; a timestamp stays as it is. */
function evaluateCells(call: PluginCall): Observations {
  const changes: [string, Column][] = [];
  for (const [key, column] of call.observations.columns) {
    if (key === "timestamp") continue;
    if (column.kind === "constant") {
      if (typeof column.value !== "string" || !isExpression(column.value)) continue;
    } else if (column.kind !== "any") continue;
    const texts = column.kind === "any" ? column.values : [column.value];
    if (!texts.some((value) => typeof value === "string" && isExpression(value))) continue;
    const values = Array.from({ length: call.observations.length }, (_, row) => {
      const value = cellAt(column, row);
      if (typeof value !== "string" || !isExpression(value)) return value;
      return evaluate(parseExpression(value), (name) => {
        const part = cellAt(call.observations.columns.get(name), row);
        const number = typeof part === "string" ? Number(part) : part;
        if (typeof number !== "number" || Number.isNaN(number)) throw notANumber(call, row, name, part);
        return number;
      });
    });
    changes.push([key, columnOf(values)]);
  }
  return changes.length === 0 ? call.observations : withColumns(call.observations, changes);
}

/**
 * The config with mapped names put in, as the framework does it: keys and text values that are keys of the mapping are
 * replaced, and each value that was looked at is forgotten from the mapping.
 */
function mapConfig(
  config: Readonly<Record<string, unknown>>,
  mapping: Readonly<Record<string, string>>,
): { config: Record<string, unknown>; mapping: Record<string, string> } {
  const left = { ...mapping };
  const used: string[] = [];
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((each) => (typeof each === "object" ? walk(each) : replace(each)));
    if (value === null || typeof value !== "object" || value instanceof Date) return replace(value);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [mapping[key] ?? key, walk(each)]));
  };
  const replace = (value: unknown): unknown => {
    if (typeof value !== "string") return value;
    if (value.includes("=")) {
      const name = Object.keys(mapping).find((key) => value.includes(key));
      if (name === undefined) return value;
      used.push(name);
      return value.replace(name, mapping[name]);
    }
    used.push(value);
    return mapping[value] ?? value;
  };
  const mapped = walk(config) as Record<string, unknown>;
  for (const key of used) delete left[key];
  return { config: mapped, mapping: left };
}

/** Runs one plugin over the observations of one node: config, expressions and names mapped as the framework does. */
export async function runPlugin(
  instance: PluginInstance,
  call: Omit<PluginCall, "name" | "config" | "mapping">,
): Promise<Observations> {
  const mapped = mapConfig(instance.config, instance.mapping);
  const config = Object.fromEntries(
    Object.entries(mapped.config).map(([key, value]) => [key, simpleNumber(instance.kind, value)]),
  );
  instance.runs++;
  if (instance.runs === 2 && Object.keys(mapped.mapping).length < Object.keys(instance.mapping).length) {
    call.report({
      code: "mapping-lost",
      severity: "warning",
      message:
        "if-run forgets mapping entries that the config uses after the first component: on this one it fails, or takes " +
        "another parameter; here the mapping holds for all",
      where: { path: `initialize.plugins.${instance.name}.mapping` },
      says: JSON.stringify(mapped.mapping),
      right: JSON.stringify(instance.mapping),
    });
  }
  const full: PluginCall = { ...call, name: instance.name, config, mapping: mapped.mapping };
  const evaluated = instance.kind.expressions === undefined ? call.observations : evaluateCells(full);
  const renamed = mapInputs(evaluated, mapped.mapping);
  const result = await instance.kind.run({ ...full, observations: renamed });
  return mapOutputs(result, mapped.mapping, renamed);
}

function simpleNumber(kind: PluginKind, value: unknown): unknown {
  if (kind.expressions === undefined || typeof value !== "string") return value;
  return /^=?\d+(\.\d+)?([+\-*/]\d+(\.\d+)?)*$/.test(value) ? evaluate(parseExpression(value), () => 0) : value;
}

/** `mapping` is `internal name: name in the manifest`. */
function mapInputs(observations: Observations, mapping: Readonly<Record<string, string>>): Observations {
  const changes = Object.entries(mapping).flatMap(([inside, outside]) => {
    const column = observations.columns.get(outside);
    return column === undefined ? [] : [[inside, column] as const];
  });
  return changes.length === 0 ? observations : withColumns(observations, changes);
}

function mapOutputs(
  result: Observations,
  mapping: Readonly<Record<string, string>>,
  before: Observations,
): Observations {
  const entries = Object.entries(mapping);
  if (entries.length === 0) return result;
  const changes: (readonly [string, Column | undefined])[] = [];
  for (const [inside, outside] of entries) {
    const column = result.columns.get(inside);
    if (column === undefined) continue;
    if (inside === outside) continue;
    // A name that the manifest itself had before stays beside its mapped twin.
    const stays = before.columns.has(inside) && !before.columns.has(outside);
    changes.push([inside, stays ? before.columns.get(inside) : undefined], [outside, column]);
  }
  return withColumns(result, changes);
}

/** The observations as plain rows, for what leaves the process. */
export const rowsOf = (observations: Observations): Record<string, unknown>[] =>
  Array.from({ length: observations.length }, (_, row) => rowAt(observations, row));
