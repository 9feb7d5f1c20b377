// TensorRef and SparseTensorRef to their ONNX messages, elements by reference; may depend on the model's shapes and io.
import type { OpenFiles } from "../../io/file-range.ts";
import type { DeferredBytes } from "../../io/protobuf.ts";
import { MessageWriter } from "../../io/protobuf.ts";
import { DTYPES } from "../dtype.ts";
import type { SparseTensorRef, TensorRef } from "../graph.ts";
import { readStoredChunks, readTensorChunks, tensorByteLength } from "../tensor-data.ts";
import { varintNumbers } from "../varint-elements.ts";
import { EXTERNAL_LOCATION, listEncoding, listFieldOf, SPARSE_TENSOR, TENSOR } from "./fields.ts";
import { writeEntries } from "./write-context.ts";

/**
 * @param external entries of its external data, or undefined to put the elements into the message
 * @param files open until the message was streamed
 */
export function writeTensor(
  tensor: TensorRef,
  external: ReadonlyMap<string, string> | undefined,
  files: OpenFiles,
): MessageWriter {
  const writer = new MessageWriter();
  if (tensor.shape.length > 0) writer.packedIntegers(TENSOR.dims, tensor.shape);
  writer.integer(TENSOR.dataType, DTYPES[tensor.dtype].code);
  if (tensor.name !== "") writer.string(TENSOR.name, tensor.name);
  if (tensor.docString !== undefined) writer.string(TENSOR.docString, tensor.docString);
  if (external === undefined) writeElements(writer, tensor, files);
  else {
    writeEntries(writer, TENSOR.externalData, external);
    writer.integer(TENSOR.dataLocation, EXTERNAL_LOCATION);
  }
  writeEntries(writer, TENSOR.metadata, tensor.metadata);
  if (tensor.unknownFields !== undefined) writer.raw(tensor.unknownFields);
  return writer;
}

export function writeSparseTensor(
  tensor: SparseTensorRef,
  externalValues: ReadonlyMap<string, string> | undefined,
  externalIndices: ReadonlyMap<string, string> | undefined,
  files: OpenFiles,
): MessageWriter {
  const writer = new MessageWriter();
  writer.message(SPARSE_TENSOR.values, writeTensor({ ...tensor.values, name: tensor.name }, externalValues, files));
  writer.message(SPARSE_TENSOR.indices, writeTensor(tensor.indices, externalIndices, files));
  writer.packedIntegers(SPARSE_TENSOR.dims, tensor.shape);
  return writer;
}

function writeElements(writer: MessageWriter, tensor: TensorRef, files: OpenFiles): void {
  const { data, dtype } = tensor;
  if (data.kind === "strings") {
    for (const value of data.values) writer.bytes(TENSOR.stringData, value);
    return;
  }
  // A list is written only if it was read as one: raw_data is what every runtime reads fastest.
  const field = data.typed === true ? listFieldOf(dtype) : TENSOR.rawData;
  if (data.typed === true && tensorByteLength(tensor) === 0) return;
  if (field === TENSOR.rawData || listEncoding(field) !== "varint") writer.deferred(field, elementBytes(tensor, files));
  else if (data.kind === "memory") writer.packedIntegers(field, varintNumbers(data.bytes, dtype));
  else if (data.kind === "file" && data.encoding === "varint") {
    writer.deferred(field, { byteLength: data.byteLength, chunks: () => readStoredChunks(data, files) });
  } else writer.deferred(TENSOR.rawData, elementBytes(tensor, files));
}

/** The elements in `raw_data` layout, fetched when the message is streamed. */
export function elementBytes(tensor: TensorRef, files: OpenFiles): DeferredBytes {
  return { byteLength: tensorByteLength(tensor), chunks: () => readTensorChunks(tensor, files) };
}
