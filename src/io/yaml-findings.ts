// A YAML document checked against a zod schema, every mistake with line, column and path; may depend on errors.
import { isAlias, isMap, isPair, isSeq, LineCounter, parseDocument, type Document, type Node, type Pair } from "yaml";
import { z } from "zod";
import { closestName } from "../errors/closest-name.ts";
import type { Finding } from "../errors/lightfoot-error.ts";

type Path = readonly PropertyKey[];

/** A parsed document that knows where each of its parts stands. */
export interface LocatedDocument {
  /** Plain data; undefined when the text is no YAML. */
  readonly data: unknown;
  /** Mistakes of the YAML itself. */
  readonly findings: readonly Finding[];
  /** A finding about the value at `path`; about its parent when nothing stands there. */
  find(path: Path, message: string, hint?: string): Finding;
  /** A finding about the key `path` ends in, not its value. */
  findKey(path: Path, message: string, hint?: string): Finding;
}

/** @param file name for the findings; nothing is read */
export function locateYaml(text: string, file: string): LocatedDocument {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const place = (offset: number, path: Path): Finding["where"] => {
    const { line, col } = lineCounter.linePos(offset);
    return {
      file,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      ...(path.length > 0 && { path: formatPath(path) }),
    };
  };
  const findings: Finding[] = [...document.errors, ...document.warnings].map((problem) => ({
    message: problem.message.replace(/\s+/g, " "),
    where: place(problem.pos[0], []),
  }));
  const finding = (offset: number, path: Path, message: string, hint?: string): Finding => ({
    message,
    ...(hint !== undefined && { hint }),
    where: place(offset, path),
  });
  return {
    data: findings.length === 0 ? plainData(document, findings, place) : undefined,
    findings,
    find: (path, message, hint) => finding(offsetOf(document, path, "value"), path, message, hint),
    findKey: (path, message, hint) => finding(offsetOf(document, path, "key"), path, message, hint),
  };
}

function plainData(
  document: Document,
  findings: Finding[],
  place: (at: number, path: Path) => Finding["where"],
): unknown {
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // Aliases that multiply without end ("billion laughs"), or one that names no anchor.
    findings.push({ message: error instanceof Error ? error.message : String(error), where: place(0, []) });
    return undefined;
  }
}

/** Every way in which `located` breaks `schema`, in reading order; with the checked value when there is none. */
export function checkAgainst<Schema extends z.ZodType>(
  schema: Schema,
  located: LocatedDocument,
): { readonly value: z.output<Schema> | undefined; readonly findings: readonly Finding[] } {
  if (located.findings.length > 0) return { value: undefined, findings: located.findings };
  const result = schema.safeParse(located.data);
  if (result.success) return { value: result.data, findings: [] };
  return { value: undefined, findings: result.error.issues.flatMap((issue) => findingsOf(issue, [], schema, located)) };
}

export function inReadingOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((left, right) => byPosition(left.where, right.where));
}

const byPosition = (left: Finding["where"], right: Finding["where"]): number =>
  (left.line ?? 0) - (right.line ?? 0) || (left.column ?? 0) - (right.column ?? 0);

function findingsOf(issue: z.core.$ZodIssue, base: Path, schema: z.ZodType, located: LocatedDocument): Finding[] {
  const path = [...base, ...issue.path];
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = keysAt(schema, path);
      return issue.keys.map((key) => {
        const guess = closestName(key, known);
        const hint = guess === undefined ? `Known here: ${known.join(", ")}.` : `Did you mean '${guess}'?`;
        return located.findKey([...path, key], `unknown key '${key}'`, hint);
      });
    }
    case "invalid_union": {
      // The branch whose type fits says what is wrong inside it; when none fits, all types are named.
      const inside = issue.errors.find(
        (branch) => !branch.some((each) => each.code === "invalid_type" && each.path.length === 0),
      );
      if (inside !== undefined) return inside.flatMap((each) => findingsOf(each, path, schema, located));
      const expected = issue.errors
        .flat()
        .flatMap((each) => (each.code === "invalid_type" ? [nameOfType(each.expected)] : []));
      return [located.find(path, `${describeValue(valueAt(located.data, path))}, expected ${expected.join(" or ")}`)];
    }
    case "invalid_type":
      return [missingOrWrong(path, nameOfType(issue.expected), located)];
    case "invalid_value": {
      const found = valueAt(located.data, path);
      const choices = issue.values.map(String);
      if (found === undefined) return [missingOrWrong(path, `one of ${choices.join(", ")}`, located)];
      const guess = typeof found === "string" ? closestName(found, choices) : undefined;
      const hint = guess === undefined ? undefined : `Did you mean '${guess}'?`;
      return [located.find(path, `${describeValue(found)}, expected one of ${choices.join(", ")}`, hint)];
    }
    case "too_small":
    case "too_big": {
      const found = describeValue(valueAt(located.data, path));
      return [located.find(path, `${found}, expected ${limitOf(issue)}`)];
    }
    case "custom": {
      const hint = issue.params?.["hint"] as unknown;
      return [located.find(path, issue.message, typeof hint === "string" ? hint : undefined)];
    }
    default:
      return [located.find(path, issue.message)];
  }
}

function missingOrWrong(path: Path, expected: string, located: LocatedDocument): Finding {
  const found = valueAt(located.data, path);
  if (found === undefined) return located.find(path, `'${String(path.at(-1) ?? "")}' is missing, expected ${expected}`);
  return located.find(path, `${describeValue(found)}, expected ${expected}`);
}

function limitOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const [word, limit] =
    issue.code === "too_small"
      ? [issue.inclusive === false ? "more than" : "at least", issue.minimum]
      : [issue.inclusive === false ? "less than" : "at most", issue.maximum];
  const unit = issue.origin === "array" ? " items" : issue.origin === "string" ? " characters" : "";
  return `${word} ${limit}${unit}`;
}

const TYPE_NAMES: Record<string, string> = {
  object: "a group of keys",
  array: "a list such as [1, 32]",
  string: "text",
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
};

const nameOfType = (type: string): string => TYPE_NAMES[type] ?? type;

function describeValue(value: unknown): string {
  if (value === null) return "found nothing";
  if (Array.isArray(value)) return `found a list of ${value.length}`;
  if (typeof value === "object") return "found a group of keys";
  return `found ${typeof value === "string" ? `'${value}'` : JSON.stringify(value)}`;
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

const formatPath = (path: Path): string =>
  path.map((step, at) => (typeof step === "number" ? `[${step}]` : `${at === 0 ? "" : "."}${String(step)}`)).join("");

/** The keys that the schema knows in the object at `path`. */
function keysAt(schema: z.ZodType, path: Path): string[] {
  const bare = unwrapped(schema);
  if (bare instanceof z.ZodUnion) return bare.options.flatMap((option) => keysAt(option as z.ZodType, path));
  const [step, ...rest] = path;
  if (bare instanceof z.ZodObject) {
    if (step === undefined) return Object.keys(bare.shape);
    const next = (bare.shape as Record<string, z.ZodType>)[String(step)];
    return next === undefined ? [] : keysAt(next, rest);
  }
  return bare instanceof z.ZodArray && step !== undefined ? keysAt(bare.element as z.ZodType, rest) : [];
}

function unwrapped(schema: z.ZodType): z.ZodType {
  let bare = schema;
  while (bare instanceof z.ZodOptional || bare instanceof z.ZodDefault) bare = bare.unwrap() as z.ZodType;
  return bare;
}

/** Byte offset of the key or the value at `path`, or of the nearest part around it that exists. */
function offsetOf(document: Document, path: Path, part: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [at, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const last = at === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item) === String(step));
      if (pair === undefined) return offset;
      const key = startOf(pair.key) ?? offset;
      offset = last && part === "value" ? (startOf(pair.value) ?? key) : key;
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number") {
      node = node.items[step];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];

function keyText(pair: Pair): string | undefined {
  if (!isPair(pair)) return undefined;
  const key = pair.key as { value?: unknown } | string | null;
  return String(typeof key === "object" ? key?.value : key);
}
