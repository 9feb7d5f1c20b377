// Tests of sessions of models that are no file: the answers are those of the model written whole, wherever its weights lie; depends on
// model, runtime and the file beside it.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { model, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph, TensorData } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { serializeMapped } from "../model/onnx/write-mapped.ts";
import { serializeOnnx, writeOnnx } from "../model/onnx/write.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { openModel } from "./model-session.ts";
import { openSession } from "./session.ts";

const SIDE = 1536;
const BYTES = SIDE * SIDE * 4;

let folder: string;
let bytes: Uint8Array;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-model-session-"));
  const values = Float32Array.from({ length: SIDE * SIDE }, (_, at) => ((at * 7919) % 1001) / 1001 - 0.5);
  bytes = new Uint8Array(values.buffer);
});
afterAll(() => rm(folder, { recursive: true }));

/** x·a·b, 18 MiB of weights. */
function product(...weights: readonly TensorData[]): ModelGraph {
  return model({
    nodes: [node("MatMul", ["x", "a"], ["h"]), node("MatMul", ["h", "b"], ["y"])],
    inputs: [tensorInfo("x", "float32", ["n", SIDE])],
    outputs: [tensorInfo("y", "float32", undefined)],
    initializers: ["a", "b"].map((name, at) => ({
      name,
      dtype: "float32",
      shape: [SIDE, SIDE],
      data: weights[at],
    })),
  });
}

const memory = (): TensorData => ({ kind: "memory", bytes });

async function answer(opened: ReturnType<typeof openSession>): Promise<unknown> {
  const session = await opened;
  try {
    const x = float32Tensor(
      [2, SIDE],
      Float32Array.from({ length: 2 * SIDE }, (_, at) => Math.sin(at)),
    );
    return (await session.run({ x })).y.data;
  } finally {
    await session.close();
  }
}

describe("openModel", () => {
  it("gives the answers of the model written whole: weights in memory, computed, in a file, at an odd place of one", async () => {
    const wanted = await answer(openSession(await serializeOnnx(product(memory(), memory())), { threads: 1 }));
    const file = join(folder, "weights.data");
    await writeFile(file, Buffer.concat([new Uint8Array(1), bytes, new Uint8Array(3), bytes]));
    const place = (offset: number): TensorData => ({ kind: "file", file, offset, byteLength: BYTES, encoding: "raw" });
    const computed: TensorData = { kind: "computed", make: async () => bytes };
    for (const weights of [
      [memory(), computed],
      [place(BYTES + 4), place(BYTES + 4)],
      [place(1), place(BYTES + 4)],
    ]) {
      expect(await answer(openModel(product(...weights), { threads: 1 }))).toEqual(wanted);
    }
  });

  it("takes weights from where they lie and writes only those that lie nowhere", async () => {
    const path = join(folder, "model.onnx");
    await writeOnnx(product(memory(), memory()), path, { externalData: { thresholdBytes: 1024 } });
    const data = join(folder, "none.bin");
    const mapped = await serializeMapped(await readOnnx(path), data);
    expect(mapped.bytes.byteLength).toBeLessThan(1000);
    expect(await readdir(folder)).not.toContain("none.bin");
    await serializeMapped(product(memory(), (await readOnnx(path)).graph.initializers.get("b")!.data), data);
    expect(await readdir(folder)).toContain("none.bin");
  });

  it("refuses a file that changed since the model was read", async () => {
    const path = join(folder, "changing.onnx");
    await writeOnnx(product(memory(), memory()), path, { externalData: { thresholdBytes: 1024 } });
    const read = await readOnnx(path);
    await writeFile(`${path}.data`, new Uint8Array(2 * BYTES));
    await expect(openModel(read)).rejects.toMatchObject({ code: "E_FILE_CHANGED" });
  });
});
