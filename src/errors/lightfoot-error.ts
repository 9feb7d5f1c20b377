// The one error class, and findings for input that is bad in several places; may depend on the catalogue only.
import { ERROR_CATALOG, type ErrorCode, type ExitCode } from "./catalog.ts";

/** Where in the user's input the trouble lies; every part that is known is filled. */
export interface Place {
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  /** 1-based. */
  readonly column?: number;
  /** Byte offset in a binary file. */
  readonly offset?: number;
  /** Path inside a document or graph, e.g. `budget.maxDrop` or `graph/If_3/then_branch/Conv_0`. */
  readonly path?: string;
}

/** One thing that is wrong in a document that may have several. */
export interface Finding {
  readonly message: string;
  readonly hint?: string;
  readonly where: Place;
}

export interface LightfootErrorOptions {
  /** What to type or change next. */
  readonly hint?: string;
  readonly where?: Place;
  readonly cause?: unknown;
  readonly findings?: readonly Finding[];
}

/**
 * An error a user can act on: the message says what was found and what was expected, the hint what to do next.
 *
 * @example throw new LightfootError("E_TENSOR", "weight 'w' declares 40 bytes, the file holds 12", { where: { file } });
 */
export class LightfootError extends Error {
  /** By name: `dist/cli/main.js` has a copy of this class, and an error that crosses over is still one. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === "LightfootError" && "code" in value;
  }

  override readonly name = "LightfootError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly where: Place | undefined;
  readonly findings: readonly Finding[];

  constructor(code: ErrorCode, message: string, options: LightfootErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.where = options.where;
    this.findings = options.findings ?? [];
  }

  get exitCode(): ExitCode {
    return ERROR_CATALOG[this.code].exit;
  }

  /** The plain document that `--json` prints and that crosses worker and process borders. */
  toJSON(): ErrorDocument {
    return {
      schema: "lightfoot.error/1",
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.where === undefined ? {} : { where: this.where }),
      ...(this.findings.length === 0 ? {} : { findings: this.findings }),
    };
  }
}

export interface ErrorDocument {
  readonly schema: "lightfoot.error/1";
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly where?: Place;
  readonly findings?: readonly Finding[];
}

/** The error behind a document that came from a worker or a child process. */
export function errorFromDocument(document: ErrorDocument): LightfootError {
  const { code, message, hint, where, findings } = document;
  return new LightfootError(code, message, { hint, where, findings });
}

/** Whatever was thrown, as a LightfootError: foreign errors become `E_INTERNAL`, once, at the outermost edge. */
export function asLightfootError(thrown: unknown): LightfootError {
  if (thrown instanceof LightfootError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new LightfootError("E_INTERNAL", message, {
    cause: thrown,
    hint: "This is a defect of Lightfoot. Please report it with the command you ran; --verbose shows the stack.",
  });
}

/** `file:line:column (path)` of a place, for messages. */
export function formatPlace(place: Place): string {
  const position = [place.file, place.line, place.line === undefined ? undefined : place.column]
    .filter((part) => part !== undefined)
    .join(":");
  const offset = place.offset === undefined ? "" : `${position ? " " : ""}at byte ${place.offset}`;
  const path = place.path === undefined ? "" : `${position || offset ? " " : ""}(${place.path})`;
  return `${position}${offset}${path}`;
}
