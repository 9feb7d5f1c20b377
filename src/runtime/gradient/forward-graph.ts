// The forward graph of a model made ready for differentiation: canonical nodes, and every value's shape at a fixed
// batch, found by running the graph once; may depend on model and runtime/session.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { tensorAttribute } from "../../model/attributes.ts";
import { DTYPES, isFloat, type DType } from "../../model/dtype.ts";
import { tensorInfo } from "../../model/build.ts";
import type { Graph, ModelGraph, Node, TensorRef, ValueInfo } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { readFloats, readTensor } from "../../model/tensor-data.ts";
import { elementCount, type NumericArray, type TensorValue } from "../../model/tensor-value.ts";
import { openSession, type SessionValue } from "../session.ts";
import { toCanonicalForm } from "./canonical-form.ts";
import type { StaticValues } from "./differentiate.ts";
import { Emitter, TRAINING_OPSET } from "./emitter.ts";
import { chooseTrainable } from "./trainable.ts";

/** Element type and full shape (batch first) that an input is fed with. */
export interface InputSpec {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface ForwardGraph {
  readonly model: ModelGraph;
  /** In the form of `opset`, in topological order. */
  readonly nodes: readonly Node[];
  /** Initializers and the tensors of `Constant` nodes, under the value names that the nodes read. */
  readonly initializers: ReadonlyMap<string, TensorRef>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly string[];
  readonly opset: number;
  readonly values: StaticValues;
  /** Names in `initializers` that are to be trained. */
  readonly trainable: ReadonlySet<string>;
}

/** Values that are constants of interest to rules (axes, pads, shapes) are small. */
const CONSTANT_ELEMENTS_LIMIT = 65_536;

const NON_DETERMINISTIC = new Set([
  "RandomNormal",
  "RandomUniform",
  "RandomNormalLike",
  "RandomUniformLike",
  "Multinomial",
  "Bernoulli",
]);

/**
 * Reads a model as a differentiable forward graph for inputs of exactly these shapes.
 *
 * Shapes come from one run in ONNX Runtime with every intermediate value as an output: what the engine really makes,
 * including chains of Shape, Gather and Concat, whose values are taken from the same run.
 * @param trainableNames patterns as for `chooseTrainable`, or the exact set of names
 * @throws LightfootError E_DATA when an input is not described, E_OPERATOR, E_RUNTIME
 */
export async function forwardGraph(
  model: ModelGraph,
  inputSpecs: Readonly<Record<string, InputSpec>>,
  trainableNames: readonly string[] | ReadonlySet<string> = [],
): Promise<ForwardGraph> {
  const { graph } = model;
  const modelOpset = model.opsets.get("") ?? model.opsets.get("ai.onnx") ?? 1;
  const emit = new Emitter("canonical/");
  const constants = graph.nodes.flatMap((node) => hoistedConstant(node));
  const hoisted = new Set(constants.map((tensor) => tensor.name));
  const kept = graph.nodes.filter((node) => !(node.opType === "Constant" && hoisted.has(node.outputs[0])));
  const nodes = toCanonicalForm(kept, modelOpset, emit);
  const initializers = new Map([
    ...graph.initializers,
    ...constants.map((tensor) => [tensor.name, tensor] as const),
    ...emit.initializers,
  ]);
  const declared = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  const inputs = declared.map((input) => tensorInfoOf(input, inputSpecs));
  const outputs = graph.outputs.map((output) => output.name);
  const opset = Math.max(TRAINING_OPSET, modelOpset);
  const trainable =
    trainableNames instanceof Set
      ? (trainableNames as ReadonlySet<string>)
      : await chooseTrainable(nodes, initializers, [...trainableNames]);
  const forward = { model, nodes, initializers, inputs, outputs, opset, trainable };
  return { ...forward, values: await traceValues(forward, inputSpecs) };
}

/** The input with its free dimensions filled in, so that the engine knows every size beforehand. */
function tensorInfoOf(input: ValueInfo, inputSpecs: Readonly<Record<string, InputSpec>>): ValueInfo {
  const spec = inputSpecs[input.name];
  if (spec !== undefined) return tensorInfo(input.name, spec.dtype, spec.shape);
  const given = Object.keys(inputSpecs).join("', '");
  throw new LightfootError("E_DATA", `the model's input '${input.name}' is not in the data, which has '${given}'`, {
    hint: "Name the arrays of the data set like the inputs of the graph.",
  });
}

function hoistedConstant(node: Node): TensorRef[] {
  if (node.opType !== "Constant" || (node.domain !== "" && node.domain !== "ai.onnx")) return [];
  const tensor = tensorAttribute(node, "value");
  return tensor === undefined ? [] : [{ ...tensor, name: node.outputs[0] }];
}

/** The model that a forward graph and further nodes make up. */
export function assembleModel(forward: Pick<ForwardGraph, "model" | "opset">, graph: Graph): ModelGraph {
  const { model, opset } = forward;
  const domains = [...model.opsets].filter(([domain]) => domain !== "" && domain !== "ai.onnx");
  return {
    ...model,
    irVersion: Math.max(model.irVersion, 10),
    opsets: new Map([["", opset], ...domains]),
    graph,
  };
}

async function traceValues(
  forward: Omit<ForwardGraph, "values">,
  inputSpecs: Readonly<Record<string, InputSpec>>,
): Promise<StaticValues> {
  const feeds = Object.fromEntries(forward.inputs.map(({ name }) => [name, zeros(inputSpecs[name])]));
  const computed = forward.nodes.flatMap((node) => node.outputs).filter((name) => name !== "");
  const outputs: ValueInfo[] = computed.map((name) => ({ name, type: undefined }));
  const traced = assembleModel(forward, {
    ...forward.model.graph,
    nodes: forward.nodes,
    initializers: forward.initializers,
    inputs: forward.inputs,
    outputs,
    valueInfo: [],
  });
  const session = await openSession(await serializeOnnx(traced), {
    graphOptimization: "disabled",
    name: "forward graph",
  });
  try {
    const tensors = session.outputs.filter(({ dtype }) => dtype !== undefined);
    // The engine's binding cannot hand out packed integers; the shape that the engine infers has to do for them.
    const isPacked = ({ dtype }: SessionValue): boolean => DTYPES[dtype!].bits < 8;
    const fetched = tensors.filter((tensor) => !isPacked(tensor)).map(({ name }) => name);
    const values = await staticValues(forward, { ...feeds, ...(await session.run(feeds, fetched)) });
    const isKnown = ({ shape }: SessionValue): boolean => shape.every((size) => typeof size === "number");
    const packed = tensors.filter((tensor) => isPacked(tensor) && isKnown(tensor));
    return {
      ...values,
      shapes: new Map([...values.shapes, ...packed.map(({ name, shape }) => [name, shape as number[]] as const)]),
      dtypes: new Map([...values.dtypes, ...packed.map(({ name, dtype }) => [name, dtype!] as const)]),
    };
  } catch (thrown) {
    throw batchRefused(thrown, inputSpecs);
  } finally {
    await session.close();
  }
}

/** A graph with a batch size baked into its reshapes fails here, in the engine's words; say what to do about it. */
function batchRefused(thrown: unknown, inputSpecs: Readonly<Record<string, InputSpec>>): unknown {
  if (!(thrown instanceof LightfootError) || thrown.code !== "E_RUNTIME") return thrown;
  const shapes = Object.entries(inputSpecs).map(([name, { shape }]) => `${name} [${shape.join(", ")}]`);
  return new LightfootError("E_RUNTIME", `the model does not run with ${shapes.join(", ")}: ${thrown.message}`, {
    hint: "If the file was exported for one batch size only, export it with a dynamic batch axis or train with that batch size.",
    cause: thrown,
  });
}

function zeros({ dtype, shape }: InputSpec): TensorValue {
  const count = elementCount(shape);
  const arrays: Partial<Record<DType, () => NumericArray>> = {
    float64: () => new Float64Array(count),
    int64: () => new BigInt64Array(count),
    uint64: () => new BigUint64Array(count),
    int32: () => new Int32Array(count),
    uint32: () => new Uint32Array(count),
    int16: () => new Int16Array(count),
    uint16: () => new Uint16Array(count),
    float16: () => new Uint16Array(count),
    bfloat16: () => new Uint16Array(count),
    int8: () => new Int8Array(count),
    uint8: () => new Uint8Array(count),
    bool: () => new Uint8Array(count),
  };
  return { dtype, shape, data: arrays[dtype]?.() ?? new Float32Array(count) };
}

/** Shapes and types of all values, and the content of those that neither data nor a trainable tensor can change. */
async function staticValues(
  forward: Omit<ForwardGraph, "values">,
  results: Readonly<Record<string, TensorValue>>,
): Promise<StaticValues> {
  const shapes = new Map<string, readonly number[]>();
  const dtypes = new Map<string, DType>();
  const constants = await knownInitializers(forward.initializers);
  for (const [name, tensor] of forward.initializers) {
    shapes.set(name, tensor.shape);
    dtypes.set(name, tensor.dtype);
  }
  for (const [name, value] of Object.entries(results)) {
    shapes.set(name, value.shape);
    dtypes.set(name, value.dtype);
  }
  const fixed = new Set([...forward.initializers.keys()].filter((name) => !forward.trainable.has(name)));
  for (const node of forward.nodes) {
    if (NON_DETERMINISTIC.has(node.opType)) continue;
    const hasSubgraph = [...node.attributes.values()].some(({ type }) => type === "graph" || type === "graphs");
    const inputsFixed = node.inputs.every((input) => input === "" || fixed.has(input));
    if (node.opType !== "Shape" && node.opType !== "Size" && (!inputsFixed || hasSubgraph)) continue;
    for (const output of node.outputs) {
      fixed.add(output);
      const value = results[output];
      if (value === undefined || value.data.length > CONSTANT_ELEMENTS_LIMIT) continue;
      constants.set(output, Array.from(value.data as ArrayLike<number | bigint>, clampedNumber));
    }
  }
  return { shapes, dtypes, constants };
}

/** INT64_MAX, the usual "to the end", has no exact double: clamp it, so that arithmetic on it keeps its sense. */
const clampedNumber = (value: number | bigint): number =>
  Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));

/** Integer initializers are the axes, pads and shapes that rules ask for; single floats are ratios and bounds. */
async function knownInitializers(initializers: ForwardGraph["initializers"]): Promise<Map<string, readonly number[]>> {
  const known = new Map<string, readonly number[]>();
  for (const [name, tensor] of initializers) {
    const { dtype, shape } = tensor;
    const count = elementCount(shape);
    if ((dtype === "int64" || dtype === "int32") && count <= CONSTANT_ELEMENTS_LIMIT) {
      const { data } = await readTensor(tensor);
      known.set(name, Array.from(data as ArrayLike<number | bigint>, clampedNumber));
    } else if (isFloat(dtype) && count === 1) {
      known.set(name, [...(await readFloats(tensor))]);
    }
  }
  return known;
}
