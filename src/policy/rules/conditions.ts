// Conditions and formulas of rules in CEL, compiled once against the vocabulary of evidence so that a misspelt field is an error; may depend on errors and cel-js.
import { Environment } from "@marcbachmann/cel-js";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Vocabulary } from "./rule-schema.ts";

export type EvidenceValue = number | string | boolean;

/** A condition's answer; `unknown` names the fields without which it cannot be given. */
export type Answer = { readonly truth: boolean } | { readonly truth: "unknown"; readonly missing: readonly string[] };

/** What a condition and a formula have in common. */
interface Expression {
  readonly text: string;
  /** Fields of evidence that the text names: `dc.pueAnnual`. */
  readonly fields: readonly string[];
  /** Parameters that it names: `pueMax`. */
  readonly parameters: readonly string[];
}

/** Evidence by field: `{ "dc.pueAnnual": 1.2 }`. */
type Known = ReadonlyMap<string, EvidenceValue>;
/** Parameters in force on the day. */
type Numbers = Readonly<Record<string, number>>;

export interface Condition extends Expression {
  evaluate(evidence: Known, parameters: Numbers): Answer;
}

export interface Formula extends Expression {
  /** @throws LightfootError E_POLICY when the result is no finite number */
  evaluate(evidence: Known, parameters: Numbers): { value: number } | { missing: readonly string[] };
}

const CEL_TYPES = { number: "double", text: "string", truth: "bool", date: "google.protobuf.Timestamp" } as const;

/** The environment of a vocabulary, without parameters: each rule has its own. */
function environmentOf(vocabulary: Vocabulary, parameters: readonly string[]): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: false });
  for (const [root, fields] of Object.entries(vocabulary)) {
    const schema = Object.fromEntries(Object.entries(fields).map(([name, { type }]) => [name, CEL_TYPES[type]]));
    environment.registerVariable({ name: root, schema });
  }
  const schema = Object.fromEntries(parameters.map((name) => [name, "double"]));
  return parameters.length === 0 ? environment : environment.registerVariable({ name: "param", schema });
}

/**
 * Compiles a condition.
 *
 * @throws LightfootError E_POLICY when it does not parse, names a field that the vocabulary lacks, or is no yes-or-no question
 */
export function compileCondition(text: string, vocabulary: Vocabulary, parameters: readonly string[]): Condition {
  const { evaluate, ...expression } = compile("condition", text, vocabulary, parameters);
  return {
    ...expression,
    evaluate(evidence, numbers) {
      const result = evaluate(evidence, numbers);
      return "missing" in result ? { truth: "unknown", missing: result.missing } : { truth: result.value === true };
    },
  };
}

/**
 * Compiles the formula of an amount.
 *
 * @throws LightfootError E_POLICY as for a condition, or when it gives no double
 */
export function compileFormula(text: string, vocabulary: Vocabulary, parameters: readonly string[]): Formula {
  const { evaluate, ...expression } = compile("formula", text, vocabulary, parameters);
  return {
    ...expression,
    evaluate(evidence, numbers) {
      const result = evaluate(evidence, numbers);
      if ("missing" in result) return result;
      if (typeof result.value === "number" && Number.isFinite(result.value)) return { value: result.value };
      throw new LightfootError("E_POLICY", `the formula '${text}' gives ${String(result.value)}, no finite number`);
    },
  };
}

const EXPECTED = {
  condition: { type: "bool", words: "true or false" },
  formula: { type: "double", words: "a number with a decimal point" },
} as const;

function compile(
  kind: keyof typeof EXPECTED,
  text: string,
  vocabulary: Vocabulary,
  parameters: readonly string[],
): Expression & { evaluate: (evidence: Known, numbers: Numbers) => { value: unknown } | { missing: string[] } } {
  const environment = environmentOf(vocabulary, parameters);
  const checked = environment.check(text);
  if (!checked.valid) {
    const [reason] = (checked.error?.message ?? "it does not parse").split("\n");
    throw new LightfootError("E_POLICY", `the ${kind} '${text}' is wrong: ${reason}`);
  }
  const { type, words } = EXPECTED[kind];
  if (String(checked.type) !== type) {
    throw new LightfootError("E_POLICY", `the ${kind} '${text}' gives ${String(checked.type)}, expected ${words}`);
  }
  const parsed = environment.parse(text);
  const fields = fieldsIn(text, vocabulary);
  return {
    text,
    fields,
    parameters: parameters.filter((name) => new RegExp(`\\bparam\\.${name}\\b`).test(text)),
    evaluate(evidence, numbers) {
      try {
        return { value: parsed(contextOf(vocabulary, evidence, numbers)) as unknown };
      } catch (cause) {
        // CEL absorbs an error beside a decided `||` or `&&`; what is left really hangs on missing evidence.
        const missing = fields.filter((field) => !evidence.has(field));
        if (missing.length > 0 && isMissingKey(cause)) return { missing };
        throw new LightfootError("E_POLICY", `the ${kind} '${text}' cannot be evaluated`, { cause });
      }
    },
  };
}

const isMissingKey = (error: unknown): boolean => error instanceof Error && /no such key/i.test(error.message);

/** Every `root.field` of the vocabulary that occurs outside of quotes. */
function fieldsIn(text: string, vocabulary: Vocabulary): string[] {
  const bare = text.replaceAll(/"[^"]*"|'[^']*'/g, '""');
  const found = Array.from(bare.matchAll(/\b([a-z][A-Za-z0-9]*)\.([a-z][A-Za-z0-9]*)\b/g), ([path]) => path);
  return [...new Set(found)].filter((path) => {
    const [root, name] = path.split(".");
    return vocabulary[root]?.[name] !== undefined;
  });
}

function contextOf(
  vocabulary: Vocabulary,
  evidence: ReadonlyMap<string, EvidenceValue>,
  parameters: Readonly<Record<string, number>>,
): Record<string, unknown> {
  const context: Record<string, Record<string, unknown>> = { param: { ...parameters } };
  for (const root of Object.keys(vocabulary)) context[root] = {};
  for (const [path, value] of evidence) {
    const [root, name] = path.split(".");
    const field = vocabulary[root]?.[name];
    if (field !== undefined) context[root][name] = field.type === "date" ? new Date(String(value)) : value;
  }
  return context;
}
