// Computes once what every run would compute from constants alone, where that takes no more room; may depend on model, runtime and draft.
import { model as modelOf, tensorInfo } from "../../model/build.ts";
import { byteLengthOf, type DType } from "../../model/dtype.ts";
import { subgraphsOf } from "../../model/attributes.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { typeIn, type ShapeInference } from "../../model/shapes/inference.ts";
import { memoryTensor, tensorByteLength } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { openSession } from "../../runtime/session.ts";
import type { GraphDraft } from "./draft.ts";

/** Not the same in each run, or (Q and DQ) worth more as they are: runtimes fuse them into integer kernels. */
const LEFT_ALONE = new Set(
  `Bernoulli DequantizeLinear Dropout DynamicQuantizeLinear Multinomial QuantizeLinear RandomNormal RandomNormalLike RandomUniform
   RandomUniformLike`.split(/\s+/),
);
/** Types that the engine's JavaScript binding takes and gives. */
const CARRIED: ReadonlySet<DType> = new Set([
  "float32",
  "float64",
  "float16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint8",
  "bool",
]);
/** All constants of one evaluation are in memory at once. */
const MOST_INPUT_BYTES = 2 ** 28;

/** What a tensor at least takes in the file, and a node: both from below for what goes, from above for what comes. */
const goingBytes = (name: string, bytes: number): number => bytes + name.length + 4;
const comingBytes = (name: string, bytes: number, rank: number): number => bytes + name.length + 24 + 10 * rank;
const nodeBytes = ({ inputs, outputs, name, opType }: Node): number =>
  [...inputs, ...outputs, opType].reduce((sum, text) => sum + text.length + 2, 2) + name.length;

interface Result {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Types of all outputs of a node that could be computed now; undefined for any other node. */
function resultsOf(draft: GraphDraft, node: Node, shapes: ShapeInference): Result[] | undefined {
  const isStandard = node.domain === "" || node.domain === "ai.onnx";
  if (!isStandard || LEFT_ALONE.has(node.opType) || subgraphsOf(node).length > 0) return undefined;
  const results: Result[] = [];
  for (const name of node.outputs.filter((output) => output !== "")) {
    const type = typeIn(shapes.root, name);
    if (type?.kind !== "tensor" || !CARRIED.has(type.dtype) || draft.isOutput(name)) return undefined;
    if (type.shape === undefined || !type.shape.every((size) => typeof size === "number")) return undefined;
    results.push({ name, dtype: type.dtype, shape: type.shape });
  }
  return results;
}

/** Nodes to compute now, in order, and the results that others will read. */
interface Plan {
  readonly nodes: readonly Node[];
  readonly results: readonly Result[];
  readonly constants: readonly TensorRef[];
}

/** One node after another: each is taken if what it gives takes no more room than what then is no longer read, or if it may. */
function planned(draft: GraphDraft, shapes: ShapeInference, mayGrow: boolean): Plan {
  const uses = draft.useCounts();
  const made = new Map<string, Result>();
  const constants = new Map<string, TensorRef>();
  const nodes: Node[] = [];
  let inputBytes = 0;
  const bytesOf = (result: Result) => byteLengthOf(result.dtype, elementCount(result.shape));
  for (const node of draft.nodes) {
    const read = [...new Set(node.inputs.filter((name) => name !== ""))];
    const stored = read.flatMap((name) => draft.initializer(name) ?? []);
    if (stored.length + read.filter((name) => made.has(name)).length !== read.length) continue;
    if (stored.some(({ dtype }) => !CARRIED.has(dtype))) continue;
    const results = resultsOf(draft, node, shapes);
    if (results === undefined) continue;
    const fresh = stored
      .filter(({ name }) => !constants.has(name))
      .reduce((sum, tensor) => sum + tensorByteLength(tensor), 0);
    const coming = results
      .filter(({ name }) => uses.has(name))
      .reduce((sum, result) => sum + comingBytes(result.name, bytesOf(result), result.shape.length), 0);
    let going = nodeBytes(node);
    for (const name of read) {
      const readHere = node.inputs.filter((input) => input === name).length;
      const result = made.get(name);
      const bytes = result === undefined ? tensorByteLength(draft.initializer(name)!) : bytesOf(result);
      if (uses.get(name) === readHere) going += goingBytes(name, bytes);
    }
    if ((coming > going && !mayGrow) || inputBytes + fresh > MOST_INPUT_BYTES) continue;
    inputBytes += fresh;
    for (const tensor of stored) constants.set(tensor.name, tensor);
    for (const input of node.inputs) uses.set(input, (uses.get(input) ?? 0) - 1);
    for (const result of results) made.set(result.name, result);
    nodes.push(node);
  }
  const results = [...made.values()].filter(({ name }) => (uses.get(name) ?? 0) > 0);
  return { nodes, results, constants: [...constants.values()] };
}

/**
 * Replaces operators with constant inputs by their results, computed by the engine itself without any optimization: the same bits that
 * it would compute in each run. The file never grows unless it may: what a result takes is at most what it makes superfluous.
 *
 * @param options.mayGrow also where results take more room, such as weights stored packed
 * @returns how many operators were computed
 * @throws LightfootError E_RUNTIME when the engine refuses one of them
 */
export async function foldConstants(
  draft: GraphDraft,
  shapes: ShapeInference,
  { mayGrow = false }: { readonly mayGrow?: boolean } = {},
): Promise<number> {
  const { nodes, results, constants } = planned(draft, shapes, mayGrow);
  if (nodes.length === 0) return 0;
  if (results.length > 0) {
    const outputs = results.map(({ name, dtype, shape }) => tensorInfo(name, dtype, shape));
    const { opsets } = draft.model;
    const part = modelOf({ nodes, initializers: constants, outputs }, Object.fromEntries(opsets));
    const session = await openSession(await serializeOnnx(part), { threads: 1, graphOptimization: "disabled" });
    try {
      const values = await session.run(
        {},
        results.map(({ name }) => name),
      );
      for (const { name } of results) draft.setInitializer(memoryTensor(name, values[name]));
    } finally {
      await session.close();
    }
  }
  const gone = new Set(nodes);
  draft.nodes = draft.nodes.filter((node) => !gone.has(node));
  return nodes.length;
}
