// Takes units out of a model: smaller tensors, and sizes written anew where operators name them; may depend on model, rewrite
// and coupling.
import { byteLengthOf } from "../../model/dtype.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { readTensorBytes } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import type { Coupling } from "./coupling.ts";
import type { Kept } from "./coupling-call.ts";

/** A tensor with some positions of one axis only, of any type that takes whole bytes; made when the writer asks for it. */
export function take(tensor: TensorRef, axis: number, kept: readonly number[]): TensorRef {
  const shape = tensor.shape.map((size, at) => (at === axis ? kept.length : size));
  const block = byteLengthOf(tensor.dtype, elementCount(tensor.shape.slice(axis + 1)));
  const outer = elementCount(tensor.shape.slice(0, axis));
  const make = async (): Promise<Uint8Array> => {
    const bytes = await readTensorBytes(tensor);
    const result = new Uint8Array(outer * kept.length * block);
    let position = 0;
    for (let row = 0; row < outer; row++) {
      for (const index of kept) {
        const start = (row * tensor.shape[axis] + index) * block;
        result.set(bytes.subarray(start, start + block), position);
        position += block;
      }
    }
    return result;
  };
  return { ...tensor, shape, data: { kind: "computed", make } };
}

/** Positions of an axis whose units are not among `gone` (atoms of any member of a unit). */
export function keptPositions(coupling: Coupling, gone: Iterable<number>): Kept {
  const roots = new Set([...gone].map((atom) => coupling.atoms.find(atom)));
  return (axis) => [...axis.keys()].filter((at) => !roots.has(coupling.atoms.find(axis[at])));
}

/**
 * The model without the units in `gone`: every tensor and every written size that has a part of them is cut, nothing else changes.
 *
 * @param weights tensors to use instead of the model's own before they are cut, by name
 */
export function cutUnits(
  coupling: Coupling,
  gone: Iterable<number>,
  weights: ReadonlyMap<string, TensorRef> = new Map(),
): ModelGraph {
  const kept = keptPositions(coupling, gone);
  const draft = new GraphDraft(coupling.model);
  for (const tensor of weights.values()) draft.setInitializer(tensor);
  for (const [name, axes] of coupling.initializers) {
    for (const [axis, atoms] of axes.entries()) {
      if (atoms === undefined) continue;
      const stays = kept(atoms);
      if (stays.length < atoms.length) draft.setInitializer(take(draft.initializer(name)!, axis, stays));
    }
  }
  draft.nodes = draft.nodes.map((node) => coupling.repairs.get(node)?.(kept, draft, node) ?? node);
  return draft.finish();
}
