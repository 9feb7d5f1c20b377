// Embedding tables in blocks of 4 or 8 bits, of which only the rows that are looked up become floats; may depend on model, rewrite
// and quantize.
import { int, intAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { elementCount, int64Tensor } from "../../model/tensor-value.ts";
import type { TaskRunner } from "../../runtime/task-runner.ts";
import { blockShapes, type BlockOptions } from "../quantize/blockwise.ts";
import { nearestBlocks, WORTH_THREADS_BYTES } from "../quantize/stored-blocks.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { findLinearLayers, isDense, type DenseLayer } from "../rewrite/linear.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

const CONTRIB = "com.microsoft";

export interface EmbeddingOptions extends BlockOptions {
  readonly bits: 4 | 8;
}

/** A table `[rows, columns]` that is only looked up, and multiplied with where an output layer is tied to it. */
interface Table {
  readonly tensor: TensorRef;
  readonly gathers: readonly Node[];
  readonly tied: readonly DenseLayer[];
}

function findTables(draft: GraphDraft): Table[] {
  const uses = draft.useCounts();
  const byTable = new Map<string, Node[]>();
  for (const node of draft.nodes) {
    if (node.opType !== "Gather" || node.domain !== "" || intAttribute(node, "axis", 0) !== 0) continue;
    const tensor = draft.initializer(node.inputs[0]);
    if (tensor?.dtype !== "float32" || tensor.shape.length !== 2) continue;
    byTable.set(tensor.name, [...(byTable.get(tensor.name) ?? []), node]);
  }
  const layers = findLinearLayers(draft).filter(isDense);
  return [...byTable].flatMap(([name, gathers]): Table[] => {
    const tied = layers.filter(({ weight, transposedWeight, transposedInput, alpha, bias }) => {
      // Rows of the table are columns of the product, as MatMulNBits stores them.
      return weight.name === name && transposedWeight && !transposedInput && alpha === 1 && bias === undefined;
    });
    // For any other reader the float table would have to stay beside its blocks.
    return uses.get(name) === gathers.length + tied.length ? [{ tensor: draft.initializer(name)!, gathers, tied }] : [];
  });
}

/** Bytes of the float32 tables that blocks of `blockSize` can store, each counted once. */
export const tableBytes = (model: ModelGraph, blockSize: number): number =>
  bytesOf(inBlocks(findTables(new GraphDraft(model)), blockSize));

const inBlocks = (tables: readonly Table[], blockSize: number): Table[] =>
  tables.filter(({ tensor }) => tensor.shape[1] % blockSize === 0);

const bytesOf = (tables: readonly Table[]): number =>
  tables.reduce((sum, { tensor }) => sum + 4 * elementCount(tensor.shape), 0);

function replaceTable(
  draft: GraphDraft,
  { tensor, gathers, tied }: Table,
  options: EmbeddingOptions,
  runner: TaskRunner | undefined,
): void {
  const [rows, columns] = tensor.shape as [number, number];
  const { bits, blockSize, symmetric } = options;
  const task = { matrix: { weight: tensor, transposedWeight: true, alpha: 1, k: columns, n: rows }, options };
  const blocks = nearestBlocks(task, { parts: symmetric ? 2 : 3, keep: false, runner });
  const shapes = blockShapes(columns, rows, options);
  const byte = (shape: readonly number[]) => ({ dtype: "uint8" as const, shape });
  const packed = draft.computed(`${tensor.name}_q`, byte([rows, (columns * bits) / 8]), async () => {
    return (await blocks.take("weight")).packed;
  });
  const scales = draft.computed(`${tensor.name}_s`, { dtype: "float32", shape: shapes.scales }, async () => {
    return (await blocks.take("scales")).scales;
  });
  const zeros = symmetric
    ? []
    : [
        draft.computed(`${tensor.name}_z`, byte(shapes.zeroPoints), async () => {
          return (await blocks.take("zeroPoints")).zeroPoints!;
        }),
      ];
  const lookUp = { bits: int(bits), block_size: int(blockSize), gather_axis: int(0), quantize_axis: int(1) };
  for (const gather of gathers) {
    const inputs = [packed, gather.inputs[1], scales, ...zeros];
    draft.replaceAll([gather], [operator("GatherBlockQuantized", inputs, gather.outputs, lookUp, { domain: CONTRIB })]);
  }
  if (tied.length === 0) return;
  // The same bytes in the product's shape: the file holds them once.
  const shape = draft.constant(`${tensor.name}_shape`, int64Tensor([3], shapes.weight));
  const product = {
    K: int(columns),
    N: int(rows),
    bits: int(bits),
    block_size: int(blockSize),
    accuracy_level: int(4),
  };
  for (const layer of tied) {
    const weight = draft.fresh(`${tensor.name}_tied`);
    draft.replaceAll(layer.nodes, [
      operator("Reshape", [packed, shape], [weight]),
      operator("MatMulNBits", [layer.input, weight, scales, ...zeros], [layer.output], product, { domain: CONTRIB }),
    ]);
  }
}

/**
 * Replaces lookups in float32 tables by ONNX Runtime's `GatherBlockQuantized`: a row's columns share a scale block by block, and
 * only the rows asked for are made floats. An output layer tied to the table (Gemm with transB) reads the same bytes through
 * `MatMulNBits`, so that the file holds them once; in memory the engine makes a copy of its own.
 *
 * Tables whose width is not a multiple of the block, or that something else reads too, stay as they are.
 */
export async function embeddingBlocks(
  model: ModelGraph,
  options: EmbeddingOptions,
  { runner }: Pick<TechniqueContext, "runner">,
): Promise<TechniqueResult> {
  const draft = new GraphDraft(model);
  const tables = inBlocks(findTables(draft), options.blockSize);
  if (tables.length === 0) {
    return refused(`no float32 table that is only looked up and whose width is a multiple of ${options.blockSize}`);
  }
  const pool = bytesOf(tables) < WORTH_THREADS_BYTES ? undefined : runner;
  for (const table of tables) replaceTable(draft, table, options, pool);
  draft.requireOpset(CONTRIB, 1);
  const tied = tables.reduce((count, table) => count + table.tied.length, 0);
  return made(draft.finish(), tied === 0 ? [] : [`${tied} output layers share the bytes of their embedding table`]);
}
