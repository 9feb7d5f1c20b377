// `NamedArray`, what every array reader gives and every array writer takes; may depend on errors.
import { LightfootError, type Place } from "../errors/index.ts";

/** Element types of array files, with the bytes one element takes. */
export const ARRAY_ITEM_BYTES = {
  float32: 4,
  float64: 8,
  float16: 2,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
} as const;

export type ArrayDType = keyof typeof ARRAY_ITEM_BYTES;

export type ArrayData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A dense array with its name; row-major, float16 as bit patterns in a Uint16Array, bool as 0/1 in a Uint8Array. */
export interface NamedArray {
  readonly name: string;
  readonly dtype: ArrayDType;
  readonly shape: readonly number[];
  readonly data: ArrayData;
}

const VIEWS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies Record<ArrayDType, unknown>;

/** The bytes as elements; `bytes` must be aligned to the element's size. */
export function viewAs(dtype: ArrayDType, bytes: Uint8Array): ArrayData {
  return new VIEWS[dtype](bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / ARRAY_ITEM_BYTES[dtype]);
}

/** The elements as bytes, without a copy. */
export const bytesOf = (data: ArrayData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/**
 * Bytes that an array of this shape takes.
 *
 * @throws LightfootError E_DATA when the shape's product is beyond what a file could hold
 */
export function arrayByteLength(dtype: ArrayDType, shape: readonly number[], where: Place): number {
  // Zero wins over every other size: [2**50, 0] is an empty array, not an absurd one.
  const count = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  const byteLength = count * ARRAY_ITEM_BYTES[dtype];
  if (!Number.isSafeInteger(byteLength)) {
    throw new LightfootError("E_DATA", `shape [${shape.join(",")}] of ${dtype} is larger than any file`, { where });
  }
  return byteLength;
}

/** Fresh memory for `byteLength` bytes. @throws LightfootError E_LIMIT when there is not that much */
export function allocateBytes(byteLength: number, where: Place): Uint8Array {
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    throw new LightfootError("E_LIMIT", `an array of ${byteLength} bytes does not fit into memory`, {
      where,
      hint: "store fewer samples in one file, or a narrower type",
      cause,
    });
  }
}

/** Turns big-endian elements into little-endian ones, in place. */
export function swapByteOrder(bytes: Uint8Array, itemBytes: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (itemBytes === 2) buffer.swap16();
  else if (itemBytes === 4) buffer.swap32();
  else if (itemBytes === 8) buffer.swap64();
}
