// Tests of what must not be compressed into its own folder; depends on this folder.
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { refuseOwnOutput } from "./place-winner.ts";

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
