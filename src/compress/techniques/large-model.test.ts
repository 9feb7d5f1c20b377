// A model far larger than the memory that may be used: compressed in a process of its own, split at 2 GiB, run by the engine; depends on dist.
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSession } from "../../runtime/session.ts";

const WIDTH = 8192;
const MIB = 2 ** 20;

/** Matrices of 256 MiB that all lie at one place of the disk: each maps ones to ones. */
const SOURCE = (layers: number, dist: string, compress: string, weights: string, target: string) => `
const [
  { dynamicInt8 }, { staticInt8 }, { weightOnlyBlocks }, build, { writeOnnx }, { createThreadPool }, usage, { createDataset }
] = await Promise.all([
  import("${dist}/compress/techniques/dynamic-int8.js"),
  import("${dist}/compress/techniques/static-int8.js"),
  import("${dist}/compress/techniques/weight-blocks.js"),
  import("${dist}/model/build.js"),
  import("${dist}/model/onnx/write.js"),
  import("${dist}/runtime/task-runner.js"),
  import("${dist}/io/process-usage.js"),
  import("${dist}/runtime/dataset.js"),
]);
const data = { kind: "file", file: "${weights}", offset: 0, byteLength: ${WIDTH ** 2 * 4}, encoding: "raw" };
const initializers = Array.from({ length: ${layers} }, (_, at) => (
  { name: "w" + at, dtype: "float32", shape: [${WIDTH}, ${WIDTH}], data }
));
const value = (at) => (at === 0 ? "x" : at === ${layers} ? "y" : "h" + at);
const source = build.model({
  nodes: initializers.map(({ name }, at) => build.node("MatMul", [value(at), name], [value(at + 1)])),
  inputs: [build.tensorInfo("x", "float32", [1, ${WIDTH}])],
  outputs: [build.tensorInfo("y", "float32", [1, ${WIDTH}])],
  initializers,
}, 17);
const x = { dtype: "float32", shape: [4, ${WIDTH}], data: new Float32Array(4 * ${WIDTH}).fill(1) };
const calibration = createDataset({ name: "ones", inputs: new Map([["x", x]]) });
const context = { weightGrid: { dtype: "int8", bits: 8 }, runner: createThreadPool(2) };
const result = await ${compress};
const written = await writeOnnx(result.model, "${target}");
console.log(JSON.stringify({ ...written, peakMemoryBytes: usage.processUsage.peakMemoryBytes() }));
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-large-"));
});
afterAll(() => rm(folder, { recursive: true }));

it.runIf(process.env.LIGHTFOOT_TEST_FULL).each([
  // 9 GiB, so that the result has to be split at 2 GiB too.
  ["dynamic int8", 36, 'dynamicInt8(source, { activations: "tensor" }, context)', 2 ** 31],
  [
    "4-bit blocks",
    16,
    "weightOnlyBlocks(source, { bits: 4, blockSize: 32, symmetric: true, accuracyLevel: 4 }, context)",
    2 ** 29,
  ],
  [
    "static int8 on calibration data",
    10,
    'staticInt8(source, { range: { kind: "minmax" }, samples: 4, form: "qdq", biasCorrection: true }, { ...context, calibration })',
    2 ** 29,
  ],
])(
  "takes the largest tensor and 300 MB, and the result runs: %s",
  { timeout: 600_000 },
  async (_name, layers, compress, leastBytes) => {
    const target = join(folder, "large.onnx");
    const script = join(folder, "compress.mjs");
    const weights = join(folder, "weights.data");
    await writeFile(weights, new Float32Array(WIDTH ** 2).fill(1 / WIDTH));
    await writeFile(
      script,
      SOURCE(layers, fileURLToPath(new URL("../../../dist", import.meta.url)), compress, weights, target),
    );
    const { fileBytes, dataBytes, notes, peakMemoryBytes } = JSON.parse(
      execFileSync(process.execPath, [script], { encoding: "utf8" }),
    ) as { fileBytes: number; dataBytes: number; notes: string[]; peakMemoryBytes: number };
    expect(fileBytes + dataBytes).toBeGreaterThan(leastBytes);
    expect((await stat(target)).size).toBe(fileBytes);
    // What protobuf cannot hold was split.
    if (fileBytes + dataBytes > 2 ** 31) {
      expect(fileBytes).toBeLessThan(MIB);
      expect(notes.join()).toContain("2 GiB");
    }
    expect(peakMemoryBytes).toBeLessThan(WIDTH ** 2 * 4 + 300e6);
    const session = await openSession(target, { threads: 1, graphOptimization: "disabled" });
    try {
      const { y } = await session.run({
        x: { dtype: "float32", shape: [1, WIDTH], data: new Float32Array(WIDTH).fill(1) },
      });
      for (const found of y.data as Float32Array) expect(Math.abs(found - 1)).toBeLessThan(0.01);
    } finally {
      await session.close();
    }
  },
);
