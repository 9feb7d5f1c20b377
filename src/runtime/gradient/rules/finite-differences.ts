// A kit for tests: a gradient rule's result against central differences of the operator itself; may depend on model and runtime.
import { graph, model, node, tensorInfo } from "../../../model/build.ts";
import type { DType } from "../../../model/dtype.ts";
import type { Attribute, Node, TensorRef } from "../../../model/graph.ts";
import { serializeOnnx } from "../../../model/onnx/write.ts";
import { memoryTensor } from "../../../model/tensor-data.ts";
import { elementCount, int64Tensor, type TensorValue } from "../../../model/tensor-value.ts";
import { seededRandom, type Random } from "../../../statistics/random.ts";
import { openSession } from "../../session.ts";
import { differentiate } from "../differentiate.ts";
import { Emitter } from "../emitter.ts";
import { assembleModel, forwardGraph } from "../forward-graph.ts";
import { toTrainingForm } from "../training-form.ts";

/** How test values are drawn: away from kinks, from zero, and from each other. */
export type Draw = "any" | "positive" | "distinct";

export interface Case {
  readonly operator: string;
  readonly title: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly nodes: readonly Node[];
  readonly constants?: readonly TensorRef[];
  readonly draw?: Draw;
  readonly dtype?: "float32" | "float64";
  readonly opset?: number;
  readonly training?: boolean;
  /** Inputs that are fed and not differentiated. */
  readonly fixed?: readonly string[];
}

export const int64 = (name: string, values: number[], shape: number[] = [values.length]): TensorRef =>
  memoryTensor(name, int64Tensor(shape, values));

function drawValues(random: Random, count: number, draw: Draw): number[] {
  if (draw === "distinct") return [...random.permutation(count)].map((rank) => (rank - count / 2 + 0.3) * 0.17);
  return Array.from({ length: count }, () => {
    const size = 0.2 + 1.6 * random.next();
    return draw === "positive" || random.next() < 0.5 ? size : -size;
  });
}

export function tensor(dtype: DType, shape: readonly number[], values: readonly number[]): TensorValue {
  return { dtype, shape, data: dtype === "float64" ? Float64Array.from(values) : Float32Array.from(values) };
}

/** Largest |analytic − numeric| over all inputs, relative to the gradient's own size. */
export async function gradientError(sample: Case): Promise<number> {
  const dtype = sample.dtype ?? "float64";
  const random = seededRandom(11).fork(`${sample.operator}/${sample.title}`);
  const names = Object.keys(sample.inputs);
  const specs = Object.fromEntries(names.map((name) => [name, { dtype, shape: sample.inputs[name] }]));
  const source = model(
    {
      nodes: sample.nodes,
      initializers: sample.constants ?? [],
      inputs: names.map((name) => tensorInfo(name, dtype, sample.inputs[name])),
      outputs: [tensorInfo("y", dtype, undefined)],
    },
    sample.opset ?? 21,
  );
  const forward = await forwardGraph(source, specs, new Set<string>());
  const emit = new Emitter("g/", dtype);
  const nodes = sample.training
    ? toTrainingForm(forward.nodes, forward.values, new Map(names.map((name) => [name, 0])), emit, true).nodes
    : [...forward.nodes];
  const wanted = new Set(names.filter((name) => !sample.fixed?.includes(name)));
  const yShape = forward.values.shapes.get("y")!;
  const gradients = differentiate({
    forward: nodes,
    values: forward.values,
    seeds: new Map([["y", "dy"]]),
    wanted,
    emit,
  });
  if (gradients.size !== wanted.size) return Infinity;
  const initializers = new Map([...forward.initializers, ...emit.initializers]);
  const open = async (all: readonly Node[], inputs: readonly string[], outputs: readonly string[]) =>
    openSession(
      await serializeOnnx(
        assembleModel(
          forward,
          graph({
            nodes: all,
            initializers,
            inputs: inputs.map((name) => tensorInfo(name, dtype, name === "dy" ? yShape : sample.inputs[name])),
            outputs: outputs.map((name) => ({ name, type: undefined })),
          }),
        ),
      ),
      { threads: 1 },
    );
  const values = new Map(
    names.map((name) => [name, drawValues(random, elementCount(sample.inputs[name]), sample.draw ?? "any")]),
  );
  const cotangent = drawValues(random, elementCount(yShape), "any");
  const feeds = (): Record<string, TensorValue> =>
    Object.fromEntries(names.map((name) => [name, tensor(dtype, sample.inputs[name], values.get(name)!)]));

  const outputs = [...new Set(gradients.values())];
  const backward = await open([...nodes, ...emit.nodes], [...names, "dy"], outputs);
  const analytic = await backward.run({ ...feeds(), dy: tensor(dtype, yShape, cotangent) });
  await backward.close();
  const session = await open(nodes, names, ["y"]);
  const objective = async (): Promise<number> => {
    const { y } = await session.run(feeds());
    return cotangent.reduce((sum, weight, at) => sum + weight * Number(y.data[at]), 0);
  };
  const step = dtype === "float64" ? 1e-5 : 1e-2;
  let worst = 0;
  for (const [name, gradient] of gradients) {
    const found = analytic[gradient];
    if (found.shape.join(",") !== sample.inputs[name].join(",")) return Infinity;
    const at = values.get(name)!;
    for (let index = 0; index < at.length; index++) {
      const kept = at[index];
      at[index] = kept + step;
      const above = await objective();
      at[index] = kept - step;
      const below = await objective();
      at[index] = kept;
      const numeric = (above - below) / (2 * step);
      worst = Math.max(worst, Math.abs(numeric - Number(found.data[index])) / Math.max(1, Math.abs(numeric)));
    }
  }
  await session.close();
  return worst;
}

export type Options = Partial<Omit<Case, "operator" | "title" | "inputs" | "nodes">>;

/** One node whose differentiated inputs come first and whose constants follow. */
export function single(
  operator: string,
  title: string,
  shapes: readonly (readonly number[])[],
  attributes: Readonly<Record<string, Attribute>> = {},
  options: Options & { readonly after?: readonly string[] } = {},
): Case {
  const names = shapes.map((_, at) => `x${at}`);
  const inputs = Object.fromEntries(names.map((name, at) => [name, shapes[at]]));
  return {
    operator,
    title,
    inputs,
    nodes: [node(operator, [...names, ...(options.after ?? [])], ["y"], attributes)],
    ...options,
  };
}
