// LeNet-5 as Caffe has it (20 and 50 channels, 500 units, no activation between the convolutions), fresh weights by seed; depends on dist.
import { ints } from "../../dist/model/attributes.js";
import { model, node, tensorInfo } from "../../dist/model/build.js";
import { memoryTensor } from "../../dist/model/tensor-data.js";
import { float32Tensor, int64Tensor } from "../../dist/model/tensor-value.js";
import { initialWeights } from "../../dist/runtime/architecture/initialize.js";
import { seededRandom } from "../../dist/statistics/random.js";

export function lenet5(seed) {
  const random = seededRandom(seed).fork("lenet-5");
  const weight = (name, shape, fanIn, fanOut) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = initialWeights("glorot-uniform", count, fanIn, fanOut, random.fork(name));
    return memoryTensor(name, float32Tensor(shape, values));
  };
  const bias = (name, size) => memoryTensor(name, float32Tensor([size], new Float32Array(size)));
  const kernel = { kernel_shape: ints([5, 5]) };
  const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
  return model(
    {
      nodes: [
        node("Reshape", ["input", "image"], ["x"]),
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["c1"], kernel),
        node("MaxPool", ["c1"], ["p1"], pool),
        node("Conv", ["p1", "conv2.weight", "conv2.bias"], ["c2"], kernel),
        node("MaxPool", ["c2"], ["p2"], pool),
        node("Flatten", ["p2"], ["f"]),
        node("Gemm", ["f", "fc1.weight", "fc1.bias"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "fc2.weight", "fc2.bias"], ["scores"]),
      ],
      inputs: [tensorInfo("input", "float32", ["batch", 784])],
      outputs: [tensorInfo("scores", "float32", ["batch", 10])],
      initializers: [
        memoryTensor("image", int64Tensor([4], [-1, 1, 28, 28])),
        weight("conv1.weight", [20, 1, 5, 5], 25, 500),
        bias("conv1.bias", 20),
        weight("conv2.weight", [50, 20, 5, 5], 500, 1250),
        bias("conv2.bias", 50),
        weight("fc1.weight", [800, 500], 800, 500),
        bias("fc1.bias", 500),
        weight("fc2.weight", [500, 10], 500, 10),
        bias("fc2.bias", 10),
      ],
    },
    21,
  );
}
