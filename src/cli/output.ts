// Where text goes: results to stdout, narration and errors to stderr; may depend on errors and quantity.
import { styleText } from "node:util";
import { formatPlace, LightfootError } from "../errors/lightfoot-error.ts";
import type { Assumption } from "../quantity/figure.ts";
import { wrapText } from "./wrap-text.ts";

type Style = Parameters<typeof styleText>[0];

/** Styled text for stderr; plain when it is no terminal or NO_COLOR is set. */
export const onStderr = (style: Style, text: string): string => styleText(style, text, { stream: process.stderr });

/** Styled text for stdout; plain when it is no terminal or NO_COLOR is set. */
export const onStdout = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

/** One result on stdout: the document under `--json`, else the text. */
export function printResult(document: unknown, text: () => string, json: boolean): void {
  const body = json ? JSON.stringify(document, undefined, 2) : text();
  process.stdout.write(body.endsWith("\n") ? body : `${body}\n`);
}

/** A result that did not reach whom it was for: a full disk, a device that fails. */
export function cannotPrint(reason: string): LightfootError {
  return new LightfootError("E_FILE_WRITE", `the result could not be written to standard output: ${reason}`, {
    hint: reason === "ENOSPC" ? "The disk is full: make room, and run it again." : undefined,
  });
}

/** What a result rests on and nobody measured, below the result. */
export function formatAssumptions(assumptions: readonly Assumption[], columns: number): string {
  const unique = new Map(assumptions.map((entry) => [entry.key, entry.text]));
  const lines = [...unique].flatMap(([key, text]) =>
    wrapText(`${onStdout("yellow", "○")} ${text} ${onStdout("dim", `[${key}]`)}`, columns - 2, "  "),
  );
  return lines.length === 0 ? "" : `\nAssumed:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}

/** An error on stderr: one JSON document under `--json`, else what was found, each finding, and what to do next. */
export function printError(error: LightfootError, mode: { readonly json: boolean; readonly verbose: boolean }): void {
  process.stderr.write(mode.json ? `${JSON.stringify(error)}\n` : formatError(error, mode.verbose));
}

function formatError(error: LightfootError, verbose: boolean): string {
  const place = error.where === undefined ? "" : `${formatPlace(error.where)}: `;
  const lines = [`${onStderr("red", "error")}: ${place}${error.message} ${onStderr("dim", `[${error.code}]`)}`];
  for (const finding of error.findings) {
    lines.push(`  ${onStderr("bold", formatPlace(finding.where))}: ${finding.message}`);
    if (finding.hint !== undefined) lines.push(`    ${onStderr("cyan", finding.hint)}`);
  }
  if (error.hint !== undefined) lines.push(`${onStderr("cyan", "hint")}: ${error.hint}`);
  if (verbose) lines.push(stackOf(error));
  return `${lines.join("\n")}\n`;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
