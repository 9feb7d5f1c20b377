// The ONNX file format as tables: field numbers of onnx.proto (IR 3 to 14), enum codes and limits; may depend on dtype only.
import type { DType } from "../dtype.ts";

export const MODEL = {
  irVersion: 1,
  producerName: 2,
  producerVersion: 3,
  domain: 4,
  modelVersion: 5,
  docString: 6,
  graph: 7,
  opsetImport: 8,
  metadata: 14,
  functions: 25,
} as const;

export const OPSET = { domain: 1, version: 2 } as const;
export const ENTRY = { key: 1, value: 2 } as const;

export const GRAPH = {
  node: 1,
  name: 2,
  initializer: 5,
  docString: 10,
  input: 11,
  output: 12,
  valueInfo: 13,
  quantizationAnnotation: 14,
  sparseInitializer: 15,
  metadata: 16,
} as const;

export const ANNOTATION = { tensorName: 1, parameters: 2 } as const;

export const NODE = {
  input: 1,
  output: 2,
  name: 3,
  opType: 4,
  attribute: 5,
  docString: 6,
  domain: 7,
  overload: 8,
  metadata: 9,
} as const;

export const FUNCTION = {
  name: 1,
  input: 4,
  output: 5,
  attribute: 6,
  node: 7,
  docString: 8,
  opsetImport: 9,
  domain: 10,
  attributeProto: 11,
  valueInfo: 12,
  overload: 13,
  metadata: 14,
} as const;

export const VALUE_INFO = { name: 1, type: 2, docString: 3, metadata: 4 } as const;

export const TYPE = { tensor: 1, sequence: 4, map: 5, denotation: 6, opaque: 7, sparseTensor: 8, optional: 9 } as const;
export const TENSOR_TYPE = { elementType: 1, shape: 2 } as const;
/** Of sequences and optionals. */
export const ELEMENT_TYPE = 1;
export const MAP_TYPE = { key: 1, value: 2 } as const;
export const OPAQUE_TYPE = { domain: 1, name: 2 } as const;
export const SHAPE = { dim: 1 } as const;
export const DIM = { value: 1, param: 2, denotation: 3 } as const;

export const ATTRIBUTE = {
  name: 1,
  float: 2,
  int: 3,
  string: 4,
  tensor: 5,
  graph: 6,
  floats: 7,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  docString: 13,
  type: 14,
  types: 15,
  code: 20,
  reference: 21,
  sparseTensor: 22,
  sparseTensors: 23,
} as const;

/** `AttributeProto.AttributeType`. */
export const ATTRIBUTE_CODES = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  type: 13,
  types: 14,
} as const;

export type AttributeType = keyof typeof ATTRIBUTE_CODES;

export const TENSOR = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  docString: 12,
  externalData: 13,
  dataLocation: 14,
  metadata: 16,
} as const;

export const SPARSE_TENSOR = { values: 1, indices: 2, dims: 3 } as const;

/** `TensorProto.DataLocation.EXTERNAL`. */
export const EXTERNAL_LOCATION = 1;

/** Largest encoded message of every official protobuf library (INT_MAX). Lightfoot reads beyond it, nobody else does. */
export const PROTOBUF_LIMIT_BYTES = 2 ** 31 - 1;

/** How the typed list of a TensorProto stores elements: fixed-width little-endian as `raw_data` has them, or as varints. */
export type ListEncoding = "fixed32" | "fixed64" | "varint";

const LISTS: ReadonlyMap<number, ListEncoding> = new Map([
  [TENSOR.floatData, "fixed32"],
  [TENSOR.doubleData, "fixed64"],
  [TENSOR.int32Data, "varint"],
  [TENSOR.int64Data, "varint"],
  [TENSOR.uint64Data, "varint"],
]);

export const listEncoding = (field: number): ListEncoding | undefined => LISTS.get(field);

/** The typed list that ONNX prescribes for an element type. Whatever has no list of its own is carried by `int32_data`. */
export function listFieldOf(dtype: DType): number {
  switch (dtype) {
    case "float32":
    case "complex64":
      return TENSOR.floatData;
    case "float64":
    case "complex128":
      return TENSOR.doubleData;
    case "int64":
      return TENSOR.int64Data;
    case "uint32":
    case "uint64":
      return TENSOR.uint64Data;
    case "string":
      return TENSOR.stringData;
    default:
      return TENSOR.int32Data;
  }
}
