// Tests of the exact clean-up: ONNX Runtime gives the same bits before and after, the file never grows, inputs and outputs stay; depends on this folder.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float, int, ints } from "../../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { float32Tensor, int64Tensor } from "../../model/tensor-value.ts";
import { openSession } from "../../runtime/session.ts";
import { seededRandom } from "../../statistics/index.ts";
import { subgraphsWithin } from "../rewrite/inner-graphs.ts";
import { clean } from "./clean.ts";
import { net, randomTensor, samplesFor, signalToNoise } from "./test-models.ts";

const WIDTH = 16;
const WIDE = 24;

async function cleaned(graphModel: ModelGraph) {
  const result = await clean(graphModel);
  if (result.kind === "refused") throw new Error(result.reason);
  return result;
}

/** Outputs by name, from the engine without optimizations of its own, or with all of them. */
async function answers(of: ModelGraph, graphOptimization: "disabled" | "all" = "disabled") {
  const session = await openSession(await serializeOnnx(of), { threads: 1, graphOptimization });
  try {
    const results = await session.run({ x: samplesFor(of, 5).inputs.get("x")! });
    return Object.fromEntries(Object.entries(results).map(([name, { shape, data }]) => [name, { shape, data }]));
  } finally {
    await session.close();
  }
}

async function expectSameBits(before: ModelGraph, after: ModelGraph): Promise<void> {
  expect(after.graph.inputs).toEqual(before.graph.inputs);
  expect(after.graph.outputs).toEqual(before.graph.outputs);
  for (const level of ["disabled", "all"] as const)
    expect(await answers(after, level)).toEqual(await answers(before, level));
  expect((await serializeOnnx(after)).length).toBeLessThanOrEqual((await serializeOnnx(before)).length);
}

const operators = ({ graph: { nodes } }: ModelGraph): string[] => nodes.map(({ opType }) => opType);

/** Builds a model step by step along one value of shape [batch, 16]. */
class Chain {
  readonly nodes: Node[] = [];
  readonly initializers: TensorRef[] = [];
  readonly #random = seededRandom(4);
  #current = "x";
  #count = 0;

  name(stem: string): string {
    return `${stem}${this.#count++}`;
  }

  append(opType: string, others: readonly string[] = [], attributes: Node["attributes"] = new Map()): void {
    const output = this.name("v");
    this.nodes.push({ ...node(opType, [this.#current, ...others], [output]), attributes });
    this.#current = output;
  }

  constant(shape: readonly number[]): string {
    const tensor = randomTensor(this.name("c"), shape, this.#random, 0.3);
    this.initializers.push(tensor);
    return tensor.name;
  }

  copy(of: string): string {
    const name = this.name("d");
    this.initializers.push({ ...this.initializers.find((tensor) => tensor.name === of)!, name });
    return name;
  }

  end(): ModelGraph {
    this.nodes.push(node("Relu", [this.#current], ["y"]));
    return net(["batch", WIDTH], this.nodes, this.initializers);
  }
}

const up = memoryTensor(
  "up",
  float32Tensor(
    [WIDTH, WIDE],
    Float32Array.from({ length: WIDTH * WIDE }, (_, i) => Math.sin(i)),
  ),
);
const down = memoryTensor(
  "down",
  float32Tensor(
    [WIDE, WIDTH],
    Float32Array.from({ length: WIDTH * WIDE }, (_, i) => Math.sin((i % WIDTH) * WIDE + Math.floor(i / WIDTH))),
  ),
);

/** Things a clean-up meets, each as a step that keeps the shape. */
const STEPS: Record<string, (chain: Chain) => void> = {
  identity: (chain) => chain.append("Identity"),
  dropout: (chain) => chain.append("Dropout"),
  cast: (chain) => chain.append("Cast", [], new Map([["to", int(1)]])),
  transpose: (chain) => chain.append("Transpose", [], new Map([["perm", ints([0, 1])]])),
  transposes: (chain) => {
    for (let times = 0; times < 2; times++) chain.append("Transpose", [], new Map([["perm", ints([1, 0])]]));
  },
  flatten: (chain) => chain.append("Flatten"),
  relu: (chain) => chain.append("Tanh"),
  reshape: (chain) => {
    const name = chain.name("s");
    chain.initializers.push(memoryTensor(name, int64Tensor([2], [0, -1])));
    chain.append("Reshape", [name]);
  },
  unused: (chain) => void chain.constant([3]),
  dead: (chain) => {
    const [first, second] = [chain.name("dead"), chain.name("dead")];
    chain.nodes.push(node("Neg", ["x"], [first]), node("Exp", [first], [second]));
  },
  matMul: (chain) => chain.append("MatMul", [chain.constant([WIDTH, WIDTH])]),
  duplicate: (chain) => {
    const weight = chain.constant([WIDTH, WIDTH]);
    chain.append("MatMul", [weight]);
    chain.append("MatMul", [chain.copy(weight)]);
  },
  transposed: (chain) => {
    const [wide, narrow] = [chain.name("up"), chain.name("down")];
    chain.initializers.push({ ...up, name: wide }, { ...down, name: narrow });
    chain.append("MatMul", [wide]);
    chain.append("Gemm", [narrow]);
    chain.append("MatMul", [wide]);
    chain.append("MatMul", [narrow]);
  },
  smallFold: (chain) => {
    const sum = chain.name("f");
    chain.nodes.push(node("Add", [chain.constant([WIDTH]), chain.constant([WIDTH])], [sum]));
    chain.append("Add", [sum]);
  },
  growingFold: (chain) => {
    const [shape, large, mean] = [chain.name("s"), chain.name("g"), chain.name("g")];
    chain.initializers.push(memoryTensor(shape, int64Tensor([2], [300, WIDTH])));
    chain.nodes.push(
      node("Expand", [chain.constant([1, WIDTH]), shape], [large]),
      node("ReduceMean", [large], [mean], { axes: ints([0]), keepdims: int(1) }),
    );
    chain.append("Add", [mean]);
  },
};

describe("clean", () => {
  it("keeps every bit of every answer, and never makes the file larger", async () => {
    const steps = fc.array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(steps, async (names) => {
        const chain = new Chain();
        for (const name of names) STEPS[name](chain);
        const before = chain.end();
        const result = await clean(before);
        if (result.kind === "model") await expectSameBits(before, result.model);
        else expect(names.every((name) => ["relu", "matMul", "growingFold"].includes(name))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each(["identity", "dropout", "cast", "transpose", "transposes", "flatten", "reshape", "dead"])(
    "removes a needless step: %s",
    async (step) => {
      const chain = new Chain();
      STEPS[step](chain);
      expect(operators((await cleaned(chain.end())).model)).toEqual(["Relu"]);
    },
  );

  it("stores duplicate weights once, and ties a transpose to its Gemm by the flag", async () => {
    const chain = new Chain();
    STEPS["duplicate"](chain);
    STEPS["transposed"](chain);
    const before = chain.end();
    const { model: after, notes } = await cleaned(before);
    expect(before.graph.initializers.size - after.graph.initializers.size).toBe(2);
    expect(operators(after).filter((name) => name === "Transpose")).toHaveLength(1);
    expect(notes.join()).toMatch(/1 duplicate weight stored once.*1 transposed weight stored once/);
    await expectSameBits(before, after);
  });

  it("ties no matrix that differs from the other's transpose inside", async () => {
    const values = (await readFloats(down)).slice();
    values[5 * WIDTH + 7] += 1;
    const nodes = [node("MatMul", ["x", "up"], ["h"]), node("MatMul", ["h", "down"], ["y"])];
    const before = net(["batch", WIDTH], nodes, [up, memoryTensor("down", float32Tensor(down.shape, values))]);
    expect(await clean(before)).toMatchObject({ kind: "refused" });
  });

  it("computes constants only where that takes no more room", async () => {
    const chain = new Chain();
    STEPS["smallFold"](chain);
    STEPS["growingFold"](chain);
    const { model: after } = await cleaned(chain.end());
    expect(operators(after)).toEqual(["Add", "Expand", "ReduceMean", "Add", "Relu"]);
  });

  it("keeps the names that outputs and subgraphs need", async () => {
    const branch = graph({
      nodes: [node("Add", ["kept", "x"], ["r"])],
      outputs: [tensorInfo("r", "float32", undefined)],
    });
    const before = model(
      {
        nodes: [
          node("Relu", ["x"], ["h"]),
          node("Identity", ["h"], ["y1"]),
          node("Identity", ["h"], ["y2"]),
          node("Identity", ["x"], ["y3"]),
          node("Identity", ["h"], ["kept"]),
          node("If", ["always"], ["y4"], {
            then_branch: { type: "graph", value: branch },
            else_branch: { type: "graph", value: branch },
          }),
        ],
        inputs: [tensorInfo("x", "float32", ["batch", 4])],
        outputs: ["y1", "y2", "y3", "y4"].map((name) => tensorInfo(name, "float32", undefined)),
        initializers: [memoryTensor("always", { dtype: "bool", shape: [], data: Uint8Array.of(1) })],
      },
      17,
    );
    const { model: after } = await cleaned(before);
    expect(operators(after)).toEqual(["Relu", "Identity", "Identity", "Identity", "If"]);
    await expectSameBits(before, after);
  });

  it("takes out what nobody reads inside subgraphs, and with it what stood outside for that alone", async () => {
    const innermost = graph({
      nodes: [node("Mul", ["r", "factor"], ["s"]), node("Exp", ["s"], ["unused"])],
      outputs: [tensorInfo("s", "float32", undefined)],
      initializers: [randomTensor("factor", [1], seededRandom(3)), randomTensor("idle", [300], seededRandom(4))],
    });
    const branch = (opType: string) =>
      graph({
        nodes: [
          node("Sub", ["x", "outside"], ["d"]),
          node("Neg", ["d"], ["e"]),
          node(opType, ["x", "here"], ["r"]),
          node("If", ["always"], ["t"], {
            then_branch: { type: "graph", value: innermost },
            else_branch: { type: "graph", value: innermost },
          }),
        ],
        outputs: [tensorInfo("t", "float32", undefined)],
        initializers: [randomTensor("here", [4], seededRandom(5)), randomTensor("spare", [200], seededRandom(6))],
      });
    const before = model(
      {
        nodes: [
          node("Relu", ["x"], ["outside"]),
          node("If", ["always"], ["y"], {
            then_branch: { type: "graph", value: branch("Add") },
            else_branch: { type: "graph", value: branch("Mul") },
          }),
        ],
        inputs: [tensorInfo("x", "float32", ["batch", 4])],
        outputs: [tensorInfo("y", "float32", undefined)],
        initializers: [memoryTensor("always", { dtype: "bool", shape: [], data: Uint8Array.of(1) })],
      },
      17,
    );
    const { model: after, notes } = await cleaned(before);
    expect(operators(after)).toEqual(["If"]);
    const inside = subgraphsWithin(after.graph.nodes);
    expect(inside.map(({ nodes }) => nodes.map(({ opType }) => opType).join())).toEqual([
      "Add,If",
      "Mul",
      "Mul",
      "Mul,If",
      "Mul",
      "Mul",
    ]);
    expect(inside.flatMap(({ initializers }) => [...initializers.keys()])).not.toContain("idle");
    expect(inside.flatMap(({ initializers }) => [...initializers.keys()])).not.toContain("spare");
    // Two branches, each with two operators and a constant, and in both of their branches one of each.
    expect(notes).toContain("14 operators and constants inside subgraphs removed: nobody read them");
    expect(notes).toContain("inside 6 subgraphs only what nobody reads was looked for");
    await expectSameBits(before, after);
  });

  it("drops functions that nobody calls, and keeps those that functions and subgraphs call", async () => {
    const definition = (name: string, calls: string, domain = "own") => ({
      name,
      domain: "own",
      inputs: ["a"],
      outputs: ["b"],
      requiredAttributes: [],
      defaultAttributes: new Map(),
      nodes: [node(calls, ["a"], ["b"], {}, { domain })],
      opsets: new Map([
        ["", 17],
        ["own", 1],
      ]),
      valueInfo: [],
    });
    const branch = graph({
      nodes: [node("Outer", ["x"], ["r"], {}, { domain: "own" })],
      outputs: [tensorInfo("r", "float32", undefined)],
    });
    const before = model(
      {
        nodes: [
          node("If", ["always"], ["y"], {
            then_branch: { type: "graph", value: branch },
            else_branch: { type: "graph", value: branch },
          }),
        ],
        inputs: [tensorInfo("x", "float32", ["batch", 4])],
        outputs: [tensorInfo("y", "float32", undefined)],
        initializers: [memoryTensor("always", { dtype: "bool", shape: [], data: Uint8Array.of(1) })],
      },
      { "": 17, own: 1 },
      {
        functions: [
          definition("Outer", "Inner"),
          definition("Inner", "Relu", ""),
          definition("Idle", "Inner"),
          definition("Relu", "Neg", ""),
        ],
      },
    );
    const { model: after, notes } = await cleaned(before);
    expect(after.functions.map(({ name }) => name)).toEqual(["Outer", "Inner"]);
    expect(notes).toContain("2 functions removed: nobody called them");
    await expectSameBits(before, after);
  });

  it("refuses a model that needs all it has", async () => {
    const plain = net(["batch", 4], [node("Relu", ["x"], ["y"])], []);
    expect(await clean(plain)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("nothing to clean up"),
    });
  });
});

describe("batch normalization", () => {
  const statistics = (channels: number) => {
    const random = seededRandom(8);
    const positive = Float32Array.from({ length: channels }, () => 0.2 + random.next());
    return [
      randomTensor("scale", [channels], random),
      randomTensor("shift", [channels], random),
      randomTensor("mean", [channels], random),
      memoryTensor("variance", float32Tensor([channels], positive)),
    ];
  };
  const normalize = (input: string, attributes = {}) =>
    node("BatchNormalization", [input, "scale", "shift", "mean", "variance"], ["y"], {
      epsilon: float(1e-3),
      ...attributes,
    });
  const random = seededRandom(2);
  const weight = (...shape: number[]) => randomTensor("w", shape, random, 0.3);
  const CASES: [string, ModelGraph, string[]][] = [
    [
      "Conv",
      net(
        ["batch", 3, 9, 9],
        [node("Conv", ["x", "w"], ["c"]), normalize("c")],
        [weight(5, 3, 3, 3), ...statistics(5)],
      ),
      ["Conv"],
    ],
    [
      "Conv of groups with a bias",
      net(
        ["batch", 4, 9, 9],
        [node("Conv", ["x", "w", "b"], ["c"], { group: int(2) }), normalize("c")],
        [weight(6, 2, 3, 3), randomTensor("b", [6], random), ...statistics(6)],
      ),
      ["Conv"],
    ],
    [
      "Gemm with transB, alpha and beta",
      net(
        ["batch", 12],
        [node("Gemm", ["x", "w", "b"], ["c"], { transB: int(1), alpha: float(0.5), beta: float(2) }), normalize("c")],
        [weight(7, 12), randomTensor("b", [7], random), ...statistics(7)],
      ),
      ["Gemm"],
    ],
    [
      "MatMul and Add",
      net(
        ["batch", 12],
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["c"]), normalize("c")],
        [weight(12, 7), randomTensor("b", [7], random), ...statistics(7)],
      ),
      ["Gemm"],
    ],
  ];

  it.each(CASES)("folds into %s up to float32 rounding", async (_name, before, left) => {
    const { model: after, notes } = await cleaned(before);
    expect(operators(after)).toEqual(left);
    expect(notes.join()).toContain("up to float32 rounding");
    const [wanted, found] = [await answers(before), await answers(after)];
    expect(found["y"].shape).toEqual(wanted["y"].shape);
    expect(signalToNoise(wanted["y"].data as Float32Array, found["y"].data as Float32Array)).toBeGreaterThan(120);
  });

  it.each<[string, ModelGraph]>([
    [
      "statistics are those of the batch",
      net(
        ["batch", 3, 9, 9],
        [node("Conv", ["x", "w"], ["c"]), normalize("c", { training_mode: int(1) })],
        [weight(5, 3, 3, 3), ...statistics(5)],
      ),
    ],
    [
      "its channels are not the product's columns",
      net(["batch", 5, 12], [node("MatMul", ["x", "w"], ["c"]), normalize("c")], [weight(12, 5), ...statistics(5)]),
    ],
    [
      "another node reads the product",
      net(
        ["batch", 3, 9, 9],
        [
          node("Conv", ["x", "w"], ["c"]),
          node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"]),
          node("Add", ["c", "n"], ["y"]),
        ],
        [weight(5, 3, 3, 3), ...statistics(5)],
      ),
    ],
  ])("stays where %s", async (_name, before) => {
    const result = await clean(before);
    expect(operators(result.kind === "model" ? result.model : before)).toContain("BatchNormalization");
  });
});
