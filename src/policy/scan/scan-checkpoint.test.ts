// Checkpoint files of every container, and the opcode walk held against CPython's pickletools.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memoryBytes } from "./byte-window.ts";
import { stepAt } from "./pickle-opcodes.ts";
import { scanPickles } from "./pickle-scan.ts";
import { scanPaths } from "./scan.ts";
import { scanSchema, type ScanDocument } from "./scan-schema.ts";

interface Oracle {
  readonly pickles: readonly { what: string; hex: string; opcodes: readonly (readonly [string, number])[] }[];
}
const oracle = JSON.parse(
  await readFile(new URL("../../../test/fixtures/scan/pickletools.json", import.meta.url), "utf8"),
) as Oracle;

describe("the opcode walk", () => {
  it.each(oracle.pickles)("gives pickletools' opcodes and offsets: $what", ({ hex, opcodes }) => {
    const bytes = memoryBytes(Buffer.from(hex, "hex"));
    const walked: [string, number][] = [];
    for (let at = 0; walked.at(-1)?.[0] !== "STOP";) {
      const step = stepAt(bytes, at);
      if ("message" in step) throw new Error(`${step.message} at ${step.offset}`);
      walked.push([step.name, step.offset]);
      at = step.end;
    }
    expect(walked).toEqual(opcodes);
  });

  it("covers all 68 opcodes", () => {
    expect(new Set(oracle.pickles.flatMap(({ opcodes }) => opcodes.map(([name]) => name))).size).toBe(68);
  });

  it("judges CPython's pickles of harmless values clean and of a call to the system not", () => {
    for (const { what, hex } of oracle.pickles) {
      const { findings, defects } = scanPickles(memoryBytes(Buffer.from(hex, "hex")));
      if (what.startsWith("values")) expect([what, findings, defects]).toEqual([what, [], []]);
      if (what.startsWith("os.system"))
        expect(findings.map(({ target }) => target)).toEqual(["posix.system", "posix.system"]);
    }
  });
});

const EVIL = Buffer.from("\u0080\u0002cposix\nsystem\nX\u0002\u0000\u0000\u0000id\u0085R.", "latin1");
const HARMLESS = Buffer.from("\u0080\u0002ccollections\nOrderedDict\n)R.", "latin1");

/** A ZIP archive of these entries. */
function zip(entries: Record<string, Uint8Array>, { deflate = false, breakCrc = false } = {}): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(entries)) {
    const data = deflate ? deflateRawSync(content) : Buffer.from(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(deflate ? 8 : 0, 4);
    fields.writeUInt32LE((crc32(content) ^ (breakCrc ? 1 : 0)) >>> 0, 10);
    fields.writeUInt32LE(data.byteLength, 14);
    fields.writeUInt32LE(content.byteLength, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\u0003\u0004"), fields, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.concat([Buffer.from("PK\u0001\u0002\u0014\u0000"), fields, tail, Buffer.from(name)]));
    locals.push(local);
    offset += local.byteLength;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006", 0, "latin1");
  end.writeUInt16LE(central.length, 8);
  end.writeUInt16LE(central.length, 10);
  end.writeUInt32LE(directory.byteLength, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

function tar(name: string, content: Uint8Array): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${content.byteLength.toString(8).padStart(11, "0")}\u0000`, 124);
  header.write("ustar\u000000", 257);
  return Buffer.concat([header, content, Buffer.alloc(512 - (content.byteLength % 512)), Buffer.alloc(1024)]);
}

function objectArray(pickle: Uint8Array): Buffer {
  const header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n";
  return Buffer.concat([
    Buffer.from([0x93]),
    Buffer.from("NUMPY"),
    Buffer.from([1, 0, header.length, 0]),
    Buffer.from(header),
    pickle,
  ]);
}

describe("scanPaths on checkpoints", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-scan-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const scanFile = async (name: string, content: Uint8Array): Promise<ScanDocument> => {
    await writeFile(join(folder, name), content);
    return scanSchema.parse(await scanPaths([join(folder, name)]));
  };

  const weights = Buffer.alloc(4096, 0x80);
  it.each([
    ["raw.pkl", (pickle: Uint8Array) => pickle],
    ["model.pt", (pickle: Uint8Array) => zip({ "archive/data.pkl": pickle, "archive/data/0": weights })],
    ["deflated.pth", (pickle: Uint8Array) => zip({ "archive/data.pkl": pickle }, { deflate: true })],
    ["old.ckpt", (pickle: Uint8Array) => tar("pickle", pickle)],
    ["gzip.joblib", (pickle: Uint8Array) => gzipSync(pickle)],
    ["zlib.joblib", (pickle: Uint8Array) => deflateSync(pickle)],
    ["objects.npy", (pickle: Uint8Array) => objectArray(pickle)],
    ["objects.npz", (pickle: Uint8Array) => zip({ "a.npy": objectArray(pickle) })],
    ["renamed.safetensors", (pickle: Uint8Array) => pickle],
    ["renamed-zip.onnx", (pickle: Uint8Array) => zip({ "weights/readme": pickle })],
    ["legacy.bin", (pickle: Uint8Array) => Buffer.concat([HARMLESS, pickle, HARMLESS, Buffer.alloc(4096)])],
  ])("tells a pickle that runs code from one that does not in %s", async (name, pack) => {
    const bad = await scanFile(name, pack(EVIL));
    expect(bad.evidence["artifact.unsafeOpcodes"]).toBe(2);
    expect(bad.checkpoints[0]?.findings.map(({ opcode, target }) => [opcode, target])).toEqual([
      ["GLOBAL", "posix.system"],
      ["REDUCE", "posix.system"],
    ]);
    const good = await scanFile(name, pack(HARMLESS));
    expect(good.checkpoints[0]).toMatchObject({ outcome: "nothing found", imports: ["collections.OrderedDict"] });
    expect(good.evidence["artifact.unsafeOpcodes"]).toBe(0);
    // Cut anywhere, it is never clean.
    const whole = pack(HARMLESS);
    if (name === "legacy.bin" || name === "old.ckpt") return; // what is cut off there is padding or tensor data
    for (let part = 1; part < 8; part++) {
      const cut = await scanFile(`cut-${name}`, whole.subarray(0, Math.floor((whole.byteLength * part) / 8)));
      expect(cut.evidence["artifact.unsafeOpcodes"] ?? 1, `${part}/8`).not.toBe(0);
    }
  });

  it("scans an entry whose checksum is wrong, and says that it is", async () => {
    const { checkpoints } = await scanFile("crc.pt", zip({ "archive/data.pkl": EVIL }, { breakCrc: true }));
    expect(checkpoints[0]).toMatchObject({ outcome: "found", incomplete: [expect.stringContaining("checksum")] });
    const harmless = await scanFile("crc2.pt", zip({ "archive/data.pkl": HARMLESS }, { breakCrc: true }));
    expect(harmless.checkpoints[0]?.outcome).toBe("incomplete");
  });

  it.each([
    ["an archive behind a pickle", "both.pt", Buffer.concat([HARMLESS, zip({ "a/data.pkl": EVIL })])],
    ["7z", "seven.pt", Buffer.from([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4])],
    ["an archive in an archive", "twice.pt", zip({ "inner.pt": zip({ "data.pkl": EVIL }) })],
    ["an empty file", "empty.bin", Buffer.alloc(0)],
    ["what is no pickle", "noise.bin", Buffer.from([0x44, 1, 2, 3])],
    ["a compressed bomb cut off", "bomb.joblib", gzipSync(Buffer.alloc(1000)).subarray(0, 20)],
  ])("never calls %s clean", async (_, name, content) => {
    const { checkpoints, evidence } = await scanFile(name, content);
    expect(checkpoints[0]?.outcome).not.toBe("nothing found");
    expect(evidence["artifact.unsafeOpcodes"]).not.toBe(0);
  });

  it("takes no zero from a model's own JSON as a scan of data", async () => {
    const model = await mkdtemp(join(folder, "model-"));
    await writeFile(join(model, "config.json"), "{}");
    await writeFile(join(model, "model.safetensors"), "{}");
    const { evidence, skipped } = await scanPaths([model]);
    expect(evidence).toEqual({ "artifact.unsafeOpcodes": 0 });
    expect(skipped.length).toBe(2);
  });

  it("allows what the user vouches for, and records it", async () => {
    const file = join(folder, "own.pkl");
    await writeFile(file, "cmy.module\nThing\n)R.");
    expect((await scanPaths([file])).counts.unsafeOpcodes).toBe(2);
    expect(await scanPaths([file], { allow: ["my.module.Thing"] })).toMatchObject({
      allowed: ["my.module.Thing"],
      counts: { unsafeOpcodes: 0 },
    });
  });
});
