// Element types and shapes of tensors changed on request, never silently losing a value; may depend on errors, io and model.
import { LightfootError } from "../errors/index.ts";
import { decodeBfloat16, decodeFloat16, encodeFloat16 } from "../io/half.ts";
import type { DType } from "../model/dtype.ts";
import { elementCount, type NumericArray, type TensorValue } from "../model/tensor-value.ts";

/** Every element times `factor`, as float32; float16 is refused because its bits are no numbers here. */
export function scaleTensor(value: TensorValue, factor: number): TensorValue {
  if (value.dtype === "float16" || value.dtype === "bfloat16") {
    throw new LightfootError("E_DATA", `${value.dtype} cannot be scaled`, { hint: "store the array as float32" });
  }
  const data = new Float32Array(value.data.length);
  if (value.dtype === "uint8") {
    // 256 quotients instead of millions: half the time to load MNIST.
    const table = Float32Array.from({ length: 256 }, (_, level) => level * factor);
    for (let index = 0; index < data.length; index++) data[index] = table[value.data[index] as number];
  } else {
    for (let index = 0; index < data.length; index++) data[index] = Number(value.data[index]) * factor;
  }
  return { dtype: "float32", shape: value.shape, data };
}

/** Each sample in another shape of as many elements. @throws LightfootError E_DATA when the counts differ */
export function reshapeSamples(value: TensorValue, shape: readonly number[], name: string): TensorValue {
  const [samples = 0, ...old] = value.shape;
  if (elementCount(old) !== elementCount(shape)) {
    throw new LightfootError("E_DATA", `samples of '${name}' are [${old.join(",")}], not [${shape.join(",")}]`);
  }
  return { dtype: value.dtype, shape: [samples, ...shape], data: value.data };
}

const INTEGER_RANGES = {
  bool: [0, 1, Uint8Array],
  int8: [-128, 127, Int8Array],
  uint8: [0, 255, Uint8Array],
  int16: [-32_768, 32_767, Int16Array],
  uint16: [0, 65_535, Uint16Array],
  int32: [-2_147_483_648, 2_147_483_647, Int32Array],
  uint32: [0, 4_294_967_295, Uint32Array],
} as const;

const isConvertibleFloat = (dtype: DType): boolean => dtype === "float16" || dtype === "float32" || dtype === "float64";
const isWholeNumber = (dtype: DType): boolean =>
  (dtype in INTEGER_RANGES && dtype !== "bool") || dtype === "int64" || dtype === "uint64";

/**
 * Whether `from` may become `to` without being told: between float types, and between integer types as long as every
 * value fits. Integers never become floats silently: whether 255 means 255.0 or 1.0 only the user knows.
 */
export function convertsSilently(from: DType, to: DType): boolean {
  if (from === to) return true;
  return (isConvertibleFloat(from) && isConvertibleFloat(to)) || (isWholeNumber(from) && isWholeNumber(to));
}

/** The tensor with another element type. @throws LightfootError E_DATA when a value does not fit */
export function convertTensor(value: TensorValue, to: DType, name: string): TensorValue {
  if (value.dtype === to) return value;
  return { dtype: to, shape: value.shape, data: convertData(value, to, name) };
}

function convertData(value: TensorValue, to: DType, name: string): NumericArray {
  if (to === "float64") return Float64Array.from(numbersOf(value));
  if (to === "float32") return Float32Array.from(numbersOf(value));
  if (to === "float16") return encodeFloat16(Float32Array.from(numbersOf(value)));
  const source = value.data;
  if (source instanceof BigInt64Array || source instanceof BigUint64Array) {
    // Between 64-bit types no detour over doubles, which would round.
    if (to === "int64" || to === "uint64") return wideIntegers(source, to, name);
  }
  const numbers = numbersOf(value);
  if (to === "int64" || to === "uint64") {
    for (const number of numbers) requireWhole(number, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, to, name);
    return wideIntegers(BigInt64Array.from(numbers as Float64Array, BigInt), to, name);
  }
  if (!(to in INTEGER_RANGES)) throw new LightfootError("E_DATA", `'${name}' cannot be turned into ${to}`);
  const [low, high, Constructor] = INTEGER_RANGES[to as keyof typeof INTEGER_RANGES];
  for (const number of numbers) requireWhole(number, low, high, to, name);
  return Constructor.from(numbers as Float64Array);
}

function wideIntegers(source: BigInt64Array | BigUint64Array, to: "int64" | "uint64", name: string): NumericArray {
  const converted = to === "int64" ? BigInt64Array.from(source) : BigUint64Array.from(source);
  const wrapped = source.findIndex((element: bigint, index: number) => converted[index] !== element);
  if (wrapped !== -1) throw new LightfootError("E_DATA", `'${name}' holds ${source[wrapped]}, which ${to} cannot hold`);
  return converted;
}

function requireWhole(number: number, low: number, high: number, to: DType, name: string): void {
  if (Number.isInteger(number) && number >= low && number <= high) return;
  throw new LightfootError("E_DATA", `'${name}' holds ${number}, which ${to} cannot hold`);
}

/** The elements as ordinary numbers, without a copy where they are. */
export function numbersOf(value: TensorValue): Exclude<NumericArray, BigInt64Array | BigUint64Array> {
  if (value.dtype === "float16") return decodeFloat16(value.data as Uint16Array);
  if (value.dtype === "bfloat16") return decodeBfloat16(value.data as Uint16Array);
  const data = value.data;
  return data instanceof BigInt64Array || data instanceof BigUint64Array ? Float64Array.from(data, Number) : data;
}
