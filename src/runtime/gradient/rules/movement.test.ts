// The gradient rules of moving, cutting, joining and reducing against finite differences; depends on its room and vitest.
import { describe, expect, test } from "vitest";
import { int, ints, string } from "../../../model/attributes.ts";
import { node } from "../../../model/build.ts";
import { gradientError, int64, single, type Case } from "./finite-differences.ts";
import { movement } from "./movement.ts";
import { reductions } from "./reduction.ts";

const distinct = { draw: "distinct" } as const;

const movements: Case[] = [
  {
    operator: "Reshape",
    title: "with 0 and -1",
    inputs: { x: [2, 3, 4] },
    nodes: [node("Reshape", ["x", "s"], ["y"])],
    constants: [int64("s", [0, -1])],
  },
  {
    operator: "Reshape",
    title: "to a shape computed from Shape, Gather and Concat",
    inputs: { x: [2, 3, 4] },
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("Gather", ["shape", "zero"], ["batch"]),
      node("Concat", ["batch", "rest"], ["target"], { axis: int(0) }),
      node("Reshape", ["x", "target"], ["y"]),
    ],
    constants: [int64("zero", [0]), int64("rest", [-1])],
  },
  single("Flatten", "axis 2", [[2, 3, 4]], { axis: int(2) }),
  single("Squeeze", "all", [[2, 1, 3, 1]]),
  single("Squeeze", "axes as attribute", [[2, 1, 3, 1]], { axes: ints([1]) }, { opset: 11 }),
  single("Unsqueeze", "axes", [[2, 3]], {}, { after: ["axes"], constants: [int64("axes", [0, 2])] }),
  single("Transpose", "reversed by default", [[2, 3, 4]]),
  single("Transpose", "permutation of order 3", [[2, 3, 4]], { perm: ints([2, 0, 1]) }),
  single(
    "Concat",
    "three parts",
    [
      [2, 1, 3],
      [2, 2, 3],
      [2, 3, 3],
    ],
    { axis: int(-2) },
  ),
  single(
    "Concat",
    "one part wanted",
    [
      [2, 1],
      [2, 2],
      [2, 3],
    ],
    { axis: int(1) },
    { fixed: ["x0", "x2"] },
  ),
  {
    operator: "Split",
    title: "one part unused",
    inputs: { x: [2, 6] },
    nodes: [node("Split", ["x", "sizes"], ["a", "b", "c"], { axis: int(1) }), node("Mul", ["a", "c"], ["y"])],
    constants: [int64("sizes", [2, 2, 2])],
  },
  {
    operator: "Split",
    title: "equal parts, attribute form",
    inputs: { x: [2, 6] },
    opset: 11,
    nodes: [node("Split", ["x"], ["a", "b"], { axis: int(-1) }), node("Mul", ["a", "b"], ["y"])],
  },
  single(
    "Slice",
    "two axes, negative start, open end",
    [[4, 5, 3]],
    {},
    {
      after: ["s", "e", "a"],
      constants: [int64("s", [1, -4]), int64("e", [3, Number.MAX_SAFE_INTEGER]), int64("a", [0, -2])],
    },
  ),
  single(
    "Slice",
    "steps 2 and -2",
    [[7, 6]],
    {},
    {
      after: ["s", "e", "a", "t"],
      constants: [int64("s", [0, 4]), int64("e", [7, -100]), int64("a", [0, 1]), int64("t", [2, -2])],
    },
  ),
  single(
    "Slice",
    "attributes of operator set 1",
    [[4, 5]],
    { starts: ints([1]), ends: ints([4]), axes: ints([1]) },
    { opset: 9 },
  ),
  single("Pad", "constant, partly negative", [[3, 4]], {}, { after: ["p"], constants: [int64("p", [1, -1, 0, 2])] }),
  ...["edge", "reflect", "wrap"].map((mode) =>
    single("Pad", mode, [[3, 4]], { mode: string(mode) }, { after: ["p"], constants: [int64("p", [1, 2, 2, 3])] }),
  ),
  single(
    "Pad",
    "axes given",
    [[2, 3, 4]],
    {},
    { after: ["p", "", "a"], constants: [int64("p", [1, 2]), int64("a", [-1])] },
  ),
  single("Pad", "attributes of operator set 2", [[2, 3]], { pads: ints([1, 0, 0, 2]) }, { opset: 9, dtype: "float32" }),
  single(
    "Gather",
    "duplicates and negatives on axis 0",
    [[4, 3]],
    {},
    { after: ["i"], constants: [int64("i", [1, 3, 1, -1, 0, 1], [2, 3])] },
  ),
  single("Gather", "middle axis", [[2, 4, 3]], { axis: int(1) }, { after: ["i"], constants: [int64("i", [3, 3, 0])] }),
  single(
    "Gather",
    "a codebook, whose gradient sums over all that share a value",
    [[3]],
    {},
    {
      after: ["i"],
      constants: [int64("i", [2, 0, 0, 1, 2, 2, 0, 2], [2, 4])],
    },
  ),
  single("Gather", "one number", [[2, 4, 3]], { axis: int(-2) }, { after: ["i"], constants: [int64("i", [2], [])] }),
  single(
    "GatherElements",
    "duplicates",
    [[3, 3]],
    { axis: int(0) },
    { after: ["i"], constants: [int64("i", [0, 2, 2, 0, 1, 2], [2, 3])] },
  ),
  single("Expand", "to higher rank", [[3, 1]], {}, { after: ["s"], constants: [int64("s", [2, 3, 4])] }),
  single("Tile", "two axes", [[2, 3]], {}, { after: ["r"], constants: [int64("r", [2, 3])] }),
  {
    operator: "Cast",
    title: "there and back",
    inputs: { x: [2, 3] },
    dtype: "float32",
    nodes: [node("Cast", ["x"], ["d"], { to: int(11) }), node("Cast", ["d"], ["y"], { to: int(1) })],
  },
  single("Identity", "plain", [[2, 3]]),
  {
    operator: "Add",
    title: "a value used three times",
    inputs: { x: [2, 3] },
    nodes: [node("Mul", ["x", "x"], ["s"]), node("Add", ["s", "x"], ["y"])],
  },
];

const reductionsTable: Case[] = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceSumSquare",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSumExp",
].flatMap((operator) => [
  single(operator, "two axes kept", [[2, 3, 4]], {}, { ...distinct, after: ["a"], constants: [int64("a", [0, -1])] }),
  single(
    operator,
    "one axis dropped",
    [[2, 3, 4]],
    { keepdims: int(0) },
    { ...distinct, after: ["a"], constants: [int64("a", [1])] },
  ),
  single(operator, "all axes", [[2, 3]], { keepdims: int(0) }, distinct),
]);

const cases = [...movements, ...reductionsTable];

describe("a gradient rule agrees with central differences", () => {
  test.each(cases.map((sample) => [`${sample.operator}: ${sample.title}`, sample] as const))(
    "%s",
    async (_, sample) => {
      expect(await gradientError(sample)).toBeLessThan(sample.dtype === "float32" ? 6e-3 : 1e-7);
    },
  );
});

test("every operator of these families has a case", () => {
  const covered = new Set(cases.map(({ operator }) => operator));
  const rules = [...Object.keys(movement), ...Object.keys(reductions)];
  expect(rules.filter((operator) => !covered.has(operator))).toEqual([]);
});
