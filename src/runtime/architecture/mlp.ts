// Builds a multilayer perceptron as an ONNX graph; may depend on errors, statistics, model and its room.
import { LightfootError } from "../../errors/index.ts";
import { int } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import type { Attribute, ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/random.ts";
import { initialWeights, type Initialization } from "./initialize.ts";

export interface MlpOptions {
  /** Units from input to output, e.g. `[784, 128, 10]`. */
  readonly layers: readonly number[];
  /** Between the layers; default `relu`. */
  readonly activation?: "relu" | "tanh" | "sigmoid" | "gelu";
  /** After the last layer; default `softmax`. `none` gives the scores themselves. */
  readonly output?: "softmax" | "sigmoid" | "none";
  /** Weights; biases start at zero. Default `glorot-uniform`, as in Keras. */
  readonly initialization?: Initialization;
  readonly seed: number;
}

const OPERATORS = { relu: "Relu", tanh: "Tanh", sigmoid: "Sigmoid", gelu: "Gelu", softmax: "Softmax" } as const;

/**
 * A perceptron with input `input` `[N, first]` and output `probabilities` (or `scores` for output `none`) `[N, last]`, one Gemm
 * for each layer with weights `layer1.weight` `[in, out]` and `layer1.bias` `[out]`; operator set 20.
 *
 * @throws LightfootError E_RANGE for fewer than two layers or a size that is no positive integer
 * @example buildMlp({ layers: [784, 128, 10], seed: 1 })
 */
export function buildMlp(options: MlpOptions): ModelGraph {
  const { layers, activation = "relu", output = "softmax", initialization = "glorot-uniform" } = options;
  if (layers.length < 2 || layers.some((units) => !Number.isInteger(units) || units < 1)) {
    throw new LightfootError(
      "E_RANGE",
      `a perceptron needs two or more positive layer sizes, found ${layers.join("-")}`,
    );
  }
  const random = seededRandom(options.seed);
  const initializers: TensorRef[] = [];
  const nodes: Node[] = [];
  const result = output === "none" ? "scores" : "probabilities";
  let value = "input";
  for (let layer = 1; layer < layers.length; layer++) {
    const [from, to] = [layers[layer - 1], layers[layer]];
    const isLast = layer === layers.length - 1;
    const name = `layer${layer}`;
    const weights = initialWeights(initialization, from * to, from, to, random.fork(`${name}.weight`));
    initializers.push(memoryTensor(`${name}.weight`, float32Tensor([from, to], weights)));
    initializers.push(memoryTensor(`${name}.bias`, float32Tensor([to], new Float32Array(to))));
    const sum = isLast && output === "none" ? result : `${name}.sum`;
    nodes.push(node("Gemm", [value, `${name}.weight`, `${name}.bias`], [sum], {}, { name }));
    if (isLast && output === "none") break;
    const kind = isLast ? (output as "softmax" | "sigmoid") : activation;
    value = isLast ? result : `${name}.${kind}`;
    const attributes: Readonly<Record<string, Attribute>> = kind === "softmax" ? { axis: int(-1) } : {};
    nodes.push(node(OPERATORS[kind], [sum], [value], attributes, { name: `${name}.${kind}` }));
  }
  return model(
    {
      name: `mlp ${layers.join("-")}`,
      nodes,
      initializers,
      inputs: [tensorInfo("input", "float32", ["N", layers[0]])],
      outputs: [tensorInfo(result, "float32", ["N", layers.at(-1)!])],
    },
    20,
  );
}
