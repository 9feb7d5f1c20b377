// Tests of the container: exact bytes back, near the entropy, and no damage that goes unseen; depends on this folder, model and io.
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { writeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom, type Random } from "../../statistics/index.ts";
import { openFileRange } from "../../io/file-range.ts";
import { encodeContainer } from "./container.ts";
import { pack, packedBytes, unpack, type PackOptions } from "./pack.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-pack-"));
});
afterAll(() => rm(folder, { recursive: true }));

const tensor = (name: string, shape: readonly number[], values: Float32Array): TensorRef =>
  memoryTensor(name, float32Tensor(shape, values));

function net(initializers: readonly TensorRef[]): ModelGraph {
  return model({
    nodes: initializers.map(({ name }) => node("Identity", [name], [`${name}_out`])),
    inputs: [tensorInfo("x", "float32", ["batch", 784])],
    outputs: initializers.map(({ name }) => tensorInfo(`${name}_out`, "float32", undefined)),
    initializers,
  });
}

/** `count` weights of which a share is one of `choices` values, all equally likely. */
function sparse(count: number, density: number, choices: number, random: Random): Float32Array {
  const book = Float32Array.from({ length: choices }, () => random.normal());
  return Float32Array.from({ length: count }, () => (random.next() < density ? book[random.integer(choices)] : 0));
}

/** Packs, unpacks into another folder, compares every byte. @returns bytes of the container */
async function roundTrip(path: string, names: readonly string[] = []): Promise<number> {
  const container = join(folder, "there.lfz");
  const target = await mkdtemp(join(folder, "back-"));
  const { containerBytes } = await pack(path, container, { threads: 1 });
  await unpack(container, join(target, "model.onnx"), { threads: 1 });
  expect(Buffer.compare(await readFile(join(target, "model.onnx")), await readFile(path))).toBe(0);
  for (const name of names) {
    expect(Buffer.compare(await readFile(join(target, name)), await readFile(join(folder, name)))).toBe(0);
  }
  expect((await readFile(container)).byteLength).toBe(containerBytes);
  expect(await packedBytes(path, { threads: 1 })).toBe(containerBytes);
  return containerBytes;
}

async function written(name: string, graph: ModelGraph): Promise<string> {
  const path = join(folder, name);
  await writeOnnx(graph, path);
  return path;
}

/** Bits a symbol with these chances takes at least. */
const entropy = (...chances: number[]): number => chances.reduce((sum, p) => sum - (p > 0 ? p * Math.log2(p) : 0), 0);

describe("pack and unpack", () => {
  it("give back the exact bytes of models with tensors of every kind and size", async () => {
    const random = seededRandom(21);
    for (let round = 0; round < 16; round++) {
      const tensors = Array.from({ length: 1 + random.integer(4) }, (_, at) => {
        const shape = Array.from({ length: 1 + random.integer(4) }, () => 1 + random.integer(14));
        const count = elementCount(shape);
        const kind = random.integer(5);
        const name = `t${at}`;
        if (kind === 0) return tensor(name, shape, sparse(count, random.next() ** 2, 1 + random.integer(40), random));
        if (kind === 1)
          return tensor(
            name,
            shape,
            Float32Array.from({ length: count }, () => random.normal()),
          );
        const width = { 2: "uint8", 3: "float16", 4: "int64" } as const;
        const dtype = width[kind as 2 | 3 | 4];
        const values = Array.from({ length: count }, () => random.integer(1 + random.integer(255)));
        const data =
          dtype === "int64"
            ? BigInt64Array.from(values, BigInt)
            : dtype === "uint8"
              ? Uint8Array.from(values)
              : Uint16Array.from(values);
        return memoryTensor(name, { dtype, shape, data });
      });
      await roundTrip(await written("random.onnx", net(tensors)));
    }
  });

  it.each([
    ["all zero", () => new Float32Array(5000)],
    ["all equal", () => new Float32Array(5000).fill(0.1)],
    [
      "NaN payloads and minus zero",
      (random: Random) =>
        new Float32Array(
          Uint32Array.from({ length: 5000 }, () => [0, 0x80000000, 0x7fc00001, 0xffc12345][random.integer(4)]).buffer,
        ),
    ],
    [
      "random bits",
      (random: Random) => new Float32Array(Uint32Array.from({ length: 5000 }, () => random.nextUint32()).buffer),
    ],
    ["one element", () => Float32Array.of(3)],
    ["empty", () => new Float32Array(0)],
  ] as const)("give back %s", async (_name, make) => {
    const values = make(seededRandom(4));
    await roundTrip(await written("hostile.onnx", net([tensor("w", [values.length], values)])));
  });

  it("give back external data beside the model, over several chunks", async () => {
    const random = seededRandom(9);
    const large = Float32Array.from({ length: 1_100_000 }, () => random.normal());
    const graph = net([tensor("w", [1100, 1000], large), tensor("v", [300, 100], sparse(30_000, 0.1, 5, random))]);
    const path = join(folder, "external.onnx");
    await writeOnnx(graph, path, { externalData: { thresholdBytes: 1024 } });
    const bytes = await roundTrip(path, ["external.onnx.data"]);
    // Normal weights: sign and fraction are random, of the exponent some 2.6 of 8 bits remain.
    expect(bytes).toBeLessThan(4_400_000 * 0.86 + 20_000);
    // The number of threads changes when chunks are coded, not what they are.
    expect(Buffer.compare(await collected(path, 2), await readFile(join(folder, "there.lfz")))).toBe(0);
  });

  it("give back what is no ONNX model", async () => {
    const path = join(folder, "notes.txt");
    await writeFile(path, "the quick brown fox jumps over the lazy dog. ".repeat(200));
    expect(await roundTrip(path)).toBeLessThan(300);
    await writeFile(path, "");
    await expect(pack(path, join(folder, "empty.lfz"))).rejects.toMatchObject({ code: "E_FORMAT_UNKNOWN" });
  });

  it("come within 1.5 % of the entropy and 250 bytes on sparse shared weights", async () => {
    const random = seededRandom(7);
    const weights = sparse(784 * 128, 0.05, 8, random);
    const bytes = await roundTrip(await written("sparse.onnx", net([tensor("w", [784, 128], weights)])));
    const survivors = weights.filter((value) => value !== 0).length;
    const density = survivors / weights.length;
    const least = (weights.length * entropy(density, 1 - density) + survivors * 3) / 8;
    expect(bytes).toBeLessThan(least * 1.015 + 250);
    expect(bytes).toBeGreaterThan(least);
  });

  it("learn where an image is dark: rows without weights cost next to nothing", async () => {
    const random = seededRandom(8);
    const values = sparse(784 * 128, 0.1, 8, random);
    for (let at = 0; at < values.length; at++) if (Math.floor(at / 128) % 28 < 14) values[at] = 0;
    const bytes = await roundTrip(await written("image.onnx", net([tensor("w", [784, 128], values)])));
    const survivors = values.filter((value) => value !== 0).length;
    // What is left is the entropy of the lit half.
    const least = ((values.length / 2) * entropy(0.1, 0.9) + survivors * 3) / 8;
    expect(bytes).toBeLessThan(least * 1.03 + 250);
  });
});

async function collected(path: string, threads: number): Promise<Buffer> {
  const { layoutOf } = await import("./segments.ts");
  const parts: Uint8Array[] = [];
  for await (const part of encodeContainer((await layoutOf(path)).files, { threads })) parts.push(part);
  return Buffer.concat(parts);
}

describe("pack and unpack keep what is there", () => {
  /** A model alone in a folder with its weights in `<file>.data`. */
  async function withData(file = "m.onnx"): Promise<{ home: string; path: string }> {
    const home = await mkdtemp(join(folder, "home-"));
    const path = join(home, file);
    const weights = tensor("w", [400], sparse(400, 0.5, 3, seededRandom(1)));
    await writeOnnx(net([weights]), path, { externalData: { thresholdBytes: 100 } });
    return { home, path };
  }

  it("neither the model nor its data is replaced by the container, also through a link", async () => {
    const { home, path } = await withData();
    await symlink(path, join(home, "link.onnx"));
    for (const out of [path, join(home, "m.onnx.data"), join(home, "link.onnx")]) {
      await expect(pack(path, out)).rejects.toMatchObject({ code: "E_USAGE" });
    }
    expect((await readdir(home)).toSorted()).toEqual(["link.onnx", "m.onnx", "m.onnx.data"]);
  });

  it("the model is not replaced by a data file of its name, nor the container by either", async () => {
    const { home, path } = await withData();
    const container = join(home, "c.lfz");
    await pack(path, container);
    const target = await mkdtemp(join(folder, "clash-"));
    for (const out of [join(target, "m.onnx.data"), container]) {
      await expect(unpack(container, out, { force: true })).rejects.toMatchObject({ code: "E_USAGE" });
    }
    expect(await readdir(target)).toEqual([]);
  });

  it("a data file keeps the name that the model knows: behind a link, with a colon, in a folder", async () => {
    const { home, path } = await withData();
    await rename(join(home, "m.onnx.data"), join(home, "elsewhere"));
    await symlink("elsewhere", join(home, "m.onnx.data"));
    const colon = await withData("dense:0.onnx");
    for (const { path: source, data } of [
      { path, data: "m.onnx.data" },
      { path: colon.path, data: "dense:0.onnx.data" },
    ]) {
      const container = join(home, "c.lfz");
      await pack(source, container);
      const target = await mkdtemp(join(folder, "names-"));
      await unpack(container, join(target, "net.onnx"));
      expect((await readdir(target)).toSorted()).toEqual([data, "net.onnx"].toSorted());
      await readOnnx(join(target, "net.onnx"));
    }
  });

  it("a file where a data folder has to be is the user's matter, not a defect", async () => {
    const { home, path } = await withData();
    const files = [
      { name: "", path, byteLength: (await readFile(path)).byteLength, segments: [] },
      { name: "m.onnx/w.data", path: join(home, "m.onnx.data"), byteLength: 1600, segments: [] },
    ];
    const parts: Uint8Array[] = [];
    for await (const part of encodeContainer(files, { threads: 1 })) parts.push(part);
    await writeFile(join(home, "c.lfz"), Buffer.concat(parts));
    const refusal = unpack(join(home, "c.lfz"), join(home, "net.onnx"));
    await expect(refusal).rejects.toMatchObject({ code: "E_FILE_WRITE", hint: expect.stringContaining("folder") });
    expect((await readdir(home)).toSorted()).toEqual(["c.lfz", "m.onnx", "m.onnx.data"]);
  });

  it("nothing is left of a run that was stopped, at the start or amid the chunks", async () => {
    const home = await mkdtemp(join(folder, "stopped-"));
    const path = join(home, "large.onnx");
    await writeOnnx(net([tensor("w", [3, 1_100_000], new Float32Array(3_300_000))]), path);
    const container = join(folder, "stopped.lfz");
    await pack(path, container, { threads: 1 });
    const stop = async (work: (options: PackOptions) => Promise<unknown>, isAtOnce: boolean) => {
      const controller = new AbortController();
      const reason = new LightfootError("E_INTERRUPTED", "stopped");
      if (isAtOnce) controller.abort(reason);
      const onProgress = () => controller.abort(reason);
      await expect(work({ threads: 1, signal: controller.signal, onProgress })).rejects.toMatchObject({
        code: "E_INTERRUPTED",
      });
    };
    for (const isAtOnce of [true, false]) {
      await stop((options) => pack(path, join(home, "out.lfz"), options), isAtOnce);
      await stop((options) => unpack(container, join(home, "out.bin"), options), isAtOnce);
    }
    expect(await readdir(home)).toEqual(["large.onnx"]);
  });
});

describe("unpack refuses damage", () => {
  async function attempt(bytes: Uint8Array): Promise<{ code: string; left: string[] }> {
    const target = await mkdtemp(join(folder, "damaged-"));
    const container = join(target, "in.lfz");
    await writeFile(container, bytes);
    const outcome = await unpack(container, join(target, "out.onnx"), { threads: 1 }).then(
      () => "accepted",
      (thrown: unknown) => (thrown instanceof LightfootError ? thrown.code : String(thrown)),
    );
    const left = (await readdir(target)).filter((name) => name !== "in.lfz");
    return { code: outcome, left };
  }

  it("at any bit and at any length, and leaves nothing behind", async () => {
    const random = seededRandom(31);
    const path = await written("small.onnx", net([tensor("w", [20, 10], sparse(200, 0.2, 4, random))]));
    const container = join(folder, "small.lfz");
    await pack(path, container);
    const whole = await readFile(container);
    for (let length = 0; length < whole.length; length += 9) {
      const { code, left } = await attempt(whole.subarray(0, length));
      expect([length, ["E_CONTAINER", "E_FORMAT_UNKNOWN"].includes(code), left]).toEqual([length, true, []]);
    }
    for (let round = 0; round < 80; round++) {
      const flipped = Uint8Array.from(whole);
      const bit = random.integer(8 * whole.length);
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const { code, left } = await attempt(flipped);
      expect([bit, ["E_CONTAINER", "E_FORMAT_UNKNOWN"].includes(code), left]).toEqual([bit, true, []]);
    }
    expect((await attempt(Buffer.concat([whole, Uint8Array.of(0)]))).code).toBe("E_CONTAINER");
  });

  it("that carries a valid check sum: random content never crashes it", async () => {
    const random = seededRandom(77);
    const { crc32 } = await import("node:zlib");
    for (let round = 0; round < 40; round++) {
      const coded = Uint8Array.from({ length: 1 + random.integer(100) }, () => random.integer(256));
      const plain = Uint8Array.from({ length: random.integer(30) }, () => random.integer(256));
      const check = Buffer.alloc(4);
      check.writeUInt32LE(crc32(Buffer.concat([coded, plain])) >>> 0);
      const head = Uint8Array.of(0x4c, 0x46, 0x5a, 1, coded.length + 1, plain.length);
      const { code, left } = await attempt(Buffer.concat([head, check, coded, plain, new Uint8Array(17)]));
      expect([round, ["E_CONTAINER", "E_LIMIT"].includes(code), left]).toEqual([round, true, []]);
    }
  });

  it("more content than the limit, before any of it is made", async () => {
    const path = await written("zeros.onnx", net([tensor("w", [1_000_000], new Float32Array(1_000_000))]));
    const container = join(folder, "zeros.lfz");
    const { containerBytes } = await pack(path, container);
    expect(containerBytes).toBeLessThan(2000);
    const refusal = unpack(container, join(folder, "zeros-back.onnx"), { limitBytes: 1_000_000 });
    await expect(refusal).rejects.toMatchObject({ code: "E_LIMIT" });
  });

  it("a newer version, and a data file that is there already", async () => {
    const { code } = await attempt(Uint8Array.of(0x4c, 0x46, 0x5a, 9, 0, 0));
    expect(code).toBe("E_FORMAT_UNKNOWN");
    const source = join(folder, "taken");
    await mkdir(source);
    const path = join(source, "m.onnx");
    const weights = tensor("w", [400], sparse(400, 0.5, 3, seededRandom(1)));
    await writeOnnx(net([weights]), path, { externalData: { thresholdBytes: 100 } });
    await pack(path, join(source, "m.lfz"));
    await expect(unpack(join(source, "m.lfz"), path)).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    await unpack(join(source, "m.lfz"), path, { force: true });
    const range = await openFileRange(path);
    await range.close();
  });
});
