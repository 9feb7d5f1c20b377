// Inputs made up for timing and memory runs when there is no data: seeded numbers in the shapes that a model declares; may
// depend on errors, io, statistics, model and its room.
import { LightfootError } from "../errors/index.ts";
import { encodeFloat16 } from "../io/half.ts";
import { elementCount, type NumericArray, type TensorValue } from "../model/tensor-value.ts";
import { seededRandom, type Random } from "../statistics/index.ts";
import { describe, type Session, type SessionValue } from "./session.ts";

export interface SyntheticOptions {
  readonly batch: number;
  /** Full shapes of inputs whose free dimensions are more than the batch. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  readonly seed?: number;
}

/**
 * Feeds of a session: floats uniform in [0, 1), integers 0 or 1, the first axis as the batch.
 *
 * Values in [0, 1) and not zeros, because zeros and denormal numbers run at another speed than data does.
 * @throws LightfootError E_SHAPE when a shape cannot have that batch, or has a free dimension that was not given
 */
export function syntheticFeeds(session: Session, options: SyntheticOptions): Record<string, TensorValue> {
  const random = seededRandom(options.seed ?? 0).fork("synthetic-feeds");
  return Object.fromEntries(
    session.inputs.map((input) => [input.name, syntheticTensor(input, shapeFor(input, session, options), random)]),
  );
}

function shapeFor(input: SessionValue, session: Session, { batch, inputs }: SyntheticOptions): number[] {
  const given = inputs?.[input.name];
  const shape = (given ?? input.shape).map((dim, axis) => (axis === 0 && typeof dim !== "number" ? batch : dim));
  const free = shape.find((dim) => typeof dim !== "number");
  if (free !== undefined) {
    throw new LightfootError("E_SHAPE", `input '${input.name}' of '${session.name}' is ${describe(input)}`, {
      hint: `Give its free dimensions: --input ${input.name}=${shape.map((dim) => (typeof dim === "number" ? dim : "…")).join("x")}, or data.`,
    });
  }
  const isBatched = session.inputs.length === 1;
  if (isBatched && given === undefined && shape.length > 0 && shape[0] !== batch) {
    throw new LightfootError("E_SHAPE", `'${session.name}' takes ${String(shape[0])} samples a run, not ${batch}`, {
      hint: `Ask for what it takes: --batch ${String(shape[0])}.`,
    });
  }
  return shape as number[];
}

function syntheticTensor(input: SessionValue, shape: readonly number[], random: Random): TensorValue {
  const { dtype } = input;
  const count = elementCount(shape);
  const floats = (): Float32Array => Float32Array.from({ length: count }, () => random.next());
  const fill = <T extends NumericArray>(array: T): T => {
    for (let index = 0; index < array.length; index++) {
      const bit = random.integer(2);
      array[index] = (array instanceof BigInt64Array || array instanceof BigUint64Array ? BigInt(bit) : bit) as never;
    }
    return array;
  };
  switch (dtype) {
    case "float32":
      return { dtype, shape, data: floats() };
    case "float16":
      return { dtype, shape, data: encodeFloat16(floats()) };
    case "float64":
      return { dtype, shape, data: Float64Array.from(floats()) };
    case "int8":
      return { dtype, shape, data: fill(new Int8Array(count)) };
    case "uint8":
    case "bool":
      return { dtype, shape, data: fill(new Uint8Array(count)) };
    case "int16":
      return { dtype, shape, data: fill(new Int16Array(count)) };
    case "uint16":
      return { dtype, shape, data: fill(new Uint16Array(count)) };
    case "int32":
      return { dtype, shape, data: fill(new Int32Array(count)) };
    case "uint32":
      return { dtype, shape, data: fill(new Uint32Array(count)) };
    case "int64":
      return { dtype, shape, data: fill(new BigInt64Array(count)) };
    case "uint64":
      return { dtype, shape, data: fill(new BigUint64Array(count)) };
    default:
      throw new LightfootError("E_SHAPE", `no input can be made up for '${input.name}' ${describe(input)}`, {
        hint: "Give data instead.",
      });
  }
}
