// Small random convolutional models of the shapes that practice knows, for this folder's tests; may depend on model and test-models.
import { float, int, ints, string } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { net, randomTensor } from "./test-models.ts";

const scalar = (name: string, value: number): TensorRef =>
  memoryTensor(name, float32Tensor([], Float32Array.of(value)));

/** Collects convolutions with their weights. */
class Convolutions {
  readonly #random = seededRandom(7);
  readonly tensors: TensorRef[] = [];

  conv(from: string, to: string, [inputs, outputs]: readonly [number, number], kernel: number, group = 1): Node {
    const deviation = Math.sqrt(2 / ((inputs / group) * kernel * kernel));
    const shape = [outputs, inputs / group, kernel, kernel];
    this.tensors.push(randomTensor(`${to}_w`, shape, this.#random, deviation));
    this.tensors.push(randomTensor(`${to}_b`, [outputs], this.#random, 0.2));
    return node("Conv", [from, `${to}_w`, `${to}_b`], [to], {
      kernel_shape: ints([kernel, kernel]),
      pads: ints(Array.from({ length: 4 }, () => Math.floor(kernel / 2))),
      group: int(group),
    });
  }

  gemm(from: string, to: string, inputs: number, outputs: number): Node {
    this.tensors.push(randomTensor(`${to}_w`, [inputs, outputs], this.#random, Math.sqrt(1 / inputs)));
    this.tensors.push(randomTensor(`${to}_b`, [outputs], this.#random, 0.2));
    return node("Gemm", [from, `${to}_w`, `${to}_b`], [to]);
  }
}

/** Inverted residual with depthwise and grouped convolutions, bounded by Clip 0 … 6. */
export function mobileNet(): ModelGraph {
  const c = new Convolutions();
  const nodes = [
    c.conv("x", "c1", [3, 8], 3),
    node("Clip", ["c1", "zero", "six"], ["r1"]),
    c.conv("r1", "c2", [8, 24], 1),
    node("Clip", ["c2", "zero", "six"], ["r2"]),
    c.conv("r2", "c3", [24, 24], 3, 24),
    node("Clip", ["c3", "zero", "six"], ["r3"]),
    c.conv("r3", "c4", [24, 8], 1),
    node("Add", ["c4", "r1"], ["s"]),
    c.conv("s", "c5", [8, 16], 3, 4),
    node("Relu", ["c5"], ["r5"]),
    node("GlobalAveragePool", ["r5"], ["g"]),
    node("Flatten", ["g"], ["f"]),
    c.gemm("f", "y", 16, 5),
  ];
  return net(["batch", 3, 12, 12], nodes, [...c.tensors, scalar("zero", 0), scalar("six", 6)]);
}

/** Three branches, one of them averaged, joined by Concat. */
export function branchedNet(): ModelGraph {
  const c = new Convolutions();
  const nodes = [
    c.conv("x", "c1", [3, 8], 3),
    node("Relu", ["c1"], ["r1"]),
    c.conv("r1", "a", [8, 8], 1),
    node("Relu", ["a"], ["ra"]),
    c.conv("r1", "b", [8, 8], 3),
    node("Relu", ["b"], ["rb"]),
    node("AveragePool", ["r1"], ["p"], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) }),
    node("Concat", ["ra", "rb", "p"], ["j"], { axis: int(1) }),
    c.conv("j", "c2", [24, 8], 1),
    node("Relu", ["c2"], ["r2"]),
    node("GlobalAveragePool", ["r2"], ["g"]),
    node("Flatten", ["g"], ["f"]),
    c.gemm("f", "y", 8, 5),
  ];
  return net(["batch", 3, 10, 10], nodes, c.tensors);
}

/** Squeeze-and-excitation, LeakyRelu, and a nearest Resize on the way to the last convolution. */
export function gatedNet(): ModelGraph {
  const c = new Convolutions();
  const nodes = [
    c.conv("x", "c1", [3, 8], 3),
    node("LeakyRelu", ["c1"], ["l1"], { alpha: float(0.1) }),
    node("GlobalAveragePool", ["l1"], ["g"]),
    c.conv("g", "s1", [8, 4], 1),
    node("Relu", ["s1"], ["sr"]),
    c.conv("sr", "s2", [4, 8], 1),
    node("Sigmoid", ["s2"], ["gate"]),
    node("Mul", ["l1", "gate"], ["m"]),
    c.conv("m", "c2", [8, 8], 3),
    node("Relu", ["c2"], ["r2"]),
    node("Resize", ["r2", "", "scales"], ["big"], { mode: string("nearest") }),
    c.conv("big", "y", [8, 3], 3),
  ];
  const scales = memoryTensor("scales", float32Tensor([4], Float32Array.of(1, 1, 2, 2)));
  return net(["batch", 3, 8, 8], nodes, [...c.tensors, scales]);
}
