// Multiply-adds of attention in its standard and fused forms, and of mixtures of experts; may depend on model and errors.
import { intAttribute, intsAttribute } from "../model/attributes.ts";
import { elementCount } from "../model/tensor-value.ts";
import { inputShape, last, multiplyAdds, outputShape, type Rule, type ShapedNode } from "./work.ts";

/**
 * Scores Q·Kᵀ and their product with V for `rows` query rows over `length` keys: rows · length · (query width + value width),
 * the widths over all heads. The full square counts, also under a causal mask: that is what engines without a fused kernel do.
 */
const products = (rows: number, length: number, queryWidth: number, valueWidth: number) =>
  multiplyAdds(rows * length * (queryWidth + valueWidth));

const size = (shape: readonly number[], axis: number): number => shape[axis] ?? 1;

/** A cache `[…, past length, head size]` that may be absent. */
const pastLength = ({ inputs }: ShapedNode, index: number): number => {
  const past = inputs[index];
  return past === undefined ? 0 : last(past, 2);
};

/** Standard Attention (opset 23): Q `[batch, heads, S, D]` or `[batch, S, heads·D]`. */
export const attention: Rule = (shaped) => {
  const [query, key, value] = [0, 1, 2].map((index) => inputShape(shaped, index)) as [number[], number[], number[]];
  const length = last(key, 2) + pastLength(shaped, 4);
  if (query.length === 4) return products(elementCount(query.slice(0, 3)), length, last(query), last(value));
  const heads = intAttribute(shaped.node, "q_num_heads", 1);
  const valueHeads = intAttribute(shaped.node, "kv_num_heads", heads);
  return products(size(query, 0) * size(query, 1), length, last(query), (last(value) / valueHeads) * heads);
};

/** com.microsoft `Attention` and `QAttention`: X `[batch, S, in]` through W `[in, q+k+v]`, then the products. */
export const packedAttention =
  (pastIndex: number): Rule =>
  (shaped) => {
    const data = inputShape(shaped, 0);
    const weight = inputShape(shaped, 1);
    const rows = size(data, 0) * size(data, 1);
    const queryWidth = intsAttribute(shaped.node, "qkv_hidden_sizes")?.[0] ?? last(weight) / 3;
    const length = size(data, 1) + pastLength(shaped, pastIndex);
    const { macs } = products(rows, length, queryWidth, last(outputShape(shaped)));
    return multiplyAdds(macs + rows * elementCount(weight));
  };

/** com.microsoft `MultiHeadAttention`: query `[B, S, h]` or packed `[B, S, heads, 3, d]`, key also as `[B, heads, L, d]`. */
export const multiHeadAttention: Rule = (shaped) => {
  const query = inputShape(shaped, 0);
  const key = shaped.inputs[1] ?? query;
  const queryWidth = query.length === 5 ? size(query, 2) * size(query, 4) : last(query);
  const length = (key.length === 4 ? size(key, 2) : size(key, 1)) + pastLength(shaped, 6);
  return products(size(query, 0) * size(query, 1), length, queryWidth, last(outputShape(shaped)));
};

/** com.microsoft `GroupQueryAttention`: the cache that it gives back has the whole length. */
export const groupQueryAttention: Rule = (shaped) => {
  const query = inputShape(shaped, 0);
  const present = shaped.outputs[1];
  const length = present === undefined ? size(query, 1) + pastLength(shaped, 3) : last(present, 2);
  const width = last(outputShape(shaped));
  return products(size(query, 0) * size(query, 1), length, width, width);
};

/** Each row goes through `k` of the experts; weights are `[experts, …]`, below 8 bits several to a byte. */
export const mixtureOfExperts =
  (weightIndices: readonly number[], packed: boolean): Rule =>
  (shaped) => {
    const rows = elementCount(inputShape(shaped, 0).slice(0, -1));
    const perElement = packed ? 8 / intAttribute(shaped.node, "expert_weight_bits", 4) : 1;
    const perExpert = weightIndices
      .map((index) => shaped.inputs[index])
      .reduce((sum, weight) => sum + (weight === undefined ? 0 : elementCount(weight.slice(1)) * perElement), 0);
    return multiplyAdds(rows * intAttribute(shaped.node, "k", 1) * perExpert);
  };
