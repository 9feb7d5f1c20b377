// The IDX format of the MNIST family: one array, big-endian, plain or gzipped; may depend on errors and its room.
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { LightfootError } from "../errors/index.ts";
import { fileStream, memoryStream, type ByteStream } from "./byte-stream.ts";
import { openFileRange } from "./file-range.ts";
import {
  ARRAY_ITEM_BYTES,
  arrayByteLength,
  swapByteOrder,
  viewAs,
  type ArrayDType,
  type NamedArray,
} from "./named-array.ts";

const DTYPE_BY_CODE: Readonly<Record<number, ArrayDType>> = {
  0x08: "uint8",
  0x09: "int8",
  0x0b: "int16",
  0x0c: "int32",
  0x0d: "float32",
  0x0e: "float64",
};
const MAX_GUNZIPPED_BYTES = 2 ** 31 - 1;

/**
 * Reads an IDX file (`train-images-idx3-ubyte`, also `.gz`).
 *
 * Format: two zero bytes, a type code, the rank, one 32-bit size for each axis, then the elements, all big-endian.
 * @throws LightfootError E_DATA when magic number, sizes and length do not agree
 */
export async function readIdx(file: string, name = "array"): Promise<NamedArray> {
  const range = await openFileRange(file);
  try {
    const start = await range.read(0, Math.min(2, range.size));
    const gzipped = start[0] === 0x1f && start[1] === 0x8b;
    return await readStream(gzipped ? await gunzipped(file) : fileStream(range), name);
  } finally {
    await range.close();
  }
}

async function readStream(stream: ByteStream, name: string): Promise<NamedArray> {
  const where = { file: stream.file };
  const length = stream.remaining;
  if (length < 4) throw new LightfootError("E_DATA", `${length} bytes are too few for an IDX file`, { where });
  const magic = await stream.take(4);
  const [zero, zeroToo, code = 0, rank = 0] = magic;
  const dtype = DTYPE_BY_CODE[code];
  if (zero !== 0 || zeroToo !== 0 || dtype === undefined || rank === 0 || stream.remaining < 4 * rank) {
    const found = [...magic].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new LightfootError("E_DATA", `the file begins with ${found}, expected the magic number of an IDX file`, {
      where,
    });
  }
  const sizes = await stream.take(4 * rank);
  const view = new DataView(sizes.buffer, sizes.byteOffset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 * axis));
  const byteLength = arrayByteLength(dtype, shape, where);
  if (byteLength !== stream.remaining) {
    throw new LightfootError(
      "E_DATA",
      `[${shape.join(",")}] ${dtype} takes ${byteLength} bytes, the file holds ${stream.remaining}`,
      { where },
    );
  }
  const bytes = await stream.take(byteLength);
  swapByteOrder(bytes, ARRAY_ITEM_BYTES[dtype]);
  return { name, dtype, shape, data: viewAs(dtype, bytes) };
}

async function gunzipped(file: string): Promise<ByteStream> {
  let bytes: Uint8Array;
  try {
    bytes = await promisify(gunzip)(await readFile(file), { maxOutputLength: MAX_GUNZIPPED_BYTES });
  } catch (cause) {
    throw new LightfootError("E_DATA", `the gzip data is damaged: ${(cause as Error).message}`, {
      where: { file },
      cause,
    });
  }
  return memoryStream(bytes, file);
}
