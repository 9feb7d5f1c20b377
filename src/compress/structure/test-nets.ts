// Random models for this folder's tests: convolutional nets of mixed blocks, transformer blocks as exporters write them; may
// depend on model and the techniques' test models.
import { float, int, ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { Attribute, Dim, ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor, int64Tensor } from "../../model/tensor-value.ts";
import { seededRandom, type Random } from "../../statistics/index.ts";
import { net, randomTensor } from "../techniques/test-models.ts";

/** Collects nodes and tensors under names that count up. */
export class NetBuilder {
  readonly random: Random;
  readonly nodes: Node[] = [];
  readonly tensors: TensorRef[] = [];
  #count = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  name(stem: string): string {
    this.#count += 1;
    return `${stem}${this.#count}`;
  }

  op(opType: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.ops(opType, inputs, 1, attributes)[0];
  }

  ops(opType: string, inputs: readonly string[], count: number, attributes: Record<string, Attribute> = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.name(opType.toLowerCase()));
    this.nodes.push(node(opType, inputs, outputs, attributes));
    return outputs;
  }

  weight(shape: readonly number[], scale = 1): string {
    const name = this.name("w");
    this.tensors.push(randomTensor(name, shape, this.random, scale));
    return name;
  }

  /** Positive numbers around 1, for scales and variances. */
  positive(size: number): string {
    const name = this.name("p");
    const data = Float32Array.from({ length: size }, () => 0.5 + this.random.next());
    this.tensors.push(memoryTensor(name, float32Tensor([size], data)));
    return name;
  }

  integers(values: readonly number[], shape: readonly number[] = [values.length]): string {
    const name = this.name("i");
    this.tensors.push(memoryTensor(name, int64Tensor(shape, values)));
    return name;
  }

  conv(from: string, [inputs, outputs]: readonly [number, number], kernel = 3, group = 1): string {
    const weight = this.weight(
      [outputs, inputs / group, kernel, kernel],
      Math.sqrt(2 / ((inputs / group) * kernel ** 2)),
    );
    const pads = ints(Array.from({ length: 4 }, () => Math.floor(kernel / 2)));
    return this.op("Conv", [from, weight, this.weight([outputs], 0.2)], { pads, group: int(group) });
  }

  norm(from: string, channels: number): string {
    const [mean, bias] = [this.weight([channels], 0.2), this.weight([channels], 0.2)];
    return this.op("BatchNormalization", [from, this.positive(channels), bias, mean, this.positive(channels)]);
  }

  linear(from: string, [inputs, outputs]: readonly [number, number]): string {
    const product = this.op("MatMul", [from, this.weight([inputs, outputs], 1 / Math.sqrt(inputs))]);
    return this.op("Add", [product, this.weight([outputs], 0.2)]);
  }

  layerNorm(from: string, width: number): string {
    return this.op("LayerNormalization", [from, this.positive(width), this.weight([width], 0.1)]);
  }

  /** The model, its last value named `y`. */
  done(last: string, inputShape: readonly Dim[], opset = 17): ModelGraph {
    this.nodes.push(node("Identity", [last], ["y"]));
    return net(inputShape, this.nodes, this.tensors, opset);
  }
}

/** A convolutional net of blocks drawn from: plain, residual, concatenated, depthwise, grouped, squeeze-and-excite, split. */
export function randomConvNet(seed: number): ModelGraph {
  const b = new NetBuilder(seed);
  let channels = 4 * (1 + b.random.integer(2));
  let value = b.op("Relu", [b.norm(b.conv("x", [3, channels]), channels)]);
  const blocks = 2 + b.random.integer(3);
  for (let block = 0; block < blocks; block++) {
    const wide = 4 * (1 + b.random.integer(3));
    const kind = b.random.integer(7);
    if (kind === 0) {
      value = b.op("Relu", [b.conv(value, [channels, wide])]);
      channels = wide;
    } else if (kind === 1) {
      const inner = b.op("Relu", [b.norm(b.conv(value, [channels, wide]), wide)]);
      value = b.op("Relu", [b.op("Add", [b.conv(inner, [wide, channels]), value])]);
    } else if (kind === 2) {
      value = b.op("Concat", [value, b.op("Sigmoid", [b.conv(value, [channels, wide], 1)])], { axis: int(1) });
      channels += wide;
    } else if (kind === 3) {
      value = b.conv(b.op("Clip", [b.conv(value, [channels, 2 * channels], 3, channels)]), [2 * channels, wide], 1);
      channels = wide;
    } else if (kind === 4) {
      value = b.op("LeakyRelu", [b.conv(value, [channels, channels], 3, 2)], { alpha: float(0.1) });
    } else if (kind === 5) {
      const pooled = b.op("GlobalAveragePool", [value]);
      const gate = b.op("Sigmoid", [b.conv(b.op("Relu", [b.conv(pooled, [channels, 4], 1)]), [4, channels], 1)]);
      value = b.op("Mul", [value, gate]);
    } else {
      const [left, right] = b.ops("Split", [b.conv(value, [channels, 2 * wide])], 2, { axis: int(1) });
      value = b.op("Mul", [left, b.op("Sigmoid", [right])]);
      channels = wide;
    }
  }
  const pooled = b.op("MaxPool", [value], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  const flat = b.op("Flatten", [pooled]);
  const hidden = b.op("Relu", [
    b.op("Gemm", [flat, b.weight([12, channels * 9], 0.1), b.weight([12])], { transB: int(1) }),
  ]);
  return b.done(b.op("Gemm", [hidden, b.weight([12, 5], 0.3), b.weight([5])]), ["batch", 3, 6, 6]);
}

export interface BlockOptions {
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  readonly hidden: number;
  readonly gated: boolean;
  /** Query, key and value from one product, parted after the reshape, as vision transformers are exported. */
  readonly fused: boolean;
  /** Shapes computed from the input's, as dynamic exports do it. */
  readonly computedShapes: boolean;
}

/** A transformer block with norms before attention and the feed-forward layers, `x` is `[batch, time, width]`. */
export function transformerBlock(options: BlockOptions, seed = 5, blocks = 1): ModelGraph {
  const b = new NetBuilder(seed);
  const width = options.heads * options.headWidth;
  let value = "x";
  for (let block = 0; block < blocks; block++) {
    value = b.op("Add", [value, attention(b, b.layerNorm(value, width), options)]);
    value = b.op("Add", [value, feedForward(b, b.layerNorm(value, width), width, options)]);
  }
  return b.done(b.layerNorm(value, width), ["batch", "time", width]);
}

function feedForward(b: NetBuilder, from: string, width: number, { hidden, gated }: BlockOptions): string {
  const up = b.linear(from, [width, hidden]);
  if (!gated) return b.linear(b.op("Mul", [b.op("Sigmoid", [up]), up]), [hidden, width]);
  const gate = b.linear(from, [width, hidden]);
  return b.linear(b.op("Mul", [b.op("Mul", [b.op("Sigmoid", [gate]), gate]), up]), [hidden, width]);
}

function attention(b: NetBuilder, from: string, options: BlockOptions): string {
  const { heads, keyHeads, headWidth, fused, computedShapes } = options;
  const width = heads * headWidth;
  const shapeOf = (value: string, last: readonly number[]) => {
    if (!computedShapes) return b.integers([0, 0, ...last]);
    const shape = b.op("Shape", [value]);
    const sizes = [0, 1].map((at) =>
      b.op("Unsqueeze", [b.op("Gather", [shape, b.integers([at], [])]), b.integers([0])]),
    );
    return b.op("Concat", [...sizes, b.integers(last)], { axis: int(0) });
  };
  const byHead = (value: string, count: number) =>
    b.op("Transpose", [b.op("Reshape", [value, shapeOf(value, [count, headWidth])])], { perm: ints([0, 2, 1, 3]) });
  const repeated = (value: string) => {
    if (keyHeads === heads) return value;
    const group = heads / keyHeads;
    const copies = b.op("Expand", [b.op("Unsqueeze", [value, b.integers([2])]), b.integers([1, 1, group, 1, 1])]);
    return b.op("Reshape", [copies, b.integers([0, heads, -1, headWidth])]);
  };
  let [query, key, values]: string[] = [];
  if (fused) {
    const all = b.op("Reshape", [b.linear(from, [width, 3 * width]), b.integers([0, 0, 3, heads, headWidth])]);
    const parts = b.ops("Split", [b.op("Transpose", [all], { perm: ints([2, 0, 3, 1, 4]) })], 3, { axis: int(0) });
    [query, key, values] = parts.map((part) => b.op("Squeeze", [part, b.integers([0])]));
  } else {
    query = byHead(b.linear(from, [width, width]), heads);
    const narrow = keyHeads * headWidth;
    [key, values] = [0, 1].map(() => repeated(byHead(b.linear(from, [width, narrow]), keyHeads)));
  }
  const scores = b.op("MatMul", [query, b.op("Transpose", [key], { perm: ints([0, 1, 3, 2]) })]);
  const weights = b.op("Softmax", [b.op("Mul", [scores, b.weight([], 0.5)])], { axis: int(-1) });
  const mixed = b.op("Transpose", [b.op("MatMul", [weights, values])], { perm: ints([0, 2, 1, 3]) });
  return b.linear(b.op("Reshape", [mixed, shapeOf(mixed, [width])]), [width, width]);
}
