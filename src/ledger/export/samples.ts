// All samples of a ledger as one CSV or Parquet file, written by DuckDB; may depend on io and its room.
import { renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { loadDuckDb } from "../../io/duckdb.ts";
import { findLedgerFiles, viewStatements } from "../relation.ts";

const OPTIONS = { csv: "FORMAT csv, HEADER", parquet: "FORMAT parquet, COMPRESSION zstd" } as const;

/**
 * Writes the samples with what is known of their domains; of one run or of all. Gives the number of rows.
 *
 * @throws LightfootError E_FILE_WRITE, E_LEDGER when a file of the ledger cannot be read
 */
export async function writeSamples(
  folder: string,
  format: keyof typeof OPTIONS,
  target: string,
  run: string | undefined,
): Promise<number> {
  const { DuckDBInstance } = await loadDuckDb();
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    temp_directory: "",
  });
  const connection = await instance.connect();
  const temporary = `${resolve(target)}.tmp`;
  // Times as ISO 8601 in text files; a real timestamp where there are types.
  const time = format === "csv" ? "strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ') AS time" : "time";
  const condition = run === undefined ? "" : `WHERE samples.run = '${run.replaceAll("'", "''")}'`;
  const query = `SELECT samples.run, ${time}, elapsedSeconds, samples.domain, label, kind, device, method, countsTowardsTotal,
      energyJoules, powerWatts, gapSeconds, gap
    FROM samples LEFT JOIN domains ON domains.run = samples.run AND domains.domain = samples.domain ${condition}
    ORDER BY samples.run, elapsedSeconds, samples.domain`;
  try {
    for (const statement of viewStatements(findLedgerFiles(folder))) await connection.run(statement);
    const result = await connection.run(`COPY (${query}) TO '${temporary.replaceAll("'", "''")}' (${OPTIONS[format]})`);
    renameSync(temporary, target);
    return result.rowsChanged;
  } catch (cause) {
    const [message] = (cause as Error).message.split("\n");
    if (/JSON|jsonl/.test(message ?? "")) {
      throw new LightfootError("E_LEDGER", `the ledger's files cannot be read: ${message}`, {
        hint: "`lightfoot ledger verify` says which line is wrong.",
        cause,
      });
    }
    throw new LightfootError("E_FILE_WRITE", `${target} cannot be written: ${message}`, {
      where: { file: target },
      cause,
    });
  } finally {
    rmSync(temporary, { force: true });
    connection.closeSync();
    instance.closeSync();
  }
}
