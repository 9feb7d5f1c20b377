// Chooses for each tensor the form that takes the fewest bytes, alone or in one row with others; may depend on this folder.
import { bitsFor, eliasFanoSize } from "./sparse-group.ts";
import { isNibbles } from "./shared-group.ts";
import type { WeightStatistics } from "./weight-statistics.ts";

/** How one tensor is stored. `sparse` and `shared` tensors lie in one row with the others of their kind. */
export type Form = "raw" | "half" | "indexed" | "sparse" | "shared";

export interface Weighed extends WeightStatistics {
  readonly name: string;
  readonly rank: number;
}

// Bytes that operators and headers take beside the elements, counted on written files.
const TENSOR_OVERHEAD = { raw: 0, half: 24, indexed: 62, sparse: 42, shared: 42 } as const;
const BLOB_OVERHEAD = 130;
const SPARSE_OVERHEAD = 290;
const SHARED_OVERHEAD = 90;

/** Expanding the blob takes eight bytes a bit while the model loads: 128 MiB. */
const BLOB_LIMIT_BITS = 2 ** 24;

const FORMS_ALONE = ["raw", "half", "indexed"] as const;

function aloneBytes({ count, patterns, half }: Weighed, form: Form, opset: number): number {
  if (form === "raw") return count * 4;
  if (form === "half") return half === undefined ? Infinity : count * 2 + TENSOR_OVERHEAD.half;
  if (patterns === undefined) return Infinity;
  const elements = isNibbles(patterns.size, opset) ? Math.ceil(count / 2) : count;
  return elements + 4 * patterns.size + TENSOR_OVERHEAD.indexed;
}

/** Bits and codebook of the tensors that lie in one row. */
function rowOf(tensors: readonly Weighed[], isSparse: boolean): { bits: number; codebookBytes: number } {
  const patterns = new Set<number>();
  for (const tensor of tensors) for (const pattern of tensor.patterns!.keys()) patterns.add(pattern);
  if (isSparse) patterns.delete(0);
  const width = bitsFor(patterns.size);
  const count = tensors.reduce((sum, tensor) => sum + tensor.count, 0);
  const survivors = tensors.reduce((sum, tensor) => sum + tensor.survivors, 0);
  if (patterns.size > 256) return { bits: Infinity, codebookBytes: Infinity };
  const bits = isSparse ? eliasFanoSize(survivors, count, width).totalBits : count * width;
  return { bits, codebookBytes: 4 * patterns.size };
}

/** Bytes of all tensors together under the given forms; infinite when one cannot be stored so. */
function plannedBytes(tensors: readonly Weighed[], forms: readonly Form[], opset: number): number {
  let bytes = 0;
  let blobBits = 0;
  tensors.forEach((tensor, at) => {
    const form = forms[at];
    if (form === "raw" || form === "half" || form === "indexed") bytes += aloneBytes(tensor, form, opset);
    else bytes += tensor.patterns === undefined ? Infinity : TENSOR_OVERHEAD[form] + 2 * (tensor.rank + 1);
  });
  if (!Number.isFinite(bytes)) return Infinity;
  for (const [form, overhead] of [
    ["sparse", SPARSE_OVERHEAD],
    ["shared", SHARED_OVERHEAD],
  ] as const) {
    const members = tensors.filter((_, at) => forms[at] === form);
    if (members.length === 0) continue;
    const { bits, codebookBytes } = rowOf(members, form === "sparse");
    blobBits += bits;
    bytes += codebookBytes + overhead;
  }
  if (blobBits > BLOB_LIMIT_BITS) return Infinity;
  return bytes + blobBits / 8 + (blobBits === 0 ? 0 : BLOB_OVERHEAD);
}

/** A round changes each tensor's form at most once; more rounds than this never found anything on models tried. */
const ROUNDS = 4;

/**
 * The forms of `tensors`, best first found: from the best form each has alone, and from all that can in one row, tensor after
 * tensor moves to the form that makes the whole smallest, until none moves.
 */
export function planForms(tensors: readonly Weighed[], opset: number): Form[] {
  const alone = tensors.map((tensor): Form =>
    FORMS_ALONE.reduce((best, form) =>
      aloneBytes(tensor, form, opset) < aloneBytes(tensor, best, opset) ? form : best,
    ),
  );
  const inRow = (form: Form) =>
    tensors.map((tensor, at) =>
      tensor.patterns !== undefined && tensor.count <= BLOB_LIMIT_BITS / 8 && tensor.survivors > 0 ? form : alone[at],
    );
  const starts = [alone, inRow("sparse"), inRow("shared")];
  const found = starts.map((start) => improve(tensors, start, opset));
  return found.reduce((best, forms) =>
    plannedBytes(tensors, forms, opset) < plannedBytes(tensors, best, opset) ? forms : best,
  );
}

function improve(tensors: readonly Weighed[], start: readonly Form[], opset: number): Form[] {
  let forms = [...start];
  let bytes = plannedBytes(tensors, forms, opset);
  for (let round = 0; round < ROUNDS; round++) {
    let moved = false;
    for (let at = 0; at < tensors.length; at++) {
      for (const form of ["raw", "half", "indexed", "sparse", "shared"] as const) {
        if (form === forms[at] || (form === "sparse" && tensors[at].survivors === 0)) continue;
        const trial = forms.with(at, form);
        const trialBytes = plannedBytes(tensors, trial, opset);
        if (trialBytes >= bytes) continue;
        forms = trial;
        bytes = trialBytes;
        moved = true;
      }
    }
    if (!moved) break;
  }
  return forms;
}
