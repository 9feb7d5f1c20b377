// Adds a Parquet file to each finished JSONL file, and checks that the two say the same; may depend on errors, io and this room.
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { LightfootError, type Finding } from "../errors/lightfoot-error.ts";
import { writeFileAtomic } from "../io/atomic-write.ts";
import { sha256File } from "../io/digest.ts";
import { loadDuckDb } from "../io/duckdb.ts";
import { isProcessAlive } from "../io/writer-identity.ts";
import { checkFile, type FileCheck } from "./check-file.ts";
import { filePath, listWriters, parquetPath, readHead, receiptPath } from "./layout.ts";
import { readReceipt, type Receipt } from "./receipt.ts";
import { fingerprintSql, readJsonSql } from "./relation.ts";

export interface CompactedFile {
  readonly writer: string;
  /** `open`: its writer goes on, or ran on another machine and did not close it; `done`: compacted before. */
  readonly state: "compacted" | "open" | "done";
  readonly rows: number;
  readonly bytes: number;
  readonly parquetBytes: number;
}

/**
 * Writes a Parquet file beside each JSONL file that nobody appends to any more. The JSONL stays: it is the evidence.
 *
 * @param host this machine: a writer of it whose process is gone has finished, even if it could not say so
 * @throws LightfootError E_LEDGER when a file does not hold; nothing is compacted from it
 */
export async function compactLedger(folder: string, host: string): Promise<CompactedFile[]> {
  return withEngine(async (connection) => {
    const results: CompactedFile[] = [];
    for (const writer of listWriters(folder)) {
      const found = await compactWriter(connection, folder, writer, host);
      if (found !== undefined) results.push(found);
    }
    return results;
  });
}

async function compactWriter(
  connection: DuckDBConnection,
  folder: string,
  writer: string,
  host: string,
): Promise<CompactedFile | undefined> {
  const file = filePath(folder, writer);
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes === 0) return undefined;
  const known = readReceipt(folder, writer);
  if (known?.bytes === bytes && existsSync(parquetPath(folder, writer))) {
    return { writer, state: "done", rows: known.rows, bytes, parquetBytes: known.parquetBytes };
  }
  const check = checkFile(file, writer, readHead(folder, writer));
  const [wrong] = check.findings;
  if (wrong !== undefined) {
    throw new LightfootError("E_LEDGER", wrong.message, {
      hint: "`lightfoot ledger verify` lists everything that does not hold.",
      where: wrong.where,
    });
  }
  if (!isFinished(check, host)) return { writer, state: "open", rows: 0, bytes, parquetBytes: 0 };
  const { rows, parquetBytes } = await writeParquet(connection, folder, check);
  return { writer, state: "compacted", rows, bytes, parquetBytes };
}

const isFinished = ({ closed, open }: FileCheck, host: string): boolean =>
  closed || (open !== null && open.host === host && !isProcessAlive(open.pid));

async function writeParquet(
  connection: DuckDBConnection,
  folder: string,
  { writer, file, torn }: FileCheck,
): Promise<Receipt> {
  const target = parquetPath(folder, writer);
  const temporary = `${target}.tmp`;
  const digest = await sha256File(file);
  const bytes = statSync(file).size;
  const source = `SELECT * FROM (${readJsonSql([resolve(file)], torn !== null)}) WHERE record IS NOT NULL`;
  const path = resolve(temporary).replaceAll("'", "''");
  try {
    const { rowsChanged: rows } = await connection.run(
      `COPY (${source}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
    );
    // Readers trust a Parquet only with its receipt: without one they read the JSONL.
    rmSync(receiptPath(folder, writer), { force: true });
    renameSync(temporary, target);
    const receipt: Receipt = {
      schema: "lightfoot.ledger-compaction/1",
      writer,
      bytes,
      digest,
      rows,
      parquetBytes: statSync(target).size,
      parquetDigest: await sha256File(target),
    };
    await writeFileAtomic(receiptPath(folder, writer), `${JSON.stringify(receipt)}\n`);
    return receipt;
  } catch (cause) {
    if (cause instanceof LightfootError) throw cause;
    const [message] = (cause as Error).message.split("\n");
    throw new LightfootError("E_FILE_WRITE", `the Parquet file cannot be written: ${message}`, {
      hint: "Nothing is lost: the JSONL is as it was.",
      where: { file: target },
      cause,
    });
  } finally {
    rmSync(temporary, { force: true });
  }
}

export interface ParquetCheck {
  readonly state: "none" | "checked" | "damaged";
  readonly findings: readonly Finding[];
}

/**
 * Does each writer's Parquet say what its JSONL says? Compares both digests with the receipt, then the rows with each other,
 * so that forging the receipt too does not help.
 */
export async function checkCompacted(folder: string, writers: readonly string[]): Promise<Map<string, ParquetCheck>> {
  const checks = new Map<string, ParquetCheck>();
  const toCompare: string[] = [];
  for (const writer of writers) {
    const found = await checkDigests(folder, writer);
    checks.set(writer, found);
    if (found.state === "checked") toCompare.push(writer);
  }
  if (toCompare.length === 0) return checks;
  await withEngine(async (connection) => {
    for (const [writer, message] of await compareRows(connection, folder, toCompare)) {
      checks.set(writer, damaged(folder, writer, message));
    }
  });
  return checks;
}

const damaged = (folder: string, writer: string, message: string): ParquetCheck => ({
  state: "damaged",
  findings: [{ message, where: { file: parquetPath(folder, writer) } }],
});

async function checkDigests(folder: string, writer: string): Promise<ParquetCheck> {
  const [file, parquet] = [filePath(folder, writer), parquetPath(folder, writer)];
  const receipt = readReceipt(folder, writer);
  // A Parquet without a receipt was left by a compaction that was killed; nobody reads it.
  if (receipt === undefined) return { state: "none", findings: [] };
  if (receipt === null) return damaged(folder, writer, "the receipt of the compaction cannot be understood");
  if (!existsSync(parquet)) return damaged(folder, writer, "the Parquet file is gone; its receipt is still there");
  const bytes = statSync(file).size;
  if (bytes > receipt.bytes) return { state: "none", findings: [] }; // more was appended: readers take the JSONL
  if (bytes < receipt.bytes || (await sha256File(file)) !== receipt.digest) {
    return damaged(folder, writer, "the JSONL file is not the one that was compacted");
  }
  if ((await sha256File(parquet)) !== receipt.parquetDigest) {
    return damaged(folder, writer, "the Parquet file was changed after it was written");
  }
  return { state: "checked", findings: [] };
}

/** Writers whose two files differ, with why: all files in two queries, and one by one where that fails. */
async function compareRows(
  connection: DuckDBConnection,
  folder: string,
  writers: readonly string[],
): Promise<[writer: string, message: string][]> {
  try {
    const paths = writers.map((writer) =>
      [filePath(folder, writer), parquetPath(folder, writer)].map((at) => resolve(at)),
    );
    const [jsonl, parquet] = [
      await fingerprints(
        connection,
        paths.map(([path]) => path),
        "jsonl",
      ),
      await fingerprints(
        connection,
        paths.map(([, path]) => path),
        "parquet",
      ),
    ];
    return writers
      .filter((_, at) => jsonl.get(paths[at][0]) !== parquet.get(paths[at][1]))
      .map((writer) => [writer, "the Parquet file has other rows than the JSONL"]);
  } catch (error) {
    const [only] = writers;
    if (writers.length === 1 && only !== undefined) {
      return [[only, `the Parquet file cannot be compared: ${(error as Error).message.split("\n")[0]}`]];
    }
    const found: [string, string][] = [];
    for (const writer of writers) found.push(...(await compareRows(connection, folder, [writer])));
    return found;
  }
}

/** Row count and hash of each file, as one text. */
async function fingerprints(
  connection: DuckDBConnection,
  files: readonly string[],
  form: "jsonl" | "parquet",
): Promise<Map<string, string>> {
  const rows = (await connection.runAndReadAll(fingerprintSql(files, form))).getRowsJson();
  return new Map(rows.map(([file, ...what]) => [file as string, JSON.stringify(what)]));
}

async function withEngine<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  const { DuckDBInstance } = await loadDuckDb();
  const instance = await DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false" });
  const connection = await instance.connect();
  try {
    return await work(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
