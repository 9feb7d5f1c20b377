// `lightfoot evaluate` as a user runs it: the document, the text, exit codes and Ctrl-C; depends on the build.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeNpz } from "../src/io/npz.ts";
import { model, node, tensorInfo } from "../src/model/build.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { evaluationSchema } from "../src/runtime/evaluate-schema.ts";

const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;
let folder: string;
let net: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-evaluate-cli-"));
  net = join(folder, "net.onnx");
  const values = { inputs: [tensorInfo("x", "float32", ["N", 2])], outputs: [tensorInfo("y", "float32", ["N", 2])] };
  await writeFile(net, await serializeOnnx(model({ ...values, nodes: [node("Identity", ["x"], ["y"])] })));
  await writeNpz(join(folder, "data.npz"), [
    { name: "scores", dtype: "float32", shape: [4, 2], data: Float32Array.of(1, 0, 0, 1, 1, 0, 1, 0) },
    { name: "labels", dtype: "int64", shape: [4], data: BigInt64Array.of(0n, 1n, 1n, 0n) },
  ]);
  await writeFile(
    join(folder, "metric.mjs"),
    "export default ({ output, labels }) => output.data[0] + labels.shape[0];",
  );
});
afterAll(() => rm(folder, { recursive: true }));

async function evaluate(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const run = promisify(execFile)(process.execPath, [MAIN, "evaluate", net, ...args], { cwd: folder });
    return { code: 0, ...(await run) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test("gives a document that its schema takes, with every metric asked for", async () => {
  const { stdout, code } = await evaluate(
    "--data",
    "data.npz",
    "--metric",
    "accuracy",
    "--metric",
    "./metric.mjs",
    "--json",
  );
  expect(code).toBe(0);
  const document = evaluationSchema.parse(JSON.parse(stdout));
  expect(document.metrics["accuracy"].figure.value).toBe(0.75);
  expect(document.metrics["metric.mjs"].figure.value).toBe(5);
  expect(document.assumptions.map(({ key }) => key)).toEqual(["data.input-name"]);
});

test("shows the interval in percent, what was assumed, and holds --strict to it", async () => {
  const loose = await evaluate("--data", "data.npz", "--metric", "accuracy");
  expect(loose.stdout).toMatch(/accuracy\s+75 \(30…95\)\s%/);
  expect(loose.stdout).toContain("[data.input-name]");
  expect((await evaluate("--data", "data.npz", "--metric", "accuracy", "--strict")).code).toBe(1);
});

test("ends with the exit code of the mistake", async () => {
  expect(await evaluate("--data", "data.npz")).toMatchObject({ code: 2 });
  expect(await evaluate("--data", "data.npz", "--metric", "acuracy")).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("did you mean 'accuracy'") as string,
  });
  const json = await evaluate("--data", "none.npz", "--metric", "accuracy", "--json");
  expect(json.code).toBe(3);
  expect(JSON.parse(json.stderr)).toMatchObject({ schema: "lightfoot.error/1", code: "E_FILE_NOT_FOUND" });
});

test("stops on Ctrl-C with 130 while the worker runs", async () => {
  const args = [MAIN, "evaluate", net, "--data", "long.npz", "--metric", "accuracy", "--batch", "1"];
  const count = 4_000_000;
  await writeNpz(join(folder, "long.npz"), [
    { name: "x", dtype: "float32", shape: [count, 2], data: new Float32Array(2 * count) },
    { name: "labels", dtype: "uint8", shape: [count], data: new Uint8Array(count) },
  ]);
  const child = spawn(process.execPath, args, { cwd: folder });
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  await new Promise<void>((resolve) => {
    child.stderr.on("data", (text: Buffer) => {
      if (text.includes("Evaluating")) resolve();
    });
    void closed.then(() => resolve());
  });
  child.kill("SIGINT");
  expect(await closed).toBe(130);
});
