// The straight-through rules by hand: a rounding has no finite difference to compare with; depends on its room and vitest.
import { expect, test } from "vitest";
import { graph, model, node, tensorInfo } from "../../../model/build.ts";
import { serializeOnnx } from "../../../model/onnx/write.ts";
import { memoryTensor } from "../../../model/tensor-data.ts";
import { float32Tensor } from "../../../model/tensor-value.ts";
import { openSession } from "../../session.ts";
import { differentiate } from "../differentiate.ts";
import { Emitter } from "../emitter.ts";
import { assembleModel, forwardGraph } from "../forward-graph.ts";

test("gradients pass QuantizeLinear and DequantizeLinear where nothing was clipped, per channel", async () => {
  const shape = [2, 3];
  const source = model({
    nodes: [
      node("QuantizeLinear", ["x", "scale", "zero"], ["q"], {}),
      node("DequantizeLinear", ["q", "scale", "zero"], ["y"], {}),
    ],
    initializers: [
      memoryTensor("scale", float32Tensor([3], Float32Array.of(0.1, 0.01, 1))),
      memoryTensor("zero", { dtype: "int8", shape: [3], data: Int8Array.of(0, 10, -100) }),
    ],
    inputs: [tensorInfo("x", "float32", shape)],
    outputs: [tensorInfo("y", "float32", shape)],
  });
  const forward = await forwardGraph(source, { x: { dtype: "float32", shape } }, new Set<string>());
  const emit = new Emitter("g/");
  const wanted = new Set(["x", "scale"]);
  const gradients = differentiate({
    forward: [...forward.nodes],
    values: forward.values,
    seeds: new Map([["y", "dy"]]),
    wanted,
    emit,
  });
  const outputs = [gradients.get("x")!, gradients.get("scale")!];
  const backward = assembleModel(
    forward,
    graph({
      nodes: [...forward.nodes, ...emit.nodes],
      initializers: new Map([...forward.initializers, ...emit.initializers]),
      inputs: [tensorInfo("x", "float32", shape), tensorInfo("dy", "float32", shape)],
      outputs: outputs.map((name) => ({ name, type: undefined })),
    }),
  );
  const session = await openSession(await serializeOnnx(backward), { threads: 1 });
  const results = await session.run({
    // Column 0 represents ±12.7, column 1 −1.38…1.17, column 2 −28…227.
    x: float32Tensor(shape, Float32Array.of(5, 1.1, -27, 13, -1.5, 228)),
    dy: float32Tensor(shape, Float32Array.of(1, 2, 3, 4, 5, 6)),
  });
  const dx = [...(results[outputs[0]].data as Float32Array)];
  for (const [at, value] of [1, 2, 3, 0, 0, 0].entries()) expect(dx[at]).toBeCloseTo(value, 5);
  // LSQ: inside dy·(round(x/scale) − x/scale), which is 0 for these whole levels; clipped dy·(limit − zero).
  const dScale = [...(results[outputs[1]].data as Float32Array)];
  for (const [at, value] of [4 * 127, 5 * -138, 6 * 227].entries()) expect(dScale[at]).toBeCloseTo(value, 2);
  await session.close();
});
