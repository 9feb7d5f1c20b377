// What a layer of blockwise weights loses when its kernel also rounds the activations (accuracy_level 4), found by running it;
// may depend on model, runtime and quantize.
import { int } from "../model/attributes.ts";
import { model as graphModel, node, tensorInfo } from "../model/build.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { memoryTensor } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { openSession } from "../runtime/session.ts";
import { blockShapes, type BlockedWeights, type BlockOptions } from "./quantize/blockwise.ts";

const CONTRIB = "com.microsoft";

/**
 * `‖y₄ − y₀‖ / ‖y₀‖` over `rows` `[rows, K]`: the layer at level 4 against the same weights with float activations.
 *
 * @throws LightfootError E_RUNTIME
 */
export async function levelFourError(
  weights: BlockedWeights,
  k: number,
  n: number,
  options: BlockOptions,
  rows: Float32Array,
  threads: number | undefined,
): Promise<number> {
  const { packed, scales, zeroPoints } = weights;
  const shapes = blockShapes(k, n, options);
  const bytes = (name: string, shape: readonly number[], data: Uint8Array) =>
    memoryTensor(name, { dtype: "uint8", shape, data });
  const initializers = [
    bytes("weight", shapes.weight, packed),
    memoryTensor("scales", float32Tensor(shapes.scales, scales)),
    ...(zeroPoints === undefined ? [] : [bytes("zero_points", shapes.zeroPoints, zeroPoints)]),
  ];
  const shape = { K: int(k), N: int(n), bits: int(options.bits), block_size: int(options.blockSize) };
  const inputs = ["x", ...initializers.map(({ name }) => name)];
  const count = rows.length / k;
  const graph = graphModel(
    {
      nodes: [
        node("MatMulNBits", inputs, ["float"], shape, { domain: CONTRIB }),
        node("MatMulNBits", inputs, ["integer"], { ...shape, accuracy_level: int(4) }, { domain: CONTRIB }),
      ],
      inputs: [tensorInfo("x", "float32", [count, k])],
      outputs: [tensorInfo("float", "float32", [count, n]), tensorInfo("integer", "float32", [count, n])],
      initializers,
    },
    { "": 17, [CONTRIB]: 1 },
  );
  const session = await openSession(await serializeOnnx(graph), { threads, name: "accuracy level" });
  try {
    const { float, integer } = await session.run({ x: float32Tensor([count, k], rows) });
    let [difference, size] = [0, 0];
    (float.data as Float32Array).forEach((value, at) => {
      difference += (value - Number(integer.data[at])) ** 2;
      size += value ** 2;
    });
    return size === 0 ? 0 : Math.sqrt(difference / size);
  } finally {
    await session.close();
  }
}
