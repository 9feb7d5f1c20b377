// `lightfoot pack` and `unpack` as a user runs them: files, documents, exit codes; depends on the build.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packSchema, unpackSchema } from "../src/compress/container/pack-schema.ts";
import { model, node, tensorInfo } from "../src/model/build.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { memoryTensor } from "../src/model/tensor-data.ts";
import { float32Tensor } from "../src/model/tensor-value.ts";

const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-pack-cli-"));
  const weights = Float32Array.from({ length: 4000 }, (_, at) => (at % 7 === 0 ? 0.5 : 0));
  const graph = {
    nodes: [node("MatMul", ["x", "w"], ["y"])],
    inputs: [tensorInfo("x", "float32", ["N", 40])],
    outputs: [tensorInfo("y", "float32", ["N", 100])],
    initializers: [memoryTensor("w", float32Tensor([40, 100], weights))],
  };
  await writeFile(join(folder, "net.onnx"), await serializeOnnx(model(graph)));
});
afterAll(() => rm(folder, { recursive: true }));

async function lightfoot(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test("a model goes there and back, with its CompressionRate as a figure", async () => {
  const packed = await lightfoot("pack", "net.onnx", "--json");
  const document = packSchema.parse(JSON.parse(packed.stdout));
  expect(document).toMatchObject({ container: "net.lfz", isModel: true, contentBytes: document.files[0].bytes });
  expect((await readFile(join(folder, "net.lfz"))).byteLength).toBe(document.containerBytes);
  expect(document.compressionRate.value).toBeCloseTo(document.contentBytes / document.containerBytes, 10);
  expect(document.compressionRate).toMatchObject({ method: "measured", basis: "bytes on disk" });

  const back = await lightfoot("unpack", "net.lfz", "--out", "back.onnx", "--json");
  expect(unpackSchema.parse(JSON.parse(back.stdout)).files[0].file).toBe("back.onnx");
  const [before, after] = await Promise.all(["net.onnx", "back.onnx"].map((name) => readFile(join(folder, name))));
  expect(Buffer.compare(before, after)).toBe(0);
  expect((await lightfoot("unpack", "net.lfz")).stdout).toMatch(/^Wrote net\.onnx: .* all check sums hold/);
});

test("mistakes end with their exit codes and leave nothing behind", async () => {
  await lightfoot("pack", "net.onnx");
  expect((await lightfoot("pack", "missing.onnx")).code).toBe(3);
  expect((await lightfoot("pack", "net.onnx", "--out", "./net.onnx")).code).toBe(2);
  const whole = await readFile(join(folder, "net.onnx"));
  await writeFile(join(folder, "cut.onnx"), whole.subarray(0, whole.length >> 1));
  const cut = await lightfoot("pack", "cut.onnx");
  expect([cut.code, /cut\.onnx cannot be read as a model.*--as-bytes/s.test(cut.stderr)]).toEqual([3, true]);
  await expect(readFile(join(folder, "cut.lfz"))).rejects.toThrow();
  expect(JSON.parse((await lightfoot("pack", "cut.onnx", "--as-bytes", "--json")).stdout).isModel).toBe(false);
  const limited = await lightfoot("unpack", "net.lfz", "--out", "limited.onnx", "--limit", "1kB");
  expect([limited.code, limited.stderr.includes("E_LIMIT")]).toEqual([3, true]);
  const damaged = await readFile(join(folder, "net.lfz"));
  damaged[damaged.length - 1] ^= 1;
  await writeFile(join(folder, "damaged.lfz"), damaged);
  const refused = await lightfoot("unpack", "damaged.lfz");
  expect([refused.code, refused.stderr.includes("E_CONTAINER")]).toEqual([3, true]);
  await expect(readFile(join(folder, "damaged.onnx"))).rejects.toThrow();
});
