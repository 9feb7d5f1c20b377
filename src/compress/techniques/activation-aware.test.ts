// Tests of activation-aware scaling: the float model answers as before to the last bit, and rounding costs less; depends on this folder.
import { describe, expect, it } from "vitest";
import { float, int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import type { BlockSize } from "../quantize/blockwise.ts";
import { activationAware } from "./activation-aware.ts";
import { gemmNet, net, outputsOf, randomTensor, samplesFor, signalToNoise } from "./test-models.ts";
import { weightOnlyBlocks } from "./weight-blocks.ts";

const WIDTH = 64;

/** LayerNormalization with a few strong channels, read by two products: the shape of a transformer's block. */
function strongNet(): ModelGraph {
  const random = seededRandom(2);
  const gain = Float32Array.from({ length: WIDTH }, (_, at) => (at % 16 === 5 ? 12 : 0.5 + random.next()));
  return net(
    ["batch", WIDTH],
    [
      node("LayerNormalization", ["x", "g", "s"], ["h"], { axis: int(-1), epsilon: float(1e-5) }),
      node("MatMul", ["h", "wa"], ["a"]),
      node("MatMul", ["h", "wb"], ["b"]),
      node("Concat", ["a", "b"], ["y"], { axis: int(-1) }),
    ],
    [
      memoryTensor("g", float32Tensor([WIDTH], gain)),
      randomTensor("s", [WIDTH], random, 0.1),
      randomTensor("wa", [WIDTH, 24], random, 0.2),
      randomTensor("wb", [WIDTH, 16], random, 0.2),
    ],
  );
}

const context = (graph: ModelGraph) => ({ calibration: samplesFor(graph, 128, 1), threads: 1, signal: undefined });

async function scaled(graph: ModelGraph, bits: 2 | 4 | 8, blockSize: BlockSize) {
  const result = await activationAware(graph, { bits, blockSize, symmetric: true }, context(graph));
  if (result.kind === "refused") throw new Error(result.reason);
  return result.model;
}

async function rounded(graph: ModelGraph, bits: 2 | 4 | 8, blockSize: BlockSize) {
  const options = { bits, blockSize, symmetric: true, accuracyLevel: 0 } as const;
  const result = await weightOnlyBlocks(graph, options, context(graph));
  if (result.kind === "refused") throw new Error(result.reason);
  return result.model;
}

describe("activationAware", () => {
  it("answers as before to the last bit, as long as the weights are float", async () => {
    const graph = strongNet();
    const data = samplesFor(graph, 50);
    expect(await outputsOf(await scaled(graph, 4, 32), data)).toEqual(await outputsOf(graph, data));
  });

  it.each([
    [4, 32, 1],
    [4, 64, 1],
    // With four levels there is little left to move between.
    [2, 32, 0.2],
  ] as const)("loses less to rounding: %i bits in blocks of %i", async (bits, blockSize, gain) => {
    const graph = strongNet();
    const data = samplesFor(graph, 200);
    const wanted = await outputsOf(graph, data);
    const plain = signalToNoise(wanted, await outputsOf(await rounded(graph, bits, blockSize), data));
    const aware = await rounded(await scaled(graph, bits, blockSize), bits, blockSize);
    expect(signalToNoise(wanted, await outputsOf(aware, data))).toBeGreaterThan(plain + gain);
  });

  it("leaves alone what no layer before can take, and says so", async () => {
    const graph = net(
      ["batch", 24],
      [node("MatMul", ["x", "w"], ["y"])],
      [randomTensor("w", [24, 8], seededRandom(1))],
    );
    const options = { bits: 4, blockSize: 16, symmetric: true } as const;
    expect(await activationAware(graph, options, context(graph))).toMatchObject({ kind: "refused" });
    const without = { calibration: undefined, threads: 1, signal: undefined };
    expect(await activationAware(gemmNet(), options, without)).toMatchObject({ kind: "refused" });
  });
});
