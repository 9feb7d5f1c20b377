// External data: followed inside the model's folder, never out of it.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MessageWriter } from "../../io/protobuf.ts";
import { readTensor } from "../tensor-data.ts";
import { verifyExternalChecksums } from "./external-checksums.ts";
import { EXTERNAL_LOCATION, GRAPH, MODEL, TENSOR } from "./fields.ts";
import { readOnnx, readOnnxBytes } from "./read.ts";
import { writeEntries } from "./write-context.ts";

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "lightfoot-external-")), "model");
  await mkdir(folder);
});
afterEach(() => rm(join(folder, ".."), { recursive: true }));

/** A model with one float32 tensor `w` `[2]` whose elements the entries place. */
function modelBytes(entries: Record<string, string>): Uint8Array {
  const tensor = new MessageWriter();
  tensor.packedIntegers(TENSOR.dims, [2]);
  tensor.integer(TENSOR.dataType, 1);
  tensor.string(TENSOR.name, "w");
  writeEntries(tensor, TENSOR.externalData, new Map(Object.entries(entries)));
  tensor.integer(TENSOR.dataLocation, EXTERNAL_LOCATION);
  const graph = new MessageWriter();
  graph.message(GRAPH.initializer, tensor);
  const whole = new MessageWriter();
  whole.integer(MODEL.irVersion, 10);
  whole.message(MODEL.graph, graph);
  return Buffer.concat(whole.parts() as Uint8Array[]);
}

async function readWith(entries: Record<string, string>) {
  const path = join(folder, "m.onnx");
  await writeFile(path, modelBytes(entries));
  return readOnnx(path);
}

const values = new Uint8Array(Float32Array.of(9, 1.5, -2).buffer);

describe("external data", () => {
  it("is read from its file at its offset", async () => {
    await mkdir(join(folder, "parts"));
    await writeFile(join(folder, "parts", "w.bin"), values);
    const model = await readWith({ location: "parts/w.bin", offset: "4", length: "8" });
    expect((await readTensor(model.graph.initializers.get("w")!)).data).toEqual(Float32Array.of(1.5, -2));
  });

  it("without offset starts at 0, without length takes what the shape asks for", async () => {
    await writeFile(join(folder, "w.bin"), values);
    const model = await readWith({ location: "w.bin" });
    expect((await readTensor(model.graph.initializers.get("w")!)).data).toEqual(Float32Array.of(9, 1.5));
  });

  it("through a symbolic link inside the folder is read", async () => {
    await writeFile(join(folder, "real.bin"), values);
    await symlink("real.bin", join(folder, "w.bin"));
    await expect(readWith({ location: "w.bin" })).resolves.toBeDefined();
  });

  it.each([
    ["/etc/hostname"],
    ["../secret.bin"],
    ["parts/../../secret.bin"],
    ["..\\secret.bin"],
    ["C:\\secret.bin"],
    ["\\\\server\\share"],
    [""],
    ["w.bin\0.txt"],
    ["."],
    ["missing.bin"],
  ])("at %j is refused", async (location) => {
    await writeFile(join(folder, "..", "secret.bin"), values);
    await writeFile(join(folder, "w.bin"), values);
    await expect(readWith({ location })).rejects.toMatchObject({ code: "E_EXTERNAL_DATA" });
  });

  it("behind a symbolic link that leaves the folder is refused, also when a folder is the link", async () => {
    await writeFile(join(folder, "..", "secret.bin"), values);
    await symlink("../secret.bin", join(folder, "w.bin"));
    await symlink("..", join(folder, "up"));
    for (const location of ["w.bin", "up/secret.bin"]) {
      await expect(readWith({ location })).rejects.toMatchObject({ code: "E_EXTERNAL_DATA" });
    }
  });

  it("in a sibling folder whose name begins alike is outside", async () => {
    await mkdir(`${folder}-other`);
    await writeFile(join(`${folder}-other`, "w.bin"), values);
    await symlink(join(`${folder}-other`, "w.bin"), join(folder, "w.bin"));
    await expect(readWith({ location: "w.bin" })).rejects.toMatchObject({ code: "E_EXTERNAL_DATA" });
  });

  it.runIf(process.platform !== "win32")("in a named pipe is refused instead of waited for", async () => {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await expect(readWith({ location: "pipe" })).rejects.toMatchObject({ code: "E_EXTERNAL_DATA" });
  });

  it.each([
    [{ offset: "8" }],
    [{ offset: "-4" }],
    [{ offset: "1e1" }],
    [{ offset: "99999999999999999999" }],
    [{ length: "4" }],
    [{ length: "0x8" }],
  ])("with %j does not fit and is refused", async (entries) => {
    await writeFile(join(folder, "w.bin"), values);
    await expect(readWith({ location: "w.bin", ...entries })).rejects.toMatchObject({ code: "E_EXTERNAL_DATA" });
  });

  it("cannot be followed from bytes, which have no folder", () => {
    expect(() => readOnnxBytes(modelBytes({ location: "w.bin" }))).toThrow(
      expect.objectContaining({ code: "E_EXTERNAL_DATA" }) as Error,
    );
  });

  it("is compared with its checksum on request", async () => {
    await writeFile(join(folder, "w.bin"), values);
    const checksum = createHash("sha1").update(values).digest("hex");
    expect(await verifyExternalChecksums(await readWith({ location: "w.bin", checksum }))).toBe(1);
    expect(await verifyExternalChecksums(await readWith({ location: "w.bin" }))).toBe(0);
    const wrong = await readWith({ location: "w.bin", checksum: "0".repeat(40) });
    await expect(verifyExternalChecksums(wrong)).rejects.toMatchObject({ code: "E_EXTERNAL_DATA" });
  });
});
