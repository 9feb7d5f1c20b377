// The writer: whole files or none, weights where they were asked to go, and safe over its own source.
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256File } from "../../io/digest.ts";
import { OpenFiles } from "../../io/file-range.ts";
import { graph, model, node, tensorInfo } from "../build.ts";
import type { ModelGraph, TensorRef } from "../graph.ts";
import { computedTensor, memoryTensor, readFloats, readTensorBytes } from "../tensor-data.ts";
import { float32Tensor } from "../tensor-value.ts";
import { readOnnx } from "./read.ts";
import { gathered, streamParts } from "./read-ahead.ts";
import { elementBytes } from "./write-tensor.ts";
import { serializeOnnx, writeOnnx } from "./write.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-write-"));
});
afterEach(() => rm(folder, { recursive: true }));

const ramp = (name: string, length: number): TensorRef =>
  memoryTensor(
    name,
    float32Tensor(
      [length],
      Float32Array.from({ length }, (_, i) => i / 8),
    ),
  );

/** y = x + large, with a small tensor that a branch of an `If` uses. */
function sample(): ModelGraph {
  const branch = graph({
    nodes: [node("Add", ["sum", "inner"], ["r"])],
    outputs: [tensorInfo("r", "float32", [1000])],
    initializers: [ramp("inner", 1000)],
  });
  return model({
    nodes: [
      node("Add", ["x", "large"], ["sum"]),
      node("If", ["c"], ["y"], {
        then_branch: { type: "graph", value: branch },
        else_branch: { type: "graph", value: branch },
      }),
    ],
    inputs: [tensorInfo("x", "float32", [1000]), tensorInfo("c", "bool", [])],
    outputs: [tensorInfo("y", "float32", [1000])],
    initializers: [ramp("large", 1000), ramp("small", 2)],
  });
}

const weightsOf = async (path: string, name = "large") =>
  readFloats((await readOnnx(path)).graph.initializers.get(name)!);

describe("writeOnnx", () => {
  it("streams the same bytes that serializeOnnx gives, and leaves no temporary file", async () => {
    const path = join(folder, "m.onnx");
    const { fileBytes, dataBytes, notes } = await writeOnnx(sample(), path);
    expect(Buffer.compare(await readFile(path), await serializeOnnx(sample()))).toBe(0);
    expect({ fileBytes, dataBytes, notes }).toEqual({ fileBytes: (await stat(path)).size, dataBytes: 0, notes: [] });
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  it("replaces the very file that the weights are copied from", async () => {
    const path = join(folder, "m.onnx");
    await writeOnnx(sample(), path);
    const before = await sha256File(path);
    const read = await readOnnx(path);
    await writeOnnx(read, path);
    expect(await sha256File(path)).toBe(before);
    await expect(readTensorBytes(read.graph.initializers.get("large")!)).rejects.toMatchObject({
      code: "E_FILE_CHANGED",
    });
  });

  it("writes through a symbolic link to the file behind it", async () => {
    await writeFile(join(folder, "real.onnx"), "old");
    await symlink("real.onnx", join(folder, "m.onnx"));
    await writeOnnx(sample(), join(folder, "m.onnx"));
    expect(Buffer.compare(await readFile(join(folder, "real.onnx")), await serializeOnnx(sample()))).toBe(0);
  });

  it("moves initializers from the threshold on outside, page-aligned, those of branches too", async () => {
    const path = join(folder, "m.onnx");
    const written = await writeOnnx(sample(), path, { externalData: { thresholdBytes: 1024 } });
    expect(await readdir(folder)).toEqual(["m.onnx", "m.onnx.data"]);
    expect(written.dataBytes).toBe((await stat(join(folder, "m.onnx.data"))).size);
    const read = await readOnnx(path);
    const large = read.graph.initializers.get("large")!;
    expect(large.data).toMatchObject({ kind: "file", file: join(folder, "m.onnx.data") });
    expect((large.data as { offset: number }).offset % 4096).toBe(0);
    expect(read.graph.initializers.get("small")!.data).toMatchObject({ file: path });
    expect(await weightsOf(path)).toEqual(Float32Array.from({ length: 1000 }, (_, i) => i / 8));
    // Both branches share one tensor, so it is stored once: two ranges of 4000 bytes, the second aligned.
    expect(written.dataBytes).toBe(4096 + 4000);
  });

  it("gives ONNX Runtime the same outputs from external weights as from weights inside", async () => {
    const { InferenceSession, Tensor } = await import("onnxruntime-node");
    const outputs: unknown[] = [];
    for (const externalData of ["inline", { thresholdBytes: 1 }] as const) {
      const path = join(folder, "m.onnx");
      await writeOnnx(sample(), path, { externalData });
      const session = await InferenceSession.create(path, { logSeverityLevel: 3, intraOpNumThreads: 1 });
      const x = new Tensor("float32", new Float32Array(1000).fill(1), [1000]);
      const { y } = await session.run({ x, c: new Tensor("bool", [true], []) });
      outputs.push(y.data);
      await session.release();
    }
    expect(outputs[0]).toEqual(Float32Array.from({ length: 1000 }, (_, i) => 1 + i / 4));
    expect(outputs[1]).toEqual(outputs[0]);
  });

  it("keeps external data where it is when the new file lies in the same folder", async () => {
    await writeOnnx(sample(), join(folder, "a.onnx"), { externalData: { thresholdBytes: 1024 } });
    const written = await writeOnnx(await readOnnx(join(folder, "a.onnx")), join(folder, "b.onnx"));
    expect(written.dataFile).toBeUndefined();
    expect((await readdir(folder)).sort()).toEqual(["a.onnx", "a.onnx.data", "b.onnx"]);
    expect(await weightsOf(join(folder, "b.onnx"))).toHaveLength(1000);
  });

  it("takes external data along into another folder", async () => {
    await writeOnnx(sample(), join(folder, "a.onnx"), { externalData: { thresholdBytes: 1024 } });
    await mkdir(join(folder, "sub"));
    const read = await readOnnx(join(folder, "a.onnx"));
    await writeOnnx(read, join(folder, "sub", "b.onnx"));
    await rm(join(folder, "a.onnx.data"));
    expect((await readdir(join(folder, "sub"))).sort()).toEqual(["b.onnx", "b.onnx.data"]);
    expect(await weightsOf(join(folder, "sub", "b.onnx"))).toEqual(
      Float32Array.from({ length: 1000 }, (_, i) => i / 8),
    );
  });

  it("inlines external data when asked", async () => {
    await writeOnnx(sample(), join(folder, "a.onnx"), { externalData: { thresholdBytes: 1024 } });
    await writeOnnx(await readOnnx(join(folder, "a.onnx")), join(folder, "b.onnx"), { externalData: "inline" });
    expect(Buffer.compare(await readFile(join(folder, "b.onnx")), await serializeOnnx(sample()))).toBe(0);
  });

  it("rewrites a model with external data onto itself, whichever way", async () => {
    const path = join(folder, "m.onnx");
    const modes = [
      { thresholdBytes: 1024 },
      { thresholdBytes: 1 },
      "keep",
      { thresholdBytes: 2048 },
      "inline",
    ] as const;
    await writeOnnx(sample(), path);
    for (const externalData of modes) {
      await writeOnnx(await readOnnx(path), path, { externalData });
      expect(await weightsOf(path)).toEqual(Float32Array.from({ length: 1000 }, (_, i) => i / 8));
      expect(await weightsOf(path, "small")).toEqual(Float32Array.of(0, 0.125));
    }
    expect(Buffer.compare(await readFile(path), await serializeOnnx(sample()))).toBe(0);
  });

  it("leaves the old file untouched when a weight cannot be read, and no temporary file", async () => {
    const [source, path] = [join(folder, "source.onnx"), join(folder, "m.onnx")];
    await writeOnnx(sample(), source);
    await writeFile(path, "the old content");
    const read = await readOnnx(source);
    await rm(source);
    await expect(writeOnnx(read, path)).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
    expect(await readFile(path, "utf8")).toBe("the old content");
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  it("names the missing folder", async () => {
    const path = join(folder, "none", "m.onnx");
    await expect(writeOnnx(sample(), path)).rejects.toMatchObject({ code: "E_FILE_WRITE", hint: /folder/ });
  });
});

/** A model whose one tensor lies in a sparse file beyond what protobuf can hold: takes no disk and no memory. */
async function giant(byteLength: number): Promise<ModelGraph> {
  const file = join(folder, "weights.bin");
  const handle = await open(file, "w");
  await handle.truncate(byteLength);
  await handle.close();
  const data = { kind: "file", file, offset: 0, byteLength, encoding: "raw" } as const;
  return model({ nodes: [], initializers: [{ name: "w", dtype: "uint8", shape: [byteLength], data }] });
}

describe("protobuf's limit of 2 GiB", () => {
  it("is an error for serializeOnnx and for inline, before anything is written", async () => {
    const large = await giant(2 ** 31);
    await expect(serializeOnnx(large)).rejects.toMatchObject({ code: "E_LIMIT" });
    const path = join(folder, "m.onnx");
    await expect(writeOnnx(large, path, { externalData: "inline" })).rejects.toMatchObject({ code: "E_LIMIT" });
    expect(await readdir(folder)).toEqual(["weights.bin"]);
  });

  it.runIf(process.env.LIGHTFOOT_TEST_FULL)("splits a larger model by itself and says so", async () => {
    const path = join(folder, "m.onnx");
    const written = await writeOnnx(await giant(2 ** 31 + 5), path);
    expect(written).toMatchObject({ dataFile: join(folder, "m.onnx.data"), dataBytes: 2 ** 31 + 5 });
    expect(written.notes).toEqual([expect.stringContaining("2 GiB")]);
    expect((await readOnnx(path)).graph.initializers.get("w")!.data).toMatchObject({ byteLength: 2 ** 31 + 5 });
  });
});

describe("a computed tensor", () => {
  const lazy = (name: string, make: () => Promise<Float32Array>): TensorRef =>
    computedTensor(name, { dtype: "float32", shape: [1000] }, make);
  const values = Float32Array.from({ length: 1000 }, (_, i) => i / 8);

  it.each(["keep", "inline", { thresholdBytes: 0 }] as const)(
    "is made once and written like a stored one: %o",
    async (externalData) => {
      const stored = sample();
      let made = 0;
      const large = lazy("large", async () => {
        made += 1;
        return values;
      });
      const initializers = new Map(stored.graph.initializers).set("large", large);
      const computed = { ...stored, graph: { ...stored.graph, initializers } };
      await writeOnnx(stored, join(folder, "stored.onnx"), { externalData });
      await writeOnnx(computed, join(folder, "computed.onnx"), { externalData });
      expect(made).toBe(1);
      expect(await weightsOf(join(folder, "computed.onnx"))).toEqual(values);
      const sizes = await Promise.all(
        ["stored.onnx", "computed.onnx"].map(async (name) => (await stat(join(folder, name))).size),
      );
      // The longer name of the data file is all that differs.
      if (typeof externalData === "string") expect(sizes[0]).toBe(sizes[1]);
    },
  );

  it("that does not fill its shape is refused, and no file appears", async () => {
    const short = computedTensor("large", { dtype: "float32", shape: [1001] }, async () => values);
    const bad = { ...sample(), graph: { ...sample().graph, initializers: new Map([["large", short]]) } };
    await expect(writeOnnx(bad, join(folder, "m.onnx"))).rejects.toMatchObject({ code: "E_TENSOR" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("is begun while earlier ones are written, but never more than 64 MiB of them ahead", async () => {
    const elements = 6 * 2 ** 20;
    let begun = 0;
    let finished = 0;
    let most = 0;
    const tensors = Array.from({ length: 9 }, (_, at) =>
      computedTensor(`w${at}`, { dtype: "float32", shape: [elements] }, async () => {
        begun += 1;
        most = Math.max(most, begun - finished);
        return new Float32Array(elements).fill(at);
      }),
    );
    const parts = tensors.map((tensor) => elementBytes(tensor, new OpenFiles()));
    const firsts: number[] = [];
    for await (const chunk of streamParts(parts)) {
      firsts.push(new Float32Array(chunk.buffer, chunk.byteOffset, 1)[0]);
      finished += 1;
    }
    expect(firsts).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    // 24 MiB each: the one in turn, and two more beside it that fit into the window.
    expect(most).toBe(2);
  });

  it("gathers small parts, and passes large ones on as they are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 60_000, max: 70_000 }))), async (sizes) => {
        let next = 0;
        const reused = new Uint8Array(70_000);
        // As `streamParts` gives them: each void when the next is asked for.
        const chunks = async function* () {
          for (const size of sizes) {
            for (let at = 0; at < size; at++) reused[at] = next++;
            yield reused.subarray(0, size);
          }
        };
        let found = 0;
        let writes = 0;
        for await (const chunk of gathered(chunks())) {
          writes += 1;
          expect(chunk.every((byte) => byte === (found++ & 0xff))).toBe(true);
        }
        const total = sizes.reduce((sum, size) => sum + size, 0);
        expect(found).toBe(total);
        const large = sizes.filter((size) => size >= 2 ** 16).length;
        expect(writes).toBeLessThanOrEqual(2 * large + 2 * Math.ceil(total / 2 ** 16));
      }),
      { numRuns: 40 },
    );
  });
});
