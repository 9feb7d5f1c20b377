// Tests of widening: the same weights in float32 kernels, types of inputs and outputs kept, and techniques that go on from it; depends on this folder.
import { describe, expect, it } from "vitest";
import { decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../io/half.ts";
import { int } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom } from "../../statistics/index.ts";
import { weightOnlyColumns } from "./weight-columns.ts";
import { executedOperators, gemmNet, signalToNoise } from "./test-models.ts";
import { half } from "./half-storage.ts";
import { holdsHalves, widen } from "./widen.ts";

const [K, N, COUNT] = [24, 8, 16] as const;
const random = seededRandom(5);
const halves = (count: number): Uint16Array =>
  encodeFloat16(Float32Array.from({ length: count }, () => random.normal() * 0.3));

/** y = Relu(x · w + b), then scaled by a Constant and through a Cast, all in float16. */
function halfNet(): ModelGraph {
  const constant = memoryTensor("", { dtype: "float16", shape: [], data: encodeFloat16(Float32Array.of(0.5)) });
  return model(
    {
      nodes: [
        node("Gemm", ["x", "w", "b"], ["g"]),
        node("Relu", ["g"], ["r"]),
        node("Constant", [], ["c"], { value: { type: "tensor", value: constant } }),
        node("Mul", ["r", "c"], ["m"]),
        node("Cast", ["m"], ["f"], { to: int(1) }),
        node("Softmax", ["f"], ["s"]),
        node("Cast", ["s"], ["y"], { to: int(10) }),
      ],
      inputs: [tensorInfo("x", "float16", ["batch", K])],
      outputs: [tensorInfo("y", "float16", ["batch", N])],
      initializers: [
        memoryTensor("w", { dtype: "float16", shape: [K, N], data: halves(K * N) }),
        memoryTensor("b", { dtype: "float16", shape: [N], data: halves(N) }),
      ],
    },
    { "": 17 },
  );
}

const input = halves(COUNT * K);
async function answers(net: ModelGraph): Promise<Float32Array> {
  const session = await openSession(await serializeOnnx(net), { threads: 1 });
  const { y } = await session.run({ x: { dtype: "float16", shape: [COUNT, K], data: input } });
  await session.close();
  expect(y.dtype).toBe("float16");
  return decodeFloat16(y.data as Uint16Array);
}

const before = halfNet();

async function made(result: Awaited<ReturnType<typeof widen>>): Promise<ModelGraph> {
  if (result.kind === "refused") throw new Error(result.reason);
  return result.model;
}

describe("widen", () => {
  it("computes the same in float32 between inputs and outputs of float16", async () => {
    const wide = await made(await widen(before));
    expect(holdsHalves(wide)).toBe(false);
    expect(await executedOperators(wide)).toMatchObject({ Cast: 2 });
    expect(signalToNoise(await answers(before), await answers(wide))).toBeGreaterThan(50);
  });

  it("gives techniques for float32 weights something to do", async () => {
    expect(await weightOnlyColumns(before)).toMatchObject({ kind: "refused" });
    const small = await made(await weightOnlyColumns(await made(await widen(before))));
    expect(signalToNoise(await answers(before), await answers(small))).toBeGreaterThan(25);
  });

  it.each(["float16", "bfloat16"] as const)(
    "takes %s weights that are only stored so out of their Cast",
    async (dtype) => {
      const stored = await made(await half(gemmNet(), { dtype }));
      const wide = await made(await widen(stored));
      expect(holdsHalves(stored)).toBe(true);
      expect(wide.graph.nodes.map(({ opType }) => opType)).not.toContain("Cast");
    },
  );

  it("refuses a float32 model, and one whose branches would have to follow", async () => {
    expect(await widen(gemmNet())).toMatchObject({ kind: "refused", reason: expect.stringContaining("no weights") });
    const weight = memoryTensor("w", { dtype: "bfloat16", shape: [1], data: encodeBfloat16(Float32Array.of(1)) });
    const branch = model({
      nodes: [node("Identity", ["w"], ["i"])],
      inputs: [],
      outputs: [tensorInfo("i", "bfloat16", [1])],
      initializers: [],
    }).graph;
    const branches = {
      then_branch: { type: "graph", value: branch },
      else_branch: { type: "graph", value: branch },
    } as const;
    const nested = model({
      nodes: [node("If", ["x"], ["y"], branches)],
      inputs: [tensorInfo("x", "bool", [])],
      outputs: [tensorInfo("y", "bfloat16", [1])],
      initializers: [weight],
    });
    expect(await widen(nested)).toMatchObject({ kind: "refused", reason: expect.stringContaining("subgraphs") });
  });
});
