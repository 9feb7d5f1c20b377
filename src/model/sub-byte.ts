// Packing of 4-bit and 2-bit elements, first element in the low bits as ONNX prescribes; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

export type SubByteType = "int4" | "uint4" | "int2" | "uint2" | "float4e2m1";

const bitsOf = (dtype: SubByteType): 2 | 4 => (dtype === "int2" || dtype === "uint2" ? 2 : 4);
const isSigned = (dtype: SubByteType): boolean => dtype === "int4" || dtype === "int2";

/**
 * Packed bytes as one element a byte `[elementCount]`: Int8Array for the signed types, else Uint8Array (float4e2m1: bit
 * patterns). @throws LightfootError E_TENSOR when there are too few bytes
 */
export function unpackSubByte(dtype: SubByteType, packed: Uint8Array, elementCount: number): Int8Array | Uint8Array {
  const bits = bitsOf(dtype);
  const perByte = 8 / bits;
  if (packed.byteLength < Math.ceil(elementCount / perByte)) {
    throw new LightfootError(
      "E_TENSOR",
      `${packed.byteLength} bytes hold fewer than ${elementCount} ${dtype} elements`,
    );
  }
  const unpacked = isSigned(dtype) ? new Int8Array(elementCount) : new Uint8Array(elementCount);
  const mask = (1 << bits) - 1;
  // Shifting the sign bit to bit 31 and back extends it.
  const extension = isSigned(dtype) ? 32 - bits : 0;
  for (let i = 0; i < elementCount; i++) {
    const element = (packed[Math.floor(i / perByte)] >>> ((i % perByte) * bits)) & mask;
    unpacked[i] = (element << extension) >> extension;
  }
  return unpacked;
}

/** The inverse of `unpackSubByte`; the last byte is padded with zeros. @throws LightfootError E_RANGE outside the type's range */
export function packSubByte(dtype: SubByteType, elements: ArrayLike<number>): Uint8Array {
  const bits = bitsOf(dtype);
  const perByte = 8 / bits;
  const low = isSigned(dtype) ? -(1 << (bits - 1)) : 0;
  const high = low + (1 << bits) - 1;
  const packed = new Uint8Array(Math.ceil(elements.length / perByte));
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i];
    if (!(Number.isInteger(element) && element >= low && element <= high)) {
      throw new LightfootError("E_RANGE", `element ${i} is ${element}, ${dtype} holds integers ${low} to ${high}`);
    }
    packed[Math.floor(i / perByte)] |= (element & ((1 << bits) - 1)) << ((i % perByte) * bits);
  }
  return packed;
}
