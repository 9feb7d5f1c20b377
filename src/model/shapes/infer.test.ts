// Behaviour of shape inference on small graphs: symbols, constant chains, control flow, functions and what stays unknown.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { float, floats, int, ints, string } from "../attributes.ts";
import { graph, model, node, tensorInfo } from "../build.ts";
import type { Attribute, Dim, FunctionDefinition, ModelGraph, Node } from "../graph.ts";
import { memoryTensor } from "../tensor-data.ts";
import { float32Tensor, int64Tensor } from "../tensor-value.ts";
import { substitute } from "./expression.ts";
import { inferShapes, shapeOf } from "./infer.ts";

const weight = (name: string, shape: readonly number[]) =>
  memoryTensor(name, float32Tensor(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));
const numbers = (name: string, values: readonly number[]) => memoryTensor(name, int64Tensor([values.length], values));
const scalar = (name: string, value: number) => memoryTensor(name, int64Tensor([], [value]));

/** The shape of `y` in a graph with inputs of the given shapes. */
async function shapeOfY(
  nodes: readonly Node[],
  inputs: Record<string, readonly Dim[]>,
  initializers: Parameters<typeof model>[0]["initializers"] = [],
  opset = 21,
): Promise<readonly Dim[] | undefined> {
  const infos = Object.entries(inputs).map(([name, shape]) => tensorInfo(name, "float32", shape));
  const built = model({ nodes, inputs: infos, outputs: [tensorInfo("y", "float32", undefined)], initializers }, opset);
  return shapeOf(await inferShapes(built), built.graph, "y");
}

test("Shape, Gather, Concat and Reshape keep a symbolic batch", async () => {
  const nodes = [
    node("Shape", ["x"], ["s"]),
    node("Gather", ["s", "zero"], ["b"]),
    node("Concat", ["b", "rest"], ["t"], { axis: int(0) }),
    node("Reshape", ["x", "t"], ["y"]),
  ];
  const initializers = [numbers("zero", [0]), numbers("rest", [-1, 8])];
  expect(await shapeOfY(nodes, { x: ["batch", 4, 16] }, initializers)).toEqual(["batch", 8, 8]);
  expect(await shapeOfY(nodes, { x: ["batch", "length", 16] }, initializers)).toEqual(["batch", "2*length", 8]);
});

test("a size halved through floats and given back to a Resize stays exact", async () => {
  const nodes = [
    node("Shape", ["x"], ["s"], { start: int(2) }),
    node("Cast", ["s"], ["f"], { to: int(1) }),
    node("Mul", ["f", "half"], ["h"]),
    node("Floor", ["h"], ["r"]),
    node("Cast", ["r"], ["i"], { to: int(7) }),
    node("Concat", ["nc", "i"], ["sizes"], { axis: int(0) }),
    node("Resize", ["x", "", "", "sizes"], ["y"]),
  ];
  const half = memoryTensor("half", float32Tensor([], new Float32Array([0.5])));
  const shape = await shapeOfY(nodes, { x: [1, 3, "H", "W"] }, [half, numbers("nc", [1, 3])]);
  expect(shape).toEqual([1, 3, "floor(H/2)", "floor(W/2)"]);
});

test("the exporters' Expand idiom (Where on Equal -1) is decided for symbolic sizes", async () => {
  const nodes = [
    node("Shape", ["x"], ["s"]),
    node("ConstantOfShape", ["two"], ["ones"], { value: { type: "tensor", value: numbers("one", [1]) } }),
    node("Equal", ["s", "minus"], ["e"]),
    node("Where", ["e", "ones", "s"], ["t"]),
    node("Expand", ["z", "t"], ["y"]),
  ];
  const initializers = [numbers("two", [2]), numbers("minus", [-1, -1])];
  expect(await shapeOfY(nodes, { x: ["batch", 7], z: [1, 1] }, initializers)).toEqual(["batch", 7]);
});

test.each<[string, number, Record<string, Attribute>, number[] | undefined, readonly Dim[], readonly Dim[]]>([
  ["Squeeze", 11, { axes: ints([1]) }, undefined, ["n", 1, 3], ["n", 3]],
  ["Squeeze", 13, {}, [1], ["n", 1, 3], ["n", 3]],
  ["Unsqueeze", 11, { axes: ints([0, 3]) }, undefined, ["n", 2], [1, "n", 2, 1]],
  ["Unsqueeze", 13, {}, [-1], ["n", 2], ["n", 2, 1]],
  ["ReduceMean", 13, { axes: ints([1]), keepdims: int(0) }, undefined, ["n", 2, 3], ["n", 3]],
  ["ReduceMean", 18, { keepdims: int(1) }, [-1], ["n", 2, 3], ["n", 2, 1]],
  ["ReduceSum", 13, { noop_with_empty_axes: int(1) }, undefined, ["n", 2], ["n", 2]],
  ["Pad", 10, { pads: ints([0, 1, 0, 2]) }, undefined, ["n", 2], ["n", 5]],
  ["Pad", 13, {}, [1, 0, 1, 0], ["n", 2], ["n + 2", 2]],
  ["Split", 11, { axis: int(1), split: ints([1, 4]) }, undefined, ["n", 5], ["n", 1]],
  ["Split", 13, { axis: int(1) }, [2, 3], ["n", 5], ["n", 2]],
  ["Upsample", 7, { scales: floats([1, 1, 2, 2]) }, undefined, [1, "c", "h", 4], [1, "c", "2*h", 8]],
  ["Dropout", 7, { ratio: float(0.5) }, undefined, ["n", 2], ["n", 2]],
  ["Reshape", 5, {}, [0, -1], ["n", 2, 3], ["n", 6]],
  ["Tile", 13, {}, [2, 1], ["n", 3], ["2*n", 3]],
])(
  "%s of opset %i reads its parameter where that opset puts it",
  async (op, opset, attributes, input, shape, wanted) => {
    const outputs = op === "Split" ? ["y", "y2"] : ["y"];
    const nodes = [node(op, input === undefined ? ["x"] : ["x", "p"], outputs, attributes)];
    expect(await shapeOfY(nodes, { x: shape }, input && [numbers("p", input)], opset)).toEqual(wanted);
  },
);

test("strided convolution, transposed convolution and concatenation of a symbolic image agree with numbers", async () => {
  const nodes = [
    node("Conv", ["x", "w"], ["a"], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    node("MaxPool", ["a"], ["m"], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    node("ConvTranspose", ["m", "t"], ["u"], { strides: ints([2, 2]) }),
    node("Concat", ["u", "u"], ["y"], { axis: int(1) }),
  ];
  const initializers = [weight("w", [8, 3, 3, 3]), weight("t", [8, 4, 2, 2])];
  const symbolic = await shapeOfY(nodes, { x: ["n", 3, "h", "w"] }, initializers);
  expect(symbolic).toEqual(["n", 8, "2*floor((h + 3)/4)", "2*floor((w + 3)/4)"]);
  for (const [n, h, w] of [
    [1, 32, 33],
    [4, 7, 18],
  ] as const) {
    const bindings = new Map(Object.entries({ n, h, w }));
    const concrete = await shapeOfY(nodes, { x: [n, 3, h, w] }, initializers);
    expect(symbolic!.map((size) => substitute(size!, bindings))).toEqual(concrete);
  }
});

const branch = (name: string, count: number) =>
  graph({
    name,
    nodes: [
      node(
        "Concat",
        Array.from({ length: count }, () => "x"),
        [`${name}_out`],
        { axis: int(0) },
      ),
    ],
    outputs: [tensorInfo(`${name}_out`, "float32", undefined)],
  });

const branchModel = (condition: Node | undefined): ModelGraph => {
  return model({
    nodes: [
      ...(condition === undefined ? [] : [condition]),
      node("If", ["c"], ["y"], {
        then_branch: { type: "graph", value: branch("then", 2) },
        else_branch: { type: "graph", value: branch("else", 3) },
      }),
    ],
    inputs: [tensorInfo("x", "float32", ["n", 2]), ...(condition ? [] : [tensorInfo("c", "bool", [])])],
    outputs: [tensorInfo("y", "float32", undefined)],
  });
};

test("If joins its branches, and takes the one that a constant condition decides", async () => {
  const open = branchModel(undefined);
  expect(shapeOf(await inferShapes(open), open.graph, "y")).toEqual(["y[0]", 2]);
  const constant = { type: "tensor", value: { ...scalar("c", 1), dtype: "bool", data: bytes(1) } } as const;
  const decided = branchModel(node("Constant", [], ["c"], { value: constant }));
  expect(shapeOf(await inferShapes(decided), decided.graph, "y")).toEqual(["2*n", 2]);
});

const bytes = (...values: number[]) => ({ kind: "memory", bytes: Uint8Array.from(values) }) as const;

test("Loop carries a growing tensor as a fresh size and stacks scan outputs by its trip count", async () => {
  const body = graph({
    nodes: [
      node("Identity", ["going"], ["going_out"]),
      node("Concat", ["carried", "carried"], ["grown"], { axis: int(0) }),
      node("Identity", ["x"], ["row"]),
    ],
    inputs: [
      tensorInfo("i", "int64", []),
      tensorInfo("going", "bool", []),
      tensorInfo("carried", "float32", undefined),
    ],
    outputs: ["going_out", "grown", "row"].map((name) => tensorInfo(name, "float32", undefined)),
  });
  const built = model({
    nodes: [node("Loop", ["trips", "", "x"], ["final", "rows"], { body: { type: "graph", value: body } })],
    inputs: [tensorInfo("x", "float32", ["n", 2])],
    outputs: [tensorInfo("rows", "float32", undefined)],
    initializers: [scalar("trips", 5)],
  });
  const inference = await inferShapes(built);
  expect(shapeOf(inference, built.graph, "final")).toEqual(["final[0]", 2]);
  expect(shapeOf(inference, built.graph, "rows")).toEqual([5, "n", 2]);
});

test("Scan takes apart and stacks along the axes its attributes name", async () => {
  const body = graph({
    nodes: [node("Add", ["state", "element"], ["next"]), node("Identity", ["next"], ["out"])],
    inputs: [tensorInfo("state", "float32", undefined), tensorInfo("element", "float32", undefined)],
    outputs: [tensorInfo("next", "float32", undefined), tensorInfo("out", "float32", undefined)],
  });
  const scan = node("Scan", ["s", "x"], ["last", "y"], {
    body: { type: "graph", value: body },
    num_scan_inputs: int(1),
    scan_input_axes: ints([1]),
    scan_output_axes: ints([-1]),
  });
  expect(await shapeOfY([scan], { s: ["n"], x: ["n", "t"] })).toEqual(["n", "t"]);
});

test("a model-local function is inferred at each call, with its attributes filled in and absent inputs absent", async () => {
  const definition: FunctionDefinition = {
    name: "Pair",
    domain: "local",
    inputs: ["a", "maybe"],
    outputs: ["out"],
    requiredAttributes: [],
    defaultAttributes: new Map([["where", int(0)]]),
    nodes: [
      node("Concat", ["a", "a"], ["joined"], { axis: { type: "reference", of: "where", code: 2 } }),
      node("Clip", ["joined", "maybe"], ["out"]),
    ],
    opsets: new Map([["", 21]]),
    valueInfo: [],
  };
  const built = model(
    {
      nodes: [
        node("Pair", ["x"], ["p"], {}, { domain: "local" }),
        node("Pair", ["p"], ["y"], { where: int(1) }, { domain: "local" }),
      ],
      inputs: [tensorInfo("x", "float32", ["n", 3])],
      outputs: [tensorInfo("y", "float32", undefined)],
    },
    { "": 21, local: 1 },
    { functions: [definition] },
  );
  const inference = await inferShapes(built);
  expect(shapeOf(inference, built.graph, "y")).toEqual(["2*n", 6]);
  expect(inference.unknown).toEqual([]);
});

test("an unknown operator leaves its outputs unknown, says so, and does not stop what does not need them", async () => {
  const built = model({
    nodes: [
      node("Mystery", ["x"], ["m"], {}, { domain: "vendor", name: "m1" }),
      node("Relu", ["m"], ["r"]),
      node("Relu", ["x"], ["y"]),
    ],
    inputs: [tensorInfo("x", "float32", [2])],
    outputs: [tensorInfo("y", "float32", undefined)],
  });
  const inference = await inferShapes(built);
  expect(shapeOf(inference, built.graph, "y")).toEqual([2]);
  expect(inference.unknown).toEqual([
    { path: "m1", opType: "Mystery", reason: "operator vendor:Mystery has no shape rule" },
    { path: "Relu_1", opType: "Relu", reason: "the type of input 'm' is unknown" },
  ]);
});

test("shapes that contradict each other name the node", async () => {
  const broken = shapeOfY([node("MatMul", ["x", "w"], ["y"], {}, { name: "head" })], { x: [2, 3] }, [
    weight("w", [4, 5]),
  ]);
  await expect(broken).rejects.toMatchObject({ code: "E_SHAPE", where: { path: "head" } });
});

test("a function that calls itself ends in an error, not in a full stack", async () => {
  const definition: FunctionDefinition = {
    name: "F",
    domain: "local",
    inputs: ["a"],
    outputs: ["out"],
    requiredAttributes: [],
    defaultAttributes: new Map(),
    nodes: [node("F", ["a"], ["out"], {}, { domain: "local" })],
    opsets: new Map([["local", 1]]),
    valueInfo: [],
  };
  const built = model(
    { nodes: [node("F", ["x"], ["y"], {}, { domain: "local" })], inputs: [tensorInfo("x", "float32", [1])] },
    { "": 21, local: 1 },
    { functions: [definition] },
  );
  await expect(inferShapes(built)).rejects.toMatchObject({ code: "E_LIMIT" });
});

test("sizes that only data decides are symbols of the value they belong to", async () => {
  expect(await shapeOfY([node("NonZero", ["x"], ["y"])], { x: ["n", 4] })).toEqual([2, "y[1]"]);
});

test.each([
  ["bij,bjk->bik", ["b", 2, "s"], ["b", "s", 5], ["b", 2, 5]],
  ["...ij->...ji", ["b", "h", 2, 3], undefined, ["b", "h", 3, 2]],
  ["ij,jk", [2, "k"], ["k", 4], [2, 4]],
  ["bhqd,bhkd->bhqk", ["b", 8, "q", 64], ["b", 8, "k", 64], ["b", 8, "q", "k"]],
] as [string, Dim[], Dim[] | undefined, Dim[]][])("Einsum %s", async (equation, left, right, wanted) => {
  const inputs: Record<string, Dim[]> = right === undefined ? { a: left } : { a: left, b: right };
  const nodes = [node("Einsum", Object.keys(inputs), ["y"], { equation: string(equation) })];
  expect(await shapeOfY(nodes, inputs)).toEqual(wanted);
});

test("Slice of any start, end and step keeps what the operator's text says", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: -12, max: 12 }),
      fc.integer({ min: -12, max: 12 }),
      fc.constantFrom(-3, -2, -1, 1, 2, 3),
      async (size, start, end, step) => {
        const indices = Array.from({ length: size }, (_, i) => i);
        const clamp = (at: number, low: number, high: number) => Math.min(Math.max(at < 0 ? at + size : at, low), high);
        const wanted =
          step > 0
            ? indices.filter(
                (i) =>
                  i >= clamp(start, 0, size) && i < clamp(end, 0, size) && (i - clamp(start, 0, size)) % step === 0,
              )
            : indices.filter(
                (i) =>
                  i <= clamp(start, 0, size - 1) &&
                  i > clamp(end, -1, size - 1) &&
                  (clamp(start, 0, size - 1) - i) % -step === 0,
              );
        const parameters = { starts: start, ends: end, axes: 0, steps: step };
        const nodes = [node("Slice", ["x", ...Object.keys(parameters)], ["y"])];
        const initializers = Object.entries(parameters).map(([name, value]) => numbers(name, [value]));
        expect(await shapeOfY(nodes, { x: [size] }, initializers)).toEqual([wanted.length]);
      },
    ),
    { numRuns: 200, seed: 20261124 },
  );
});
