// ValueInfo and ValueType to their ONNX messages; may depend on graph and io.
import { MessageWriter } from "../../io/protobuf.ts";
import { DTYPES } from "../dtype.ts";
import type { Dim, ValueInfo, ValueType } from "../graph.ts";
import { DIM, ELEMENT_TYPE, MAP_TYPE, OPAQUE_TYPE, SHAPE, TENSOR_TYPE, TYPE, VALUE_INFO } from "./fields.ts";
import { writeEntries, writeText } from "./write-context.ts";

export function writeValueInfo(info: ValueInfo): MessageWriter {
  const writer = new MessageWriter();
  writer.string(VALUE_INFO.name, info.name);
  if (info.type !== undefined) writer.message(VALUE_INFO.type, writeType(info.type));
  else if (info.untyped !== undefined) writer.raw(info.untyped);
  writeText(writer, VALUE_INFO.docString, info.docString);
  writeEntries(writer, VALUE_INFO.metadata, info.metadata);
  if (info.unknownFields !== undefined) writer.raw(info.unknownFields);
  return writer;
}

export function writeType(type: ValueType): MessageWriter {
  const writer = new MessageWriter();
  const content = new MessageWriter();
  switch (type.kind) {
    case "tensor":
    case "sparseTensor":
      content.integer(TENSOR_TYPE.elementType, DTYPES[type.dtype].code);
      if (type.shape !== undefined) content.message(TENSOR_TYPE.shape, writeShape(type.shape, type.dimDenotations));
      break;
    case "sequence":
    case "optional":
      if (type.element !== undefined) content.message(ELEMENT_TYPE, writeType(type.element));
      break;
    case "map":
      content.integer(MAP_TYPE.key, DTYPES[type.key].code);
      if (type.value !== undefined) content.message(MAP_TYPE.value, writeType(type.value));
      break;
    case "opaque":
      writeText(content, OPAQUE_TYPE.domain, type.domain);
      writeText(content, OPAQUE_TYPE.name, type.name);
      break;
  }
  writer.message(TYPE[type.kind], content);
  writeText(writer, TYPE.denotation, type.denotation);
  return writer;
}

function writeShape(shape: readonly Dim[], denotations: readonly string[] = []): MessageWriter {
  const writer = new MessageWriter();
  for (const [axis, dim] of shape.entries()) {
    const content = new MessageWriter();
    // A size of 0 is written too: an absent one means "unknown".
    if (typeof dim === "number") content.integer(DIM.value, dim);
    else if (dim !== null) content.string(DIM.param, dim);
    writeText(content, DIM.denotation, denotations[axis]);
    writer.message(SHAPE.dim, content);
  }
  return writer;
}
