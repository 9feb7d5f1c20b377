// What is handed over in the place of an ONNX model is called by its name; depends on vitest and the room.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readOnnx } from "./onnx/read.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-formats-"));
});
afterAll(() => rm(folder, { recursive: true }));

const header = Buffer.from('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(header.length));

it.each([
  ["model.pt", Buffer.from("PK\x03\x04archive/data.pkl", "latin1"), /zip archive/, /torch\.onnx\.export/],
  ["model.pth", Buffer.from([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46]), /pickle/, /torch\.onnx\.export/],
  ["model.h5", Buffer.from("\x89HDF\r\n\x1a\n\0\0", "latin1"), /HDF5/, /tf2onnx/],
  ["model.gguf", Buffer.from("GGUF\x03\0\0\0", "latin1"), /GGUF/, /ONNX/],
  ["model.safetensors", Buffer.concat([length, header, Buffer.alloc(4)]), /safetensors/, /optimum-cli/],
  ["model.onnx", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), /LFS pointer/, /git lfs pull/],
  ["config.json", Buffer.from('{"architectures": []}'), /text/, undefined],
] as const)("%s", async (name, bytes, message, hint) => {
  const path = join(folder, name);
  await writeFile(path, bytes);
  await expect(readOnnx(path)).rejects.toMatchObject({
    code: "E_FORMAT_UNKNOWN",
    where: { file: path },
    message: expect.stringMatching(message) as string,
    hint: hint === undefined ? undefined : (expect.stringMatching(hint) as string),
  });
});
