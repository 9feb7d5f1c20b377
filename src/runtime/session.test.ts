// Tests of sessions: what goes in and out of the engine, and what its errors say; depends on model and the room.
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeFloat16 } from "../io/half.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import type { Dim } from "../model/graph.ts";
import type { DType } from "../model/dtype.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor, int64Tensor, type TensorValue } from "../model/tensor-value.ts";
import { openSession } from "./session.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-session-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** y = x + w, w = [1, 2]. */
const addition = (): Promise<Uint8Array> =>
  serializeOnnx(
    model({
      nodes: [node("Add", ["x", "w"], ["y"]), node("Neg", ["y"], ["z"])],
      inputs: [tensorInfo("x", "float32", ["batch", 2])],
      outputs: [tensorInfo("y", "float32", ["batch", 2]), tensorInfo("z", "float32", ["batch", 2])],
      initializers: [memoryTensor("w", float32Tensor([2], Float32Array.of(1, 2)))],
    }),
  );

const identity = (dtype: DType, shape: readonly Dim[]): Promise<Uint8Array> =>
  serializeOnnx(
    model({
      nodes: [node("Identity", ["x"], ["y"])],
      inputs: [tensorInfo("x", dtype, shape)],
      outputs: [tensorInfo("y", dtype, shape)],
    }),
  );

const row = float32Tensor([1, 2], Float32Array.of(10, 20));

describe("a session", () => {
  it("tells its inputs and outputs, and runs from bytes and from a file alike", async () => {
    const bytes = await addition();
    const path = join(folder, "addition.onnx");
    await writeFile(path, bytes);
    for (const given of [bytes, path]) {
      const session = await openSession(given, { threads: 1 });
      expect(session.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["batch", 2] }]);
      expect(session.outputs.map(({ name }) => name)).toEqual(["y", "z"]);
      const { y, z } = await session.run({ x: row });
      expect(y).toEqual(float32Tensor([1, 2], Float32Array.of(11, 22)));
      expect(z.data).toEqual(Float32Array.of(-11, -22));
      await session.close();
    }
  });

  it("computes only the outputs asked for, and fills a tensor that is given for one", async () => {
    const session = await openSession(await addition(), { threads: 1 });
    expect(Object.keys(await session.run({ x: row }, ["z"]))).toEqual(["z"]);
    const kept = float32Tensor([1, 2], new Float32Array(2));
    const { y, z } = await session.run({ x: row }, { y: kept, z: null });
    expect(y).toBe(kept);
    expect(kept.data).toEqual(Float32Array.of(11, 22));
    expect(z.data).toEqual(Float32Array.of(-11, -22));
    await session.close();
  });

  it("carries every element type unchanged", async () => {
    const values: TensorValue[] = [
      float32Tensor([2], Float32Array.of(1.5, -2)),
      { dtype: "float64", shape: [2], data: Float64Array.of(1 / 3, -2) },
      { dtype: "float16", shape: [2], data: encodeFloat16(Float32Array.of(0.5, -65504)) },
      { dtype: "int8", shape: [2], data: Int8Array.of(-128, 127) },
      { dtype: "uint8", shape: [2], data: Uint8Array.of(0, 255) },
      { dtype: "int16", shape: [2], data: Int16Array.of(-32768, 1) },
      { dtype: "uint16", shape: [2], data: Uint16Array.of(0, 65535) },
      { dtype: "int32", shape: [2], data: Int32Array.of(-1, 2 ** 31 - 1) },
      { dtype: "uint32", shape: [2], data: Uint32Array.of(0, 2 ** 32 - 1) },
      int64Tensor([2], [-1, Number.MAX_SAFE_INTEGER]),
      { dtype: "uint64", shape: [2], data: BigUint64Array.of(0n, 2n ** 64n - 1n) },
      { dtype: "bool", shape: [2], data: Uint8Array.of(0, 1) },
    ];
    for (const value of values) {
      const session = await openSession(await identity(value.dtype, ["n"]));
      expect((await session.run({ x: value })).y).toEqual(value);
      await session.close();
    }
  });

  it("takes scalars", async () => {
    const session = await openSession(await identity("float32", []));
    const scalar = float32Tensor([], Float32Array.of(4));
    expect((await session.run({ x: scalar })).y).toEqual(scalar);
    await session.close();
  });

  it("writes the graph that it executes", async () => {
    const optimizedModelPath = join(folder, "optimized.onnx");
    const session = await openSession(await addition(), { optimizedModelPath });
    await session.close();
    expect((await readOnnx(optimizedModelPath)).graph.outputs.map(({ name }) => name)).toEqual(["y", "z"]);
    expect(readFileSync(optimizedModelPath).length).toBeGreaterThan(0);
  });

  it.each<[string, Record<string, TensorValue>, string]>([
    ["a missing input", {}, "input 'x' is not fed"],
    ["another type", { x: { dtype: "float64", shape: [1, 2], data: new Float64Array(2) } }, "[batch,2] float32"],
    ["another fixed size", { x: float32Tensor([1, 3], new Float32Array(3)) }, "[1,3] float32"],
    ["another rank", { x: float32Tensor([2], new Float32Array(2)) }, "[2] float32"],
    ["an input it does not have", { x: row, extra: row }, "'extra' is fed"],
  ])("refuses %s and names both sides", async (_what, feeds, part) => {
    const session = await openSession(await addition(), { name: "addition" });
    await expect(session.run(feeds)).rejects.toMatchObject({
      code: "E_RUNTIME",
      message: expect.stringMatching(/^'addition'.*expected: x \[batch,2\] float32/) as string,
    });
    await expect(session.run(feeds)).rejects.toThrow(part);
    await session.close();
  });

  it("refuses an unknown output, a closed session, a missing file and what is no model", async () => {
    const session = await openSession(await addition());
    await expect(session.run({ x: row }, ["q"])).rejects.toMatchObject({ code: "E_RUNTIME" });
    await session.close();
    await session.close();
    await expect(session.run({ x: row })).rejects.toMatchObject({ code: "E_RUNTIME" });
    await expect(openSession(join(folder, "none.onnx"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
    await expect(openSession(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "E_RUNTIME" });
  });
});
