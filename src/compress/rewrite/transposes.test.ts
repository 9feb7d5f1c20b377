// Tests of joined transposes: ONNX Runtime gives the same bits before and after; depends on this folder and runtime.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ints, intsAttribute } from "../../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom } from "../../statistics/index.ts";
import { GraphDraft } from "./draft.ts";
import { joinTransposes } from "./transposes.ts";

const SHAPE = [2, 3, 4, 5];
const TO_LAST = [0, 2, 3, 1];
const TO_FIRST = [0, 3, 1, 2];

const numbers = [
  memoryTensor("half", float32Tensor([], Float32Array.of(0.5))),
  memoryTensor("one", float32Tensor([1, 1], Float32Array.of(1))),
  memoryTensor("rows", float32Tensor([5, 1, 1, 1, 1], Float32Array.of(1, 2, 3, 4, 5))),
];

const transpose = (input: string, output: string, perm: readonly number[]): Node =>
  node("Transpose", [input], [output], { perm: ints(perm) });

function modelOf(nodes: readonly Node[], outputs: readonly string[] = ["y"]): ModelGraph {
  return model(
    {
      nodes: [...nodes],
      inputs: [tensorInfo("x", "float32", SHAPE)],
      outputs: outputs.map((name) => tensorInfo(name, "float32", undefined)),
      initializers: numbers,
    },
    17,
  );
}

async function answers(of: ModelGraph) {
  const random = seededRandom(8);
  const data = Float32Array.from({ length: 120 }, () => random.normal());
  const session = await openSession(await serializeOnnx(of), { threads: 1, graphOptimization: "disabled" });
  try {
    const found = await session.run({ x: float32Tensor(SHAPE, data) });
    return Object.entries(found).map(([name, { shape, data: values }]) => ({ name, shape, values }));
  } finally {
    await session.close();
  }
}

async function joined(before: ModelGraph): Promise<{ after: ModelGraph; count: number }> {
  const draft = new GraphDraft(before);
  const count = joinTransposes(draft);
  const after = draft.finish();
  expect(await answers(after)).toEqual(await answers(before));
  return { after, count };
}

const permutations = ({ graph: { nodes } }: ModelGraph) =>
  nodes.filter(({ opType }) => opType === "Transpose").map((each) => intsAttribute(each, "perm"));

describe("joinTransposes", () => {
  it("keeps every bit of any chain of transposes and operators", async () => {
    const steps: Record<string, (from: string, to: string) => Node> = {
      relu: (from, to) => node("Relu", [from], [to]),
      add: (from, to) => node("Add", ["one", from], [to]),
      divide: (from, to) => node("Div", [from, "half"], [to]),
      softmax: (from, to) => node("Softmax", [from], [to]),
      exp: (from, to) => node("Exp", [from], [to]),
    };
    const step = fc.oneof(
      fc.constantFrom(...Object.keys(steps)),
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4, maxLength: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 9 }), async (chosen) => {
        const nodes = chosen.map((each, at) =>
          typeof each === "string" ? steps[each](`v${at}`, `v${at + 1}`) : transpose(`v${at}`, `v${at + 1}`, each),
        );
        const before = modelOf([node("Neg", ["x"], ["v0"]), ...nodes, node("Abs", [`v${chosen.length}`], ["y"])]);
        const { after, count } = await joined(before);
        const [were, are] = [before, after].map((each) => permutations(each).length);
        // The joined one is left without readers.
        expect(after.graph.nodes.length).toBe(before.graph.nodes.length);
        expect(count).toBeLessThanOrEqual(were);
        expect(are).toBe(were);
      }),
      { numRuns: 60 },
    );
  });

  it("takes a second one that takes the first back out of a layer's way, as Keras exports have them", async () => {
    const before = modelOf([
      transpose("x", "last", TO_LAST),
      node("Add", ["last", "half"], ["a"]),
      node("Relu", ["a"], ["r"]),
      transpose("r", "y", TO_FIRST),
    ]);
    const { after, count } = await joined(before);
    expect(count).toBe(1);
    expect(permutations(after)).toEqual([TO_LAST, [0, 1, 2, 3]]);
    expect(after.graph.nodes.at(-2)?.inputs).not.toContain("last");
  });

  it.each([
    ["another reader of the value between", [node("Sqrt", ["r"], ["z"])], ["y", "z"]],
    ["an output between", [], ["y", "r"]],
    [
      "a subgraph that reads it",
      [
        node("If", ["always"], ["z"], {
          then_branch: { type: "graph", value: reading("r") },
          else_branch: { type: "graph", value: reading("r") },
        }),
      ],
      ["y", "z"],
    ],
  ] as const)("leaves both where there is %s", async (_what, others, outputs) => {
    const { graph: parts, ...rest } = modelOf(
      [transpose("x", "last", TO_LAST), node("Relu", ["last"], ["r"]), ...others, transpose("r", "y", TO_FIRST)],
      outputs,
    );
    const always = memoryTensor("always", { dtype: "bool", shape: [], data: Uint8Array.of(1) });
    const initializers = new Map([...parts.initializers, ["always", always] as const]);
    const { count } = await joined({ ...rest, graph: { ...parts, initializers } });
    expect(count).toBe(0);
  });

  it("leaves both around an operator that looks along an axis, or whose constant has more axes or numbers", async () => {
    for (const between of [node("Softmax", ["last"], ["r"]), node("Add", ["last", "rows"], ["r"])]) {
      const perm = between.opType === "Add" ? [0, 1, 4, 2, 3] : TO_FIRST;
      const { count } = await joined(modelOf([transpose("x", "last", TO_LAST), between, transpose("r", "y", perm)]));
      expect(count).toBe(0);
    }
  });

  it("keeps the first for its other readers", async () => {
    const { after, count } = await joined(
      modelOf(
        [transpose("x", "last", TO_LAST), transpose("last", "y", TO_FIRST), node("Relu", ["last"], ["z"])],
        ["y", "z"],
      ),
    );
    expect(count).toBe(1);
    expect(permutations(after)).toEqual([TO_LAST, [0, 1, 2, 3]]);
  });
});

function reading(name: string) {
  return graph({ nodes: [node("Neg", [name], ["inner"])], outputs: [tensorInfo("inner", "float32", undefined)] });
}
