// In what precision a model's multiply-adds really run, read from the graph as ONNX Runtime will execute it; may depend on
// io, model, cost and its room.
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { analyze } from "../cost/analyze.ts";
import { intAttribute } from "../model/attributes.ts";
import type { Graph, ModelGraph } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { nodePath } from "../model/shapes/inference.ts";
import { graphsOf, nodesOf, tensorsOf } from "../model/tensors.ts";
import { openSession } from "./session.ts";

export interface ExecutedPrecision {
  /** Shares of the multiply-adds of one run, 0 … 1; together 1 unless there are none. */
  readonly int8Share: number;
  /** Kernels that read weights of 4 bits or fewer and multiply in integers. */
  readonly int4Share: number;
  readonly floatShare: number;
  /** QuantizeLinear and DequantizeLinear nodes that no kernel absorbed, those at the graph's borders included. */
  readonly leftoverQuantizeNodes: number;
  /** Operators of the optimized graph whose multiply-adds are not known and therefore not in the shares. */
  readonly unknownOperators: readonly string[];
}

const INT8_OPERATORS: ReadonlySet<string> = new Set([
  "ConvInteger",
  "DynamicQuantizeLSTM",
  "DynamicQuantizeMatMul",
  "MatMulInteger",
  "MatMulIntegerToFloat",
  "NhwcQLinearConv",
  "QAttention",
  "QGemm",
  "QLinearConv",
  "QLinearMatMul",
]);

const QUANTIZE_OPERATORS: ReadonlySet<string> = new Set(["QuantizeLinear", "DequantizeLinear"]);

/** `accuracy_level` at which MatMulNBits quantizes activations and multiplies integers; below, weights become floats first. */
const INTEGER_ACCURACY_LEVEL = 4;

/**
 * Opens the model, lets ONNX Runtime write its optimized graph, and sums that graph's multiply-adds by precision.
 *
 * A file that is called int8 may run in float: patterns that do not fuse leave DequantizeLinear before float kernels.
 * @param options.inputs concrete shapes of inputs; open dimensions are 1 otherwise
 * @throws LightfootError E_RUNTIME when the engine refuses the model
 * @example (await executedPrecision("int8.onnx")).int8Share
 */
export async function executedPrecision(
  model: string | Uint8Array,
  options: { readonly inputs?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<ExecutedPrecision> {
  return withExecutedGraph(model, (executed) => precisionOf(executed, options.inputs));
}

/**
 * Keeps a model beyond 2 GiB writable: its weights go beside it. ONNX Runtime 1.30 then writes the constants of subgraphs twice, which
 * no reader takes, so smaller models go without.
 */
const WEIGHTS_BESIDE = {
  optimized_model_external_initializers_file_name: "weights.bin",
  optimized_model_external_initializers_min_size_in_bytes: "65536",
};
/** Folded constants may make the written file larger than the model. */
const LARGE_BYTES = 2 ** 29;

async function isLarge(model: string | Uint8Array): Promise<boolean> {
  if (typeof model !== "string") return model.byteLength > LARGE_BYTES;
  if ((await stat(model).catch(() => undefined))?.isFile() !== true) return false; // the engine says what is wrong
  const sizes = [...tensorsOf(await readOnnx(model))].map(({ data }) => (data.kind === "file" ? data.byteLength : 0));
  return sizes.reduce((sum, size) => sum + size, 0) > LARGE_BYTES;
}

/**
 * Gives `use` the graph that ONNX Runtime makes of a model, fused and with its own operators. The graph's weights lie in files
 * that are gone afterwards.
 * @throws LightfootError E_RUNTIME when the engine refuses the model
 */
export async function withExecutedGraph<T>(
  model: string | Uint8Array,
  use: (executed: ModelGraph) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "lightfoot-optimized-"));
  try {
    const optimizedModelPath = join(folder, "optimized.onnx");
    const session = await openSession(model, {
      optimizedModelPath,
      // All fusions that change arithmetic happen here; the level above only rearranges memory, and its private layout
      // operators would hide the work from the count.
      graphOptimization: "extended",
      extra: { session: (await isLarge(model)) ? WEIGHTS_BESIDE : {} },
    });
    await session.close();
    return await use(await readOnnx(optimizedModelPath));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The shares of a graph that `withExecutedGraph` gave. */
export async function precisionOf(
  model: ModelGraph,
  inputs: Readonly<Record<string, readonly number[]>> | undefined,
): Promise<ExecutedPrecision> {
  const report = await analyze(model, { inputs });
  const packed = packedBits(model.graph);
  const macs = { int8: 0, int4: 0, float: 0 };
  for (const node of report.byNode) {
    const opType = node.opType.split(":").at(-1) ?? "";
    macs[precisionOfNode(opType, packedAt(node.path, packed))] += node.macs ?? 0;
  }
  const total = macs.int8 + macs.int4 + macs.float;
  const share = (part: number): number => (total === 0 ? 0 : part / total);
  const leftover = [...nodesOf(model)].filter(({ opType }) => QUANTIZE_OPERATORS.has(opType));
  return {
    int8Share: share(macs.int8),
    int4Share: share(macs.int4),
    floatShare: share(macs.float),
    leftoverQuantizeNodes: leftover.length,
    unknownOperators: [...new Set(report.coverage.unknown.map(({ opType }) => opType))],
  };
}

/**
 * The entry of `packed` for a node's path: names of exported files hold slashes themselves, and in a subgraph the path begins with
 * where that stands. The longest end that names a node is its own.
 */
function packedAt(path: string, packed: ReadonlyMap<string, number>): number | undefined {
  for (let at = 0; ; at = path.indexOf("/", at) + 1) {
    const found = packed.get(path.slice(at));
    if (found !== undefined || !path.includes("/", at)) return found;
  }
}

/** Weight bits of MatMulNBits nodes that multiply in integers, by their path without that of the subgraph that they stand in. */
function packedBits(root: Graph): ReadonlyMap<string, number> {
  const bits = new Map<string, number>();
  for (const { nodes } of graphsOf(root)) {
    for (const [index, node] of nodes.entries()) {
      const isInteger =
        node.opType === "MatMulNBits" && intAttribute(node, "accuracy_level", 0) === INTEGER_ACCURACY_LEVEL;
      if (isInteger) bits.set(nodePath("", node, index), intAttribute(node, "bits", 4));
    }
  }
  return bits;
}

function precisionOfNode(opType: string, packed: number | undefined): "int8" | "int4" | "float" {
  if (opType === "MatMulNBits" && packed !== undefined) return packed <= 4 ? "int4" : "int8";
  return INT8_OPERATORS.has(opType) ? "int8" : "float";
}
