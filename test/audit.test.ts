// `lightfoot audit` as a user runs it, and `check` with its document as evidence; depends on the build.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeNpz } from "../src/io/npz.ts";
import { model, node, tensorInfo } from "../src/model/build.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { memoryTensor } from "../src/model/tensor-data.ts";
import { float32Tensor } from "../src/model/tensor-value.ts";
import type { CheckDocument } from "../src/policy/rules/check-schema.ts";
import { auditSchema } from "../src/runtime/audit/audit-schema.ts";
import { seededRandom } from "../src/statistics/random.ts";

const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;
const COUNT = 800;
let folder: string;

/** y = x + bias, two classes. */
async function writeModel(name: string, bias: number): Promise<void> {
  const values = { inputs: [tensorInfo("x", "float32", ["N", 2])], outputs: [tensorInfo("y", "float32", ["N", 2])] };
  const initializers = [memoryTensor("b", float32Tensor([2], Float32Array.of(0, bias)))];
  const nodes = [node("Add", ["x", "b"], ["y"])];
  await writeFile(join(folder, name), await serializeOnnx(model({ ...values, initializers, nodes })));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-audit-cli-"));
  await writeModel("net.onnx", 0);
  await writeModel("close.onnx", -0.01);
  await writeModel("far.onnx", -1.5);
  const random = seededRandom(1);
  const labels = BigInt64Array.from({ length: COUNT }, (_, at) => BigInt(at % 2));
  const data = Float32Array.from(
    { length: COUNT * 2 },
    (_, at) => random.normal() + (at % 2 === (at >> 1) % 2 ? 3 : 0),
  );
  await writeNpz(join(folder, "test.npz"), [
    { name: "x", dtype: "float32", shape: [COUNT, 2], data },
    { name: "labels", dtype: "int64", shape: [COUNT], data: labels },
  ]);
  const lines = Array.from({ length: COUNT }, (_, at) => (at % 3 === 0 ? "a" : "b"));
  await writeFile(join(folder, "people.csv"), `team\n${lines.join("\n")}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

async function lightfoot(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

const outcomes = (stdout: string): Record<string, string> =>
  Object.fromEntries((JSON.parse(stdout) as CheckDocument).rules.map(({ id, outcome }) => [id, outcome]));

test("gives a document that its schema takes, and check judges by it", async () => {
  const against = ["--against", "net.onnx", "--data", "test.npz"];
  const far = await lightfoot("audit", "far.onnx", ...against, "--groups", "people.csv", "--out", "far.json", "--json");
  expect(far.code).toBe(0);
  expect(JSON.parse(await readFile(join(folder, "far.json"), "utf8"))).toEqual(JSON.parse(far.stdout));
  const document = auditSchema.parse(JSON.parse(far.stdout));
  expect(document.partitions.map(({ name }) => name)).toEqual(["class", "team"]);
  expect(document.membership).toBeNull();
  await lightfoot("audit", "close.onnx", ...against, "--members", "test.npz", "--out", "close.json");
  await writeFile(join(folder, "declared.yaml"), "roles: [deployer]\nevidence: { evaluation.agreement: 1 }\n");
  const bad = await lightfoot("check", "declared.yaml", "far.json", "--as-of", "2026-11-23", "--json");
  expect(bad.code).toBe(1);
  expect(outcomes(bad.stdout)).toMatchObject({
    "SAF-SUBGROUP": "fail",
    "SAF-AGREE": "fail",
    "SAF-ACC-FLOOR": "fail",
    "PRI-MIA": "unknown",
  });
  const good = await lightfoot("check", "close.json", "--role", "deployer", "--as-of", "2026-11-23", "--json");
  expect(outcomes(good.stdout)).toMatchObject({
    "SAF-SUBGROUP": "pass",
    "SAF-AGREE": "pass",
    "SAF-CAL": "pass",
    "SAF-ROB": "pass",
    "SAF-FLIPS": "pass",
  });
});

test("shows the worst group first and what was not measured, and refuses what says nothing", async () => {
  const shown = await lightfoot("audit", "far.onnx", "--against", "net.onnx", "--data", "test.npz");
  expect(shown.stdout).toMatch(/class\s+samples[\s\S]*\n1\s+400[\s\S]*\n0\s+400/);
  expect(shown.stdout).toContain("Not measured: membership inference");
  const lonely = ["--against", "net.onnx", "--data", "test.npz", "--non-members", "test.npz"];
  expect(await lightfoot("audit", "far.onnx", ...lonely)).toMatchObject({ code: 2 });
});
