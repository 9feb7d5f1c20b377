// Queries count each record once in whichever form it is read, and can do nothing but read; depends on its room.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { testWriter, writeRun } from "../../test/fixtures/sample-ledger.ts";
import { compactLedger } from "./compact.ts";
import { openLedgerQuery, type QueryResult } from "./query.ts";
import { listRuns, showRun } from "./runs.ts";

let base = "";
let folder = "";
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "lightfoot-query-"));
  folder = join(base, ".lightfoot's"); // a quote in a path must not become SQL
  for (const [turn, count] of [100, 40].entries()) {
    const writer = testWriter(folder, turn);
    writeRun(writer, count);
    writer.close();
  }
});
afterEach(() => rmSync(base, { recursive: true }));

async function ask(sql: string): Promise<QueryResult> {
  const query = await openLedgerQuery(folder);
  try {
    return await query.ask(sql);
  } finally {
    query.close();
  }
}

const PER_HOUR =
  "SELECT domain, date_trunc('hour', time) AS hour, sum(energyJoules) AS joules, count(*) AS samples FROM samples GROUP BY ALL ORDER BY ALL";
const SUMS = [
  ["c", "2026-03-01T12:00:00.000Z", 140 * 4, 140],
  ["g", "2026-03-01T12:00:00.000Z", 140 * 20, 140],
  ["p", "2026-03-01T12:00:00.000Z", 140 * 10, 140],
];

describe("a query", () => {
  it("sums the samples by domain and hour", async () => expect((await ask(PER_HOUR)).rows).toEqual(SUMS));

  it("gives the same after compaction, after half of it, and when Parquet files were left by a killed one", async () => {
    await compactLedger(folder, "elsewhere");
    expect((await ask(PER_HOUR)).rows).toEqual(SUMS);
    const first = readdirSync(folder).find((name) => name.endsWith(".parquet.json")) ?? "";
    rmSync(join(folder, first)); // its Parquet stands without a receipt
    expect((await ask(PER_HOUR)).rows).toEqual(SUMS);
    await compactLedger(folder, "elsewhere");
    expect((await ask(PER_HOUR)).rows).toEqual(SUMS);
  });

  it("reads the Parquet itself where that is the faster way", async () => {
    const long = join(base, "long");
    const writer = testWriter(long);
    writeRun(writer, 1000);
    writer.close();
    await compactLedger(long, "elsewhere");
    // Same length, other content: only who reads the JSONL would see it.
    writeFileSync(writer.file, readFileSync(writer.file, "utf8").replaceAll('"energyJoules":', '"energyJouleS":'));
    const query = await openLedgerQuery(long);
    expect((await query.ask("SELECT sum(energyJoules) FROM samples")).rows).toEqual([[34_000]]);
    query.close();
  });

  it("takes the JSONL again when more was appended to it than the Parquet has", async () => {
    const writer = testWriter(folder, 7);
    writeRun(writer, 10);
    await compactLedger(folder, "elsewhere");
    writeRun(writer, 5);
    expect((await ask("SELECT count(*) FROM samples")).rows).toEqual([[(100 + 40 + 15) * 3]]);
    writer.close();
  });

  it("finds runs, figures and domains", async () => {
    expect((await ask("SELECT count(*), sum(elapsedSeconds), min(outcome) FROM runs")).rows).toEqual([
      [2, 70, "completed"],
    ]);
    expect((await ask("SELECT sum(value), any_value(unit) FROM figures WHERE name = 'energy'")).rows).toEqual([
      [4200, "J"],
    ]);
    const counted = `SELECT sum(energyJoules) FROM samples JOIN domains USING (run, domain) WHERE countsTowardsTotal`;
    expect((await ask(counted)).rows).toEqual([[140 * 30]]);
  });

  it("works on an empty ledger, and says so where there is none", async () => {
    const empty = join(base, "empty");
    mkdirSync(empty);
    const query = await openLedgerQuery(empty);
    expect((await query.ask("SELECT count(*), sum(energyJoules) FROM samples")).rows).toEqual([[0, null]]);
    expect((await listRuns(query, empty)).runs).toEqual([]);
    query.close();
    await expect(openLedgerQuery(join(base, "nowhere"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
  });

  it("gives numbers, times, lists and structures as JSON has them, and big integers as text", async () => {
    const { columns, rows } = await ask(
      "SELECT 1::BIGINT, 9007199254740993::HUGEINT, 1.5::DECIMAL(4,2), [1, 2], {a: true}, TIMESTAMP '2026-01-02 03:04:05', 'NaN'::DOUBLE, NULL, x, x FROM (SELECT 'ü' AS x)",
    );
    expect(JSON.parse(JSON.stringify(rows))).toEqual([
      [1, "9007199254740993", 1.5, [1, 2], { a: true }, "2026-01-02T03:04:05.000Z", "NaN", null, "ü", "ü"],
    ]);
    expect(new Set(columns.map(({ name }) => name)).size).toBe(10);
  });
});

const filesBelow = (path: string): string[] => readdirSync(path, { recursive: true, encoding: "utf8" }).toSorted();

describe("a query that would do more than read", () => {
  it.each([
    "COPY samples TO 'OUT.csv'",
    "COPY (SELECT 1) TO 'JSONL'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'JSONL'",
    "EXPORT DATABASE 'OUT'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW samples AS SELECT 1",
    "DROP VIEW samples",
    "INSERT INTO samples VALUES (1)",
    "ATTACH 'OUT.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_json('https://example.org/x.json')",
    "SELECT 1; DROP VIEW samples",
    "",
    "selec 1",
    "SELECT nothing FROM samples",
  ])("is refused: %s", async (template) => {
    const jsonl = readdirSync(folder).find((name) => name.endsWith(".jsonl")) ?? "";
    const path = (name: string) => join(base, name).replaceAll("'", "''");
    const sql = template
      .replace("JSONL", join(folder, jsonl).replaceAll("'", "''"))
      .replace(/OUT[.\w]*/, (name) => path(name));
    const before = filesBelow(base);
    await expect(ask(sql)).rejects.toMatchObject({ code: "E_SQL" });
    expect(filesBelow(base)).toEqual(before);
    expect((await ask(PER_HOUR)).rows).toEqual(SUMS);
  });
});

describe("runs", () => {
  it("are listed with their energy, and one is shown by the beginning of its name", async () => {
    const cutOff = testWriter(folder, 8);
    cutOff.append({
      record: "run",
      ...JSON.parse('{"at":"2026-03-02T00:00:00.000Z"}'),
      run: "w0009",
      verb: "track",
      title: "killed",
      command: [],
      model: null,
      inputs: [],
      domains: [],
      host: "h",
      tool: { name: "lightfoot", version: "0" },
    });
    cutOff.append({
      record: "sample",
      run: "w0009",
      atSeconds: 1,
      elapsedSeconds: 2.5,
      domain: "x",
      energyJoules: 7,
      powerWatts: null,
    });
    const query = await openLedgerQuery(folder);
    const { runs } = await listRuns(query, folder);
    expect(
      runs.map(({ run, outcome, energy, sampledJoules, elapsedSeconds }) => [
        run,
        outcome,
        energy?.value,
        sampledJoules,
        elapsedSeconds,
      ]),
    ).toEqual([
      ["w0000", "completed", 3000, 3000, 50],
      ["w0001", "completed", 1200, 1200, 20],
      ["w0009", "cut off", undefined, 7, 2.5],
    ]);
    expect(
      (await showRun(query, folder, "w0001")).domains.map(({ domain, energyJoules, samples }) => [
        domain,
        energyJoules,
        samples,
      ]),
    ).toEqual([
      ["c", 160, 40],
      ["g", 800, 40],
      ["p", 400, 40],
    ]);
    expect((await showRun(query, folder, "latest")).title).toBe("killed");
    await expect(showRun(query, folder, "w000")).rejects.toMatchObject({ code: "E_LEDGER_RUN" });
    await expect(showRun(query, folder, "x' OR '1'='1")).rejects.toMatchObject({ code: "E_LEDGER_RUN" });
    query.close();
    cutOff.close();
  });
});
