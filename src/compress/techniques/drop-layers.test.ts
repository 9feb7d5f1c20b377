// Tests of dropping residual blocks: one that adds nothing goes first and without a change; depends on this folder and runtime.
import { describe, expect, it } from "vitest";
import { analyze } from "../../cost/analyze.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import { findResidualBlocks } from "../structure/residual-blocks.ts";
import { transformerBlock } from "../structure/test-nets.ts";
import { dropLayers } from "./drop-layers.ts";
import { contextWith, convNet, gemmNet, outputsOf, samplesFor, signalToNoise } from "./test-models.ts";

const context = (calibration: Dataset) => contextWith({ calibration });

const blocks = (count: number) =>
  transformerBlock(
    { heads: 2, keyHeads: 2, headWidth: 8, hidden: 32, gated: false, fused: false, computedShapes: true },
    7,
    count,
  );

/** The graph with the last weights of its n-th block, counted from 0, scaled. */
async function scaledBlock(graph: ModelGraph, block: number, scale: number): Promise<ModelGraph> {
  const sum = graph.graph.nodes.find(({ outputs }) => outputs[0] === sums[block].output)!;
  const branch = graph.graph.nodes.find(({ outputs }) => outputs[0] === sum.inputs[1])!;
  const product = graph.graph.nodes.find(({ outputs }) => outputs[0] === branch.inputs[0])!;
  const initializers = new Map(graph.graph.initializers);
  for (const name of [product.inputs[1], branch.inputs[1]]) {
    const tensor = initializers.get(name)!;
    const values = (await readFloats(tensor)).map((value) => value * scale);
    initializers.set(name, memoryTensor(name, float32Tensor(tensor.shape, values)));
  }
  return { ...graph, graph: { ...graph.graph, initializers } };
}

const plain = blocks(2);
const sums = await findResidualBlocks(plain);

describe("dropLayers", () => {
  it("finds attention and feed-forward blocks, and convolutional ones", async () => {
    expect(sums).toHaveLength(4);
    expect(sums[0].input).toBe("x");
    expect(sums.slice(1).map(({ input }) => input)).toEqual(sums.slice(0, 3).map(({ output }) => output));
    expect(await findResidualBlocks(convNet())).toHaveLength(1);
    expect(await findResidualBlocks(gemmNet())).toEqual([]);
  });

  it.each([0, 1, 2, 3])("takes a silent block out first, and nothing changes: block %i", async (block) => {
    const graph = await scaledBlock(plain, block, 0);
    const result = await dropLayers(graph, { ratio: 0.75 }, context(samplesFor(graph, 32, 3)));
    if (result.kind === "refused") throw new Error(result.reason);
    expect(result.notes[0]).toContain("cosine 1.0000");
    const data = samplesFor(graph, 6);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(result.model, data))).toBeGreaterThan(100);
    const [before, after] = [await analyze(graph), await analyze(result.model)];
    expect(after.macs).toBeLessThan(before.macs);
    expect(after.parameters).toBeLessThan(before.parameters);
  });

  it("drops neighbors in any number, and refuses where there is nothing to drop", async () => {
    const data = samplesFor(plain, 16, 3);
    const result = await dropLayers(plain, { ratio: 0.25 }, context(data));
    if (result.kind === "refused") throw new Error(result.reason);
    expect(await findResidualBlocks(result.model)).toHaveLength(1);
    expect((await outputsOf(result.model, data)).every(Number.isFinite)).toBe(true);
    expect(await dropLayers(plain, { ratio: 1 }, context(data))).toMatchObject({ kind: "refused" });
    const dense = gemmNet();
    expect(await dropLayers(dense, { ratio: 0.5 }, context(samplesFor(dense, 8)))).toMatchObject({ kind: "refused" });
  });
});
