// From references to elements: every element type, every way ONNX stores it, judged by hand-made files of onnx-buf.
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { ModelProtoSchema, TensorProtoSchema } from "onnx-buf";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MessageWriter } from "../io/protobuf.ts";
import { ints } from "./attributes.ts";
import { node } from "./build.ts";
import { constantTensor } from "./constant.ts";
import { DTYPES, type DType } from "./dtype.ts";
import type { TensorRef } from "./graph.ts";
import { TENSOR } from "./onnx/fields.ts";
import { readOnnx, readOnnxBytes } from "./onnx/read.ts";
import { serializeOnnx } from "./onnx/write.ts";
import { packSubByte, unpackSubByte, type SubByteType } from "./sub-byte.ts";
import { memoryTensor, readFloats, readStrings, readTensor, readTensorBytes, stringTensor } from "./tensor-data.ts";
import { float32Tensor } from "./tensor-value.ts";

type Stored = MessageInitShape<typeof TensorProtoSchema>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-tensor-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The tensor as read from a file and as read from bytes, which must agree. */
async function readBoth(stored: Stored): Promise<TensorRef> {
  const bytes = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: 10n, graph: { name: "g", initializer: [{ name: "t", ...stored }] } }),
  );
  const path = join(folder, "tensor.onnx");
  await writeFile(path, bytes);
  const tensor = (await readOnnx(path)).graph.initializers.get("t")!;
  const fromBytes = readOnnxBytes(bytes).graph.initializers.get("t")!;
  if (stored.dataType !== DTYPES.string.code) {
    expect(Buffer.compare(await readTensorBytes(tensor), await readTensorBytes(fromBytes))).toBe(0);
    const again = readOnnxBytes(await serializeOnnx(await readOnnx(path))).graph.initializers.get("t")!;
    expect(Buffer.compare(await readTensorBytes(tensor), await readTensorBytes(again))).toBe(0);
  }
  return tensor;
}

const hex = async (tensor: TensorRef): Promise<string> => Buffer.from(await readTensorBytes(tensor)).toString("hex");

/** A model whose tensor `t` int64 `[3]` is filled field by field. */
const file = (fill: (tensor: MessageWriter) => void): Uint8Array => {
  const [whole, graph, tensor] = [new MessageWriter(), new MessageWriter(), new MessageWriter()];
  tensor.integer(TENSOR.dims, 3);
  tensor.integer(TENSOR.dataType, DTYPES.int64.code);
  tensor.string(TENSOR.name, "t");
  fill(tensor);
  graph.message(5, tensor);
  whole.message(7, graph);
  return Buffer.concat(whole.parts() as Uint8Array[]);
};

describe("a typed list", () => {
  // Expected bytes follow from onnx.proto: little-endian, bit patterns as unsigned numbers, sub-byte types packed.
  const lists: [DType, number[], Stored, string][] = [
    ["float32", [2], { floatData: [1, -2] }, "0000803f000000c0"],
    ["complex64", [1], { floatData: [1, -2] }, "0000803f000000c0"],
    ["float64", [1], { doubleData: [-2] }, "00000000000000c0"],
    ["complex128", [1], { doubleData: [1, -2] }, "000000000000f03f00000000000000c0"],
    ["int64", [3], { int64Data: [-1n, 2n ** 62n, 300n] }, "ffffffffffffffff00000000000000402c01000000000000"],
    ["uint64", [1], { uint64Data: [2n ** 64n - 2n] }, "feffffffffffffff"],
    ["uint32", [1], { uint64Data: [2n ** 32n - 2n] }, "feffffff"],
    ["int32", [2], { int32Data: [-2, 70_000] }, "feffffff70110100"],
    ["int16", [2], { int32Data: [-2, 300] }, "feff2c01"],
    ["uint16", [1], { int32Data: [65_534] }, "feff"],
    ["int8", [2], { int32Data: [-2, 100] }, "fe64"],
    ["uint8", [1], { int32Data: [254] }, "fe"],
    ["bool", [3], { int32Data: [1, 0, 1] }, "010001"],
    ["float16", [2], { int32Data: [0x3c00, 0xc000] }, "003c00c0"],
    ["bfloat16", [1], { int32Data: [0xbf80] }, "80bf"],
    ["float8e4m3fn", [2], { int32Data: [0x38, 0xb8] }, "38b8"],
    ["float8e8m0", [1], { int32Data: [127] }, "7f"],
    ["int4", [3], { int32Data: [0x21, 0x0f] }, "210f"],
    ["uint4", [2], { int32Data: [0xf1] }, "f1"],
    ["float4e2m1", [2], { int32Data: [0x72] }, "72"],
    ["int2", [5], { int32Data: [0xe4, 0x03] }, "e403"],
    ["uint2", [4], { int32Data: [0xe4] }, "e4"],
  ];
  it.each(lists)("of %s reads as raw_data bytes", async (dtype, dims, stored, expected) => {
    const tensor = await readBoth({ dataType: DTYPES[dtype].code, dims: dims.map(BigInt), ...stored });
    expect(await hex(tensor)).toBe(expected);
  });

  it("of 100,000 int64 stays on disk until it is asked for", async () => {
    const values = BigInt64Array.from({ length: 100_000 }, (_, i) => BigInt(i) * BigInt(i) - 7n);
    const tensor = await readBoth({ dataType: 7, dims: [100_000n], int64Data: [...values] });
    expect(tensor.data).toMatchObject({ kind: "file", encoding: "varint" });
    expect((await readTensor(tensor)).data).toEqual(values);
  });

  it("that is not packed, or packed in two pieces, reads the same", async () => {
    const loose = file((tensor) => [5, -6, 700].forEach((value) => tensor.integer(TENSOR.int64Data, value)));
    const pieces = file((tensor) => {
      tensor.packedIntegers(TENSOR.int64Data, [5]);
      tensor.packedIntegers(TENSOR.int64Data, [-6, 700]);
    });
    for (const bytes of [loose, pieces]) {
      const tensor = readOnnxBytes(bytes).graph.initializers.get("t")!;
      expect((await readTensor(tensor)).data).toEqual(BigInt64Array.of(5n, -6n, 700n));
    }
  });

  it.each<[string, Stored]>([
    ["one number short", { dataType: 7, dims: [3n], int64Data: [1n, 2n] }],
    ["in the field of another type", { dataType: 1, dims: [1n], int64Data: [1n] }],
    ["beside raw_data", { dataType: 1, dims: [1n], floatData: [1], rawData: new Uint8Array(4) }],
    ["without any data", { dataType: 1, dims: [1n] }],
    ["with too few strings", { dataType: 8, dims: [2n], stringData: [new Uint8Array(1)] }],
    ["of no known type", { dataType: 99, dims: [0n] }],
  ])("%s is refused as E_TENSOR", async (_, stored) => {
    await expect(readBoth(stored)).rejects.toMatchObject({ code: "E_TENSOR" });
  });
});

describe("readFloats", () => {
  const patterns: [DType, string, number[]][] = [
    ["float16", "003c00c0ff7b0100007c", [1, -2, 65_504, 2 ** -24, Infinity]],
    ["bfloat16", "803f00c0", [1, -2]],
    ["float64", "000000000000f03f9a9999999999b93f", [1, Math.fround(0.1)]],
    ["float8e4m3fn", "38b87e0100", [1, -1, 448, 2 ** -9, 0]],
    ["float8e4m3fnuz", "40c07f01", [1, -1, 240, 2 ** -10]],
    ["float8e5m2", "3cbc7b017c", [1, -1, 57_344, 2 ** -16, Infinity]],
    ["float8e5m2fnuz", "40c07f01", [1, -1, 57_344, 2 ** -17]],
    ["float8e8m0", "7f8000fe", [1, 2, 2 ** -127, 2 ** 127]],
    ["float4e2m1", "1032547609", [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, 0]],
  ];
  it.each(patterns)("decodes %s by its definition", async (dtype, bytes, expected) => {
    const rawData = Uint8Array.from(Buffer.from(bytes, "hex"));
    const tensor = await readBoth({ dataType: DTYPES[dtype].code, dims: [BigInt(expected.length)], rawData });
    expect([...(await readFloats(tensor))]).toEqual(expected);
  });

  it("refuses integers, which need a scale to mean anything", async () => {
    const tensor = memoryTensor("t", { dtype: "int8", shape: [1], data: Int8Array.of(3) });
    await expect(readFloats(tensor)).rejects.toMatchObject({ code: "E_TENSOR" });
  });
});

describe("memoryTensor", () => {
  it("is undone by readTensor, also when the bytes are not aligned", async () => {
    const value = float32Tensor([2, 2], Float32Array.of(1, 2, 3, 4));
    const tensor = memoryTensor("t", value);
    expect(await readTensor(tensor)).toEqual(value);
    const shifted = new Uint8Array(17);
    shifted.set(await readTensorBytes(tensor), 1);
    const unaligned: TensorRef = { ...tensor, data: { kind: "memory", bytes: shifted.subarray(1) } };
    expect(await readTensor(unaligned)).toEqual(value);
  });

  it("refuses a length that the shape does not hold", () => {
    const value = { dtype: "float32", shape: [3], data: new Float32Array(4) } as const;
    expect(() => memoryTensor("t", value)).toThrow(/takes 12 bytes, found 16/);
  });

  it("has no bytes for strings, which readStrings gives", async () => {
    const words = stringTensor("t", [2], ["light", "fuß"]);
    expect(readStrings(words).map((word) => Buffer.from(word).toString())).toEqual(["light", "fuß"]);
    await expect(readTensorBytes(words)).rejects.toMatchObject({ code: "E_TENSOR" });
  });
});

describe("sub-byte packing", () => {
  const ranges: [SubByteType, number, number][] = [
    ["int4", -8, 7],
    ["uint4", 0, 15],
    ["int2", -2, 1],
    ["uint2", 0, 3],
    ["float4e2m1", 0, 15],
  ];
  it.each(ranges)("of %s is undone by unpacking, over the whole range %i to %i", (dtype, min, max) => {
    const property = fc.property(fc.array(fc.integer({ min, max })), (elements) => {
      expect([...unpackSubByte(dtype, packSubByte(dtype, elements), elements.length)]).toEqual(elements);
    });
    fc.assert(property, { seed: 4 });
    expect(() => packSubByte(dtype, [max + 1])).toThrow(/holds integers/);
    expect(() => packSubByte(dtype, [min - 1])).toThrow(/holds integers/);
  });

  it("puts the first element into the low bits", () => {
    expect([...packSubByte("int4", [1, -1, 2])]).toEqual([0xf1, 0x02]);
    expect([...packSubByte("uint2", [0, 1, 2, 3])]).toEqual([0xe4]);
  });

  it("refuses bytes that are too few", () => {
    expect(() => unpackSubByte("int4", new Uint8Array(1), 3)).toThrow(/fewer than 3/);
  });
});

describe("constantTensor", () => {
  it.each([
    ["a float", { value_float: { type: "float", value: 1.5 } as const }, [], Float32Array.of(1.5)],
    ["floats", { value_floats: { type: "floats", value: [1, 2] } as const }, [2], Float32Array.of(1, 2)],
    ["an int", { value_int: { type: "int", value: -3n } as const }, [], BigInt64Array.of(-3n)],
    ["ints", { value_ints: ints([4, 5]) }, [2], BigInt64Array.of(4n, 5n)],
  ])("reads %s", async (_, attributes, shape, data) => {
    const tensor = constantTensor(node("Constant", [], ["c"], attributes))!;
    expect(await readTensor(tensor)).toMatchObject({ shape, data });
    expect(tensor.name).toBe("c");
  });

  it("reads strings and a whole tensor, and takes the name of the output", async () => {
    const text = constantTensor(node("Constant", [], ["c"], { value_string: { type: "string", value: "a" } }))!;
    expect(text).toMatchObject({ name: "c", dtype: "string", shape: [] });
    const value = memoryTensor("inner", float32Tensor([1], Float32Array.of(2)));
    const whole = constantTensor(node("Constant", [], ["c"], { value: { type: "tensor", value } }))!;
    expect(await readTensor({ ...whole })).toMatchObject({ data: Float32Array.of(2) });
    expect(whole.name).toBe("c");
  });

  it("is undefined for another operator and for a value that only a call provides", () => {
    expect(constantTensor(node("Relu", ["x"], ["y"]))).toBeUndefined();
    const reference = { type: "reference", of: "alpha", code: 1 } as const;
    expect(constantTensor(node("Constant", [], ["c"], { value_float: reference }))).toBeUndefined();
  });
});
