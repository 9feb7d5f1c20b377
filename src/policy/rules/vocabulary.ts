// The vocabulary of evidence: which fields there are and what fits into them; may depend on errors and its room.
import { closestName } from "../../errors/closest-name.ts";
import type { Vocabulary } from "./rule-schema.ts";

/** What is wrong with a value for a field, or undefined. @param path `dc.pueAnnual` */
export function evidenceMistake(
  path: string,
  value: unknown,
  vocabulary: Vocabulary,
): { message: string; hint?: string } | undefined {
  const [root, name] = path.split(".");
  const field = vocabulary[root]?.[name ?? ""];
  if (field === undefined) {
    const known = Object.entries(vocabulary).flatMap(([of, fields]) =>
      Object.keys(fields).map((each) => `${of}.${each}`),
    );
    const near = closestName(path, known);
    return {
      message: `'${path}' is no field of evidence`,
      hint: near === undefined ? "lightfoot policy fields lists them." : `Did you mean '${near}'?`,
    };
  }
  const expected = { number: "a number", text: "text", truth: "true or false", date: "a date such as 2026-07-01" }[
    field.type
  ];
  const fits = {
    number: typeof value === "number" && Number.isFinite(value),
    text: typeof value === "string",
    truth: typeof value === "boolean",
    date: typeof value === "string" && isDay(value),
  }[field.type];
  const { min = -Infinity, max = Infinity } = field;
  if (fits && (typeof value !== "number" || (value >= min && value <= max))) return undefined;
  if (fits) {
    const [least, most] = [min > -Infinity ? `at least ${min}` : "", max < Infinity ? `at most ${max}` : ""];
    return { message: `${path} is ${String(value)}, expected ${[least, most].filter(Boolean).join(" and ")}` };
  }
  return {
    message: `${path} is ${JSON.stringify(value)}, expected ${expected}${field.unit === undefined || field.unit === "1" ? "" : ` in ${field.unit}`}`,
  };
}

/** In the calendar: 2026-02-30 is not. */
function isDay(text: string): boolean {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN;
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
