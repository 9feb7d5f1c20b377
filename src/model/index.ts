// Public face of the room `model`; depends on its own files.
export { DTYPES, byteLengthOf, dtypeFromCode, isFloat, type DType } from "./dtype.ts";
export type * from "./graph.ts";
export {
  float,
  floatAttribute,
  floats,
  int,
  intAttribute,
  ints,
  intsAttribute,
  string,
  stringAttribute,
  subgraphsOf,
  tensorAttribute,
} from "./attributes.ts";
export { elementCount, float32Tensor, int64Tensor, type NumericArray, type TensorValue } from "./tensor-value.ts";
export {
  computedTensor,
  memoryTensor,
  readFloats,
  readStrings,
  readTensor,
  readTensorBytes,
  readTensorChunks,
  stringTensor,
  tensorByteLength,
} from "./tensor-data.ts";
export { packSubByte, unpackSubByte, type SubByteType } from "./sub-byte.ts";
export { constantTensor } from "./constant.ts";
export { graphsOf, nodesOf, tensorsOf } from "./tensors.ts";
export { graph, model, node, tensorInfo, type GraphParts } from "./build.ts";
export { readOnnx, readOnnxBytes } from "./onnx/read.ts";
export { serializeOnnx, writeOnnx, type WriteOptions, type WrittenModel } from "./onnx/write.ts";
export { verifyExternalChecksums } from "./onnx/external-checksums.ts";
export type { ExternalDataMode } from "./onnx/placement.ts";
