// `Dataset`, samples with their labels or targets in memory, and its parts: slices, chosen samples, splits, digest; may
// depend on errors, quantity, statistics and model.
import { createHash } from "node:crypto";
import { LightfootError } from "../errors/index.ts";
import type { DType } from "../model/dtype.ts";
import type { NumericArray, TensorValue } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/index.ts";
import { seededRandom } from "../statistics/index.ts";

/** Samples to run a model on. The first axis of every tensor counts samples. */
export interface Dataset {
  readonly name: string;
  readonly sampleCount: number;
  /** By array name, `[N, …]`. */
  readonly inputs: ReadonlyMap<string, TensorValue>;
  /** True when the source gives its array no name (MNIST, IDX, .npy, tables): it then fits a model's only input. */
  readonly unnamed: boolean;
  /** Class numbers from 0, `[N]` or `[N, …]`, always int32. */
  readonly labels?: TensorValue;
  /** What the outputs should be, `[N, …]`. */
  readonly targets?: TensorValue;
  /** What the loader had to decide because the source did not say. */
  readonly assumptions: readonly Assumption[];
  /** `sha256:<hex>` over names, types, shapes and elements, computed when first asked for. */
  readonly digest: string;
}

export interface DatasetParts {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, TensorValue>;
  readonly unnamed?: boolean;
  readonly labels?: TensorValue;
  readonly targets?: TensorValue;
  readonly assumptions?: readonly Assumption[];
}

/**
 * A data set from its tensors.
 *
 * @throws LightfootError E_DATA when it is empty, the first axes differ, or labels are no whole numbers
 * @example createDataset({ name: "toy", inputs: new Map([["x", float32Tensor([2, 3], data)]]), labels })
 */
export function createDataset(parts: DatasetParts): Dataset {
  const present: (readonly [string, TensorValue])[] = [...parts.inputs];
  if (parts.labels !== undefined) present.push(["labels", parts.labels]);
  if (parts.targets !== undefined) present.push(["targets", parts.targets]);
  const [first] = present;
  if (parts.inputs.size === 0 || first === undefined) {
    throw new LightfootError("E_DATA", `'${parts.name}' has no input array`, {
      hint: "An .npz holds one array for each graph input, besides 'labels' or 'targets'.",
    });
  }
  const sampleCount = first[1].shape[0];
  for (const [name, { shape }] of present) {
    if (shape.length === 0) {
      throw new LightfootError("E_DATA", `'${name}' in '${parts.name}' is a single number, expected samples on axis 0`);
    }
    if (shape[0] !== sampleCount) {
      throw new LightfootError(
        "E_DATA",
        `in '${parts.name}', '${first[0]}' has ${sampleCount} samples and '${name}' has ${shape[0]}`,
      );
    }
  }
  if (sampleCount === undefined || sampleCount === 0) {
    throw new LightfootError("E_DATA", `'${parts.name}' has no samples`);
  }
  const labels = parts.labels === undefined ? undefined : classNumbers(parts.labels, parts.name);
  return build({ ...parts, labels, unnamed: parts.unnamed ?? false }, sampleCount);
}

function build(parts: DatasetParts, sampleCount: number): Dataset {
  let digest: string | undefined;
  return {
    name: parts.name,
    sampleCount,
    inputs: parts.inputs,
    unnamed: parts.unnamed ?? false,
    assumptions: parts.assumptions ?? [],
    ...(parts.labels === undefined ? {} : { labels: parts.labels }),
    ...(parts.targets === undefined ? {} : { targets: parts.targets }),
    // Lazy: hashing all of MNIST's pixels takes longer than many uses of a slice of it.
    get digest() {
      digest ??= digestOf(parts);
      return digest;
    },
  };
}

function digestOf(parts: DatasetParts): string {
  const hash = createHash("sha256");
  const add = (role: string, name: string, value: TensorValue): void => {
    hash.update(`${JSON.stringify([role, name, value.dtype, value.shape])}\n`);
    hash.update(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength));
  };
  const names = [...parts.inputs.keys()].sort();
  for (const name of names) add("input", name, parts.inputs.get(name) as TensorValue);
  if (parts.labels !== undefined) add("labels", "", parts.labels);
  if (parts.targets !== undefined) add("targets", "", parts.targets);
  return `sha256:${hash.digest("hex")}`;
}

/** Labels as int32. @throws LightfootError E_DATA on a fraction, a negative number or one beyond 31 bits */
function classNumbers(labels: TensorValue, name: string): TensorValue {
  const data = new Int32Array(labels.data.length);
  for (let index = 0; index < data.length; index++) {
    const value = Number(labels.data[index]);
    if (!Number.isInteger(value) || value < 0 || value > 0x7fff_ffff) {
      throw new LightfootError("E_DATA", `label ${index} of '${name}' is ${value}, expected a class number from 0`, {
        hint: "Call the array 'targets' when it holds values to approximate.",
      });
    }
    data[index] = value;
  }
  return { dtype: "int32", shape: labels.shape, data };
}

/** Elements that one sample takes. */
export const sampleElements = (value: TensorValue): number =>
  value.shape.slice(1).reduce((product, size) => product * size, 1);

/** Samples `start … end − 1` of a tensor as a view, without a copy. */
export function sliceTensor(value: TensorValue, start: number, end: number): TensorValue {
  const width = sampleElements(value);
  return {
    dtype: value.dtype,
    shape: [end - start, ...value.shape.slice(1)],
    data: value.data.subarray(start * width, end * width),
  };
}

/** The samples at `indices`, copied, in that order. */
export function takeFromTensor(value: TensorValue, indices: ArrayLike<number>): TensorValue {
  const width = sampleElements(value);
  const data = emptyLike(value.data, indices.length * width);
  for (let row = 0; row < indices.length; row++) {
    const from = indices[row] * width;
    data.set(value.data.subarray(from, from + width) as never, row * width);
  }
  return { dtype: value.dtype, shape: [indices.length, ...value.shape.slice(1)], data };
}

function emptyLike(data: NumericArray, length: number): NumericArray {
  const Constructor = data.constructor as new (length: number) => NumericArray;
  return new Constructor(length);
}

function mapTensors(dataset: Dataset, name: string, sampleCount: number, change: (value: TensorValue) => TensorValue) {
  const parts: DatasetParts = {
    name,
    unnamed: dataset.unnamed,
    assumptions: dataset.assumptions,
    inputs: new Map([...dataset.inputs].map(([key, value]) => [key, change(value)])),
    ...(dataset.labels === undefined ? {} : { labels: change(dataset.labels) }),
    ...(dataset.targets === undefined ? {} : { targets: change(dataset.targets) }),
  };
  return build(parts, sampleCount);
}

/**
 * Samples `start … end − 1`, sharing memory with the whole.
 *
 * @throws LightfootError E_DATA when the range is empty or reaches outside
 */
export function sliceDataset(dataset: Dataset, start: number, end: number): Dataset {
  if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end && end <= dataset.sampleCount)) {
    throw new LightfootError("E_DATA", `'${dataset.name}' has samples 0…${dataset.sampleCount}, not ${start}…${end}`);
  }
  if (start === 0 && end === dataset.sampleCount) return dataset;
  return mapTensors(dataset, `${dataset.name}[${start}:${end}]`, end - start, (value) =>
    sliceTensor(value, start, end),
  );
}

/** The samples at `indices`, copied, in that order. @throws LightfootError E_DATA when an index is outside */
export function takeSamples(dataset: Dataset, indices: ArrayLike<number>, name = `${dataset.name}[…]`): Dataset {
  for (let at = 0; at < indices.length; at++) {
    const index = indices[at];
    if (!(Number.isInteger(index) && index >= 0 && index < dataset.sampleCount)) {
      throw new LightfootError("E_DATA", `'${dataset.name}' has samples 0…${dataset.sampleCount}, not ${index}`);
    }
  }
  if (indices.length === 0) throw new LightfootError("E_DATA", `no samples were chosen from '${dataset.name}'`);
  return mapTensors(dataset, name, indices.length, (value) => takeFromTensor(value, indices));
}

/**
 * Splits off `validation` samples at random; both parts keep the order of the whole.
 *
 * @throws LightfootError E_DATA unless both parts have at least one sample
 */
export function splitDataset(
  dataset: Dataset,
  options: { readonly validation: number; readonly seed: number },
): { readonly train: Dataset; readonly validation: Dataset } {
  const { validation, seed } = options;
  if (!Number.isInteger(validation) || validation < 1 || validation >= dataset.sampleCount) {
    throw new LightfootError(
      "E_DATA",
      `cannot split ${validation} validation samples off the ${dataset.sampleCount} of '${dataset.name}'`,
    );
  }
  const order = seededRandom(seed).fork("dataset-split").permutation(dataset.sampleCount);
  const held = order.slice(0, validation).sort();
  const kept = order.slice(validation).sort();
  return {
    train: takeSamples(dataset, kept, `${dataset.name} without ${validation} for validation (seed ${seed})`),
    validation: takeSamples(dataset, held, `${dataset.name}, ${validation} for validation (seed ${seed})`),
  };
}

/** What a data set's arrays are, for messages: `images [10000,28,28] uint8`. */
export function describeInputs(dataset: Dataset): string {
  return [...dataset.inputs]
    .map(([name, value]) => `'${name}' [${value.shape.join(",")}] ${value.dtype satisfies DType}`)
    .join(", ");
}
