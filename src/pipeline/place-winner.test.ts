// Tests of what must not be compressed into its own folder, and of the winner's own file; depends on model and this folder.
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Candidate } from "../compress/candidate-schema.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { memoryTensor, readFloats } from "../model/tensor-data.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { placeWinner, refuseOwnOutput } from "./place-winner.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-winner-"));
  await mkdir(join(folder, "out", "candidates"), { recursive: true });
  for (const name of ["net.onnx", "out/compressed.onnx", "out/original.onnx", "out/candidates/a.onnx"]) {
    await writeFile(join(folder, name), "");
  }
  await symlink(join(folder, "out", "compressed.onnx"), join(folder, "link.onnx"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("refuseOwnOutput", () => {
  it.each(["out/compressed.onnx", "out/candidates/a.onnx", "out/../out/compressed.onnx", "link.onnx"])(
    "refuses %s, which a search would delete",
    async (name) => {
      const refusal = refuseOwnOutput(join(folder, name), join(folder, "out"));
      await expect(refusal).rejects.toMatchObject({ code: "E_USAGE" });
    },
  );

  it.each(["net.onnx", "out/original.onnx", "missing.onnx"])("takes %s", async (name) => {
    await refuseOwnOutput(join(folder, name), join(folder, "out"));
    await refuseOwnOutput(join(folder, name), join(folder, "not-there-yet"));
  });
});

describe("placeWinner", () => {
  it("gives a file that stands without the candidates, also when their weights are outside", async () => {
    const values = Float32Array.from({ length: 16 }, (_, at) => at);
    const ends = {
      inputs: [tensorInfo("x", "float32", ["N", 4])],
      outputs: [tensorInfo("y", "float32", ["N", 4])],
    };
    const initializers = [memoryTensor("w", float32Tensor([4, 4], values))];
    const net = model({ ...ends, nodes: [node("MatMul", ["x", "w"], ["y"])], initializers });
    const out = join(folder, "out");
    await writeOnnx(net, join(out, "candidates/b.onnx"), { externalData: { thresholdBytes: 1 } });
    const path = await placeWinner({ file: "candidates/b.onnx" } as Candidate, out);
    await rm(join(out, "candidates"), { recursive: true });
    const placed = (await readOnnx(path!)).graph.initializers.get("w")!;
    expect(await readFloats(placed)).toEqual(values);
  });
});
