// A model far larger than the memory that may be used: compressed in a process of its own, split at 2 GiB, run by the engine; depends on dist.
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSession } from "../../runtime/session.ts";

const LAYERS = 36;
const WIDTH = 8192;
const MIB = 2 ** 20;

/** Weights that are computed: 9 GiB of float32 that never lie anywhere. Every row of layer i sums to 1, so that ones stay ones. */
const SOURCE = (dist: string, target: string) => `
const [{ dynamicInt8 }, build, tensors, { writeOnnx }, usage] = await Promise.all([
  import("${dist}/compress/techniques/dynamic-int8.js"),
  import("${dist}/model/build.js"),
  import("${dist}/model/tensor-data.js"),
  import("${dist}/model/onnx/write.js"),
  import("${dist}/io/process-usage.js"),
]);
const weights = Array.from({ length: ${LAYERS} }, (_, at) =>
  tensors.computedTensor("w" + at, { dtype: "float32", shape: [${WIDTH}, ${WIDTH}] }, async () =>
    new Float32Array(${WIDTH} ** 2).fill(1 / ${WIDTH}),
  ),
);
const value = (at) => (at === 0 ? "x" : at === ${LAYERS} ? "y" : "h" + at);
const source = build.model({
  nodes: weights.map(({ name }, at) => build.node("MatMul", [value(at), name], [value(at + 1)])),
  inputs: [build.tensorInfo("x", "float32", [1, ${WIDTH}])],
  outputs: [build.tensorInfo("y", "float32", [1, ${WIDTH}])],
  initializers: weights,
}, 17);
const result = await dynamicInt8(source, { activations: "tensor" }, { weightGrid: { dtype: "int8", bits: 8 } });
const written = await writeOnnx(result.model, ${JSON.stringify(target)});
console.log(JSON.stringify({ ...written, peakMemoryBytes: usage.processUsage.peakMemoryBytes() }));
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-large-"));
});
afterAll(() => rm(folder, { recursive: true }));

it.runIf(process.env.LIGHTFOOT_TEST_FULL)(
  "takes the largest tensor and 300 MB, and the split result runs",
  { timeout: 600_000 },
  async () => {
    const target = join(folder, "large.onnx");
    const script = join(folder, "compress.mjs");
    await writeFile(script, SOURCE(fileURLToPath(new URL("../../../dist", import.meta.url)), target));
    const { fileBytes, dataBytes, notes, peakMemoryBytes } = JSON.parse(
      execFileSync(process.execPath, [script], { encoding: "utf8" }),
    ) as { fileBytes: number; dataBytes: number; notes: string[]; peakMemoryBytes: number };
    expect(dataBytes).toBeGreaterThan(2 ** 31);
    expect((await stat(target)).size).toBe(fileBytes);
    expect(fileBytes).toBeLessThan(MIB);
    expect(notes.join()).toContain("2 GiB");
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
