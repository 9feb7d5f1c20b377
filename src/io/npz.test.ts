// Tests of the NumPy readers and writers: what goes in comes out, and damaged files end in a coded error; depends on the room.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LightfootError } from "../errors/index.ts";
import { ARRAY_ITEM_BYTES, viewAs, type ArrayDType, type NamedArray } from "./named-array.ts";
import { encodeNpy, readNpy, writeNpy } from "./npy.ts";
import { readNpz, writeNpz } from "./npz.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-npz-"));
});
afterAll(() => rm(folder, { recursive: true }));

const anyArray = (name: string): fc.Arbitrary<NamedArray> =>
  fc
    .record({
      dtype: fc.constantFrom(...(Object.keys(ARRAY_ITEM_BYTES) as ArrayDType[])),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
      seed: fc.integer({ min: 0, max: 255 }),
    })
    .map(({ dtype, shape, seed }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const bytes = Uint8Array.from({ length: count * ARRAY_ITEM_BYTES[dtype] }, (_, at) => (at * 37 + seed) % 251);
      return { name, dtype, shape, data: viewAs(dtype, bytes) };
    });

/** A version 1 `.npy` with any header text. */
function npyBytes(header: string, data: Uint8Array): Uint8Array {
  const text = Buffer.from(`${header}\n`);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  return Buffer.concat([Buffer.from([0x93]), Buffer.from("NUMPY"), Buffer.from([1, 0]), length, text, data]);
}

const header = (descr: string, shape: string, order = "False"): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

async function fileOf(bytes: Uint8Array, name = "file.npy"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

/** A ZIP of one deflated entry as `numpy.savez_compressed` writes it, with sizes and checksum as told. */
function zipOf(name: string, content: Uint8Array, lie: { bytes?: number; crc?: number } = {}): Uint8Array {
  const packed = deflateRawSync(content);
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(8, 4);
  fields.writeUInt32LE(lie.crc ?? crc32(content), 10);
  fields.writeUInt32LE(packed.length, 14);
  fields.writeUInt32LE(lie.bytes ?? content.length, 18);
  fields.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from("PK\u0003\u0004"), fields, Buffer.from(name), packed]);
  const central = Buffer.concat([Buffer.from("PK\u0001\u0002\u0014\0"), fields, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006", 0, "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

describe("npy", () => {
  it("gives back every type and shape it wrote", async () => {
    await fc.assert(
      fc.asyncProperty(anyArray("array"), async (array) => {
        const path = join(folder, "round.npy");
        await writeNpy(path, array);
        expect(await readNpy(path)).toEqual(array);
      }),
      { numRuns: 60 },
    );
  });

  it("starts its data at a multiple of 64 bytes, as NumPy's own files do", () => {
    const bytes = encodeNpy({ dtype: "float32", shape: [3], data: new Float32Array(3) });
    expect((bytes.length - 12) % 64).toBe(0);
  });

  it("turns big-endian elements around", async () => {
    const path = await fileOf(npyBytes(header(">i2", "(2,)"), Uint8Array.of(1, 2, 0xff, 0xfe)));
    expect((await readNpy(path)).data).toEqual(Int16Array.of(258, -2));
  });

  it("turns column-major arrays into row-major ones", async () => {
    // Columns of [[1, 2, 3], [4, 5, 6]] one after another.
    const path = await fileOf(npyBytes(header("|u1", "(2, 3)", "True"), Uint8Array.of(1, 4, 2, 5, 3, 6)));
    expect((await readNpy(path)).data).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6));
  });

  it.each([
    ["text", header("<U3", "(2,)")],
    ["pickle", header("|O", "(2,)")],
    ["complex", header("<c8", "(2,)")],
    ["several fields", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"],
  ])("refuses %s and says so", async (word, text) => {
    const path = await fileOf(npyBytes(text, new Uint8Array(8)));
    await expect(readNpy(path)).rejects.toMatchObject({
      code: "E_DATA",
      message: expect.stringContaining(word) as string,
      where: { file: path },
    });
  });

  it("refuses a shape that the file cannot hold, before it allocates", async () => {
    const path = await fileOf(npyBytes(header("<f8", "(1000000000, 1000)"), new Uint8Array(8)));
    await expect(readNpy(path)).rejects.toMatchObject({ code: "E_DATA" });
    const absurd = await fileOf(npyBytes(header("<f8", "(9007199254740991, 9007199254740991)"), new Uint8Array(8)));
    await expect(readNpy(absurd)).rejects.toMatchObject({ code: "E_DATA" });
  });

  it("refuses bytes after the array", async () => {
    const path = await fileOf(npyBytes(header("|u1", "(2,)"), new Uint8Array(3)));
    await expect(readNpy(path)).rejects.toMatchObject({ code: "E_DATA" });
  });
});

describe("npz", () => {
  it("gives back every array it wrote, in order", async () => {
    const arrays = fc
      .uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 5 })
      .chain((names) => fc.tuple(...names.map(anyArray)));
    await fc.assert(
      fc.asyncProperty(arrays, async (written) => {
        const path = join(folder, "round.npz");
        await writeNpz(path, written);
        expect(await readNpz(path)).toEqual(written);
      }),
      { numRuns: 40 },
    );
  });

  it("reads deflated entries, and only those that were asked for", async () => {
    const array = { dtype: "float64", shape: [1000], data: new Float64Array(1000).fill(0.5) } as const;
    const path = await fileOf(zipOf("x.npy", encodeNpy(array)), "deflated.npz");
    expect(await readNpz(path)).toEqual([{ name: "x", ...array }]);
    expect(await readNpz(path, ["y"])).toEqual([]);
  });

  it("notices a wrong checksum, a wrong size and a bomb", async () => {
    const content = encodeNpy({ dtype: "uint8", shape: [5000], data: new Uint8Array(5000) });
    const lies = [{ crc: 1 }, { bytes: content.length + 1 }, { bytes: content.length - 1 }, { bytes: 0xfffffff0 }];
    for (const lie of lies) {
      const path = await fileOf(zipOf("x.npy", content, lie), "lie.npz");
      await expect(readNpz(path), JSON.stringify(lie)).rejects.toMatchObject({ code: "E_DATA" });
    }
  });

  it("ends in a coded error wherever the file is cut or changed", async () => {
    const path = join(folder, "whole.npz");
    await writeNpz(path, [
      { name: "x", dtype: "float32", shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) },
      { name: "labels", dtype: "int64", shape: [2], data: new BigInt64Array([0n, 1n]) },
    ]);
    const whole = await readFile(path);
    const mutated = join(folder, "mutated.npz");
    const change = fc.record({
      cut: fc.integer({ min: 0, max: whole.length }),
      at: fc.integer({ min: 0, max: whole.length - 1 }),
      to: fc.integer({ min: 0, max: 255 }),
      isCut: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ cut, at, to, isCut }) => {
        const bytes = isCut ? whole.subarray(0, cut) : Buffer.from(whole);
        if (!isCut) bytes[at] = to;
        await writeFile(mutated, bytes);
        try {
          await readNpz(mutated);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(LightfootError);
        }
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it("refuses two arrays of one name", async () => {
    const array: NamedArray = { name: "x", dtype: "uint8", shape: [1], data: new Uint8Array(1) };
    await expect(writeNpz(join(folder, "two.npz"), [array, array])).rejects.toMatchObject({ code: "E_DATA" });
  });
});
