// Writers that are killed, run side by side or run out of room: nothing that was appended is lost but a torn line; runs the build.
import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compactLedger } from "../src/ledger/compact.ts";
import { openLedgerQuery } from "../src/ledger/query.ts";
import { verifyLedger } from "../src/ledger/verify.ts";
import { seededRandom } from "../src/statistics/random.ts";

const CHILD = fileURLToPath(new URL("fixtures/ledger-child.mjs", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "lightfoot-crash-")), ".lightfoot");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

interface Finished {
  readonly said: string;
  readonly exit: number | null;
  readonly signal: string | null;
}

/** Runs a writer; it is killed once it has said `killAfter` lines, wherever it is by then. */
function write(mode: string, most: number, killAfter = Infinity, prefix: readonly string[] = []): Promise<Finished> {
  const [command, ...args] = [...prefix, process.execPath, CHILD, folder, mode, String(most)];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let [said, lines] = ["", 0];
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      lines += chunk.filter((byte) => byte === 10).length;
      if (lines >= killAfter) child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", (exit, signal) => resolve({ said, exit, signal }));
  });
}

/** The last whole number a writer said: so many samples it had appended before it was killed. */
const appendedBy = ({ said }: Finished): number =>
  Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1) ?? 0);

async function count(): Promise<number> {
  const query = await openLedgerQuery(folder);
  try {
    return Number((await query.ask("SELECT count(*) FROM samples")).rows[0][0]);
  } finally {
    query.close();
  }
}

const wholeLines = (file: string): number => readFileSync(file, "utf8").split("\n").length - 1;

describe("a writer that is killed", () => {
  it.each(["single", "bulk"])("has lost nothing that it had appended, but for a torn line (%s)", async (mode) => {
    const random = seededRandom(5);
    for (let turn = 0; turn < (mode === "bulk" ? 4 : 8); turn++) {
      const killAfter = 1 + random.integer(mode === "bulk" ? 6 : 900);
      const finished = await write(mode, 10_000_000, killAfter);
      expect(finished.signal).toBe("SIGKILL");
      const found = await verifyLedger(folder);
      expect(found.findings).toEqual([]);
      const [{ file, lines, blocks, torn, state }] = found.files;
      expect(state).toBe("open");
      expect(lines - blocks - 1).toBeGreaterThanOrEqual(appendedBy(finished));
      // Every whole line is a sample in its place: none is missing before the last.
      const samples = readFileSync(file, "utf8")
        .split("\n")
        .slice(0, lines)
        .filter((line) => line.startsWith('{"record":"sample"'));
      expect(samples.every((line, index) => (JSON.parse(line) as { atSeconds: number }).atSeconds === index)).toBe(
        true,
      );
      expect(samples).toHaveLength(lines - blocks - 1);
      expect(torn === null || torn.line === lines + 1).toBe(true);
      expect(await count()).toBe(samples.length);
      rmSync(folder, { recursive: true });
    }
  });

  it("leaves a torn line that is dropped and told, by verify, queries and compaction alike", async () => {
    await write("single", 300);
    const file = readdirSync(folder).find((name) => name.endsWith(".jsonl")) ?? "";
    appendFileSync(join(folder, file), '{"record":"sample","run":"x","atSec');
    const found = await verifyLedger(folder);
    expect(found).toMatchObject({
      holds: true,
      files: [{ torn: { line: wholeLines(join(folder, file)) + 1, bytes: 35 } }],
    });
    const query = await openLedgerQuery(folder);
    expect(query.torn.map((path) => path.endsWith(file))).toEqual([true]);
    expect((await query.ask("SELECT count(*) FROM samples")).rows).toEqual([[300]]);
    query.close();
    await compactLedger(folder, "here");
    expect(await count()).toBe(300);
    expect((await verifyLedger(folder)).files[0].parquet).toBe("checked");
  });

  it("damages nobody who reads: a line that cannot be read in the middle is an error, not a gap", async () => {
    await write("single", 300);
    const file = readdirSync(folder).find((name) => name.endsWith(".jsonl")) ?? "";
    appendFileSync(join(folder, file), 'garbage\n{"record":"sam');
    await expect(openLedgerQuery(folder)).rejects.toMatchObject({ code: "E_LEDGER" });
    appendFileSync(join(folder, file), "\n");
    await expect(count()).rejects.toMatchObject({ code: "E_LEDGER" });
  });
});

describe("eight writers at once", () => {
  it("never get in each other's way", async () => {
    await Promise.all(Array.from({ length: 8 }, () => write("quiet", 2_000)));
    const found = await verifyLedger(folder);
    expect(found.findings).toEqual([]);
    expect(found.files.map(({ state }) => state)).toEqual(Array.from({ length: 8 }, () => "closed"));
    expect(await count()).toBe(16_000);
    await compactLedger(folder, "elsewhere");
    await write("quiet", 500);
    expect(await count()).toBe(16_500);
    expect((await verifyLedger(folder)).findings).toEqual([]);
  });
});

// A limit on the size of files stands for a full disk: the system takes a part of the bytes, then no more.
describe.skipIf(platform() === "win32")("a writer that runs out of room", () => {
  it.each(["single", "bulk"])("says so, and leaves whole lines that hold (%s)", async (mode) => {
    const limited = ["bash", "-c", 'ulimit -f 200; exec "$@"', "limited"];
    const finished = await write(mode, 1_000_000, Infinity, limited);
    expect(finished.exit).toBe(3);
    expect(finished.said).toContain("E_FILE_WRITE");
    const found = await verifyLedger(folder);
    expect(found.findings).toEqual([]);
    expect(found.files[0].torn).toBeNull();
    const said = finished.said.trim().split("\n").slice(0, -1);
    expect(await count()).toBeGreaterThanOrEqual(Number(said.at(-1) ?? 0));
  });
});
