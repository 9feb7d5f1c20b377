// Reads ZIP archives entry by entry, stored or deflated, also beyond 4 GiB; may depend on errors and its room. Libraries unpack
// into memory twice, and the archives here (`.npz`, PyTorch's `.pt`) are as large as memory allows.
import { crc32 } from "node:zlib";
import { LightfootError } from "../errors/index.ts";
import { fileStream, inflateStream, type InflateStream } from "./byte-stream.ts";
import type { FileRange } from "./file-range.ts";

const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR64_SIGNATURE = 0x07064b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const LOCATOR64_BYTES = 20;
const MAX_COMMENT_BYTES = 65_535;
const MAX_DIRECTORY_BYTES = 64 * 1_048_576;
const NARROW = 0xffff_ffff;
// Deflate cannot shrink below 1/1032; an entry that claims more is a bomb or a lie.
const MAX_DEFLATE_RATIO = 1032;
const METHOD_STORED = 0;
const METHOD_DEFLATED = 8;

/** What the archive's directory says of one entry. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  /** Once inflated. */
  readonly bytes: number;
  readonly headerOffset: number;
}

async function view(range: FileRange, start: number, length: number): Promise<DataView> {
  requireInside(range, start, length);
  const bytes = await range.read(start, length);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function requireInside(range: FileRange, start: number, length: number): void {
  if (start < 0 || length < 0 || start + length > range.size) {
    throw damaged(range.path, `bytes ${start}…${start + length} lie outside the file of ${range.size}`, start);
  }
}

/** Every entry in the order of the directory. @throws LightfootError E_DATA when the directory is missing or damaged */
export async function readZipDirectory(range: FileRange): Promise<ZipEntry[]> {
  const file = range.path;
  const tailBytes = Math.min(range.size, END_BYTES + MAX_COMMENT_BYTES);
  const tailStart = range.size - tailBytes;
  const tail = await view(range, tailStart, tailBytes);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) throw damaged(file, "no ZIP directory at its end: not a ZIP archive, or cut short", range.size);
  let count = tail.getUint16(end + 10, true);
  let directoryBytes = tail.getUint32(end + 12, true);
  let start = tail.getUint32(end + 16, true);
  if (count === 0xffff || directoryBytes === NARROW || start === NARROW) {
    const locator = await view(range, tailStart + end - LOCATOR64_BYTES, LOCATOR64_BYTES);
    if (locator.getUint32(0, true) !== LOCATOR64_SIGNATURE) throw damaged(file, "the ZIP64 locator is missing", end);
    const end64At = wide(locator, 8, file);
    const end64 = await view(range, end64At, 56);
    if (end64.getUint32(0, true) !== END64_SIGNATURE) throw damaged(file, "the ZIP64 directory is missing", end64At);
    count = wide(end64, 32, file);
    directoryBytes = wide(end64, 40, file);
    start = wide(end64, 48, file);
  }
  if (directoryBytes > MAX_DIRECTORY_BYTES) throw damaged(file, `a directory of ${directoryBytes} bytes`, start);
  const directory = await view(range, start, directoryBytes);
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + 46 > directoryBytes || directory.getUint32(at, true) !== CENTRAL_SIGNATURE) {
      throw damaged(file, `directory entry ${index + 1} of ${count} is broken`, start + at);
    }
    const nameBytes = directory.getUint16(at + 28, true);
    const extraBytes = directory.getUint16(at + 30, true);
    const commentBytes = directory.getUint16(at + 32, true);
    if (at + 46 + nameBytes + extraBytes + commentBytes > directoryBytes) {
      throw damaged(file, `directory entry ${index + 1} of ${count} reaches past the directory`, start + at);
    }
    entries.push(parseEntry(directory, at, nameBytes, extraBytes, file));
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  return entries;
}

function parseEntry(directory: DataView, at: number, nameBytes: number, extraBytes: number, file: string): ZipEntry {
  const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameBytes));
  if ((directory.getUint16(at + 8, true) & 1) !== 0) throw damaged(file, `entry '${name}' is encrypted`, at);
  let bytes = directory.getUint32(at + 24, true);
  let compressedBytes = directory.getUint32(at + 20, true);
  let headerOffset = directory.getUint32(at + 42, true);
  // The ZIP64 field holds, in this order, only those sizes whose narrow field says 0xffffffff.
  let field = at + 46 + nameBytes;
  const fieldsEnd = field + extraBytes;
  while (field + 4 <= fieldsEnd) {
    const kind = directory.getUint16(field, true);
    const length = directory.getUint16(field + 2, true);
    let wideAt = field + 4;
    const fieldEnd = Math.min(wideAt + length, fieldsEnd);
    const take = (narrow: number): number => {
      if (narrow !== NARROW || wideAt + 8 > fieldEnd) return narrow;
      wideAt += 8;
      return wide(directory, wideAt - 8, file);
    };
    if (kind === 1) {
      bytes = take(bytes);
      compressedBytes = take(compressedBytes);
      headerOffset = take(headerOffset);
    }
    field += 4 + length;
  }
  return {
    name,
    method: directory.getUint16(at + 10, true),
    crc: directory.getUint32(at + 16, true),
    compressedBytes,
    bytes,
    headerOffset,
  };
}

/**
 * The content of an entry, front to back; `finish` checks its size and checksum.
 *
 * @throws LightfootError E_DATA when the entry lies outside the file, is no plain or deflated data, or claims an absurd size
 */
export async function openZipEntry(entry: ZipEntry, range: FileRange): Promise<InflateStream> {
  const local = await view(range, entry.headerOffset, 30);
  if (local.getUint32(0, true) !== LOCAL_SIGNATURE) {
    const problem = `entry '${entry.name}' does not begin where the directory says`;
    throw damaged(range.path, problem, entry.headerOffset);
  }
  const start = entry.headerOffset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  requireInside(range, start, entry.compressedBytes);
  let checksum = 0;
  const onBytes = (bytes: Uint8Array): void => {
    checksum = checksumOf(bytes, checksum);
  };
  const stream =
    entry.method === METHOD_STORED
      ? storedStream(entry, range, start, onBytes)
      : inflatedStream(entry, range, start, onBytes);
  return {
    file: stream.file,
    get remaining() {
      return stream.remaining;
    },
    take: (length) => stream.take(length),
    async finish() {
      await stream.finish();
      if (checksum !== entry.crc) {
        throw damaged(range.path, `the checksum of '${entry.name}' does not fit its bytes`, start);
      }
    },
    close: () => {
      stream.close();
    },
  };
}

type OnBytes = (bytes: Uint8Array) => void;

function storedStream(entry: ZipEntry, range: FileRange, start: number, onBytes: OnBytes): InflateStream {
  if (entry.bytes !== entry.compressedBytes) {
    throw damaged(range.path, `entry '${entry.name}' is stored and has two sizes`, start);
  }
  const stream = fileStream(range, start, entry.bytes);
  return {
    file: stream.file,
    get remaining() {
      return stream.remaining;
    },
    async take(length) {
      const bytes = await stream.take(length);
      onBytes(bytes);
      return bytes;
    },
    async finish() {
      const { remaining } = stream;
      if (remaining > 0) throw damaged(range.path, `${remaining} bytes of '${entry.name}' were not expected`, start);
    },
    close() {},
  };
}

function inflatedStream(entry: ZipEntry, range: FileRange, start: number, onBytes: OnBytes): InflateStream {
  const { method, bytes, compressedBytes } = entry;
  if (method !== METHOD_DEFLATED) {
    throw damaged(range.path, `entry '${entry.name}' uses ZIP method ${method}, expected stored or deflated`, start);
  }
  if (bytes > (compressedBytes + 1) * MAX_DEFLATE_RATIO) {
    throw damaged(range.path, `entry '${entry.name}' claims ${bytes} bytes from ${compressedBytes}`, start);
  }
  return inflateStream(range, start, compressedBytes, bytes, onBytes);
}

/** CRC-32 continued over `bytes`. Node's own starts over at zero when there are no bytes, as in an empty array. */
export const checksumOf = (bytes: Uint8Array, before = 0): number =>
  bytes.byteLength === 0 ? before : crc32(bytes, before);

function wide(record: DataView, at: number, file: string): number {
  const value = Number(record.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw damaged(file, `a size of ${value} bytes`, at);
  return value;
}

function damaged(file: string, problem: string, offset: number): LightfootError {
  return new LightfootError("E_DATA", `the archive is damaged: ${problem}`, { where: { file, offset } });
}
