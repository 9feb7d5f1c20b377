// Binds a data set to a model's inputs: names, types and shapes are checked once, then batches are cut; may depend on
// errors, quantity, model and its room.
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/index.ts";
import { convertsSilently, convertTensor } from "./convert-tensor.ts";
import { describeInputs, sliceTensor, takeFromTensor, type Dataset } from "./sample-set.ts";
import { describe, type SessionValue } from "./session.ts";

export interface BoundDataset {
  /**
   * How many samples one run takes: undefined when the model leaves the choice, 1 when it takes samples without a batch
   * axis, else the size that its first axis fixes.
   */
  readonly fixedBatch: number | undefined;
  /** True when samples go in one at a time without a batch axis; outputs then have none either. */
  readonly single: boolean;
  readonly assumptions: readonly Assumption[];
  /**
   * Feeds for samples `start … end − 1`. With a fixed batch, a short last batch is filled up by repeating its last
   * sample; `count` tells how many rows are real.
   */
  feeds(start: number, end: number): { readonly feeds: Record<string, TensorValue>; readonly count: number };
}

interface Binding {
  readonly input: SessionValue;
  readonly array: TensorValue;
  readonly arrayName: string;
}

/**
 * Fits the arrays of `dataset` to the inputs of a model.
 *
 * Arrays fit by name; one array and one input fit each other whatever they are called (recorded as an assumption unless
 * the source has no names). Float widths and integer widths convert; integers never become floats silently.
 * @throws LightfootError E_DATA that names both sides
 */
export function bindDataset(dataset: Dataset, inputs: readonly SessionValue[]): BoundDataset {
  const assumptions: Assumption[] = [];
  const bindings = pair(dataset, inputs, assumptions);
  for (const binding of bindings) requireType(binding, dataset);
  const single = bindings.some(({ input, array }) => isSampleWise(input, array));
  for (const binding of bindings) requireShape(binding, dataset, single);
  const fixedBatch = single ? 1 : commonBatch(bindings, dataset);
  return {
    fixedBatch,
    single,
    assumptions,
    feeds(start, end) {
      const count = end - start;
      const feeds = bindings.map(({ input, array, arrayName }): [string, TensorValue] => {
        const rows = rowsOf(array, start, end, fixedBatch ?? count);
        const converted = convertTensor(rows, input.dtype ?? rows.dtype, arrayName);
        const drop = single && isSampleWise(input, array);
        return [input.name, drop ? { ...converted, shape: converted.shape.slice(1) } : converted];
      });
      return { feeds: Object.fromEntries(feeds), count };
    },
  };
}

function rowsOf(array: TensorValue, start: number, end: number, rows: number): TensorValue {
  if (end - start === rows) return sliceTensor(array, start, end);
  return takeFromTensor(
    array,
    Array.from({ length: rows }, (_, row) => Math.min(start + row, end - 1)),
  );
}

function pair(dataset: Dataset, inputs: readonly SessionValue[], assumptions: Assumption[]): Binding[] {
  const [onlyInput] = inputs;
  const [onlyArray] = dataset.inputs;
  if (inputs.length === 1 && dataset.inputs.size === 1 && onlyInput !== undefined && onlyArray !== undefined) {
    const [arrayName, array] = onlyArray;
    if (arrayName !== onlyInput.name && !dataset.unnamed) {
      assumptions.push({
        key: "data.input-name",
        text: `The array '${arrayName}' was fed to the model's only input '${onlyInput.name}'.`,
      });
    }
    return [{ input: onlyInput, array, arrayName }];
  }
  const extra = [...dataset.inputs.keys()].filter((name) => !inputs.some((input) => input.name === name));
  const missing = inputs.filter((input) => !dataset.inputs.has(input.name));
  if (extra.length > 0 || missing.length > 0) {
    const wanted = inputs.map((input) => `'${input.name}' ${describe(input)}`).join(", ");
    throw new LightfootError(
      "E_DATA",
      `the model's inputs are ${wanted || "none"}; '${dataset.name}' has ${describeInputs(dataset)}`,
      { hint: "An .npz holds one array for each graph input, under the input's name." },
    );
  }
  return inputs.map((input) => ({
    input,
    array: dataset.inputs.get(input.name) as TensorValue,
    arrayName: input.name,
  }));
}

function requireType({ input, array, arrayName }: Binding, dataset: Dataset): void {
  if (input.dtype !== undefined && convertsSilently(array.dtype, input.dtype)) return;
  const hint =
    input.dtype === "float32"
      ? "Say how to turn it into floats: #dtype=float32 keeps the values, #scale=1/255 maps bytes to 0…1."
      : undefined;
  throw new LightfootError("E_DATA", `${sides(input, array, arrayName, dataset)}: the element types differ`, { hint });
}

/** One axis more than the input has: the array's first axis counts samples and the model takes one at a time. */
function isSampleWise(input: SessionValue, array: TensorValue): boolean {
  // An unknown rank looks like a scalar; only an array [N] can feed a real scalar.
  if (input.shape.length === 0) return array.shape.length === 1;
  return array.shape.length === input.shape.length + 1;
}

function requireShape({ input, array, arrayName }: Binding, dataset: Dataset, single: boolean): void {
  const unknownRank = input.shape.length === 0;
  const wanted = single && isSampleWise(input, array) ? input.shape : input.shape.slice(1);
  const sample = array.shape.slice(1);
  const fitting =
    unknownRank ||
    (wanted.length === sample.length && wanted.every((dim, axis) => typeof dim !== "number" || dim === sample[axis]));
  if (fitting) return;
  const batched = input.shape.slice(1);
  const hint =
    knownElements(batched) === knownElements(sample)
      ? `The elements would fit in another shape: add #shape=${batched.join("x")}.`
      : undefined;
  throw new LightfootError("E_DATA", sides(input, array, arrayName, dataset), { hint });
}

/** Elements of a shape, NaN (equal to nothing) when a dimension is free. */
const knownElements = (shape: SessionValue["shape"]): number =>
  shape.reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : Number.NaN), 1);

function commonBatch(bindings: readonly Binding[], dataset: Dataset): number | undefined {
  const sizes = new Set(bindings.map(({ input }) => input.shape[0]).filter((dim) => typeof dim === "number"));
  if (sizes.size > 1) {
    throw new LightfootError(
      "E_DATA",
      `the model's inputs fix different first axes (${[...sizes].join(", ")}), so they are no batch of samples`,
      { hint: `Give '${dataset.name}' arrays with one axis more: one whole input for each sample.` },
    );
  }
  return [...sizes][0];
}

function sides(input: SessionValue, array: TensorValue, arrayName: string, dataset: Dataset): string {
  return `the model's input '${input.name}' is ${describe(input)}, '${dataset.name}' has '${arrayName}' ${describe(array)}`;
}
