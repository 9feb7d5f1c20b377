// The rule pack: every YAML file below a folder, checked and compiled; may depend on errors, io and its room.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { LightfootError, type Finding } from "../../errors/lightfoot-error.ts";
import { sha256 } from "../../io/digest.ts";
import { fileError } from "../../io/file-range.ts";
import { checkAgainst, inReadingOrder, locateYaml, type LocatedDocument } from "../../io/yaml-findings.ts";
import { evidenceMistake } from "./vocabulary.ts";
import { compileCondition, compileFormula, type Condition, type Formula } from "./conditions.ts";
import {
  overlaySchema,
  ruleSchema,
  vocabularySchema,
  type Overlay,
  type Rule,
  type Vocabulary,
} from "./rule-schema.ts";

/** A rule with its conditions compiled. */
export interface CompiledRule {
  readonly rule: Rule;
  /** Path below the pack's folder. */
  readonly file: string;
  readonly when: Condition | undefined;
  readonly require: Condition | undefined;
  readonly enough: Condition | undefined;
  /** The formula of its amount. */
  readonly formula: Formula | undefined;
}

export interface Pack {
  readonly vocabulary: Vocabulary;
  /** By id. */
  readonly rules: readonly CompiledRule[];
  readonly overlays: readonly Overlay[];
  /** Over all files: two reports with one digest used the same rules. */
  readonly digest: string;
}

const VOCABULARY_FILE = "evidence.yaml";

/** The pack that comes with Lightfoot; two folders up from src/policy and from dist/policy alike. */
export const OWN_PACK = new URL("../../../data/policies/", import.meta.url).pathname;

/**
 * Reads a pack.
 *
 * @param folders later ones add rules to the first one's, and may bring a vocabulary of their own to add to it
 * @throws LightfootError E_POLICY with every mistake of every file
 */
export function readPack(folders: readonly string[] = [OWN_PACK]): Pack {
  const findings: Finding[] = [];
  const vocabulary: Record<string, Vocabulary[string]> = {};
  const files = folders.flatMap((folder) => yamlFiles(folder).map((path) => ({ folder, path })));
  const texts: { file: string; text: string }[] = [];
  for (const { folder, path } of files) texts.push({ file: relative(folder, path), text: read(path) });
  for (const { file, text } of texts.filter((entry) => entry.file === VOCABULARY_FILE)) {
    const { value, findings: found } = checkAgainst(vocabularySchema, locateYaml(text, file));
    findings.push(...found);
    for (const [root, fields] of Object.entries(value ?? {})) vocabulary[root] = { ...vocabulary[root], ...fields };
  }
  const rules = new Map<string, CompiledRule>();
  const overlays: Overlay[] = [];
  for (const { file, text } of texts.filter((entry) => entry.file !== VOCABULARY_FILE)) {
    const located = locateYaml(text, file);
    if (isOverlay(located)) {
      const { value, findings: found } = checkAgainst(overlaySchema, located);
      findings.push(...found);
      if (value !== undefined) overlays.push(value);
      continue;
    }
    const { value, findings: found } = checkAgainst(ruleSchema, located);
    findings.push(...found);
    if (value === undefined) continue;
    if (rules.has(value.id)) findings.push(located.find(["id"], `a second rule is called '${value.id}'`));
    const compiled = compile(value, file, vocabulary, located, findings);
    if (compiled !== undefined) rules.set(value.id, compiled);
  }
  for (const overlay of overlays) findings.push(...overlayFindings(overlay, rules));
  if (findings.length > 0) {
    throw new LightfootError(
      "E_POLICY",
      `the rule pack has ${findings.length} mistake${findings.length === 1 ? "" : "s"}`,
      {
        findings: inReadingOrder(findings),
      },
    );
  }
  const digest = sha256(texts.map(({ file, text }) => `${file}\n${text}`).join("\n"));
  return {
    vocabulary,
    rules: [...rules.values()].toSorted((a, b) => a.rule.id.localeCompare(b.rule.id)),
    overlays,
    digest,
  };
}

function yamlFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (thrown) {
    throw fileError(thrown, folder);
  }
}

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw fileError(thrown, path);
  }
};

const isOverlay = ({ data }: LocatedDocument): boolean =>
  typeof data === "object" && data !== null && "overlay" in data;

type Maker<Compiled> = (text: string, vocabulary: Vocabulary, parameters: readonly string[]) => Compiled;

function compile(
  rule: Rule,
  file: string,
  vocabulary: Vocabulary,
  located: LocatedDocument,
  findings: Finding[],
): CompiledRule | undefined {
  const before = findings.length;
  const parameters = Object.keys(rule.parameters);
  const of = <Compiled>(path: readonly string[], text: string | undefined, make: Maker<Compiled>) => {
    if (text === undefined) return undefined;
    try {
      return make(text, vocabulary, parameters);
    } catch (thrown) {
      findings.push(located.find(path, (thrown as Error).message));
      return undefined;
    }
  };
  const when = of(["when"], rule.when, compileCondition);
  const require = of(["require"], rule.require, compileCondition);
  const enough = of(["enough"], rule.enough, compileCondition);
  const formula = of(["amount", "formula"], rule.amount?.formula, compileFormula);
  if (rule.require === undefined && rule.manual === undefined) {
    findings.push(located.find(["id"], "a rule without 'require' needs 'manual': what a person has to do"));
  }
  for (const [name, { values }] of Object.entries(rule.parameters)) {
    const sorted = values.every(({ from }, at) => at === 0 || values[at - 1].from < from);
    if (!sorted)
      findings.push(located.find(["parameters", name, "values"], "values are not in the order of their dates"));
  }
  for (const [index, fixture] of rule.fixtures.entries()) {
    if (fixture.amount !== undefined && rule.amount === undefined) {
      findings.push(located.find(["fixtures", index, "amount"], "the rule has no amount"));
    }
    for (const [path, value] of Object.entries(fixture.evidence)) {
      const mistake = evidenceMistake(path, value, vocabulary);
      if (mistake === undefined) continue;
      findings.push(located.find(["fixtures", index, "evidence", path], mistake.message, mistake.hint));
    }
  }
  return findings.length > before ? undefined : { rule, file, when, require, enough, formula };
}

function overlayFindings(overlay: Overlay, rules: ReadonlyMap<string, CompiledRule>): Finding[] {
  return Object.entries(overlay.changes).flatMap(([id, parameters]) => {
    const rule = rules.get(id)?.rule;
    const where = { path: `${overlay.overlay}.changes.${id}` };
    if (rule === undefined) return [{ where, message: `there is no rule '${id}'` }];
    return Object.keys(parameters)
      .filter((name) => rule.parameters[name] === undefined)
      .map((name) => ({ where, message: `the rule ${id} has no parameter '${name}'` }));
  });
}
