// Typical structure of ONNX files, which the model of bytes has seen before it codes the first byte; may depend on nothing.
export const PRIMER: Uint8Array = new Uint8Array(0);
