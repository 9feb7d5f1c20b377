// The file a writer leaves: exact blocks and chain by an independent sum, refused numbers, clocks that go backwards; depends on its room and fast-check.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runRecord, samples, testWriter, TOOL, writeRun } from "../../test/fixtures/sample-ledger.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { sampleFormatter } from "./sample-line.ts";
import { verifyLedger } from "./verify.ts";
import { openLedgerWriter } from "./writer.ts";

let folder = "";
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "lightfoot-ledger-")), ".lightfoot");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const hash = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    return error instanceof LightfootError ? error.code : String(error);
  }
  return undefined;
};

describe("a writer's file", () => {
  it("is blocks of at most 256 lines, each with the digest of its bytes and of the block record before", () => {
    const writer = testWriter(folder);
    writeRun(writer, 300);
    writer.close();
    const lines = readFileSync(writer.file, "utf8").split(/(?<=\n)/);
    let [content, count, before, blocks]: [string, number, string | null, number] = ["", 0, null, 0];
    for (const line of lines) {
      const record = JSON.parse(line) as Record<string, unknown>;
      if (record["record"] !== "block") {
        content += line;
        count += 1;
        continue;
      }
      blocks += 1;
      expect(count + 1).toBeLessThanOrEqual(256);
      expect(record).toMatchObject({ block: blocks, lines: count, digest: hash(content), previous: before });
      [content, count, before] = ["", 0, hash(line)];
    }
    expect(content).toBe("");
    expect(blocks).toBe(5);
    expect(lines.length - blocks).toBe(1 + 1 + 900 + 2 + 1 + 1); // open, run, samples, figures, end, close
    expect(JSON.parse(readFileSync(writer.file.replace(".jsonl", ".head"), "utf8"))).toMatchObject({
      blocks,
      seal: before,
    });
  });

  it("has every record at once, without waiting for a block, a sync or a close", () => {
    const writer = testWriter(folder);
    const run = writer.newRun();
    const lineCount = () => readFileSync(writer.file, "utf8").split("\n").length - 1;
    expect(lineCount()).toBe(1);
    writer.append(runRecord(run));
    expect(lineCount()).toBe(2);
    for (const [index, sample] of [...samples(2)].entries()) {
      writer.append({ record: "sample", run, ...sample });
      expect(lineCount()).toBe(3 + index);
    }
    writer.close();
  });

  it("is the same bytes whether samples come singly or in bulk", () => {
    const [single, bulk] = [join(folder, "a"), join(folder, "b")].map((each) => testWriter(each));
    for (const sample of samples(400)) single.append({ record: "sample", run: "r", ...sample });
    bulk.appendSamples("r", samples(400));
    single.close();
    bulk.close();
    expect(readFileSync(single.file, "utf8")).toBe(readFileSync(bulk.file, "utf8"));
  });

  it("takes no number that JSON cannot hold, keeps what came before it, and goes on", async () => {
    const writer = testWriter(folder);
    const [first, second] = [...samples(1)];
    const wrong = { ...second, energyJoules: Number.NaN };
    expect(codeOf(() => writer.appendSamples("r", [first, wrong, second]))).toBe("E_RANGE");
    expect(codeOf(() => writer.append({ record: "sample", run: "r", ...first, gapSeconds: Infinity }))).toBe("E_RANGE");
    const end = {
      record: "end",
      run: "r",
      at: "",
      elapsedSeconds: Number.NaN,
      outcome: "failed",
      exitCode: 1,
    } as const;
    expect(codeOf(() => writer.append(end))).toBe("E_RANGE");
    writer.append({ record: "sample", run: "r", ...second });
    writer.close();
    const kept = readFileSync(writer.file, "utf8").match(/"record":"sample"/g);
    expect(kept).toHaveLength(2);
    expect((await verifyLedger(folder)).holds).toBe(true);
  });

  it("gives each run a name of its own", () => {
    const writer = testWriter(folder);
    const names = Array.from({ length: 20 }, () => writer.newRun());
    writer.close();
    expect(new Set(names).size).toBe(20);
  });

  it("holds when the wall clock jumps back between any two looks", async () => {
    let at = Date.parse("2026-01-01T00:00:00.000Z");
    for (const turn of [0, 1, 2]) {
      const writer = testWriter(folder, turn, () => new Date((at -= 3_600_000)).toISOString());
      writeRun(writer, 100);
      writer.close();
    }
    const found = await verifyLedger(folder);
    expect(found.findings).toEqual([]);
    expect(found.files).toHaveLength(3);
  });

  it("says why when it cannot begin, and leaves nothing behind", () => {
    const parent = join(folder, "..");
    writeFileSync(join(parent, "file"), "");
    const identity = { host: "h", pid: 1, unique: "u" };
    const options = { tool: TOOL, now: () => "2026-01-01T00:00:00.000Z", identity };
    expect(codeOf(() => openLedgerWriter({ folder: join(parent, "file", "x"), ...options }))).toBe("E_FILE_WRITE");
    openLedgerWriter({ folder, ...options }).close();
    // The same writer twice would be two processes in one file.
    expect(codeOf(() => openLedgerWriter({ folder, ...options }))).toBe("E_FILE_WRITE");
    expect(readdirSync(folder)).toHaveLength(2);
    expect(existsSync(join(parent, "file", "x"))).toBe(false);
  });

  it("cannot be appended to after it was closed", () => {
    const writer = testWriter(folder);
    writer.close();
    writer.close();
    expect(codeOf(() => writer.append(runRecord("r")))).toBe("E_INTERNAL");
  });
});

describe("a sample's line", () => {
  it("is what JSON.stringify writes, for any numbers and any text", () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 });
    const text = fc.string({ unit: "binary" });
    const sample = fc.record(
      {
        atSeconds: number,
        elapsedSeconds: number,
        domain: text,
        energyJoules: fc.option(number),
        powerWatts: fc.option(number),
        gapSeconds: number,
        gap: text,
      },
      { requiredKeys: ["atSeconds", "elapsedSeconds", "domain", "energyJoules", "powerWatts"] },
    );
    fc.assert(
      fc.property(text, sample, (run, one) => {
        const line = sampleFormatter(run)(one);
        expect(line.endsWith("\n")).toBe(true);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify({ record: "sample", run, ...one })));
      }),
      { seed: 7 },
    );
  });
});
