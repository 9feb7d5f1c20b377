// Samples in shared memory, so that worker threads read them without a copy of their own; may depend on model and its room.
import type { NumericArray, TensorValue } from "../model/tensor-value.ts";
import type { Dataset } from "./sample-set.ts";

type Samples = Pick<Dataset, "inputs" | "labels" | "targets" | "digest">;

/** The same samples in shared memory; the digest is computed, because a getter does not travel to another thread. */
export function sharedDataset<Data extends Samples>(data: Data): Data {
  const { labels, targets } = data;
  return {
    // The spread calls the getter of the digest, once for all threads.
    ...data,
    inputs: new Map([...data.inputs].map(([input, value]) => [input, sharedTensor(value)])),
    ...(labels === undefined ? {} : { labels: sharedTensor(labels) }),
    ...(targets === undefined ? {} : { targets: sharedTensor(targets) }),
  };
}

/** A copy in shared memory of just these elements: a slice takes only its part along. */
function sharedTensor(value: TensorValue): TensorValue {
  const { data } = value;
  if (data.buffer instanceof SharedArrayBuffer) return value;
  const memory = new SharedArrayBuffer(data.byteLength);
  const SameArray = data.constructor as new (buffer: SharedArrayBuffer) => NumericArray;
  const copy = new SameArray(memory);
  (copy as Float32Array).set(data as Float32Array);
  return { ...value, data: copy };
}

/** The tensor outside shared memory, where the engine can read it. */
export function unsharedTensor(value: TensorValue): TensorValue {
  return value.data.buffer instanceof SharedArrayBuffer ? { ...value, data: value.data.slice() } : value;
}
