// Finds the pickles in a file, whatever it is called: raw, compressed, in ZIP or tar archives, in NumPy object arrays; may depend on
// errors, io and its room.
import { gunzipSync, inflateSync } from "node:zlib";
import { asLightfootError } from "../../errors/lightfoot-error.ts";
import { memoryStream } from "../../io/byte-stream.ts";
import type { FileRange } from "../../io/file-range.ts";
import { readNpyHeader } from "../../io/npy.ts";
import { openZipEntry, readZipDirectory, type ZipEntry } from "../../io/zip.ts";
import { fileBytes, memoryBytes, partOf, type Bytes } from "./byte-window.ts";
import { scanPickles, shown, type PickleFinding, type PickleOptions } from "./pickle-scan.ts";

/** A finding with the archive entry it lies in; null outside archives. */
export interface CheckpointFinding extends PickleFinding {
  readonly entry: string | null;
}

export interface CheckpointScan {
  readonly container: "pickle" | "zip" | "tar" | "compressed pickle" | "numpy array";
  readonly findings: readonly CheckpointFinding[];
  readonly imports: readonly string[];
  /** What could not be scanned, and why. Never clean when there is one. */
  readonly incomplete: readonly string[];
  readonly pickles: number;
  readonly opcodes: number;
}

/** Largest archive entry or compressed pickle that is unpacked; a structure without its weights is far smaller. */
const MAX_UNPACKED_BYTES = 512 * 1_048_576;
/** Where the end of a ZIP directory lies: 22 bytes and a comment. */
const ZIP_TAIL_BYTES = 22 + 65_535;
const MAX_ENTRIES = 200_000;
const PICKLE_NAME = /\.(pkl|pickle|p|pt|pth|ckpt|joblib|bin|dill)$/i;
const TAR_PICKLES = new Set(["pickle", "sys_info", "storages", "tensors"]);

/** The kind of container that the first bytes show, or undefined: then only the file's name can call it a pickle. */
export function containerOf(bytes: Bytes): CheckpointScan["container"] | undefined {
  const head = bytes.slice(0, Math.min(bytes.size, 512));
  if (startsWith(head, [0x50, 0x4b, 0x03, 0x04]) || startsWith(head, [0x50, 0x4b, 0x05, 0x06])) return "zip";
  if (startsWith(head, [0x1f, 0x8b])) return "compressed pickle";
  if (head[0] === 0x78 && ((head[0] << 8) | (head[1] ?? 0)) % 31 === 0) return "compressed pickle";
  if (startsWith(head, [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59])) return "numpy array";
  if (head.byteLength === 512 && new TextDecoder("latin1").decode(head.subarray(257, 262)) === "ustar") return "tar";
  if (head[0] === 0x80 && head.byteLength > 1 && head[1] >= 2 && head[1] <= 5) return "pickle";
  return undefined;
}

const startsWith = (bytes: Uint8Array, magic: readonly number[]): boolean =>
  bytes.byteLength >= magic.length && magic.every((byte, index) => bytes[index] === byte);

/** Compressions and archives that loaders or attackers use and this scan does not unpack. */
const UNREAD: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ["7z", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["lz4", [0x04, 0x22, 0x4d, 0x18]],
  ["lzma", [0x5d, 0x00, 0x00]],
  ["RAR", [0x52, 0x61, 0x72, 0x21]],
];

class Gathering {
  readonly findings: CheckpointFinding[] = [];
  readonly incomplete: string[] = [];
  readonly imports = new Set<string>();
  pickles = 0;
  opcodes = 0;
  readonly #options: PickleOptions;

  constructor(options: PickleOptions) {
    this.#options = options;
  }

  pickle(bytes: Bytes, entry: string | null): void {
    const scan = scanPickles(bytes, this.#options);
    this.pickles += scan.pickles;
    this.opcodes += scan.opcodes;
    for (const name of scan.imports) this.imports.add(name);
    this.findings.push(...scan.findings.map((finding) => ({ ...finding, entry })));
    for (const { offset, message } of scan.defects) this.miss(entry, `byte ${offset}: ${message}`);
  }

  /** A pickle only if it acts like one: an entry whose name does not say so. */
  suspect(bytes: Bytes, entry: string): void {
    const scan = scanPickles(bytes, this.#options);
    if (scan.findings.length > 0 || scan.defects.length === 0) this.pickle(bytes, entry);
  }

  miss(entry: string | null, why: string): void {
    this.incomplete.push(entry === null ? why : `${entry}: ${why}`);
  }
}

/**
 * Scans an open file that is, or is called, a checkpoint.
 *
 * Damage is reported in `incomplete`, not thrown: what was found before it counts all the same.
 */
export async function scanCheckpoint(range: FileRange, options: PickleOptions = {}): Promise<CheckpointScan> {
  const bytes = fileBytes(range);
  const container = containerOf(bytes) ?? "pickle";
  const found = new Gathering(options);
  try {
    if (container === "zip") await scanZip(range, found);
    else if (container === "tar") scanTar(bytes, found);
    else if (container === "compressed pickle") scanCompressed(range, found);
    else if (container === "numpy array")
      await scanArray(range.readSync(0, Math.min(range.size, MAX_UNPACKED_BYTES)), null, found);
    else await scanRaw(range, bytes, found);
  } catch (thrown) {
    found.miss(null, asLightfootError(thrown).message);
  }
  const { findings, incomplete, pickles, opcodes } = found;
  return { container, findings, imports: [...found.imports].toSorted(), incomplete, pickles, opcodes };
}

async function scanRaw(range: FileRange, bytes: Bytes, found: Gathering): Promise<void> {
  const head = bytes.slice(0, Math.min(bytes.size, 16));
  const unread = UNREAD.find(([, magic]) => startsWith(head, magic));
  if (unread !== undefined) {
    found.miss(null, `compressed with ${unread[0]}, which is not unpacked here`);
    return;
  }
  found.pickle(bytes, null);
  // A pickle with an archive behind it: loaders disagree which of the two the file is.
  const tail = Buffer.from(
    range.readSync(Math.max(0, range.size - ZIP_TAIL_BYTES), Math.min(range.size, ZIP_TAIL_BYTES)),
  );
  if (!tail.includes("PK\u0005\u0006", 0, "latin1")) return;
  found.miss(null, "the end of a ZIP archive follows the pickle; a loader that starts there sees another file");
  await scanZip(range, found);
}

async function scanZip(range: FileRange, found: Gathering): Promise<void> {
  await scanEntries(await readZipDirectory(range), range, found);
}

async function scanEntries(entries: readonly ZipEntry[], range: FileRange, found: Gathering): Promise<void> {
  if (entries.length > MAX_ENTRIES) found.miss(null, `more than ${MAX_ENTRIES} entries: the rest is not scanned`);
  for (const entry of entries.slice(0, MAX_ENTRIES)) {
    if (entry.name.endsWith("/") && entry.bytes === 0) continue;
    try {
      await scanEntry(entry, range, found);
    } catch (thrown) {
      found.miss(shown(entry.name), asLightfootError(thrown).message);
    }
  }
}

const HEAD_BYTES = 16;

/** Tensor data, the bulk of an archive, is looked at by its first bytes only. */
async function scanEntry(entry: ZipEntry, range: FileRange, found: Gathering): Promise<void> {
  const name = shown(entry.name);
  const stream = await openZipEntry(entry, range);
  try {
    const head = await stream.take(Math.min(HEAD_BYTES, stream.remaining));
    const kind = containerOf(memoryBytes(head));
    const isNamed = PICKLE_NAME.test(entry.name);
    if (kind === "zip" || (isNamed && kind === "compressed pickle")) {
      found.miss(name, "packed once more, which is not unpacked here");
      return;
    }
    const isArray = kind === "numpy array";
    if (!isNamed && kind !== "pickle" && !isArray) return;
    if (entry.bytes > MAX_UNPACKED_BYTES) {
      if (isNamed || isArray) found.miss(name, `${entry.bytes} bytes are more than is unpacked here`);
      return;
    }
    const bytes = Buffer.concat([head, await stream.take(stream.remaining)]);
    if (isArray) await scanArray(bytes, name, found);
    else if (isNamed) found.pickle(memoryBytes(bytes), name);
    else found.suspect(memoryBytes(bytes), name);
    // After the scan: a loader that ignores checksums must not be the only one to see the content.
    await stream.finish();
  } finally {
    stream.close();
  }
}

/** An array of Python objects is a pickle behind a header. */
async function scanArray(bytes: Uint8Array, entry: string | null, found: Gathering): Promise<void> {
  const stream = memoryStream(bytes, entry ?? "array");
  const { type } = await readNpyHeader(stream, { file: entry ?? "array" });
  if (type === "a record" || /^[|<>=]?O/.test(type)) {
    const rest = memoryBytes(bytes.subarray(bytes.byteLength - stream.remaining));
    // Records hold a pickle only when a field is an object; numbers would be read as nonsense.
    if (type === "a record") found.suspect(rest, entry ?? "record array");
    else found.pickle(rest, entry);
  }
}

function scanCompressed(range: FileRange, found: Gathering): void {
  if (range.size > MAX_UNPACKED_BYTES) {
    found.miss(null, `${range.size} compressed bytes are more than is unpacked here`);
    return;
  }
  const packed = range.readSync(0, range.size);
  const unpack = packed[0] === 0x1f ? gunzipSync : inflateSync;
  let bytes: Uint8Array;
  try {
    bytes = unpack(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (thrown) {
    found.miss(null, `cannot be unpacked: ${(thrown as Error).message}`);
    return;
  }
  found.pickle(memoryBytes(bytes), null);
}

const TAR_BLOCK = 512;

/** PyTorch before 0.2 wrote tar archives of pickles. */
function scanTar(bytes: Bytes, found: Gathering): void {
  const latin1 = new TextDecoder("latin1");
  for (let at = 0; at + TAR_BLOCK <= bytes.size;) {
    const header = bytes.slice(at, TAR_BLOCK);
    if (header[0] === 0) return;
    const name = shown(latin1.decode(header.subarray(0, 100)).replace(/\0.*$/s, ""));
    const digits = latin1.decode(header.subarray(124, 136)).replaceAll(/[\0 ]/g, "");
    const size = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
    if (!(size <= bytes.size - at - TAR_BLOCK)) {
      found.miss(name, "its size is unreadable or reaches past the end");
      return;
    }
    const content = partOf(bytes, at + TAR_BLOCK, size);
    if (size > 0) {
      const base = name.replace(/^.*\//, "");
      if (TAR_PICKLES.has(base) || PICKLE_NAME.test(name)) found.pickle(content, name);
      else found.suspect(content, name);
    }
    at += TAR_BLOCK + Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
  }
}
