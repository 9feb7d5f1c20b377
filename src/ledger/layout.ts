// Names and small files of a ledger's folder: one JSONL and one head a writer; may depend on errors and Node's file system.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { LightfootError } from "../errors/lightfoot-error.ts";

/** The folder of evidence, in the working directory unless somebody names another. */
export const LEDGER_FOLDER = ".lightfoot";

const FILE = ".jsonl";
const HEAD = ".head";
const PARQUET = ".parquet";
const RECEIPT = ".parquet.json";

export const filePath = (folder: string, writer: string): string => join(folder, `${writer}${FILE}`);
export const headPath = (folder: string, writer: string): string => join(folder, `${writer}${HEAD}`);
export const parquetPath = (folder: string, writer: string): string => join(folder, `${writer}${PARQUET}`);
export const receiptPath = (folder: string, writer: string): string => join(folder, `${writer}${RECEIPT}`);

/**
 * The name of a writer's file: time first, so that names sort by age; then host, process and a random part.
 *
 * @example writerName("2026-11-24T20:19:03.123Z", "node-7.example", 4711, "k7f3q9x2ab")
 *   // "20261124T201903Z-node-7.example-4711-k7f3q9x2ab"
 */
export function writerName(at: string, host: string, pid: number, unique: string): string {
  const start = at.replaceAll(/[-:]|\.\d+/g, "");
  const safeHost = host.replaceAll(/[^A-Za-z0-9.-]/g, "_").slice(0, 64) || "host";
  return `${start}-${safeHost}-${pid}-${unique}`;
}

/** How far a writer's file has come: kept beside it, so that a file cut off at its end shows. */
export interface Head {
  readonly writer: string;
  readonly blocks: number;
  /** `sha256:<hex>` of the last block record's line; null before the first. */
  readonly seal: string | null;
}

// One length for good: overwriting in place then needs no truncation, and a reader never sees half a head.
const HEAD_BYTES = 512;

export const renderHead = (head: Head): string => `${JSON.stringify(head).padEnd(HEAD_BYTES - 1)}\n`;

/** The head of a writer; undefined when there is none, null when it cannot be understood. */
export function readHead(folder: string, writer: string): Head | undefined | null {
  try {
    const value: unknown = JSON.parse(readFileSync(headPath(folder, writer), "utf8"));
    return isHead(value) ? value : null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : null;
  }
}

function isHead(value: unknown): value is Head {
  if (typeof value !== "object" || value === null) return false;
  const { writer, blocks, seal } = value as Partial<Record<keyof Head, unknown>>;
  return (
    typeof writer === "string" &&
    typeof blocks === "number" &&
    Number.isInteger(blocks) &&
    (typeof seal === "string" || seal === null)
  );
}

/** Every writer that has a file or a head in the folder, oldest first. @throws LightfootError E_FILE_NOT_FOUND without a ledger */
export function listWriters(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    throw new LightfootError("E_FILE_NOT_FOUND", `there is no ledger at ${folder}`, {
      hint: "`lightfoot run` and `lightfoot track` begin one in the working directory; --ledger names another folder.",
      where: { file: folder },
      cause,
    });
  }
  const writers = names.flatMap((name) =>
    [FILE, HEAD].filter((ending) => name.endsWith(ending)).map((ending) => name.slice(0, -ending.length)),
  );
  return [...new Set(writers)].toSorted();
}

/** True when the folder holds a ledger that verbs other than `run` and `track` append to. */
export function hasLedger(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}
