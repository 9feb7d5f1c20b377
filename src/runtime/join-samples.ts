// Joins the tensors of successive batches; may depend on errors, model and its room.
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { describe } from "./session.ts";

/** Tensors of one shape but for the first axis, one after another. */
export function joinSamples(parts: readonly TensorValue[]): TensorValue {
  const [first] = parts as [TensorValue, ...TensorValue[]];
  const rows = parts.reduce((total, part) => total + part.shape[0], 0);
  const length = parts.reduce((total, part) => total + part.data.length, 0);
  const Constructor = first.data.constructor as new (length: number) => TensorValue["data"];
  const data = new Constructor(length);
  let offset = 0;
  for (const part of parts) {
    if (part.shape.slice(1).join() !== first.shape.slice(1).join()) {
      throw new LightfootError(
        "E_METRIC",
        `the output's shape changes between batches: ${describe(first)}, then ${describe(part)}`,
        { hint: "Pad the inputs to one size, or judge with a metric that goes batch by batch." },
      );
    }
    data.set(part.data as never, offset);
    offset += part.data.length;
  }
  return { dtype: first.dtype, shape: [rows, ...first.shape.slice(1)], data };
}
