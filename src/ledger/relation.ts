// The ledger's files as one relation of DuckDB: columns, views, and which file is read in which form; may depend on errors and this room.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { readReceipt } from "./receipt.ts";
import { filePath, listWriters, parquetPath } from "./layout.ts";

const FIGURE =
  "STRUCT(value DOUBLE, unit VARCHAR, low DOUBLE, high DOUBLE, method VARCHAR, sources VARCHAR[]," +
  " assumptions STRUCT(key VARCHAR, text VARCHAR)[])";

/** Every key that a record may have, with its type; each record fills some. */
const COLUMNS: Readonly<Record<string, string>> = {
  record: "VARCHAR",
  run: "VARCHAR",
  at: "VARCHAR",
  verb: "VARCHAR",
  title: "VARCHAR",
  command: "VARCHAR[]",
  model: "VARCHAR",
  inputs: "STRUCT(name VARCHAR, digest VARCHAR)[]",
  domains:
    "STRUCT(id VARCHAR, label VARCHAR, kind VARCHAR, device VARCHAR, method VARCHAR, countsTowardsTotal BOOLEAN)[]",
  host: "VARCHAR",
  tool: "STRUCT(name VARCHAR, version VARCHAR)",
  atSeconds: "DOUBLE",
  elapsedSeconds: "DOUBLE",
  domain: "VARCHAR",
  energyJoules: "DOUBLE",
  powerWatts: "DOUBLE",
  gapSeconds: "DOUBLE",
  gap: "VARCHAR",
  subject: "VARCHAR",
  name: "VARCHAR",
  figure: FIGURE,
  outputs: "STRUCT(name VARCHAR, digest VARCHAR)[]",
  document: "VARCHAR",
  outcome: "VARCHAR",
  exitCode: "INTEGER",
};

// AT is a word of SQL.
const NAMES = Object.keys(COLUMNS)
  .map((name) => `"${name}"`)
  .join(", ");
const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const list = (files: readonly string[]): string => `[${files.map(quote).join(", ")}]`;

function jsonTable(files: readonly string[], torn: boolean): string {
  const columns = Object.entries(COLUMNS).map(([name, type]) => `"${name}": ${quote(type)}`);
  const options = [
    "format = 'newline_delimited'",
    `columns = {${columns.join(", ")}}`,
    "filename = true",
    ...(torn ? ["ignore_errors = true"] : []),
  ];
  return `read_json(${list(files)}, ${options.join(", ")})`;
}

const parquetTable = (files: readonly string[]): string => `read_parquet(${list(files)}, filename = true)`;

/** SQL that reads JSONL files; an unfinished last line is an error, or with `torn` a row without a record. */
export const readJsonSql = (files: readonly string[], torn: boolean): string =>
  `SELECT ${NAMES} FROM ${jsonTable(files, torn)}`;

/** SQL for the rows of each file and a hash of them that does not depend on their order: threads do not keep it. */
export function fingerprintSql(files: readonly string[], form: "jsonl" | "parquet"): string {
  const table = form === "parquet" ? parquetTable(files) : jsonTable(files, true);
  return `SELECT filename, count(*)::INTEGER AS row_count, sum(hash(ROW(${NAMES})))::VARCHAR AS hash
    FROM ${table} WHERE record IS NOT NULL GROUP BY filename`;
}

/** Which file is read in which form. All paths are absolute. */
export interface LedgerFiles {
  /** Closed by their writers: nothing follows. */
  readonly closed: readonly string[];
  /** Not closed: the last line may be torn, or be written at this very moment. */
  readonly open: readonly string[];
  /** Each stands for a JSONL file, which is then in neither of the other lists. */
  readonly parquet: readonly string[];
}

/** Opening a Parquet file takes longer than reading a JSONL of this length. */
const LEAST_PARQUET_BYTES = 2 ** 18;

/** Sorts the files of a ledger. @throws LightfootError E_FILE_NOT_FOUND without a ledger */
export function findLedgerFiles(folder: string): LedgerFiles {
  const files: { closed: string[]; open: string[]; parquet: string[] } = { closed: [], open: [], parquet: [] };
  for (const writer of listWriters(folder)) {
    const file = resolve(filePath(folder, writer));
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (size === 0) continue; // a head whose writer died before its first line
    const parquet = resolve(parquetPath(folder, writer));
    const receipt = readReceipt(folder, writer);
    // A file that has grown since says more than its Parquet.
    const stands =
      size >= LEAST_PARQUET_BYTES &&
      receipt?.bytes === size &&
      statSync(parquet, { throwIfNoEntry: false })?.size === receipt.parquetBytes;
    if (stands) files.parquet.push(parquet);
    else files[isClosed(file, size) ? "closed" : "open"].push(file);
  }
  return files;
}

/** More than the longest block record and the closing record before it. */
const TAIL_BYTES = 4096;

function tailOf(file: string, bytes: number): Buffer {
  const handle = openSync(file, "r");
  try {
    const { size } = fstatSync(handle);
    const tail = Buffer.alloc(Math.min(size, bytes));
    return tail.subarray(0, readSync(handle, tail, 0, tail.length, size - tail.length));
  } finally {
    closeSync(handle);
  }
}

/** True when the file ends with the record that closes it and its block. */
function isClosed(file: string, size: number): boolean {
  const lines = tailOf(file, Math.min(size, TAIL_BYTES)).toString().split("\n");
  return lines.at(-1) === "" && lines.at(-2)?.startsWith('{"record":"block"') === true && isClose(lines.at(-3));
}

const isClose = (line: string | undefined): boolean => line?.startsWith('{"record":"close"') === true;

/** True while the last line of a file has no end: its writer was killed, or is writing it. */
export const isTorn = (file: string): boolean => tailOf(file, 1)[0] !== 10;

/** SQL of the relation `records`: every line of every file, once. */
function recordsSql({ closed, open, parquet }: LedgerFiles): string {
  const parts = [
    ...(closed.length > 0 ? [readJsonSql(closed, false)] : []),
    ...(open.length > 0 ? [`SELECT * FROM (${readJsonSql(open, true)}) WHERE record IS NOT NULL`] : []),
    ...(parquet.length > 0 ? [`SELECT ${NAMES} FROM ${parquetTable(parquet)}`] : []),
  ];
  const nothing = Object.entries(COLUMNS).map(([name, type]) => `CAST(NULL AS ${type}) AS "${name}"`);
  return parts.length > 0 ? parts.join(" UNION ALL ") : `SELECT ${nothing.join(", ")} WHERE false`;
}

/** What a query may name, with a line on each for help and errors. */
export const VIEWS = {
  runs: "one row a run: run, time, verb, title, command, model, inputs, outputs, document, host, version, outcome, exitCode, elapsedSeconds",
  samples: "one row a sample: run, time, elapsedSeconds, domain, energyJoules, powerWatts, gapSeconds, gap",
  figures: "one row a figure: run, time, subject, name, value, unit, low, high, method, sources, assumptions",
  domains: "one row a domain of a run: run, domain, label, kind, device, method, countsTowardsTotal",
} as const;

/** The statements that make the views. */
export function viewStatements(files: LedgerFiles): string[] {
  return [
    `CREATE VIEW records AS ${recordsSql(files)}`,
    `CREATE VIEW runs AS
       SELECT head.run, TRY_CAST(head."at" AS TIMESTAMP) AS time, head.verb, head.title, head.command,
         coalesce(head.model, tail.model) AS model, list_concat(head.inputs, coalesce(tail.inputs, [])) AS inputs,
         coalesce(tail.outputs, []) AS outputs, tail.document, head.host, head.tool.version AS version, tail.outcome,
         tail.exitCode, tail.elapsedSeconds
       FROM (SELECT * FROM records WHERE record = 'run') AS head
       LEFT JOIN (SELECT * FROM records WHERE record = 'end') AS tail USING (run)`,
    `CREATE VIEW samples AS
       SELECT run, make_timestamp((atSeconds * 1e6)::BIGINT) AS time, elapsedSeconds, domain, energyJoules, powerWatts,
         coalesce(gapSeconds, 0) AS gapSeconds, gap
       FROM records WHERE record = 'sample'`,
    `CREATE VIEW figures AS
       SELECT run, TRY_CAST("at" AS TIMESTAMP) AS time, subject, name, figure.value AS value, figure.unit AS unit,
         figure.low AS low, figure.high AS high, figure.method AS method, figure.sources AS sources,
         figure.assumptions AS assumptions
       FROM records WHERE record = 'figure'`,
    `CREATE VIEW domains AS
       SELECT run, one.id AS domain, one.label, one.kind, one.device, one.method, one.countsTowardsTotal
       FROM (SELECT run, unnest(domains) AS one FROM records WHERE record = 'run')`,
  ];
}
