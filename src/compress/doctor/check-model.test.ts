// Tests of the doctor for models: each slow form is found, mended, and the mended file computes the same in the engine; depends on
// model, runtime and this folder.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { int } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { writeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { packRows, unpackRows } from "../quantize/blockwise.ts";
import { quantizeBlocks } from "../quantize/test-blocks.ts";
import { gemmNet } from "../techniques/test-models.ts";
import { checkModel } from "./check-model.ts";
import { modelCheckSchema, type ModelCheck } from "./model-check-schema.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-doctor-"));
});
afterAll(() => rm(folder, { recursive: true }));

let serial = 0;
async function examined(
  graph: ModelGraph,
  options: { exactOnly?: boolean; repair?: boolean } = {},
): Promise<ModelCheck> {
  const path = join(folder, `${serial++}.onnx`);
  await writeOnnx(graph, path);
  const { repair = true, exactOnly } = options;
  const document = await checkModel(path, {
    ...(repair ? { out: join(folder, `${serial++}.onnx`) } : {}),
    exactOnly,
    batch: 4,
    pairs: 10,
    maxSeconds: 0,
    threads: 1,
  });
  return modelCheckSchema.parse(document);
}

const random = seededRandom(3);
const floats = (count: number) => Float32Array.from({ length: count }, () => random.normal());
const bytes = (
  name: string,
  shape: readonly number[],
  dtype: "uint8" | "int8",
  low: number,
  high: number,
): TensorRef => {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = Array.from({ length: count }, () => low + random.integer(high - low + 1));
  return memoryTensor(name, {
    dtype,
    shape,
    data: dtype === "int8" ? Int8Array.from(values) : Uint8Array.from(values),
  });
};
const scalar = (name: string, value: number) => memoryTensor(name, float32Tensor([], Float32Array.of(value)));
const zero = (name: string, dtype: "uint8" | "int8", value: number): TensorRef =>
  memoryTensor(name, { dtype, shape: [], data: dtype === "int8" ? Int8Array.of(value) : Uint8Array.of(value) });

function graphOf(nodes: Node[], initializers: TensorRef[], width: number | number[], opset = 17): ModelGraph {
  const shape = ["batch", ...(Array.isArray(width) ? width : [width])];
  return model(
    {
      nodes,
      inputs: [tensorInfo("x", "float32", shape)],
      outputs: [tensorInfo("y", "float32", undefined)],
      initializers,
    },
    { "": opset, "com.microsoft": 1 },
  );
}

const [K, N, BLOCK] = [64, 8, 16] as const;

/** A MatMulNBits, with zero points or group indices as given. */
function blockedNet(
  extra: { zeros?: TensorRef; groups?: TensorRef; level?: number } = {},
  order?: number[],
): ModelGraph {
  const weight = floats(K * N);
  const { packed, scales, blocks } = quantizeBlocks(weight, K, N, { bits: 4, blockSize: BLOCK, symmetric: true });
  const integers = unpackRows(packed, N, blocks * BLOCK, 4);
  const placed = integers.slice();
  order?.forEach((input, at) => {
    for (let column = 0; column < N; column++) placed[column * K + input] = integers[column * K + at];
  });
  const inputs = ["x", "w", "s", extra.zeros?.name ?? "", extra.groups?.name ?? ""];
  const attributes = { K: int(K), N: int(N), bits: int(4), block_size: int(BLOCK) };
  return graphOf(
    [
      node(
        "MatMulNBits",
        inputs,
        ["y"],
        extra.level === undefined ? attributes : { ...attributes, accuracy_level: int(extra.level) },
        { domain: "com.microsoft" },
      ),
    ],
    [
      memoryTensor("w", { dtype: "uint8", shape: [N, blocks, BLOCK / 2], data: packRows(placed, N, 4) }),
      memoryTensor("s", float32Tensor([N * blocks], scales)),
      ...(extra.zeros === undefined ? [] : [extra.zeros]),
      ...(extra.groups === undefined ? [] : [extra.groups]),
    ],
    K,
  );
}

const patternsOf = ({ findings }: ModelCheck) => findings.map(({ pattern }) => pattern);
const differenceOf = ({ repair }: ModelCheck) => repair?.outputs[0].relativeDifference ?? Infinity;

describe("checkModel", () => {
  it("finds nothing in a float model, and mends nothing", async () => {
    const document = await examined(gemmNet());
    expect(document.findings).toEqual([]);
    expect(document.repair).toBeNull();
    expect(document.execution.floatShare).toBe(1);
  });

  it("sets an accuracy_level, which then multiplies integers, and says that this rounds", async () => {
    const document = await examined(blockedNet());
    expect(document.findings).toMatchObject([{ pattern: "accuracy-level", repair: { kind: "rounds" } }]);
    expect(document.execution.int4Share).toBe(0);
    expect(document.repair?.execution.int4Share).toBe(1);
    expect(document.repair?.outputs[0].identical).toBe(false);
    expect(differenceOf(document)).toBeLessThan(0.02);
    expect(patternsOf(await examined(blockedNet({ level: 4 })))).toEqual([]);
  });

  it("sets it inside branches too", async () => {
    const inner = blockedNet().graph;
    const branch = { ...inner, inputs: [], initializers: new Map() };
    const graph = graphOf(
      [
        node("If", ["yes"], ["y"], {
          then_branch: { type: "graph", value: branch },
          else_branch: { type: "graph", value: branch },
        }),
      ],
      [...inner.initializers.values(), memoryTensor("yes", { dtype: "bool", shape: [], data: Uint8Array.of(1) })],
      K,
    );
    const document = await examined(graph);
    expect(document.repair?.mended).toEqual({ "accuracy-level": 2 });
    expect(document.repair?.remaining).toEqual({});
  });

  it("leaves rounding out when only exact repairs are wanted", async () => {
    expect((await examined(blockedNet(), { exactOnly: true })).repair).toBeNull();
  });

  it("stores float zero points that are integers as integers, with the same results", async () => {
    const zeros = memoryTensor(
      "z",
      float32Tensor(
        [N * (K / BLOCK)],
        Float32Array.from({ length: (N * K) / BLOCK }, () => random.integer(16)),
      ),
    );
    const document = await examined(blockedNet({ zeros }), { exactOnly: true });
    expect(patternsOf(document)).toContain("float-zero-points");
    expect(document.repair?.mended).toEqual({ "float-zero-points": 1 });
    expect(differenceOf(document)).toBeLessThan(1e-6);
  });

  it("moves other float zero points into a product on block sums, with the same results", async () => {
    const zeros = memoryTensor(
      "z",
      float32Tensor(
        [N * (K / BLOCK)],
        Float32Array.from({ length: (N * K) / BLOCK }, () => random.next() * 15),
      ),
    );
    const document = await examined(blockedNet({ zeros }), { exactOnly: true });
    expect(document.repair?.mended).toEqual({ "float-zero-points": 1 });
    expect(document.repair?.remaining).toEqual({ "accuracy-level": 1 });
    expect(differenceOf(document)).toBeLessThan(1e-5);
  });

  it("sorts weights by group instead of g_idx, with the same results", async () => {
    const order = Array.from({ length: K }, (_, at) => (at * 5) % K);
    const groups = new Int32Array(K);
    order.forEach((input, at) => (groups[input] = Math.floor(at / BLOCK)));
    const graph = blockedNet({ groups: memoryTensor("g", { dtype: "int32", shape: [K], data: groups }) }, order);
    const document = await examined(graph, { exactOnly: true });
    expect(document.repair?.mended).toEqual({ "group-index": 1 });
    expect(document.repair?.remaining).toEqual({ "accuracy-level": 1 });
    expect(differenceOf(document)).toBeLessThan(1e-6);
  });

  /** x → quantise → integer product → float, dynamic as hubs' q8 files are. */
  const dynamicNet = (dtype: "uint8" | "int8") =>
    graphOf(
      [
        node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        node("MatMulInteger", ["q", "w", "qz", "wz"], ["p"]),
        node("Cast", ["p"], ["f"], { to: int(1) }),
        node("Mul", ["f", "qs"], ["y"]),
      ],
      dtype === "uint8"
        ? [bytes("w", [24, 8], "uint8", 0, 255), zero("wz", "uint8", 131)]
        : [bytes("w", [24, 8], "int8", -128, 127), zero("wz", "int8", 0)],
      24,
    );

  it("turns u8 weights into i8 bit for bit where the processor has dot products for them", async () => {
    const document = await examined(dynamicNet("uint8"));
    if (!/exactly/.test(document.processor)) return expect(patternsOf(document)).toEqual([]);
    expect(document.repair?.mended).toEqual({ "unsigned-weights": 1 });
    expect(document.repair?.outputs[0].identical).toBe(true);
    expect(document.repair?.remaining).toEqual({});
    expect(patternsOf(await examined(dynamicNet("int8")))).toEqual([]);
  });

  it.each([true, false])(
    "turns i8 weights of ConvInteger into u8 bit for bit, zero point %s, and leaves u8 alone",
    async (has) => {
      const net = (dtype: "uint8" | "int8") =>
        graphOf(
          [
            node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
            node("ConvInteger", ["q", "w", "qz", ...(has ? ["wz"] : [])], ["p"]),
            node("Cast", ["p"], ["y"], { to: int(1) }),
          ],
          [
            bytes("w", [4, 3, 3, 3], dtype, dtype === "int8" ? -128 : 0, dtype === "int8" ? 127 : 255),
            ...(has ? [zero("wz", dtype, 5)] : []),
          ],
          [3, 6, 6],
        );
      const document = await examined(net("int8"));
      expect(document.repair?.mended).toEqual({ "signed-conv-weights": 1 });
      expect(document.repair?.outputs[0].identical).toBe(true);
      expect(document.repair?.remaining).toEqual({});
      expect(patternsOf(await examined(net("uint8")))).toEqual([]);
    },
  );

  it("turns i8 activations of MatMulInteger into u8, bit for bit", async () => {
    const graph = graphOf(
      [
        node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        node("MatMulInteger", ["q", "w", "xz"], ["p"]),
        node("Cast", ["p"], ["y"], { to: int(1) }),
      ],
      [scalar("xs", 0.01), zero("xz", "int8", -3), bytes("w", [24, 8], "int8", -128, 127)],
      24,
    );
    const document = await examined(graph);
    expect(document.repair?.mended).toEqual({ "signed-activations": 1 });
    expect(document.repair?.outputs[0].identical).toBe(true);
  });

  /** DQ(Q(x)) · DQ(w) + float bias, as MatMul and Add or as Gemm. */
  const biasedNet = (form: "MatMul" | "Gemm" | "Gemm transB") =>
    graphOf(
      [
        node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], { axis: int(form === "Gemm transB" ? 0 : 1) }),
        ...(form === "MatMul"
          ? [node("MatMul", ["d", "wd"], ["p"]), node("Add", ["p", "b"], ["h"])]
          : [node("Gemm", ["d", "wd", "b"], ["h"], form === "Gemm" ? {} : { transB: int(1) })]),
        node("Relu", ["h"], ["y"]),
      ],
      [
        scalar("xs", 0.01),
        zero("xz", "uint8", 3),
        bytes("w", form === "Gemm transB" ? [8, 24] : [24, 8], "int8", -127, 127),
        memoryTensor("ws", float32Tensor([8], floats(8).map(Math.abs))),
        memoryTensor("wz", { dtype: "int8", shape: [8], data: new Int8Array(8) }),
        memoryTensor("b", float32Tensor([8], floats(8))),
      ],
      24,
    );

  it.each(["MatMul", "Gemm", "Gemm transB"] as const)(
    "makes a product with a float bias run in int8: %s",
    async (form) => {
      const document = await examined(biasedNet(form));
      expect(document.execution).toMatchObject({ int8Share: 0 });
      expect(document.repair?.mended).toEqual({ "float-bias": 1 });
      expect(document.repair?.execution).toMatchObject({ int8Share: 1 });
      expect(document.repair?.remaining).toEqual({});
      expect(differenceOf(document)).toBeLessThan(1e-5);
    },
  );

  it("gathers rows before it dequantises them, bit for bit", async () => {
    const graph = model(
      {
        nodes: [
          node("DequantizeLinear", ["table", "s", "z"], ["d"], { axis: int(1) }),
          node("Gather", ["d", "x"], ["y"]),
        ],
        inputs: [tensorInfo("x", "int64", ["batch"])],
        outputs: [tensorInfo("y", "float32", undefined)],
        initializers: [
          bytes("table", [50, 6], "int8", -127, 127),
          memoryTensor("s", float32Tensor([6], floats(6).map(Math.abs))),
          memoryTensor("z", { dtype: "int8", shape: [6], data: new Int8Array(6) }),
        ],
      },
      17,
    );
    const document = await examined(graph);
    expect(document.repair?.mended).toEqual({ "dequantized-table": 1 });
    expect(document.repair?.outputs[0].identical).toBe(true);
    expect(document.repair?.remaining).toEqual({});
  });

  /** DQ(Q(x)) conv DQ(w) → Relu → Q → DQ. */
  const convNet = (options: {
    bias?: TensorRef;
    zero?: TensorRef;
    group?: number;
    quantizesInput?: boolean;
    quantizesOutput?: boolean;
  }) => {
    const { bias, group = 1, quantizesInput = true, quantizesOutput = true } = options;
    const zeroPoint = options.zero ?? zero("oz", "uint8", 0);
    return graphOf(
      [
        ...(quantizesInput
          ? [node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), node("DequantizeLinear", ["q", "xs", "xz"], ["d"])]
          : [node("Identity", ["x"], ["d"])]),
        node("DequantizeLinear", ["w", "ws"], ["wd"]),
        node("Conv", ["d", "wd", ...(bias === undefined ? [] : ["b"])], ["c"], { group: int(group) }),
        node("Relu", ["c"], [quantizesOutput ? "r" : "y"]),
        ...(quantizesOutput
          ? [
              node("QuantizeLinear", ["r", "os", zeroPoint.name], ["o"]),
              node("DequantizeLinear", ["o", "os", zeroPoint.name], ["y"]),
            ]
          : []),
      ],
      [
        ...(quantizesInput ? [scalar("xs", 0.25), zero("xz", "uint8", 2)] : []),
        bytes("w", [4, 4 / group, 3, 3], "int8", -20, 20),
        scalar("ws", 0.5),
        ...(bias === undefined ? [] : [bias]),
        scalar("os", 0.5),
        zeroPoint,
      ],
      [4, 6, 6],
    );
  };

  it("stores a Conv's float bias as integers where that is exact, and only there", async () => {
    const exact = await examined(
      convNet({ bias: memoryTensor("b", float32Tensor([4], Float32Array.of(1, -2.125, 0, 7))) }),
    );
    expect(exact.repair?.mended).toEqual({ "float-bias-conv": 1 });
    expect(exact.repair?.execution.int8Share).toBe(1);
    expect(exact.repair?.outputs[0].identical).toBe(true);
    const other = await examined(
      convNet({ bias: memoryTensor("b", float32Tensor([4], Float32Array.of(1, 0.1, 0, 7))) }),
    );
    expect(other.findings).toMatchObject([{ pattern: "float-bias-conv", places: [{ repairable: false }] }]);
  });

  it.each([
    ["symmetric-relu", { zero: zero("oz", "uint8", 128) }],
    ["per-tensor-depthwise", { group: 4 }],
    ["weight-only-conv", { quantizesInput: false }],
    ["left-in-float", { quantizesOutput: false }],
  ] as const)("tells of %s, which the file alone cannot mend", async (pattern, options) => {
    const document = await examined(convNet(options), { repair: false });
    expect(patternsOf(document)).toEqual([pattern]);
    expect(document.findings[0].places.every(({ repairable }) => !repairable)).toBe(true);
  });

  it("will not write over the model that it compares with", async () => {
    const path = join(folder, "same.onnx");
    await writeOnnx(gemmNet(), path);
    await expect(checkModel(path, { out: path })).rejects.toThrow(/would replace/);
  });
});
