// A million samples: appended to a ledger and summed by domain and hour, against Python's sqlite3 in the same run; needs the build.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { writerIdentity } from "../dist/io/writer-identity.js";
import { compactLedger } from "../dist/ledger/compact.js";
import { openLedgerQuery } from "../dist/ledger/query.js";
import { verifyLedger } from "../dist/ledger/verify.js";
import { openLedgerWriter } from "../dist/ledger/writer.js";

const SAMPLES = 1_000_000;
const DOMAINS = ["powercap:intel-rapl:0", "powercap:intel-rapl:0:0", "powercap:intel-rapl:1", "nvml:GPU-0"];
const START = 1_764_000_000;
const GROUPED =
  "SELECT domain, date_trunc('hour', time) AS hour, sum(energyJoules) AS joules FROM samples GROUP BY ALL";

const sampleAt = (index) => {
  const elapsedSeconds = Math.floor(index / DOMAINS.length) * 0.5;
  const energyJoules = ((index * 7919) % 100_000) / 1000;
  const domain = DOMAINS[index % DOMAINS.length];
  return { atSeconds: START + elapsedSeconds, elapsedSeconds, domain, energyJoules, powerWatts: energyJoules * 2 };
};

const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
const now = () => new Date().toISOString();
const seconds = (start) => (performance.now() - start) / 1000;
const print = (name, value) => process.stdout.write(`${name.padEnd(58)} ${value}\n`);

// The peer: the database that Python brings along, the same values in its own types, one transaction, synced at its end.
const PEER = `
import sqlite3, sys, time
DOMAINS = ${JSON.stringify(DOMAINS)}
rows = []
for i in range(${SAMPLES}):
    elapsed = i // len(DOMAINS) * 0.5
    joules = (i * 7919) % 100000 / 1000
    rows.append(("run", ${START} + elapsed, elapsed, DOMAINS[i % len(DOMAINS)], joules, joules * 2))
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE samples(run TEXT, at REAL, elapsed REAL, domain TEXT, joules REAL, watts REAL)")
t = time.perf_counter()
with db: db.executemany("INSERT INTO samples VALUES (?,?,?,?,?,?)", rows)
appended = time.perf_counter() - t
best = 1e9
for _ in range(3):
    t = time.perf_counter()
    found = db.execute("SELECT domain, CAST(at / 3600 AS INTEGER) AS hour, sum(joules) FROM samples GROUP BY 1, 2").fetchall()
    best = min(best, time.perf_counter() - t)
print(appended, best, sum(row[2] for row in found), len(found))
`;

try {
  const samples = Array.from({ length: SAMPLES }, (_, index) => sampleAt(index));
  const ledger = join(folder, ".lightfoot");
  const appendOnce = () => {
    rmSync(ledger, { recursive: true, force: true });
    const writer = openLedgerWriter({
      folder: ledger,
      tool: { name: "bench", version: "0" },
      now,
      identity: writerIdentity(),
    });
    const run = writer.newRun();
    const start = performance.now();
    writer.appendSamples(run, samples);
    writer.close();
    return { took: seconds(start), file: writer.file };
  };
  const appended = [appendOnce(), appendOnce(), appendOnce()].toSorted((a, b) => a.took - b.took)[0];
  const ask = async () => {
    const query = await openLedgerQuery(ledger);
    let best = Infinity;
    let rows = [];
    for (let turn = 0; turn < 3; turn++) {
      const start = performance.now();
      ({ rows } = await query.ask(GROUPED));
      best = Math.min(best, seconds(start));
    }
    query.close();
    return { best, joules: rows.reduce((sum, row) => sum + row[2], 0), groups: rows.length };
  };
  const jsonl = await ask();
  const verifyStart = performance.now();
  const verified = await verifyLedger(ledger);
  const verifySeconds = seconds(verifyStart);
  await compactLedger(ledger, hostname());
  const parquet = await ask();

  writeFileSync(join(folder, "peer.py"), PEER);
  const peer = spawnSync("python3", [join(folder, "peer.py"), join(folder, "peer.db")], { encoding: "utf8" });
  if (peer.status !== 0) throw new Error(`the peer does not run: ${peer.stderr}`);
  const [peerAppend, peerGroup, peerJoules, peerGroups] = peer.stdout.trim().split(" ").map(Number);

  print(
    "appended, digests and final sync included, samples/s",
    Math.round(SAMPLES / appended.took).toLocaleString("en"),
  );
  print("bytes a sample", (statSync(appended.file).size / SAMPLES).toFixed(1));
  print("verify, s", verifySeconds.toFixed(2));
  print("sum by domain and hour over JSONL, s", jsonl.best.toFixed(3));
  print("sum by domain and hour over Parquet, s", parquet.best.toFixed(3));
  print("append: time of sqlite3 / ours", (peerAppend / appended.took).toFixed(2));
  print("group JSONL: time of sqlite3 / ours", (peerGroup / jsonl.best).toFixed(2));
  print("group Parquet: time of sqlite3 / ours", (peerGroup / parquet.best).toFixed(2));
  const same = [jsonl, parquet].every(
    ({ joules, groups }) => groups === peerGroups && Math.abs(joules - peerJoules) < 1e-6 * peerJoules,
  );
  print("all three give the same sums, and the ledger verifies", same && verified.holds ? "yes" : "NO");
  if (!same || !verified.holds) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
