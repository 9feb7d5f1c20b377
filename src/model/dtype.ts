// Element types of tensors with their width in bits and ONNX codes; may depend on nothing.

/** Every element type of ONNX 1.22, with its `TensorProto.DataType` code and its width in bits (0: variable). */
export const DTYPES = {
  float32: { code: 1, bits: 32, kind: "float" },
  uint8: { code: 2, bits: 8, kind: "integer" },
  int8: { code: 3, bits: 8, kind: "integer" },
  uint16: { code: 4, bits: 16, kind: "integer" },
  int16: { code: 5, bits: 16, kind: "integer" },
  int32: { code: 6, bits: 32, kind: "integer" },
  int64: { code: 7, bits: 64, kind: "integer" },
  string: { code: 8, bits: 0, kind: "string" },
  bool: { code: 9, bits: 8, kind: "boolean" },
  float16: { code: 10, bits: 16, kind: "float" },
  float64: { code: 11, bits: 64, kind: "float" },
  uint32: { code: 12, bits: 32, kind: "integer" },
  uint64: { code: 13, bits: 64, kind: "integer" },
  complex64: { code: 14, bits: 64, kind: "complex" },
  complex128: { code: 15, bits: 128, kind: "complex" },
  bfloat16: { code: 16, bits: 16, kind: "float" },
  float8e4m3fn: { code: 17, bits: 8, kind: "float" },
  float8e4m3fnuz: { code: 18, bits: 8, kind: "float" },
  float8e5m2: { code: 19, bits: 8, kind: "float" },
  float8e5m2fnuz: { code: 20, bits: 8, kind: "float" },
  uint4: { code: 21, bits: 4, kind: "integer" },
  int4: { code: 22, bits: 4, kind: "integer" },
  float4e2m1: { code: 23, bits: 4, kind: "float" },
  float8e8m0: { code: 24, bits: 8, kind: "float" },
  uint2: { code: 25, bits: 2, kind: "integer" },
  int2: { code: 26, bits: 2, kind: "integer" },
} as const;

export type DType = keyof typeof DTYPES;

const BY_CODE = new Map<number, DType>(Object.entries(DTYPES).map(([name, { code }]) => [code, name as DType]));

/** The element type of an ONNX code, or undefined for a code that ONNX 1.22 does not define. */
export const dtypeFromCode = (code: number): DType | undefined => BY_CODE.get(code);

export const isFloat = (dtype: DType): boolean => DTYPES[dtype].kind === "float";

/** Bytes that `elementCount` elements take, sub-byte types packed and the last byte padded. */
export function byteLengthOf(dtype: DType, elementCount: number): number {
  return Math.ceil((elementCount * DTYPES[dtype].bits) / 8);
}
