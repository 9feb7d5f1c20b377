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
import { readJsonSql, readParquetSql } from "./relation.ts";

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
  const results: CompactedFile[] = [];
  for (const writer of listWriters(folder)) {
    const file = filePath(folder, writer);
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes === 0) continue;
    const known = readReceipt(folder, writer);
    if (known?.bytes === bytes && existsSync(parquetPath(folder, writer))) {
      results.push({ writer, state: "done", rows: known.rows, bytes, parquetBytes: known.parquetBytes });
      continue;
    }
    const check = checkFile(file, writer, readHead(folder, writer));
    const [wrong] = check.findings;
    if (wrong !== undefined) {
      throw new LightfootError("E_LEDGER", wrong.message, {
        hint: "`lightfoot ledger verify` lists everything that does not hold.",
        where: wrong.where,
      });
    }
    if (!isFinished(check, host)) results.push({ writer, state: "open", rows: 0, bytes, parquetBytes: 0 });
    else {
      const { rows, parquetBytes } = await compactFile(folder, check);
      results.push({ writer, state: "compacted", rows, bytes, parquetBytes });
    }
  }
  return results;
}

const isFinished = ({ closed, open }: FileCheck, host: string): boolean =>
  closed || (open !== null && open.host === host && !isProcessAlive(open.pid));

async function compactFile(folder: string, { writer, file, torn }: FileCheck): Promise<Receipt> {
  const target = parquetPath(folder, writer);
  const temporary = `${target}.tmp`;
  const digest = await sha256File(file);
  const bytes = statSync(file).size;
  const source = `SELECT * FROM (${readJsonSql([resolve(file)], torn !== null)}) WHERE record IS NOT NULL`;
  const path = resolve(temporary).replaceAll("'", "''");
  try {
    const rows = await withEngine(async (connection) => {
      await connection.run(`COPY (${source}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`);
      return (await fingerprint(connection, readParquetSql([resolve(temporary)]))).rows;
    });
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
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Does a writer's Parquet say what its JSONL says? Compares both digests with the receipt, then the rows with each other, so
 * that forging the receipt too does not help.
 */
export async function checkCompacted(
  folder: string,
  writer: string,
): Promise<{ state: "none" | "checked" | "damaged"; findings: Finding[] }> {
  const [file, parquet] = [filePath(folder, writer), parquetPath(folder, writer)];
  const receipt = readReceipt(folder, writer);
  const damaged = (message: string) => ({
    state: "damaged" as const,
    findings: [{ message, where: { file: parquet } }],
  });
  // A Parquet without a receipt was left by a compaction that was killed; nobody reads it.
  if (receipt === undefined) return { state: "none", findings: [] };
  if (receipt === null) return damaged("the receipt of the compaction cannot be understood");
  if (!existsSync(parquet)) return damaged("the Parquet file is gone; its receipt is still there");
  const bytes = statSync(file).size;
  if (bytes > receipt.bytes) return { state: "none", findings: [] }; // more was appended: readers take the JSONL
  if (bytes < receipt.bytes || (await sha256File(file)) !== receipt.digest) {
    return damaged("the JSONL file is not the one that was compacted");
  }
  if ((await sha256File(parquet)) !== receipt.parquetDigest) {
    return damaged("the Parquet file was changed after it was written");
  }
  try {
    const same = await withEngine(async (connection) => {
      const source = `SELECT * FROM (${readJsonSql([resolve(file)], true)}) WHERE record IS NOT NULL`;
      const [left, right] = [
        await fingerprint(connection, source),
        await fingerprint(connection, readParquetSql([resolve(parquet)])),
      ];
      return left.rows === right.rows && left.hash === right.hash;
    });
    return same ? { state: "checked", findings: [] } : damaged("the Parquet file has other rows than the JSONL");
  } catch (error) {
    return damaged(`the Parquet file cannot be compared: ${(error as Error).message.split("\n")[0]}`);
  }
}

/** Row count and a hash that does not depend on the rows' order, which DuckDB's threads do not keep. */
async function fingerprint(connection: DuckDBConnection, sql: string): Promise<{ rows: number; hash: string }> {
  const reader = await connection.runAndReadAll(
    `SELECT count(*)::INTEGER, coalesce(sum(hash(line)::HUGEINT), 0)::VARCHAR FROM (${sql}) AS line`,
  );
  const [[rows, hash]] = reader.getRowsJson();
  return { rows: Number(rows), hash: JSON.stringify(hash) };
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
