// Tensor elements stored as protobuf varints, to and from the little-endian layout of `raw_data`; may depend on dtype and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { byteLengthOf, DTYPES, type DType } from "./dtype.ts";

/** Bytes in `raw_data` per varint: a 4-bit or 2-bit type puts one packed byte of elements into each. */
export const varintWidth = (dtype: DType): number => Math.max(8, DTYPES[dtype].bits) / 8;

/** Varints that `elementCount` elements take. */
export const varintCount = (dtype: DType, elementCount: number): number =>
  byteLengthOf(dtype, elementCount) / varintWidth(dtype);

/**
 * `count` varints as little-endian integers, cut to the width of the type (a negative int8 comes as ten bytes).
 * @throws LightfootError E_TENSOR when the bytes hold another number of varints
 */
export function decodeVarints(encoded: Uint8Array, dtype: DType, count: number, tensorName: string): Uint8Array {
  const width = varintWidth(dtype);
  const raw = new Uint8Array(count * width);
  let at = 0;
  let done = 0;
  for (; done < count && at < encoded.byteLength; done++) {
    let low = 0;
    let high = 0;
    let byte = 0x80;
    for (let shift = 0; byte >= 0x80; shift += 7) {
      if (at === encoded.byteLength || shift > 63) throw miscounted(tensorName, count);
      byte = encoded[at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
    }
    for (let k = 0; k < width; k++) raw[done * width + k] = (k < 4 ? low >>> (8 * k) : high >>> (8 * (k - 4))) & 0xff;
  }
  if (done !== count || at !== encoded.byteLength) throw miscounted(tensorName, count);
  return raw;
}

function miscounted(tensorName: string, count: number): LightfootError {
  const message = `the number list of tensor '${tensorName}' does not hold the ${count} numbers of its shape`;
  return new LightfootError("E_TENSOR", message, { where: { path: tensorName } });
}

/** The numbers to write as varints for a tensor in `raw_data` layout: signed types negative, bit patterns unsigned. */
export function* varintNumbers(raw: Uint8Array, dtype: DType): Generator<number | bigint> {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const width = varintWidth(dtype);
  // A packed byte of int4 or int2 elements is a bit pattern, not a signed number.
  const signed = dtype === "int8" || dtype === "int16" || dtype === "int32";
  for (let at = 0; at + width <= raw.byteLength; at += width) {
    if (width === 8) yield dtype === "int64" ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
    else if (width === 4) yield signed ? view.getInt32(at, true) : view.getUint32(at, true);
    else if (width === 2) yield signed ? view.getInt16(at, true) : view.getUint16(at, true);
    else yield signed ? view.getInt8(at) : view.getUint8(at);
  }
}
