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

/** SQL that reads JSONL files; `torn` ones have an unfinished last line, which comes out as a row without a record. */
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
  readonly whole: readonly string[];
  readonly torn: readonly string[];
  /** Each stands for a JSONL file, which is then in neither of the other lists. */
  readonly parquet: readonly string[];
}

/** Opening a Parquet file takes longer than reading a JSONL of this length. */
const LEAST_PARQUET_BYTES = 2 ** 18;

/** Sorts the files of a ledger. @throws LightfootError E_FILE_NOT_FOUND without a ledger */
export function findLedgerFiles(folder: string): LedgerFiles {
  const files: { whole: string[]; torn: string[]; parquet: string[] } = { whole: [], torn: [], parquet: [] };
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
    else files[endsWithLineEnd(file) ? "whole" : "torn"].push(file);
  }
  return files;
}

function endsWithLineEnd(file: string): boolean {
  const handle = openSync(file, "r");
  try {
    const last = Buffer.alloc(1);
    readSync(handle, last, 0, 1, fstatSync(handle).size - 1);
    return last[0] === 10;
  } finally {
    closeSync(handle);
  }
}

/** SQL of the relation `records`: every line of every file, once. */
function recordsSql({ whole, torn, parquet }: LedgerFiles): string {
  const parts = [
    ...(whole.length > 0 ? [readJsonSql(whole, false)] : []),
    ...(torn.length > 0 ? [`SELECT * FROM (${readJsonSql(torn, true)}) WHERE record IS NOT NULL`] : []),
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
