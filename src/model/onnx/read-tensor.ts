// TensorProto and SparseTensorProto to references that leave the elements where they are; may depend on the model's shapes and io.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { MessageReader } from "../../io/protobuf.ts";
import { byteLengthOf, dtypeFromCode, type DType } from "../dtype.ts";
import type { SparseTensorRef, TensorData, TensorRef } from "../graph.ts";
import { decodeVarints, varintCount } from "../varint-elements.ts";
import { EXTERNAL_LOCATION, listEncoding, listFieldOf, SPARSE_TENSOR, TENSOR } from "./fields.ts";
import { concatenate, readEntry, type ReadContext } from "./read-context.ts";

/**
 * Number lists up to this size are decoded at once: shapes, axes and small constants, which every analysis asks for.
 * Longer ones stay on disk as varints.
 */
const DECODED_LIST_LIMIT_BYTES = 64 * 1024;

interface Run {
  readonly field: number;
  readonly packed: boolean;
  readonly offset: number;
  readonly byteLength: number;
  /** Present once the run was read: an unpacked element, or one of several packed runs. */
  readonly bytes?: Uint8Array;
}

export function readTensorProto(reader: MessageReader, context: ReadContext): TensorRef {
  const shape: number[] = [];
  let name = "";
  let typeCode = 0;
  let docString = "";
  let location = 0;
  const metadata = new Map<string, string>();
  const external = new Map<string, string>();
  const strings: Uint8Array[] = [];
  const unknown: Uint8Array[] = [];
  const stored = new StoredElements();
  while (reader.next()) {
    switch (reader.field) {
      case TENSOR.dims:
        shape.push(...reader.integers());
        break;
      case TENSOR.dataType:
        typeCode = reader.int32();
        break;
      case TENSOR.name:
        name = reader.string();
        break;
      case TENSOR.docString:
        docString = reader.string();
        break;
      case TENSOR.stringData:
        strings.push(reader.bytes());
        break;
      case TENSOR.externalData:
        external.set(...readEntry(reader));
        break;
      case TENSOR.dataLocation:
        location = reader.int32();
        break;
      case TENSOR.metadata:
        metadata.set(...readEntry(reader));
        break;
      case TENSOR.segment:
        throw new LightfootError("E_ONNX", "a tensor is stored in segments, which no runtime supports", {
          hint: "Save the model again with whole tensors.",
          where: { file: context.file, path: name },
        });
      case TENSOR.rawData:
      case TENSOR.floatData:
      case TENSOR.doubleData:
      case TENSOR.int32Data:
      case TENSOR.int64Data:
      case TENSOR.uint64Data:
        stored.add(reader);
        break;
      default:
        unknown.push(reader.raw());
    }
  }
  const dtype = knownType(typeCode, name, context);
  const count = countElements(shape, name, context);
  const data =
    location === EXTERNAL_LOCATION
      ? context.externalData(external, name, byteLengthOf(dtype, count))
      : dtype === "string"
        ? stringData(strings, count, name, context)
        : stored.data(dtype, count, name, context, reader);
  return {
    name,
    dtype,
    shape,
    data,
    ...(docString === "" ? {} : { docString }),
    ...(metadata.size === 0 ? {} : { metadata }),
    ...(unknown.length === 0 ? {} : { unknownFields: concatenate(unknown) }),
  };
}

export function readSparseTensor(reader: MessageReader, context: ReadContext): SparseTensorRef {
  const shape: number[] = [];
  let values: TensorRef | undefined;
  let indices: TensorRef | undefined;
  while (reader.next()) {
    if (reader.field === SPARSE_TENSOR.values) values = readTensorProto(reader.message(), context);
    else if (reader.field === SPARSE_TENSOR.indices) indices = readTensorProto(reader.message(), context);
    else if (reader.field === SPARSE_TENSOR.dims) shape.push(...reader.integers());
  }
  const name = values?.name ?? "";
  countElements(shape, name, context);
  if (values === undefined || indices === undefined) {
    throw broken(`sparse tensor '${name}' lacks its values or its indices`, name, context);
  }
  const stored = values.shape[0];
  const isCoordinates = indices.shape.length === 1 || (indices.shape.length === 2 && indices.shape[1] === shape.length);
  if (values.shape.length !== 1 || indices.dtype !== "int64" || !isCoordinates || indices.shape[0] !== stored) {
    const found = `values [${values.shape.join(", ")}] with ${indices.dtype} indices [${indices.shape.join(", ")}]`;
    throw broken(`sparse tensor '${name}' has ${found}, expected [n] with int64 [n] or [n, rank]`, name, context);
  }
  return { name, values, indices, shape };
}

/** Gathers the fields that can carry elements; exactly one of them may. */
class StoredElements {
  #runs: Run[] = [];

  add(reader: MessageReader): void {
    const packed = reader.isDelimited;
    if (reader.field === TENSOR.rawData || packed) {
      const range = reader.range();
      // Protobuf lets the last occurrence of a bytes field win.
      if (reader.field === TENSOR.rawData) this.#runs = this.#runs.filter((run) => run.field !== TENSOR.rawData);
      if (range.byteLength === 0 && reader.field !== TENSOR.rawData) return;
      const isFirst = this.#runs.every((run) => run.field !== reader.field);
      this.#runs.push({ field: reader.field, packed, ...range, ...(isFirst ? {} : { bytes: reader.valueBytes() }) });
      return;
    }
    const bytes = reader.valueBytes();
    this.#runs.push({ field: reader.field, packed, offset: 0, byteLength: bytes.byteLength, bytes });
  }

  data(dtype: DType, count: number, name: string, context: ReadContext, reader: MessageReader): TensorData {
    const field = this.#field(dtype, count, name, context);
    const runs = this.#runs.filter((run) => run.field === field);
    if (field === TENSOR.rawData) {
      const run = runs[0];
      requireLength(run?.byteLength ?? 0, byteLengthOf(dtype, count), dtype, name, context);
      // A tensor without elements may have no data field at all, which is an empty typed list.
      return run === undefined
        ? { kind: "memory", bytes: new Uint8Array(0), typed: true }
        : context.slice(run, "raw", false);
    }
    const typed = runs.length === 1 && runs[0].packed ? runs[0] : context.join(runs);
    if (listEncoding(field) !== "varint") {
      requireLength(typed.byteLength, byteLengthOf(dtype, count), dtype, name, context);
      return typed.bytes === undefined
        ? context.slice(typed, "raw", true)
        : { kind: "memory", bytes: typed.bytes, typed: true };
    }
    const numbers = varintCount(dtype, count);
    // Before any memory is taken: a number takes one to ten bytes.
    if (typed.byteLength < numbers || typed.byteLength > numbers * 10) {
      throw broken(`tensor '${name}' keeps ${numbers} numbers in ${typed.byteLength} bytes`, name, context);
    }
    if (typed.bytes === undefined && typed.byteLength > DECODED_LIST_LIMIT_BYTES) {
      const slice = context.slice(typed, "varint", true);
      if (slice.kind === "file") return slice;
    }
    reader.charge(byteLengthOf(dtype, count));
    const bytes = decodeVarints(typed.bytes ?? context.bytes(typed), dtype, numbers, name);
    return { kind: "memory", bytes, typed: true };
  }

  #field(dtype: DType, count: number, name: string, context: ReadContext): number {
    const fields = [...new Set(this.#runs.filter((run) => run.byteLength > 0).map((run) => run.field))];
    if (fields.length > 1) throw broken(`tensor '${name}' stores its elements in several fields`, name, context);
    const field = fields[0] ?? TENSOR.rawData;
    if (field === TENSOR.rawData || field === listFieldOf(dtype)) return field;
    throw broken(
      `tensor '${name}' of type ${dtype} with ${count} elements stores them in field ${field}`,
      name,
      context,
    );
  }
}

function stringData(strings: readonly Uint8Array[], count: number, name: string, context: ReadContext): TensorData {
  if (strings.length === count) return { kind: "strings", values: strings };
  throw broken(`string tensor '${name}' has ${strings.length} strings, its shape asks for ${count}`, name, context);
}

function knownType(code: number, name: string, context: ReadContext): DType {
  const dtype = dtypeFromCode(code);
  if (dtype !== undefined) return dtype;
  throw broken(`tensor '${name}' has the unknown element type ${code}`, name, context);
}

/** Product of the dimensions. Multiplying doubles past 2^53 loses digits, so a forged shape could come out as the right size. */
export function countElements(shape: readonly number[], name: string, context: ReadContext): number {
  if (shape.some((size) => size < 0)) {
    throw broken(`tensor '${name}' has the shape [${shape.join(", ")}]`, name, context);
  }
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (count > Number.MAX_SAFE_INTEGER / 16) {
      throw broken(`tensor '${name}' with shape [${shape.join(", ")}] has too many elements to count`, name, context);
    }
  }
  return count;
}

function requireLength(found: number, expected: number, dtype: DType, name: string, context: ReadContext): void {
  if (found === expected) return;
  throw broken(`tensor '${name}' of type ${dtype} takes ${expected} bytes by its shape, found ${found}`, name, context);
}

function broken(message: string, path: string, context: ReadContext): LightfootError {
  return new LightfootError("E_TENSOR", message, { where: { file: context.file, path } });
}
