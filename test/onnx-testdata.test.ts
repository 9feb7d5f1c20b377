// The ONNX project's own models (Debian package libonnx-testdata): all are read, written back and analyzed, shapes as recorded; needs the package.
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { TensorProtoSchema } from "onnx-buf";
import { expect, test } from "vitest";
import { analyze } from "../src/cost/analyze.ts";
import { LightfootError } from "../src/errors/lightfoot-error.ts";
import type { ModelGraph } from "../src/model/graph.ts";
import { readOnnx, readOnnxBytes } from "../src/model/onnx/read.ts";
import { serializeOnnx } from "../src/model/onnx/write.ts";
import { inferShapes, shapeOf } from "../src/model/shapes/infer.ts";

const ROOT = "/usr/share/libonnx-testdata/data";
const folders = existsSync(ROOT)
  ? readdirSync(ROOT).flatMap((kind) => readdirSync(join(ROOT, kind)).map((name) => join(ROOT, kind, name)))
  : [];
const models = folders.filter((folder) => existsSync(join(folder, "model.onnx")));

/** Shapes of a recorded data set's inputs or outputs, where they are tensors. */
async function recorded(folder: string, kind: "input" | "output", names: readonly string[]) {
  const shapes: Record<string, number[]> = {};
  for (const [at, name] of names.entries()) {
    const file = join(folder, "test_data_set_0", `${kind}_${at}.pb`);
    if (!existsSync(file)) continue;
    try {
      const tensor = fromBinary(TensorProtoSchema, await readFile(file));
      if (tensor.dataType !== 0) shapes[name] = tensor.dims.map(Number);
    } catch {
      // A sequence or an optional: not a tensor.
    }
  }
  return shapes;
}

const isTensor = (model: ModelGraph, name: string): boolean =>
  [...model.graph.inputs, ...model.graph.outputs].some((info) => info.name === name && info.type?.kind === "tensor");

// The gate installs the package; there, a missing corpus is a failure.
test.runIf(models.length > 0 || process.env["CI"] === "true")(
  "no model of the corpus is lost, and no recorded shape contradicts inference",
  async () => {
    const contradictions: string[] = [];
    let compared = 0;
    for (const folder of models) {
      const model = await readOnnx(join(folder, "model.onnx"));
      const bytes = await serializeOnnx(model);
      expect(await serializeOnnx(readOnnxBytes(bytes)), folder).toEqual(bytes);
      await analyze(model).catch((error: unknown) => expect(error, folder).toBeInstanceOf(LightfootError));
      const names = (infos: ModelGraph["graph"]["inputs"]) => infos.map(({ name }) => name);
      const inputs = await recorded(folder, "input", names(model.graph.inputs));
      const given = Object.fromEntries(Object.entries(inputs).filter(([name]) => isTensor(model, name)));
      const inference = await inferShapes(model, { inputs: given });
      const outputs = await recorded(folder, "output", names(model.graph.outputs));
      for (const [name, shape] of Object.entries(outputs)) {
        if (!isTensor(model, name)) continue;
        const inferred = shapeOf(inference, model.graph, name);
        if (inferred === undefined || !inferred.every((size) => typeof size === "number")) continue;
        compared += 1;
        if (inferred.join() !== shape.join())
          contradictions.push(`${folder} ${name}: ${inferred.join("x")} not ${shape.join("x")}`);
      }
    }
    expect(contradictions).toEqual([]);
    expect(compared).toBeGreaterThan(1000);
  },
);
