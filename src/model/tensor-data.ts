// From a `TensorRef` to its elements and back, reading from disk only what is asked for; may depend on io and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { OpenFiles } from "../io/file-range.ts";
import { decodeBfloat16, decodeFloat16 } from "../io/half.ts";
import { decodeSmallFloats } from "../io/small-float.ts";
import { byteLengthOf, isFloat, type DType } from "./dtype.ts";
import type { TensorData, TensorRef } from "./graph.ts";
import { unpackSubByte } from "./sub-byte.ts";
import { elementCount, type NumericArray, type TensorValue } from "./tensor-value.ts";
import { decodeVarints, varintCount } from "./varint-elements.ts";

/** Copying weights from file to file takes no more memory than this, whatever the tensor's size. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** A piece that stays in a core's second cache between being read and being worked on. */
const PASS_BYTES = 2 ** 19;

/** Bytes of a tensor in `raw_data` layout. @throws LightfootError E_TENSOR for strings, which have no such layout */
export function tensorByteLength(tensor: TensorRef): number {
  if (tensor.dtype === "string") throw wrongType(tensor, "a numeric type");
  return byteLengthOf(tensor.dtype, elementCount(tensor.shape));
}

/** Bytes of these tensors together, strings aside. */
export function totalBytes(tensors: Iterable<TensorRef>): number {
  let bytes = 0;
  for (const tensor of tensors) if (tensor.dtype !== "string") bytes += tensorByteLength(tensor);
  return bytes;
}

/**
 * The elements of a tensor, little-endian and packed as ONNX `raw_data`, wherever and however they are stored.
 * The bytes of a tensor in memory are the tensor's own: treat them as read-only.
 *
 * @param files keeps files open over many calls; the caller closes it
 * @throws LightfootError E_TENSOR for strings or a number list that does not fit the shape, E_FILE_CHANGED, E_FILE_READ
 */
export async function readTensorBytes(tensor: TensorRef, files?: OpenFiles): Promise<Uint8Array> {
  const { data } = tensor;
  const byteLength = tensorByteLength(tensor);
  if (data.kind === "strings") throw wrongType(tensor, "a numeric type");
  if (data.kind === "memory") return checkedLength(tensor, data.bytes, byteLength);
  if (data.kind === "computed") return checkedLength(tensor, await data.make(), byteLength);
  const bytes = await withFiles(files, async (open) => {
    const range = await open.range(data.file, data.stamp);
    return range.read(data.offset, data.byteLength);
  });
  if (data.encoding === "raw") return checkedLength(tensor, bytes, byteLength);
  return decodeVarints(bytes, tensor.dtype, varintCount(tensor.dtype, elementCount(tensor.shape)), tensor.name);
}

async function withFiles<T>(given: OpenFiles | undefined, use: (files: OpenFiles) => Promise<T>): Promise<T> {
  if (given !== undefined) return use(given);
  const files = new OpenFiles();
  try {
    return await use(files);
  } finally {
    await files.close();
  }
}

/** The same in pieces of a few MiB, for tensors that need not fit into memory. */
export async function* readTensorChunks(tensor: TensorRef, files: OpenFiles): AsyncGenerator<Uint8Array> {
  const { data } = tensor;
  if (data.kind !== "file" || data.encoding === "varint") {
    yield await readTensorBytes(tensor, files);
    return;
  }
  if (data.byteLength !== tensorByteLength(tensor)) throw wrongLength(tensor, data.byteLength);
  yield* readStoredChunks(data, files);
}

/** The bytes of a tensor's file range as they are stored, in pieces. */
export async function* readStoredChunks(
  data: Extract<TensorData, { kind: "file" }>,
  files: OpenFiles,
): AsyncGenerator<Uint8Array> {
  const range = await files.range(data.file, data.stamp);
  for (let done = 0; done < data.byteLength; done += CHUNK_BYTES) {
    yield await range.read(data.offset + done, Math.min(CHUNK_BYTES, data.byteLength - done));
  }
}

/** A tensor with its elements in memory, in the typed array of its dtype. @throws LightfootError as `readTensorBytes` */
export async function readTensor(tensor: TensorRef): Promise<TensorValue> {
  const bytes = await readTensorBytes(tensor);
  return { dtype: tensor.dtype, shape: tensor.shape, data: typedView(tensor.dtype, bytes) };
}

/**
 * The elements of a floating-point tensor as float32 `[elementCount]`: exact for every type but float64, which is
 * rounded to nearest. @throws LightfootError E_TENSOR for other types
 */
export async function readFloats(tensor: TensorRef): Promise<Float32Array> {
  if (!isFloat(tensor.dtype)) throw wrongType(tensor, "a floating-point type");
  const { dtype, shape, data } = await readTensor(tensor);
  return toFloats(dtype, data, elementCount(shape));
}

function toFloats(dtype: DType, data: NumericArray, count: number): Float32Array {
  switch (dtype) {
    case "float16":
      return decodeFloat16(data as Uint16Array);
    case "bfloat16":
      return decodeBfloat16(data as Uint16Array);
    case "float64":
      return Float32Array.from(data as Float64Array);
    case "float8e4m3fn":
    case "float8e4m3fnuz":
    case "float8e5m2":
    case "float8e5m2fnuz":
    case "float8e8m0":
      return decodeSmallFloats(dtype, data as Uint8Array);
    case "float4e2m1":
      return decodeSmallFloats(dtype, unpackSubByte(dtype, data as Uint8Array, count) as Uint8Array);
    default:
      return data as Float32Array;
  }
}

/**
 * The elements of a float32 tensor in order, for passes over a tensor that need not fit into memory. Pieces of a stored tensor share
 * one buffer: each is void when the next is asked for.
 *
 * @param buffer what stored pieces are put into, one after another; its length sets theirs
 * @throws LightfootError E_TENSOR for other types
 */
export async function* floatPieces(
  tensor: TensorRef,
  files: OpenFiles,
  buffer?: Uint8Array,
): AsyncGenerator<Float32Array> {
  if (tensor.dtype !== "float32") throw wrongType(tensor, "float32");
  const { data } = tensor;
  if (data.kind !== "file" || data.encoding !== "raw") {
    yield typedView("float32", await readTensorBytes(tensor, files)) as Float32Array;
    return;
  }
  if (data.byteLength !== tensorByteLength(tensor)) throw wrongLength(tensor, data.byteLength);
  const range = await files.range(data.file, data.stamp);
  const target = buffer ?? new Uint8Array(Math.min(PASS_BYTES, data.byteLength));
  for (let done = 0; done < data.byteLength; done += target.byteLength) {
    const piece = target.subarray(0, Math.min(target.byteLength, data.byteLength - done));
    range.fillSync(piece, data.offset + done);
    yield typedView("float32", piece) as Float32Array;
  }
}

/** The UTF-8 byte strings of a string tensor, row-major. @throws LightfootError E_TENSOR for other types */
export function readStrings(tensor: TensorRef): readonly Uint8Array[] {
  if (tensor.data.kind !== "strings") throw wrongType(tensor, "string");
  return tensor.data.values;
}

/** A tensor to put into a graph, from elements in memory (not copied). @throws LightfootError E_TENSOR on a length that does not fit */
export function memoryTensor(name: string, value: TensorValue): TensorRef {
  const { dtype, shape, data } = value;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const tensor: TensorRef = { name, dtype, shape, data: { kind: "memory", bytes } };
  checkedLength(tensor, bytes, tensorByteLength(tensor));
  return tensor;
}

/**
 * A tensor to put into a graph whose bytes are made when it is read or written, each time anew.
 * @param make gives the elements; `readTensorBytes` throws E_TENSOR when they do not fill the shape
 */
export function computedTensor(
  name: string,
  { dtype, shape }: Pick<TensorRef, "dtype" | "shape">,
  make: () => Promise<NumericArray>,
): TensorRef {
  const bytesOf = ({ buffer, byteOffset, byteLength }: NumericArray) => new Uint8Array(buffer, byteOffset, byteLength);
  return { name, dtype, shape, data: { kind: "computed", make: async () => bytesOf(await make()) } };
}

/** A string tensor to put into a graph. */
export function stringTensor(name: string, shape: readonly number[], values: readonly string[]): TensorRef {
  if (values.length !== elementCount(shape)) {
    throw new LightfootError("E_TENSOR", `shape [${shape.join(", ")}] does not hold ${values.length} strings`);
  }
  const encoder = new TextEncoder();
  const data = { kind: "strings", values: values.map((value) => encoder.encode(value)) } as const;
  return { name, dtype: "string", shape, data };
}

type ArrayConstructor = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericArray;
};

const ARRAYS: Partial<Record<DType, ArrayConstructor>> = {
  float32: Float32Array,
  complex64: Float32Array,
  float64: Float64Array,
  complex128: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
};

/** Little-endian bytes as the typed array of a dtype: a view where alignment allows, else a copy. */
function typedView(dtype: DType, bytes: Uint8Array): NumericArray {
  const TypedArray: ArrayConstructor = ARRAYS[dtype] ?? Uint8Array;
  const width = TypedArray.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return new TypedArray(aligned.buffer, aligned.byteOffset, aligned.byteLength / width);
}

function checkedLength(tensor: TensorRef, bytes: Uint8Array, byteLength: number): Uint8Array {
  if (bytes.byteLength !== byteLength) throw wrongLength(tensor, bytes.byteLength);
  return bytes;
}

function wrongLength(tensor: TensorRef, found: number): LightfootError {
  const { name, dtype, shape } = tensor;
  const message = `tensor '${name}' ${dtype}[${shape.join(", ")}] takes ${tensorByteLength(tensor)} bytes, found ${found}`;
  return new LightfootError("E_TENSOR", message, { where: { path: name } });
}

function wrongType(tensor: TensorRef, wanted: string): LightfootError {
  const message = `tensor '${tensor.name}' is of type ${tensor.dtype}, expected ${wanted}`;
  return new LightfootError("E_TENSOR", message, { where: { path: tensor.name } });
}
