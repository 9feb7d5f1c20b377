// Questions to the ledger in SQL: DuckDB reads its files and can do nothing else; may depend on errors, io and this room.
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { loadDuckDb } from "../io/duckdb.ts";
import { findLedgerFiles, isTorn, readJsonSql, viewStatements, VIEWS, type LedgerFiles } from "./relation.ts";

/** A value as JSON has it; times are ISO 8601 in UTC, integers beyond 2^53 text. */
export type Cell = string | number | boolean | null | readonly Cell[] | { readonly [key: string]: Cell };

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface LedgerQuery {
  /** Whose last line was dropped because its writer was killed while it wrote. */
  readonly torn: readonly string[];
  /**
   * One statement that reads. @throws LightfootError E_SQL with DuckDB's words; E_LEDGER when a file cannot be read
   */
  ask(sql: string, signal?: AbortSignal): Promise<QueryResult>;
  close(): void;
}

/**
 * Opens a ledger for questions.
 *
 * The engine keeps nothing, loads no extension, reaches no network, and opens no file but the ledger's own, for reading.
 * @throws LightfootError E_FILE_NOT_FOUND, E_DEPENDENCY, E_LEDGER
 */
export async function openLedgerQuery(folder: string): Promise<LedgerQuery> {
  const files = findLedgerFiles(folder);
  const engine = await loadDuckDb();
  const instance = await engine.DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    temp_directory: "",
  });
  const connection = await instance.connect();
  try {
    for (const statement of viewStatements(files)) await connection.run(statement);
    await requireReadable(connection, files);
    await lock(connection, files);
  } catch (error) {
    connection.closeSync();
    instance.closeSync();
    throw fileError(error);
  }
  return new OpenQuery(engine, instance, connection, files.open.filter(isTorn));
}

/** From here on the files of the ledger are all there is, and no setting changes any more. */
async function lock(connection: DuckDBConnection, { closed, open, parquet }: LedgerFiles): Promise<void> {
  const allowed = [...closed, ...open, ...parquet].map((file) => `'${file.replaceAll("'", "''")}'`);
  await connection.run(`SET allowed_paths = [${allowed.join(", ")}]`);
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
}

/** In a file that is not closed the last line may be unreadable, no other: DuckDB would pass over them all in silence. */
async function requireReadable(connection: DuckDBConnection, { open }: LedgerFiles): Promise<void> {
  for (const file of open) {
    const sql = `SELECT count(*)::INTEGER FROM (${readJsonSql([file], true)}) WHERE record IS NULL`;
    const tooMany = async (): Promise<number> => {
      const [[count]] = (await connection.runAndReadAll(sql)).getRowsJS();
      return Number(count) - (isTorn(file) ? 1 : 0);
    };
    // A line that was being written at the first look is whole at the second.
    const count = (await tooMany()) > 0 ? await tooMany() : 0;
    if (count > 0) {
      throw new LightfootError("E_LEDGER", `${count} ${count === 1 ? "line" : "lines"} cannot be read`, {
        hint: "`lightfoot ledger verify` says which.",
        where: { file },
      });
    }
  }
}

class OpenQuery implements LedgerQuery {
  readonly torn: readonly string[];
  readonly #engine: typeof import("@duckdb/node-api");
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  constructor(
    engine: typeof import("@duckdb/node-api"),
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    torn: readonly string[],
  ) {
    this.#engine = engine;
    this.#instance = instance;
    this.#connection = connection;
    this.torn = torn;
  }

  async ask(sql: string, signal?: AbortSignal): Promise<QueryResult> {
    const interrupt = () => this.#connection.interrupt();
    signal?.addEventListener("abort", interrupt, { once: true });
    try {
      const statements = await this.#connection.extractStatements(sql);
      if (statements.count !== 1) {
        throw new LightfootError("E_SQL", `expected one statement, found ${statements.count}`);
      }
      const statement = await statements.prepare(0);
      // COPY … TO could write even to the files that may be read.
      if (statement.statementType !== this.#engine.StatementType.SELECT) {
        const found = this.#engine.StatementType[statement.statementType];
        throw new LightfootError("E_SQL", `only queries are answered (SELECT, DESCRIBE, SUMMARIZE), found ${found}`);
      }
      const reader = await statement.runAndReadAll();
      const types = reader.columnTypes();
      return {
        columns: reader.deduplicatedColumnNames().map((name, at) => ({ name, type: types[at].toString() })),
        rows: reader.getRowsJS().map((row) => row.map(toCell)),
      };
    } catch (error) {
      if (signal?.aborted === true)
        throw new LightfootError("E_INTERRUPTED", "the query was stopped", { cause: error });
      throw queryError(error);
    } finally {
      signal?.removeEventListener("abort", interrupt);
    }
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

function toCell(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(toCell);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value instanceof Map) return [...value].map(([key, entry]) => [toCell(key), toCell(entry)]);
  if (Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toCell(entry)]));
  }
  // Intervals, UUIDs and other types that JSON has no word for.
  return (value as { toString: () => string }).toString();
}

const firstLines = (message: string): string => message.trim().split("\n").slice(0, 6).join("\n");

const isDamage = (message: string): boolean =>
  /Malformed JSON|Invalid Input Error.*JSON|\.jsonl|\.parquet/.test(message);

function fileError(error: unknown): LightfootError {
  if (error instanceof LightfootError) return error;
  return new LightfootError("E_LEDGER", `the ledger's files cannot be read: ${firstLines((error as Error).message)}`, {
    hint: "`lightfoot ledger verify` says which line is wrong.",
    cause: error,
  });
}

function queryError(error: unknown): LightfootError {
  if (error instanceof LightfootError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isDamage(message) && !message.startsWith("Permission Error")) return fileError(error);
  const views = Object.entries(VIEWS).map(([name, what]) => `  ${name}: ${what}`);
  return new LightfootError("E_SQL", firstLines(message), {
    hint: `The tables are\n${views.join("\n")}`,
    cause: error,
  });
}
