// TypeProto and ValueInfoProto: what is known of the values on a graph's edges; may depend on graph and io.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { MessageReader } from "../../io/protobuf.ts";
import { dtypeFromCode, type DType } from "../dtype.ts";
import type { Dim, ValueInfo, ValueType } from "../graph.ts";
import { DIM, ELEMENT_TYPE, MAP_TYPE, OPAQUE_TYPE, SHAPE, TENSOR_TYPE, TYPE, VALUE_INFO } from "./fields.ts";
import { concatenate, readEntry, type ReadContext } from "./read-context.ts";

export function readValueInfo(reader: MessageReader, context: ReadContext): ValueInfo {
  let name = "";
  let type: ValueType | undefined;
  let untyped: Uint8Array | undefined;
  let docString = "";
  const metadata = new Map<string, string>();
  const unknown: Uint8Array[] = [];
  while (reader.next()) {
    if (reader.field === VALUE_INFO.name) name = reader.string();
    else if (reader.field === VALUE_INFO.type) {
      type = readType(reader.message(), context);
      untyped = type === undefined ? reader.raw() : undefined;
    } else if (reader.field === VALUE_INFO.docString) docString = reader.string();
    else if (reader.field === VALUE_INFO.metadata) metadata.set(...readEntry(reader));
    else unknown.push(reader.raw());
  }
  return {
    name,
    type,
    ...(untyped === undefined ? {} : { untyped }),
    ...(docString === "" ? {} : { docString }),
    ...(metadata.size === 0 ? {} : { metadata }),
    ...(unknown.length === 0 ? {} : { unknownFields: concatenate(unknown) }),
  };
}

/** Undefined for a message that names no kind, or a tensor without an element type. */
export function readType(reader: MessageReader, context: ReadContext): ValueType | undefined {
  let type: ValueType | undefined;
  let denotation = "";
  while (reader.next()) {
    switch (reader.field) {
      case TYPE.tensor:
        type = readTensorType(reader.message(), "tensor", context);
        break;
      case TYPE.sparseTensor:
        type = readTensorType(reader.message(), "sparseTensor", context);
        break;
      case TYPE.sequence:
        type = { kind: "sequence", element: readElementType(reader.message(), context) };
        break;
      case TYPE.optional:
        type = { kind: "optional", element: readElementType(reader.message(), context) };
        break;
      case TYPE.map:
        type = readMapType(reader.message(), context);
        break;
      case TYPE.opaque:
        type = readOpaqueType(reader.message());
        break;
      case TYPE.denotation:
        denotation = reader.string();
        break;
    }
  }
  return type === undefined || denotation === "" ? type : { ...type, denotation };
}

function readTensorType(
  reader: MessageReader,
  kind: "tensor" | "sparseTensor",
  context: ReadContext,
): ValueType | undefined {
  let code = 0;
  let shape: Dim[] | undefined;
  const denotations: string[] = [];
  while (reader.next()) {
    if (reader.field === TENSOR_TYPE.elementType) code = reader.int32();
    else if (reader.field === TENSOR_TYPE.shape) {
      const dims = reader.message();
      shape = [];
      while (dims.next()) {
        if (dims.field !== SHAPE.dim) continue;
        const { dim, denotation } = readDim(dims.message());
        shape.push(dim);
        denotations.push(denotation);
      }
    }
  }
  if (code === 0) return undefined;
  const dtype = knownType(code, context);
  return { kind, dtype, shape, ...(denotations.some((text) => text !== "") ? { dimDenotations: denotations } : {}) };
}

function readDim(reader: MessageReader): { dim: Dim; denotation: string } {
  let dim: Dim = null;
  let denotation = "";
  while (reader.next()) {
    if (reader.field === DIM.value) {
      const size = reader.integer();
      // Exporters write -1 for "unknown"; ONNX Runtime reads it so too.
      dim = size < 0 ? null : size;
    } else if (reader.field === DIM.param) {
      // An empty symbol would make unrelated dimensions equal.
      dim = reader.string() || null;
    } else if (reader.field === DIM.denotation) denotation = reader.string();
  }
  return { dim, denotation };
}

function readElementType(reader: MessageReader, context: ReadContext): ValueType | undefined {
  let element: ValueType | undefined;
  while (reader.next()) if (reader.field === ELEMENT_TYPE) element = readType(reader.message(), context);
  return element;
}

function readMapType(reader: MessageReader, context: ReadContext): ValueType {
  let key: DType = "int64";
  let value: ValueType | undefined;
  while (reader.next()) {
    if (reader.field === MAP_TYPE.key) key = knownType(reader.int32(), context);
    else if (reader.field === MAP_TYPE.value) value = readType(reader.message(), context);
  }
  return { kind: "map", key, value };
}

function readOpaqueType(reader: MessageReader): ValueType {
  let domain = "";
  let name = "";
  while (reader.next()) {
    if (reader.field === OPAQUE_TYPE.domain) domain = reader.string();
    else if (reader.field === OPAQUE_TYPE.name) name = reader.string();
  }
  return { kind: "opaque", domain, name };
}

function knownType(code: number, context: ReadContext): DType {
  const dtype = dtypeFromCode(code);
  if (dtype !== undefined) return dtype;
  throw new LightfootError("E_ONNX", `a value has the unknown element type ${code}`, { where: { file: context.file } });
}
