// Seeded models for the int8 benches: a residual CNN and a stack of transformer blocks, written as ONNX files; depends on dist.
import { float, int, ints } from "../../dist/model/attributes.js";
import { model, node, tensorInfo } from "../../dist/model/build.js";
import { memoryTensor } from "../../dist/model/tensor-data.js";
import { elementCount, float32Tensor } from "../../dist/model/tensor-value.js";
import { seededRandom } from "../../dist/statistics/random.js";

class Builder {
  #random;
  nodes = [];
  initializers = [];

  constructor(seed) {
    this.#random = seededRandom(seed);
  }

  weights(shape, deviation, mean = 0) {
    const name = `w${this.initializers.length}`;
    const data = Float32Array.from({ length: elementCount(shape) }, () => mean + this.#random.normal() * deviation);
    this.initializers.push(memoryTensor(name, float32Tensor(shape, data)));
    return name;
  }

  constant(value) {
    const name = `w${this.initializers.length}`;
    this.initializers.push(memoryTensor(name, value));
    return name;
  }

  add(opType, inputs, attributes = {}) {
    const output = `t${this.nodes.length}`;
    this.nodes.push(node(opType, inputs, [output], attributes, { name: `n${this.nodes.length}` }));
    return output;
  }

  finish(inputShape, output) {
    const last = this.nodes.at(-1);
    this.nodes[this.nodes.length - 1] = { ...last, outputs: last.outputs.map((o) => (o === output ? "y" : o)) };
    return model(
      {
        nodes: this.nodes,
        initializers: this.initializers,
        inputs: [tensorInfo("x", "float32", inputShape)],
        outputs: [tensorInfo("y", "float32", undefined)],
      },
      17,
    );
  }
}

/** ResNet of basic blocks: `[batch, 3, size, size]` → 100 scores; stages halve the area and double the channels. */
export function residualNet({ seed = 1, size = 112, width = 64, stages = 3, blocks = 2 } = {}) {
  const b = new Builder(seed);
  const conv = (x, from, to, kernel, stride) =>
    b.add(
      "Conv",
      [x, b.weights([to, from, kernel, kernel], Math.sqrt(2 / (from * kernel * kernel))), b.weights([to], 0.1)],
      { kernel_shape: ints([kernel, kernel]), strides: ints([stride, stride]), pads: ints(Array(4).fill(kernel >> 1)) },
    );
  let x = b.add("Relu", [conv("x", 3, width, 7, 2)]);
  x = b.add("MaxPool", [x], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) });
  let channels = width;
  for (let stage = 0; stage < stages; stage++) {
    for (let block = 0; block < blocks; block++) {
      const [to, stride] = stage > 0 && block === 0 ? [channels * 2, 2] : [channels, 1];
      const inner = conv(b.add("Relu", [conv(x, channels, to, 3, stride)]), to, to, 3, 1);
      const skip = to === channels ? x : conv(x, channels, to, 1, stride);
      x = b.add("Relu", [b.add("Add", [inner, skip])]);
      channels = to;
    }
  }
  const pooled = b.add("Flatten", [b.add("GlobalAveragePool", [x])]);
  const scores = b.add("Gemm", [pooled, b.weights([channels, 100], Math.sqrt(1 / channels)), b.weights([100], 0.1)]);
  return b.finish(["batch", 3, size, size], scores);
}

/** Pre-norm transformer encoder: `[batch, tokens, width]` → the same shape; heads attend over all tokens. */
export function transformerStack({ seed = 2, width = 768, heads = 12, blocks = 4, outliers = 0 } = {}) {
  const b = new Builder(seed);
  const linear = (x, from, to) =>
    b.add("Add", [b.add("MatMul", [x, b.weights([from, to], Math.sqrt(1 / from))]), b.weights([to], 0.05)]);
  const norm = (x) => {
    const gain = Float32Array.from({ length: width }, (_, at) => (outliers > 0 && at % 97 === 5 ? outliers : 1));
    return b.add("LayerNormalization", [x, b.constant(float32Tensor([width], gain)), b.weights([width], 0.1)], {
      axis: int(-1),
      epsilon: float(1e-5),
    });
  };
  const shape = (values) =>
    b.constant({ dtype: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) });
  const scalar = (value) => b.constant(float32Tensor([], Float32Array.of(value)));
  const size = width / heads;
  let x = "x";
  for (let block = 0; block < blocks; block++) {
    const normed = norm(x);
    const split = (value, perm) =>
      b.add("Transpose", [b.add("Reshape", [value, shape([0, 0, heads, size])])], { perm: ints(perm) });
    const q = split(linear(normed, width, width), [0, 2, 1, 3]);
    const k = split(linear(normed, width, width), [0, 2, 3, 1]);
    const v = split(linear(normed, width, width), [0, 2, 1, 3]);
    const scores = b.add("Mul", [b.add("MatMul", [q, k]), scalar(1 / Math.sqrt(size))]);
    const mixed = b.add("MatMul", [b.add("Softmax", [scores], { axis: int(-1) }), v]);
    const joined = b.add("Reshape", [b.add("Transpose", [mixed], { perm: ints([0, 2, 1, 3]) }), shape([0, 0, width])]);
    x = b.add("Add", [x, linear(joined, width, width)]);
    const hidden = linear(norm(x), width, 4 * width);
    // Gelu by the error function, as exporters write it.
    const erf = b.add("Add", [b.add("Erf", [b.add("Mul", [hidden, scalar(Math.SQRT1_2)])]), scalar(1)]);
    const gelu = b.add("Mul", [b.add("Mul", [hidden, erf]), scalar(0.5)]);
    x = b.add("Add", [x, linear(gelu, 4 * width, width)]);
  }
  return b.finish(["batch", "tokens", width], x);
}

/** Normal values `[samples, …shape]`. */
export function normalInput(shape, seed) {
  const random = seededRandom(seed);
  return float32Tensor(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
  );
}
