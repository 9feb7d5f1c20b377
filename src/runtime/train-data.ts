// Training data fitted to a graph: checked arrays, the seeded order of samples, and batches cut into reused buffers; may
// depend on errors, statistics, model and its room.
import { LightfootError } from "../errors/index.ts";
import type { DType } from "../model/dtype.ts";
import type { ModelGraph, ValueInfo } from "../model/graph.ts";
import { elementCount, type NumericArray, type TensorValue } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/random.ts";
import { bindDataset } from "./bind-dataset.ts";
import { convertTensor } from "./convert-tensor.ts";
import { LOSS_INPUTS, type LossOptions, type TargetKind } from "./gradient/losses.ts";
import type { InputSpec } from "./gradient/forward-graph.ts";
import type { Dataset } from "./sample-set.ts";
import type { TrainingData } from "./train-options.ts";
import type { SessionValue } from "./session.ts";

/** Whole arrays `[N, …]` by the name of the step input they feed. */
export type StepArrays = ReadonlyMap<string, TensorValue>;

const declaredInputs = ({ graph }: ModelGraph): SessionValue[] =>
  graph.inputs
    .filter(({ name }) => !graph.initializers.has(name))
    .map(({ name, type }) => ({
      name,
      dtype: type?.kind === "tensor" ? type.dtype : undefined,
      // The first axis is the batch, which training chooses itself.
      shape: type?.kind === "tensor" ? (type.shape ?? []).map((dim, axis) => (axis === 0 ? null : dim)) : [],
    }));

/** The data's arrays under the names and types of the model's inputs. @throws LightfootError E_DATA */
export function modelArrays(model: ModelGraph, data: TrainingData): Map<string, TensorValue> {
  const inputs = declaredInputs(model);
  bindDataset(data as Dataset, inputs); // for its checks of names, types and shapes
  return new Map(
    inputs.map(({ name, dtype }) => {
      const array = inputs.length === 1 ? [...data.inputs.values()][0] : data.inputs.get(name)!;
      return [name, convertTensor(array, dtype ?? array.dtype, name)];
    }),
  );
}

/** Type and shape of each input at a batch size. */
export function inputSpecs(arrays: StepArrays, batch: number): Record<string, InputSpec> {
  return Object.fromEntries(
    [...arrays].map(([name, { dtype, shape }]) => [name, { dtype, shape: [batch, ...shape.slice(1)] }]),
  );
}

/** Whether the loss needs what the data set calls labels or what it calls targets. @throws LightfootError E_DATA when neither fits */
export function targetKind(loss: LossOptions, data: TrainingData): TargetKind {
  const isPureDistillation = loss.kind === "kl" && (loss.alpha ?? 1) === 1;
  if (isPureDistillation) return "labels";
  if (loss.kind !== "mse" && data.labels !== undefined) return "labels";
  if (data.targets !== undefined) return "values";
  const needed = loss.kind === "mse" ? "'targets'" : "'labels' or 'targets'";
  throw new LightfootError("E_DATA", `the loss ${loss.kind} needs ${needed}, and '${data.name}' has none`, {
    hint: `Add an array named ${needed} with one row per sample.`,
  });
}

/** The arrays that a loss's inputs are fed from. @throws LightfootError E_DATA when shapes or class numbers do not fit */
export function lossArrays(
  lossInputs: readonly ValueInfo[],
  data: TrainingData,
  teacherScores: TensorValue | undefined,
  classes: number,
): Map<string, TensorValue> {
  const arrays = new Map<string, TensorValue>();
  for (const { name, type } of lossInputs) {
    const shape = type?.kind === "tensor" ? ((type.shape ?? []) as readonly number[]) : [];
    if (name === LOSS_INPUTS.teacher && teacherScores !== undefined) {
      arrays.set(name, withShape(teacherScores, shape, `the teacher's scores on '${data.name}'`));
    } else if (name === LOSS_INPUTS.labels && data.labels !== undefined) {
      const labels = convertTensor(data.labels, "int64", "labels");
      requireClasses(labels, classes, data.name);
      arrays.set(name, withShape(labels, shape, `the labels of '${data.name}'`));
    } else if (name === LOSS_INPUTS.targets && data.targets !== undefined) {
      const targets = convertTensor(data.targets, "float32", "targets");
      arrays.set(name, withShape(targets, shape, `the targets of '${data.name}'`));
    } else {
      throw new LightfootError("E_DATA", `the loss needs ${name.replace("loss/", "")}, and '${data.name}' has none`);
    }
  }
  return arrays;
}

/** The array seen with the graph's shape beyond the first axis, when it has as many elements: `[N]` fits `[N, 1]`. */
function withShape(array: TensorValue, batchShape: readonly number[], what: string): TensorValue {
  const wanted = batchShape.slice(1);
  const found = array.shape.slice(1);
  if (elementCount(wanted) !== elementCount(found)) {
    throw new LightfootError(
      "E_DATA",
      `${what} are [N, ${found.join(", ")}], the loss expects [N, ${wanted.join(", ")}]`,
    );
  }
  return { ...array, shape: [array.shape[0], ...wanted] };
}

/** OneHot answers a label beyond the last class with an empty row, which would train towards nothing in silence. */
function requireClasses(labels: TensorValue, classes: number, name: string): void {
  const limit = BigInt(classes);
  const wrong = (labels.data as BigInt64Array).find((label) => label < 0n || label >= limit);
  if (wrong === undefined) return;
  throw new LightfootError("E_DATA", `'${name}' has the label ${wrong}, the model gives scores for 0 … ${classes - 1}`);
}

/** The order of the samples in an epoch: a function of seed and epoch alone, so that a resumed run needs no more state. */
export function epochOrder(seed: number, epoch: number, sampleCount: number): Uint32Array {
  return seededRandom(seed).fork("order").fork(`epoch ${epoch}`).permutation(sampleCount);
}

const ARRAYS: Partial<Record<DType, (length: number) => NumericArray>> = {
  float64: (length) => new Float64Array(length),
  int64: (length) => new BigInt64Array(length),
  uint64: (length) => new BigUint64Array(length),
  int32: (length) => new Int32Array(length),
  uint32: (length) => new Uint32Array(length),
  int16: (length) => new Int16Array(length),
  uint16: (length) => new Uint16Array(length),
  float16: (length) => new Uint16Array(length),
  bfloat16: (length) => new Uint16Array(length),
  int8: (length) => new Int8Array(length),
  uint8: (length) => new Uint8Array(length),
  bool: (length) => new Uint8Array(length),
};

/** A tensor of zeros. */
export function emptyTensor(dtype: DType, shape: readonly number[]): TensorValue {
  const length = elementCount(shape);
  return { dtype, shape, data: ARRAYS[dtype]?.(length) ?? new Float32Array(length) };
}

/** Copies the samples `order[start … start + rows)` into a batch buffer. */
export function fillBatch(
  target: TensorValue,
  source: TensorValue,
  order: Uint32Array | undefined,
  start: number,
): void {
  const rows = target.shape[0];
  const width = target.data.length / rows;
  if (order === undefined) {
    (target.data as Float32Array).set((source.data as Float32Array).subarray(start * width, (start + rows) * width));
    return;
  }
  for (let row = 0; row < rows; row++) {
    const from = order[start + row] * width;
    (target.data as Float32Array).set((source.data as Float32Array).subarray(from, from + width), row * width);
  }
}
