// `TensorValue`: a dense tensor in memory, what sessions take and give; may depend on dtype and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { DType } from "./dtype.ts";

export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/**
 * Row-major elements. float16 and bfloat16 are bit patterns in a Uint16Array, 8-bit floats in a Uint8Array, bool is 0/1
 * in a Uint8Array; 4-bit and 2-bit types stay packed in a Uint8Array, first element in the low bits; complex numbers
 * are pairs (real, imaginary) in a Float32Array or Float64Array.
 */
export interface TensorValue {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: NumericArray;
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** A tensor of 32-bit floats. @throws LightfootError E_TENSOR when the shape does not hold the data */
export function float32Tensor(shape: readonly number[], data: Float32Array): TensorValue {
  return checked({ dtype: "float32", shape, data });
}

/** A tensor of 64-bit integers, from ordinary numbers. */
export function int64Tensor(shape: readonly number[], values: readonly number[]): TensorValue {
  return checked({ dtype: "int64", shape, data: BigInt64Array.from(values, BigInt) });
}

function checked(value: TensorValue): TensorValue {
  if (value.data.length !== elementCount(value.shape)) {
    throw new LightfootError(
      "E_TENSOR",
      `shape [${value.shape.join(", ")}] does not hold ${value.data.length} elements`,
    );
  }
  return value;
}
