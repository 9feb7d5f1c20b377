// Whatever is done to the past of a ledger shows, with file and line; depends on ledger and fast-check.
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { blockRecord, renderBlock } from "../src/ledger/block.ts";
import { compactLedger } from "../src/ledger/compact.ts";
import { verifyLedger } from "../src/ledger/verify.ts";
import { testWriter, writeRun } from "./fixtures/sample-ledger.ts";

let base = "";
let good = "";
let folder = "";
let first = "";
/** Bytes of the first file; all of them lie in blocks, because it was closed. */
let bytes = Buffer.alloc(0);

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "lightfoot-tamper-"));
  good = join(base, "good");
  for (const [turn, count] of [300, 120].entries()) {
    const writer = testWriter(good, turn);
    writeRun(writer, count);
    writer.close();
  }
  first = readdirSync(good).find((name) => name.endsWith(".jsonl")) ?? "";
  bytes = readFileSync(join(good, first));
  folder = join(base, "tampered");
});
afterAll(() => rmSync(base, { recursive: true }));
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  cpSync(good, folder, { recursive: true });
});

const put = (content: Uint8Array): void => writeFileSync(join(folder, first), content);
const lineAt = (offset: number): number => bytes.subarray(0, offset).filter((byte) => byte === 10).length + 1;
const linesOf = (): string[] => bytes.toString().split(/(?<=\n)/);
const isBlock = (line: string): boolean => line.startsWith('{"record":"block"');

/** The finding's line, after the checks that hold for every kind of damage to the first file. */
async function findLine(): Promise<number> {
  const found = await verifyLedger(folder);
  expect(found.holds).toBe(false);
  const [finding] = found.findings;
  expect(finding.file).toBe(join(folder, first));
  expect(finding.line).not.toBeNull();
  return finding.line ?? 0;
}

/** Line of the block record that closes the block a line is in. */
const blockEnd = (line: number): number =>
  line +
  linesOf()
    .slice(line - 1)
    .findIndex(isBlock);
const blockStart = (line: number): number =>
  linesOf()
    .slice(0, line - 1)
    .findLastIndex(isBlock) + 2;

const offset = fc.nat().map((random) => random % bytes.length);
const RUNS = { seed: 11, numRuns: 150 };

describe("a ledger nobody touched", () => {
  it("holds, and knows the seal of each file", async () => {
    const found = await verifyLedger(folder);
    expect(found).toMatchObject({ holds: true, findings: [] });
    expect(found.files.map(({ state, looseLines, torn }) => ({ state, looseLines, torn }))).toEqual(
      [0, 1].map(() => ({ state: "closed", looseLines: 0, torn: null })),
    );
    for (const { seal } of found.files) expect(seal).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
});

describe("verify", () => {
  it("finds any changed byte; in a record it names the very line", async () => {
    await fc.assert(
      fc.asyncProperty(offset, fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] + change) % 256;
        put(copy);
        const line = await findLine();
        const changed = lineAt(at);
        const simple = bytes[at] !== 10 && copy[at] !== 10 && !isBlock(linesOf()[changed - 1]);
        if (
          simple &&
          !copy
            .subarray(0, at + 1)
            .toString()
            .endsWith('"block"')
        )
          expect(line).toBe(changed);
        else expect([blockStart(changed), blockEnd(changed) + 1]).toSatisfy(([from, to]) => from <= line && line <= to);
      }),
      RUNS,
    );
  });

  it("finds bytes that were removed or put in, in their block", async () => {
    await fc.assert(
      fc.asyncProperty(offset, fc.nat(40), fc.uint8Array({ maxLength: 40 }), async (at, gone, came) => {
        const removed = bytes.subarray(at, at + gone);
        fc.pre(at + gone < bytes.length && !Buffer.from(came).equals(removed));
        const copy = Buffer.concat([bytes.subarray(0, at), came, bytes.subarray(at + gone)]);
        fc.pre(!copy.equals(bytes));
        put(copy);
        const line = await findLine();
        // An edit may look like one a few bytes on, and may break a block record into lines.
        expect(line).toBeGreaterThanOrEqual(blockStart(lineAt(at)) - 1);
        expect(line).toBeLessThanOrEqual(blockEnd(lineAt(Math.min(at + gone, bytes.length - 1))) + 1 + came.length);
      }),
      RUNS,
    );
  });

  it("finds lines that were removed, doubled or swapped, and says which", async () => {
    const count = linesOf().length;
    const pick = fc.nat().map((random) => random % count);
    await fc.assert(
      fc.asyncProperty(pick, pick, fc.constantFrom("remove", "double", "swap"), async (a, b, kind) => {
        const lines = linesOf();
        fc.pre(kind !== "swap" || lines[a] !== lines[b]);
        const copy = [...lines];
        if (kind === "remove") copy.splice(a, 1);
        else if (kind === "double") copy.splice(a, 0, lines[a]);
        else [copy[a], copy[b]] = [lines[b], lines[a]];
        put(Buffer.from(copy.join("")));
        const line = await findLine();
        const at = kind === "swap" ? Math.min(a, b) : a;
        expect(line).toBeGreaterThanOrEqual(blockStart(at + 1));
        expect(line).toBeLessThanOrEqual(blockEnd(at + 1) + 1);
        if (kind === "remove" && !isBlock(lines[a])) expect(line).toBe(a + 1);
      }),
      RUNS,
    );
  });

  it("finds a file cut off anywhere, also exactly at a block's end", async () => {
    const lines = linesOf();
    const ends = lines.flatMap((line, at) => (isBlock(line) ? [lines.slice(0, at + 1).join("").length] : []));
    const cut = fc.oneof(offset, fc.constantFrom(...ends.slice(0, -1)));
    await fc.assert(
      fc.asyncProperty(cut, async (length) => {
        put(bytes.subarray(0, length));
        await findLine();
      }),
      { ...RUNS, examples: ends.slice(0, -1).map((end): [number] => [end]) },
    );
  });

  it("finds whole blocks that were swapped or taken out", async () => {
    const blocks = bytes.toString().match(/(?:(?!\{"record":"block").*\n)*\{"record":"block".*\n/g) ?? [];
    expect(blocks.length).toBeGreaterThan(4);
    put(Buffer.from([blocks[0], blocks[2], blocks[1], ...blocks.slice(3)].join("")));
    expect(await findLine()).toBe(blockEnd(258));
    put(Buffer.from([blocks[0], ...blocks.slice(2)].join("")));
    expect(await findLine()).toBe(blockEnd(258));
  });

  it("finds one block that was written anew with a digest to match: the next block knew another", async () => {
    const lines = linesOf();
    const end = blockEnd(10);
    const content = Buffer.from(
      lines
        .slice(0, end - 1)
        .join("")
        .replace('"energyJoules":10,', '"energyJoules":11,'),
    );
    const { block, previous } = JSON.parse(lines[end - 1]) as { block: number; previous: string | null };
    const forged = renderBlock(blockRecord(content, end - 1, block, previous));
    put(Buffer.concat([content, Buffer.from(forged + lines.slice(end).join(""))]));
    expect(await findLine()).toBe(blockEnd(end + 1));
  });

  it("finds a history that was written anew with digests of its own, head and all", async () => {
    const other = join(base, "other");
    const writer = testWriter(other);
    writeRun(writer, 299);
    writer.close();
    for (const name of readdirSync(other)) copyFileSync(join(other, name), join(folder, name));
    const found = await verifyLedger(folder);
    expect(found.findings.map(({ message }) => message)).toEqual([expect.stringContaining("is not the one that")]);
    rmSync(other, { recursive: true });
  });

  it("finds a file that is gone, with its head or without, and one that was renamed", async () => {
    const head = first.replace(".jsonl", ".head");
    rmSync(join(folder, first));
    expect((await verifyLedger(folder)).findings[0]).toMatchObject({ file: join(folder, first), line: null });
    rmSync(join(folder, head));
    expect((await verifyLedger(folder)).findings[0].message).toContain("the file is gone");
    put(bytes);
    expect((await verifyLedger(folder)).findings[0].message).toContain("head is gone");
    copyFileSync(join(good, head), join(folder, head));
    expect((await verifyLedger(folder)).holds).toBe(true);
    for (const name of [first, head]) renameSync(join(folder, name), join(folder, `z${name}`));
    expect((await verifyLedger(folder)).holds).toBe(false);
  });

  it("finds garbage in the tail that no block covers, and lines after the end", async () => {
    const writer = testWriter(folder, 9);
    writeFileSync(writer.file, `${readFileSync(writer.file, "utf8")}not a record\n`);
    expect((await verifyLedger(folder)).findings).toEqual([
      expect.objectContaining({ file: writer.file, line: 2, message: "is no record of a ledger" }),
    ]);
    rmSync(writer.file);
    rmSync(writer.file.replace(".jsonl", ".head"));
    put(Buffer.concat([bytes, Buffer.from('{"record":"end"}\n')]));
    expect(await findLine()).toBe(linesOf().length + 1);
  });

  it("reads a file of zeros, of one endless line, and an empty one without falling over", async () => {
    for (const content of [Buffer.alloc(3_000_000), Buffer.alloc(3_000_000, "a"), Buffer.alloc(0)]) {
      put(content);
      expect((await verifyLedger(folder)).holds).toBe(false);
    }
  });
});

describe("compaction", () => {
  it("leaves the JSONL as it was, and verify reads the Parquet too", async () => {
    const result = await compactLedger(folder, "another-host");
    expect(result.map(({ state }) => state)).toEqual(["compacted", "compacted"]);
    expect(readFileSync(join(folder, first)).equals(bytes)).toBe(true);
    expect((await verifyLedger(folder)).files.map(({ parquet }) => parquet)).toEqual(["checked", "checked"]);
    expect((await compactLedger(folder, "another-host")).map(({ state }) => state)).toEqual(["done", "done"]);
    const parquet = join(folder, first.replace(".jsonl", ".parquet"));
    const packed = readFileSync(parquet);
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (random, change) => {
        const copy = Buffer.from(packed);
        copy[random % copy.length] = (copy[random % copy.length] + change) % 256;
        writeFileSync(parquet, copy);
        const found = await verifyLedger(folder);
        expect(found.findings).toEqual([expect.objectContaining({ file: parquet })]);
      }),
      { seed: 3, numRuns: 20 },
    );
    // Another run's Parquet with a receipt to match: the rows give it away.
    const [, second] = readdirSync(folder).filter((name) => name.endsWith(".parquet"));
    const [mine, theirs] = [parquet, join(folder, second)].map((path) => `${path}.json`);
    copyFileSync(join(folder, second), parquet);
    const receipts = [mine, theirs].map((path) => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>);
    const { rows, parquetBytes, parquetDigest } = receipts[1];
    writeFileSync(mine, JSON.stringify({ ...receipts[0], rows, parquetBytes, parquetDigest }));
    expect((await verifyLedger(folder)).findings[0].message).toContain("other rows");
  });

  it("takes nothing from a file that does not hold, nor from one whose writer goes on", async () => {
    const copy = Buffer.from(bytes);
    copy[500] ^= 1;
    put(copy);
    await expect(compactLedger(folder, "node-1")).rejects.toMatchObject({ code: "E_LEDGER" });
    put(bytes);
    testWriter(folder, 9);
    expect((await compactLedger(folder, "another-host")).at(-1)).toMatchObject({ state: "open" });
  });
});
