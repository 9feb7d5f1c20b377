// Finds constants that are stored twice, as they are or transposed, and keeps one of each; may depend on io, model and draft.
import { createHash } from "node:crypto";
import { int, intAttribute, ints } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import { DTYPES } from "../../model/dtype.ts";
import type { TensorRef } from "../../model/graph.ts";
import { OpenFiles } from "../../io/file-range.ts";
import { readTensorChunks, tensorByteLength } from "../../model/tensor-data.ts";
import type { GraphDraft } from "./draft.ts";

/** Below this a shared constant saves next to nothing, and steps that change one layer's weights would have to part it again. */
const WORTH_SHARING_BYTES = 1024;

/** Rows of one matrix that are held while the other is read. */
const STRIP_BYTES = 64 * 2 ** 20;

export interface Shared {
  /** Constants that were removed. */
  readonly count: number;
  /** Bytes of their elements. */
  readonly bytes: number;
}

const isWorthSharing = (tensor: TensorRef): boolean =>
  tensor.dtype !== "string" && tensorByteLength(tensor) >= WORTH_SHARING_BYTES;

function grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

async function digestOf(tensor: TensorRef, files: OpenFiles): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of readTensorChunks(tensor, files)) hash.update(chunk);
  return hash.digest("hex");
}

/** Constants that may go: nobody outside the main graph's nodes knows their names. */
function removable(draft: GraphDraft): (tensor: TensorRef) => boolean {
  const inside = draft.namesReadInside();
  return ({ name }) => !draft.isOutput(name) && !inside.has(name);
}

/**
 * Merges constants of equal type, shape and bytes. Exact. Reads only those that have a partner of the same type and shape, a few MiB
 * at a time.
 */
export async function mergeDuplicates(draft: GraphDraft): Promise<Shared> {
  const uses = draft.useCounts();
  const used = [...draft.constants.values()].filter((tensor) => uses.has(tensor.name) && isWorthSharing(tensor));
  const mayGo = removable(draft);
  const newNames = new Map<string, string>();
  let bytes = 0;
  const files = new OpenFiles();
  try {
    for (const alike of grouped(used, ({ dtype, shape }) => `${dtype} ${shape.join()}`)) {
      if (alike.length === 1) continue;
      const digests = new Map<TensorRef, string>();
      for (const tensor of alike) digests.set(tensor, await digestOf(tensor, files));
      for (const same of grouped(alike, (tensor) => digests.get(tensor)!)) {
        const kept = same.find((tensor) => !mayGo(tensor)) ?? same[0];
        for (const tensor of same) {
          if (tensor === kept || !mayGo(tensor)) continue;
          newNames.set(tensor.name, kept.name);
          bytes += tensorByteLength(tensor);
        }
      }
    }
  } finally {
    await files.close();
  }
  draft.rename((name) => newNames.get(name) ?? name);
  return { count: newNames.size, bytes };
}

const widthOf = (tensor: TensorRef): number => DTYPES[tensor.dtype].bits / 8;

/** What a matrix and its transpose share the other way round: digests of the first row and of the first column. */
async function edgesOf(tensor: TensorRef, files: OpenFiles): Promise<{ row: string; column: string }> {
  const width = widthOf(tensor);
  const rowBytes = tensor.shape[1] * width;
  const [row, column] = [createHash("sha256"), createHash("sha256")];
  let position = 0;
  for await (const chunk of readTensorChunks(tensor, files)) {
    if (position < rowBytes) row.update(chunk.subarray(0, rowBytes - position));
    const first = (rowBytes - (position % rowBytes)) % rowBytes;
    for (let at = first; at < chunk.byteLength; at += rowBytes) column.update(chunk.subarray(at, at + width));
    position += chunk.byteLength;
  }
  return { row: row.digest("hex"), column: column.digest("hex") };
}

/** Rows `first …` of a matrix as one strip against the same columns of another. */
async function stripEquals(strip: Uint8Array, first: number, count: number, other: TensorRef, files: OpenFiles) {
  const width = widthOf(other);
  const [rows, columns] = other.shape as [number, number];
  let element = 0;
  for await (const chunk of readTensorChunks(other, files)) {
    for (let at = 0; at < chunk.byteLength; at += width, element++) {
      const column = (element % columns) - first;
      if (column < 0 || column >= count) continue;
      const mirrored = (column * rows + Math.floor(element / columns)) * width;
      for (let byte = 0; byte < width; byte++) if (chunk[at + byte] !== strip[mirrored + byte]) return false;
    }
  }
  return true;
}

/** Compares by strips of rows: the other matrix is read once for each, and memory holds one. */
async function isTransposeOf(tensor: TensorRef, other: TensorRef, files: OpenFiles): Promise<boolean> {
  const [rows, columns] = tensor.shape as [number, number];
  const rowBytes = columns * widthOf(tensor);
  const height = Math.max(1, Math.floor(STRIP_BYTES / rowBytes));
  let strip = new Uint8Array(Math.min(height, rows) * rowBytes);
  let filled = 0;
  let first = 0;
  for await (const chunk of readTensorChunks(tensor, files)) {
    for (let at = 0; at < chunk.byteLength;) {
      const part = chunk.subarray(at, at + strip.byteLength - filled);
      strip.set(part, filled);
      filled += part.byteLength;
      at += part.byteLength;
      if (filled < strip.byteLength) continue;
      const count = filled / rowBytes;
      if (!(await stripEquals(strip, first, count, other, files))) return false;
      first += count;
      filled = 0;
      strip = strip.subarray(0, Math.min(height, rows - first) * rowBytes);
    }
  }
  return true;
}

/** Points the readers of `transposed` at `kept`: Gemm by its own flag, others through a Transpose that runtimes resolve at load. */
function tie(draft: GraphDraft, transposed: TensorRef, kept: TensorRef): void {
  draft.nodes = draft.nodes.map((node) => {
    if (node.opType !== "Gemm" || node.domain !== "" || node.inputs[1] !== transposed.name) return node;
    const flipped = int(intAttribute(node, "transB", 0) === 0 ? 1 : 0);
    const inputs = node.inputs.map((name, at) => (at === 1 ? kept.name : name));
    return { ...node, inputs, attributes: new Map([...node.attributes, ["transB", flipped]]) };
  });
  if (!draft.useCounts().has(transposed.name)) return;
  const upright = draft.fresh(`${transposed.name}_t`);
  draft.rename((name) => (name === transposed.name ? upright : name));
  draft.nodes = [operator("Transpose", [kept.name], [upright], { perm: ints([1, 0]) }), ...draft.nodes];
}

/**
 * Keeps one of two matrices that are each other's transpose, as exporters store an embedding and the output layer tied to it. Exact.
 * They are compared by strips of 64 MiB.
 */
export async function tieTransposes(draft: GraphDraft): Promise<Shared> {
  const uses = draft.useCounts();
  const matrices = [...draft.constants.values()].filter(
    ({ name, dtype, shape }) =>
      uses.has(name) && shape.length === 2 && Math.min(...shape) > 1 && DTYPES[dtype].bits % 8 === 0,
  );
  const mayGo = removable(draft);
  let count = 0;
  let bytes = 0;
  const files = new OpenFiles();
  try {
    for (const alike of grouped(
      matrices.filter(isWorthSharing),
      ({ dtype, shape }) => `${dtype} ${shape.toSorted((a, b) => a - b).join()}`,
    )) {
      if (alike.length === 1) continue;
      const byEdges = new Map<string, TensorRef>();
      const edges = new Map<TensorRef, { row: string; column: string }>();
      for (const tensor of alike) {
        const own = await edgesOf(tensor, files);
        edges.set(tensor, own);
        byEdges.set(`${own.row} ${own.column}`, tensor);
      }
      for (const tensor of alike) {
        const { row, column } = edges.get(tensor)!;
        const partner = byEdges.get(`${column} ${row}`);
        const isPair = partner?.shape[0] === tensor.shape[1] && partner.shape[1] === tensor.shape[0];
        if (!isPair || partner === tensor || !mayGo(tensor)) continue;
        if (!(await isTransposeOf(tensor, partner, files))) continue;
        byEdges.delete(`${row} ${column}`);
        tie(draft, tensor, partner);
        count += 1;
        bytes += tensorByteLength(tensor);
      }
    }
  } finally {
    await files.close();
  }
  return { count, bytes };
}
