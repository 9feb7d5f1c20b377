// What earlier steps made of a model's weights and retraining must not undo: zeros that stay zero, values that stay shared; may
// depend on model, cost and rewrite.
import { foldedAtLoad } from "../../cost/load-time.ts";
import { int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { survivorsOf, type Mask } from "./mask.ts";

/** Above this share of exact zeros a tensor was pruned; a trained one has none. */
const PRUNED_SHARE = 0.05;
/** Up to so many distinct values are a codebook, when a tensor repeats each of them often. */
const CODEBOOK_LIMIT = 256;
const REPEATS = 4;

const isTrained = ({ dtype, shape }: TensorRef): boolean => dtype === "float32" && elementCount(shape) > 1;

/** Masks of the zeros in the weights that were pruned, by name, and of those in codebooks: there one zero stands for many. */
export async function prunedMasks(model: ModelGraph): Promise<Map<string, Mask>> {
  const masks = new Map<string, Mask>();
  const codebooks = new Set(
    [...foldedAtLoad(model.graph)].flatMap(({ opType, inputs }) => (opType === "Gather" ? [inputs[0]] : [])),
  );
  for (const [name, tensor] of model.graph.initializers) {
    if (!isTrained(tensor) || tensor.shape.length < 2) continue; // biases are often zero, and not for good
    const mask = survivorsOf(await readFloats(tensor));
    const zeros = mask.reduce((sum, kept) => sum + (1 - kept), 0);
    if (zeros > (codebooks.has(name) ? 0 : PRUNED_SHARE * mask.length)) masks.set(name, mask);
  }
  return masks;
}

/** A weight as indices into the values that it shares. */
export interface SharedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly codebook: Float32Array;
  readonly indices: Uint8Array;
}

/** The weights and biases that have few distinct values, each often. Bit patterns decide: 0 and −0 are two values. */
export async function sharedWeights(model: ModelGraph): Promise<SharedWeight[]> {
  const found: SharedWeight[] = [];
  for (const [name, tensor] of model.graph.initializers) {
    if (!isTrained(tensor)) continue;
    const values = await readFloats(tensor);
    const bits = new Uint32Array(values.slice().buffer);
    const indexOf = new Map<number, number>();
    const indices = new Uint8Array(bits.length);
    const limit = Math.min(CODEBOOK_LIMIT, bits.length / REPEATS);
    for (let at = 0; at < bits.length && indexOf.size <= limit; at++) {
      let index = indexOf.get(bits[at]);
      if (index === undefined) indexOf.set(bits[at], (index = indexOf.size));
      indices[at] = index;
    }
    if (indexOf.size > limit || indexOf.size < 2) continue; // all alike is how a tensor starts, not what sharing leaves
    const codebook = new Float32Array(Uint32Array.from(indexOf.keys()).buffer);
    found.push({ name, shape: tensor.shape, codebook, indices });
  }
  return found;
}

/** A model whose shared weights are computed from codebooks, which training can move. */
export interface CodebookForm {
  readonly model: ModelGraph;
  /** Codebook tensors by the weight that they make, and their masks: a shared zero stays zero. */
  readonly codebooks: ReadonlyMap<string, string>;
  readonly masks: ReadonlyMap<string, Mask>;
}

/**
 * Writes each shared weight as `Gather(codebook, indices)`: its gradient sums over all weights that share a value. (Han, Mao and
 * Dally 2016.)
 */
export function toCodebookForm(model: ModelGraph, weights: readonly SharedWeight[]): CodebookForm {
  const draft = new GraphDraft(model);
  const codebooks = new Map<string, string>();
  const masks = new Map<string, Mask>();
  const gathers = weights.map(({ name, shape, codebook, indices }) => {
    const places: TensorValue = { dtype: "int32", shape, data: Int32Array.from(indices) };
    const book = draft.constant(`${name}_codebook`, float32Tensor([codebook.length], codebook.slice()));
    codebooks.set(name, book);
    masks.set(book, survivorsOf(codebook));
    return node("Gather", [book, draft.constant(`${name}_indices`, places)], [name], { axis: int(0) });
  });
  draft.nodes = [...gathers, ...draft.nodes];
  const made = draft.finish();
  const computed = new Set(weights.map(({ name }) => name));
  const initializers = new Map([...made.graph.initializers].filter(([name]) => !computed.has(name)));
  return { model: { ...made, graph: { ...made.graph, initializers } }, codebooks, masks };
}

/** The plain model again: `original` with the trained codebooks' values in place, and every other tensor of `trained`. */
export async function fromCodebookForm(
  original: ModelGraph,
  trained: ModelGraph,
  weights: readonly SharedWeight[],
  { codebooks }: CodebookForm,
): Promise<ModelGraph> {
  const draft = new GraphDraft(original);
  for (const [name, tensor] of trained.graph.initializers) {
    if (draft.initializer(name) !== undefined) draft.setInitializer(tensor);
  }
  for (const { name, shape, indices } of weights) {
    const codebook = await readFloats(trained.graph.initializers.get(codebooks.get(name)!)!);
    const values = Float32Array.from(indices, (index) => codebook[index]);
    draft.setInitializer(memoryTensor(name, float32Tensor(shape, values)));
  }
  return draft.finish();
}
