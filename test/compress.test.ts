// `lightfoot compress` as a command: documents, files, exit codes, Ctrl-C and going on; depends on the build.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { searchResultSchema, type SearchResult } from "../src/compress/candidate-schema.ts";
import { sha256File } from "../src/io/digest.ts";
import { writeNpz } from "../src/io/npz.ts";
import { writeOnnx } from "../src/model/onnx/write.ts";
import { buildMlp } from "../src/runtime/architecture/mlp.ts";
import { loadDataset } from "../src/runtime/dataset.ts";
import { finishTraining, train } from "../src/runtime/train.ts";
import { seededRandom } from "../src/statistics/random.ts";

const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let folder: string;

/** Runs the command; `stopAt` sends Ctrl-C once stderr has said this. */
function lightfoot(args: readonly string[], stopAt?: string): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, "compress", ...args], { cwd: folder });
  let [stdout, stderr, stopped] = ["", "", false];
  child.stdout.on("data", (data: Buffer) => void (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
    if (stopAt !== undefined && !stopped && stderr.includes(stopAt)) {
      stopped = true;
      child.kill("SIGINT");
    }
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

/** Three classes, each a bump at its own place in 48 numbers, with noise. */
async function writeTask(name: string, count: number, seed: number, labelled = true): Promise<string> {
  const random = seededRandom(seed);
  const labels = BigInt64Array.from({ length: count }, () => BigInt(random.integer(3)));
  const data = Float32Array.from({ length: count * 48 }, (_, at) => {
    const center = 12 + 12 * Number(labels[Math.floor(at / 48)]);
    return Math.exp(-((((at % 48) - center) / 5) ** 2)) + 0.4 * random.normal();
  });
  const arrays = [{ name: "input", dtype: "float32" as const, shape: [count, 48], data }];
  const answers = { name: "labels", dtype: "int64" as const, shape: [count], data: labels };
  await writeNpz(join(folder, name), labelled ? [...arrays, answers] : arrays);
  return join(folder, name);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-compress-"));
  const data = await loadDataset(await writeTask("train.npz", 1000, 1));
  await writeTask("val.npz", 600, 2);
  await writeTask("test.npz", 600, 3);
  await writeTask("bare.npz", 200, 4, false);
  const run = train(buildMlp({ layers: [48, 32, 3], seed: 1 }), data, {
    loss: { kind: "cross-entropy" },
    optimizer: { kind: "adam" },
    learningRate: 0.01,
    epochs: 2,
    batch: 32,
    seed: 1,
    threads: 1,
  });
  await writeOnnx((await finishTraining(run)).model, join(folder, "net.onnx"));
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const BASE = ["net.onnx", "--batch", "1", "--threads", "1", "--max-drop", "2pt"];
const INT8 = ["--technique", "dynamic-int8", "--technique", "weight-int8"];
const resultIn = async (out: string): Promise<SearchResult> =>
  searchResultSchema.parse(JSON.parse(await readFile(join(folder, out, "compression.json"), "utf8")));

describe("lightfoot compress", () => {
  test("prints the document that it writes; the winner's file is the candidate that was measured", async () => {
    const args = [...BASE, ...INT8, "--data", "val.npz", "--test", "test.npz", "--out", "a", "--json"];
    const { code, stdout, stderr } = await lightfoot(args);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const result = await resultIn("a");
    expect(JSON.parse(stdout)).toEqual(result);
    const chosen = result.candidates.find(({ id }) => id === result.selected)!;
    expect(await sha256File(join(folder, "a", "compressed.onnx"))).toBe(chosen.digest);
    expect(result.front).toContain(chosen.id);
    expect(result.data.map(({ role }) => role)).toEqual(["validation", "test"]);
    const page = await readFile(join(folder, "a", "compression.html"), "utf8");
    for (const { title, reasons } of result.candidates) {
      expect(page).toContain(title);
      expect(page).toContain(reasons[0].replaceAll("'", "&#39;").replaceAll(">", "&gt;"));
    }
  });

  test("without labels it judges by fidelity, and says what that is worth", async () => {
    const { code, stdout } = await lightfoot(["net.onnx", ...INT8, "--batch", "1", "--data", "bare.npz", "--out", "b"]);
    expect(code).toBe(0);
    expect((await resultIn("b")).metric).toBe("fidelity");
    expect(stdout).toContain("has no labels");
  });

  test("a budget in points for a metric that is no share is refused before anything is made", async () => {
    const { code, stderr } = await lightfoot([
      "net.onnx",
      ...INT8,
      "--data",
      "bare.npz",
      "--max-drop",
      "1pt",
      "--out",
      "f",
    ]);
    expect(stderr).toContain("E_METRIC");
    expect(code).toBe(3);
    expect(existsSync(join(folder, "f", "candidates"))).toBe(false);
  });

  test("ends with 1 and the original when nothing holds the budget", async () => {
    const args = ["net.onnx", "--data", "val.npz", "--batch", "1", "--technique", "weight-int8", "--out", "c"];
    args.push("--max-drop", "0.0001pt");
    const { code, stdout, stderr } = await lightfoot(args);
    expect(code).toBe(1);
    expect(stdout).toContain("the original is kept");
    expect(stdout).toContain("beyond twice the budget");
    expect(stderr).toContain("E_BUDGET");
    expect(existsSync(join(folder, "c", "compressed.onnx"))).toBe(false);
  });

  test.each([
    [["--max-drop", "0.5"], 2, "E_USAGE"],
    [["--technique", "int3"], 2, "E_USAGE"],
    [["--time-limit", "10"], 3, "E_UNIT"],
    [["--batch", "0"], 2, "E_USAGE"],
    [["--epochs", "3"], 2, "E_USAGE"],
    [["--feature-weight", "1"], 2, "E_USAGE"],
    [["--test", "val.npz"], 3, "E_DATA"],
  ])("refuses %j with exit code %d", async (words, expected, error) => {
    const { code, stderr } = await lightfoot(["net.onnx", "--data", "val.npz", "--out", "d", ...words]);
    expect(stderr).toContain(error);
    expect(code).toBe(expected);
  });

  test("Ctrl-C ends it with what was found, and the same command goes on from there", async () => {
    const args = [...BASE, "--data", "val.npz", "--train", "train.npz", "--epochs", "400", "--out", "e"];
    const words = [...args, "--technique", "weight-int8", "--technique", "narrow"];
    const stopped = await lightfoot(words, "Compressing");
    expect(stopped.code).toBe(130);
    const first = await resultIn("e");
    expect(first.ended).toBe("interrupted");
    const limited = await lightfoot([...words, "--max-candidates", "1"]);
    expect(limited.code).toBe(0);
    const second = await resultIn("e");
    expect(second).toMatchObject({ ended: "candidate-limit", tried: 1 });
    expect(second.original.latency).toEqual(first.original.latency);
  });
});
