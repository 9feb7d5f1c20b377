// NumPy's `.npy` format: one array with its type and shape, read and written; may depend on errors and its room.
import { LightfootError, type Place } from "../errors/index.ts";
import { writeFileAtomic } from "./atomic-write.ts";
import { fileStream, type ByteStream } from "./byte-stream.ts";
import { openFileRange } from "./file-range.ts";
import {
  ARRAY_ITEM_BYTES,
  arrayByteLength,
  bytesOf,
  swapByteOrder,
  viewAs,
  type ArrayDType,
  type NamedArray,
} from "./named-array.ts";

const MAGIC = "\u0093NUMPY";
const MAX_HEADER_BYTES = 65_536;
const MAX_RANK = 32;

const DTYPE_BY_DESCR: Readonly<Record<string, ArrayDType>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

/** The header as it is written, also of arrays whose elements are no numbers. */
export interface RawNpyHeader {
  /** Element type such as `<f4`, `<U12` or `|O`; "a record" for several fields. */
  readonly type: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

interface NpyHeader extends Omit<RawNpyHeader, "type"> {
  readonly dtype: ArrayDType;
  readonly bigEndian: boolean;
}

/**
 * Reads a `.npy` file; big-endian and Fortran-ordered arrays arrive little-endian and row-major.
 *
 * @throws LightfootError E_DATA with the place when the file is damaged or holds text, objects or records
 */
export async function readNpy(file: string, name = "array"): Promise<NamedArray> {
  const range = await openFileRange(file);
  try {
    return await readNpyStream(fileStream(range), name);
  } finally {
    await range.close();
  }
}

/** Reads one array from a stream that holds nothing else, e.g. an entry of an `.npz`. */
export async function readNpyStream(stream: ByteStream, name: string): Promise<NamedArray> {
  const where: Place = { file: stream.file, path: name };
  const header = numbersOf(await readNpyHeader(stream, where), where);
  const byteLength = arrayByteLength(header.dtype, header.shape, where);
  // Checked before anything is allocated: a header of 80 bytes must not be able to claim a terabyte.
  if (byteLength !== stream.remaining) {
    const claim = `[${header.shape.join(",")}] ${header.dtype}`;
    throw new LightfootError("E_DATA", `${claim} takes ${byteLength} bytes, the file holds ${stream.remaining}`, {
      where,
    });
  }
  const bytes = await stream.take(byteLength);
  const itemBytes = ARRAY_ITEM_BYTES[header.dtype];
  if (header.bigEndian) swapByteOrder(bytes, itemBytes);
  const ordered = header.fortranOrder && header.shape.length > 1 ? rowMajor(bytes, header.shape, itemBytes) : bytes;
  return { name, dtype: header.dtype, shape: header.shape, data: viewAs(header.dtype, ordered) };
}

/** Reads the header and leaves the stream at the first element. @throws LightfootError E_DATA when it is damaged */
export async function readNpyHeader(stream: ByteStream, where: Place): Promise<RawNpyHeader> {
  if (stream.remaining < 12) throw new LightfootError("E_DATA", "the file is too short for a NumPy array", { where });
  const prefix = await stream.take(8);
  if (String.fromCharCode(...prefix.subarray(0, 6)) !== MAGIC) {
    throw new LightfootError("E_DATA", "this is no NumPy array: the file does not begin with \\x93NUMPY", { where });
  }
  const version = prefix[6] ?? 0;
  if (version < 1 || version > 3) {
    throw new LightfootError("E_DATA", `NumPy format version ${version} is unknown, expected 1, 2 or 3`, { where });
  }
  const lengthField = await stream.take(version === 1 ? 2 : 4);
  const view = new DataView(lengthField.buffer, lengthField.byteOffset);
  const length = version === 1 ? view.getUint16(0, true) : view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES || length > stream.remaining) {
    throw new LightfootError("E_DATA", `the header declares ${length} bytes, ${stream.remaining} are there`, { where });
  }
  return parseHeader(new TextDecoder().decode(await stream.take(length)), where);
}

function parseHeader(text: string, where: Place): RawNpyHeader {
  const descr = /'descr'\s*:\s*(?:'([^']*)'|(\[))/.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (descr === null || order === undefined || shape === undefined) {
    throw new LightfootError("E_DATA", `the NumPy header cannot be read: ${text.slice(0, 120).trim()}`, { where });
  }
  const dims = shape
    .split(",")
    .map((part) => part.trim().replace(/L$/, ""))
    .filter((part) => part !== "")
    .map(Number);
  if (dims.length > MAX_RANK || !dims.every((dim) => Number.isSafeInteger(dim))) {
    throw new LightfootError("E_DATA", `shape (${shape.slice(0, 120)}) is not possible`, { where });
  }
  return { type: descr[1] ?? "a record", fortranOrder: order === "True", shape: dims };
}

function numbersOf({ type, fortranOrder, shape }: RawNpyHeader, where: Place): NpyHeader {
  const dtype = DTYPE_BY_DESCR[type.slice(1)];
  if (dtype === undefined || !/^[<>=|]/.test(type)) {
    throw new LightfootError("E_DATA", `element type '${type}' (${kindOf(type)}) is no number Lightfoot reads`, {
      where,
      hint: "convert it before saving: array.astype('float32'), or integer class numbers for labels",
    });
  }
  return { dtype, bigEndian: type.startsWith(">"), fortranOrder, shape };
}

function kindOf(type: string): string {
  const letter = type.charAt(1);
  if (letter === "U" || letter === "S") return "text";
  if (letter === "O") return "Python objects, which would need pickle";
  if (letter === "M" || letter === "m") return "dates";
  if (letter === "c") return "complex numbers";
  return type === "a record" ? "several fields" : "unknown";
}

/** Column-major bytes as row-major ones. */
function rowMajor(bytes: Uint8Array, shape: readonly number[], itemBytes: number): Uint8Array {
  const target = new Uint8Array(bytes.byteLength);
  const count = bytes.byteLength / itemBytes;
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  const index = shape.map(() => 0);
  let source = 0;
  for (let position = 0; position < count; position++) {
    for (let byte = 0; byte < itemBytes; byte++) {
      target[position * itemBytes + byte] = bytes[source * itemBytes + byte] ?? 0;
    }
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      const stride = strides[axis] ?? 0;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        source += stride;
        break;
      }
      index[axis] = 0;
      source -= (next - 1) * stride;
    }
  }
  return target;
}

/** The header of an array as `.npy` version 1 (2 when it is long), padded so that the data starts at a multiple of 64. */
export function npyHeader(array: Pick<NamedArray, "dtype" | "shape">): Uint8Array {
  const descr = Object.entries(DTYPE_BY_DESCR).find(([, dtype]) => dtype === array.dtype)?.[0] ?? "";
  const order = ARRAY_ITEM_BYTES[array.dtype] === 1 ? "|" : "<";
  const tuple = `(${array.shape.join(", ")}${array.shape.length === 1 ? "," : ""})`;
  const dictionary = `{'descr': '${order}${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const prefixBytes = 10;
  const padded = Math.ceil((prefixBytes + dictionary.length + 1) / 64) * 64 - prefixBytes;
  const bytes = new Uint8Array(prefixBytes + padded).fill(0x20);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, padded & 0xff, padded >> 8]);
  bytes.set(new TextEncoder().encode(dictionary), prefixBytes);
  bytes[bytes.length - 1] = 0x0a;
  return bytes;
}

/** An array as the bytes of a `.npy` file. */
export function encodeNpy(array: Pick<NamedArray, "dtype" | "shape" | "data">): Uint8Array {
  return Buffer.concat([npyHeader(array), bytesOf(array.data)]);
}

/** Writes a `.npy` file that `numpy.load` reads. */
export async function writeNpy(file: string, array: Pick<NamedArray, "dtype" | "shape" | "data">): Promise<void> {
  await writeFileAtomic(file, encodeNpy(array));
}
