// Finds constants that are stored twice, as they are or transposed, and keeps one of each; may depend on io, model and draft.
import { createHash } from "node:crypto";
import { int, intAttribute, ints } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import { DTYPES } from "../../model/dtype.ts";
import type { TensorRef } from "../../model/graph.ts";
import { OpenFiles } from "../../io/file-range.ts";
import { readTensorBytes, readTensorChunks, tensorByteLength } from "../../model/tensor-data.ts";
import type { GraphDraft } from "./draft.ts";

/** Below this a shared constant saves next to nothing, and steps that change one layer's weights would have to part it again. */
const WORTH_SHARING_BYTES = 1024;

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

/** Elements of `[rows, columns]` in the order of its transpose. */
function transposedBytes(bytes: Uint8Array, rows: number, columns: number, width: number): Uint8Array {
  const result = new Uint8Array(bytes.byteLength);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * width;
      const to = (column * rows + row) * width;
      for (let at = 0; at < width; at++) result[to + at] = bytes[from + at];
    }
  }
  return result;
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
 * One matrix at a time is in memory.
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
      const byDigest = new Map<string, TensorRef>();
      for (const tensor of alike) byDigest.set(await digestOf(tensor, files), tensor);
      for (const tensor of alike) {
        const [rows, columns] = tensor.shape as [number, number];
        const flipped = transposedBytes(
          await readTensorBytes(tensor, files),
          rows,
          columns,
          DTYPES[tensor.dtype].bits / 8,
        );
        const partner = byDigest.get(createHash("sha256").update(flipped).digest("hex"));
        const isPair = partner?.shape[0] === columns && partner.shape[1] === rows;
        if (!isPair || partner === tensor || !byDigest.delete(await digestOf(tensor, files)) || !mayGo(tensor))
          continue;
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
