// NumPy's `.npz` archives: named arrays in a ZIP file, stored or deflated, also beyond 4 GiB; may depend on errors and its
// room. The ZIP layer is here because libraries unpack into memory twice, and these files are as large as memory allows.
import { crc32 } from "node:zlib";
import { LightfootError } from "../errors/index.ts";
import { openAtomicWriter } from "./atomic-write.ts";
import { fileStream, inflateStream, type ByteStream } from "./byte-stream.ts";
import { openFileRange, type FileRange } from "./file-range.ts";
import { bytesOf, type NamedArray } from "./named-array.ts";
import { npyHeader, readNpyStream } from "./npy.ts";

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

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly headerOffset: number;
}

/**
 * Reads the arrays of an `.npz`, those named in `names` or all, in file order.
 *
 * Each array is read straight into its final memory, and its checksum is verified.
 * @throws LightfootError E_DATA with file and place when the archive is damaged, or an array is of a kind not read
 */
export async function readNpz(file: string, names?: readonly string[]): Promise<NamedArray[]> {
  const range = await openFileRange(file);
  try {
    const arrays: NamedArray[] = [];
    for (const entry of await readDirectory(range)) {
      const name = entry.name.replace(/\.npy$/, "");
      if (names !== undefined && !names.includes(name)) continue;
      if (!entry.name.endsWith(".npy")) {
        throw new LightfootError("E_DATA", `entry '${entry.name}' is no array, expected names that end in .npy`, {
          where: { file, path: entry.name },
        });
      }
      arrays.push(await readEntry(entry, range, name));
    }
    return arrays;
  } finally {
    await range.close();
  }
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

async function readDirectory(range: FileRange): Promise<Entry[]> {
  const file = range.path;
  const tailBytes = Math.min(range.size, END_BYTES + MAX_COMMENT_BYTES);
  const tailStart = range.size - tailBytes;
  const tail = await view(range, tailStart, tailBytes);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) throw damaged(file, "no ZIP directory at its end: not an .npz, or cut short", range.size);
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
  const entries: Entry[] = [];
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

function parseEntry(directory: DataView, at: number, nameBytes: number, extraBytes: number, file: string): Entry {
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

async function readEntry(entry: Entry, range: FileRange, name: string): Promise<NamedArray> {
  const file = range.path;
  const local = await view(range, entry.headerOffset, 30);
  if (local.getUint32(0, true) !== LOCAL_SIGNATURE) {
    throw damaged(file, `entry '${entry.name}' does not begin where the directory says`, entry.headerOffset);
  }
  const start = entry.headerOffset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  requireInside(range, start, entry.compressedBytes);
  let checksum = 0;
  const onBytes = (bytes: Uint8Array): void => {
    checksum = checksumOf(bytes, checksum);
  };
  const array =
    entry.method === METHOD_STORED
      ? await readNpyStream(storedStream(entry, range, start, onBytes), name)
      : await readInflated(entry, range, start, name, onBytes);
  if (checksum !== entry.crc) throw damaged(file, `the checksum of '${entry.name}' does not fit its bytes`, start);
  return array;
}

function storedStream(entry: Entry, range: FileRange, start: number, onBytes: (bytes: Uint8Array) => void): ByteStream {
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
  };
}

async function readInflated(
  entry: Entry,
  range: FileRange,
  start: number,
  name: string,
  onBytes: (bytes: Uint8Array) => void,
): Promise<NamedArray> {
  const { method, bytes, compressedBytes } = entry;
  if (method !== METHOD_DEFLATED) {
    throw damaged(range.path, `entry '${entry.name}' uses ZIP method ${method}, expected stored or deflated`, start);
  }
  if (bytes > (compressedBytes + 1) * MAX_DEFLATE_RATIO) {
    throw damaged(range.path, `entry '${entry.name}' claims ${bytes} bytes from ${compressedBytes}`, start);
  }
  const stream = inflateStream(range, start, compressedBytes, bytes, onBytes);
  try {
    const array = await readNpyStream(stream, name);
    await stream.finish();
    return array;
  } finally {
    stream.close();
  }
}

/** CRC-32 continued over `bytes`. Node's own starts over at zero when there are no bytes, as in an empty array. */
const checksumOf = (bytes: Uint8Array, before = 0): number => (bytes.byteLength === 0 ? before : crc32(bytes, before));

function wide(record: DataView, at: number, file: string): number {
  const value = Number(record.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw damaged(file, `a size of ${value} bytes`, at);
  return value;
}

function damaged(file: string, problem: string, offset: number): LightfootError {
  return new LightfootError("E_DATA", `the archive is damaged: ${problem}`, { where: { file, offset } });
}

/**
 * Writes arrays as an uncompressed `.npz` that `numpy.load` reads; sizes beyond 4 GiB use ZIP64.
 *
 * @throws LightfootError E_DATA when two arrays have one name
 */
export async function writeNpz(file: string, arrays: readonly NamedArray[]): Promise<void> {
  const twice = arrays.find((array, index) => arrays.findIndex((other) => other.name === array.name) !== index);
  if (twice !== undefined)
    throw new LightfootError("E_DATA", `two arrays are called '${twice.name}'`, { where: { file } });
  const writer = await openAtomicWriter(file);
  try {
    const directory: Uint8Array[] = [];
    let offset = 0;
    const append = async (bytes: Uint8Array): Promise<void> => {
      await writer.write(bytes);
      offset += bytes.byteLength;
    };
    for (const array of arrays) {
      const header = npyHeader(array);
      const data = bytesOf(array.data);
      const crc = checksumOf(data, checksumOf(header));
      const name = new TextEncoder().encode(`${array.name}.npy`);
      const record = { name, crc, bytes: header.byteLength + data.byteLength, headerOffset: offset };
      directory.push(centralRecord(record));
      await append(localRecord(record));
      await append(header);
      await append(data);
    }
    const start = offset;
    const records = Buffer.concat(directory);
    await append(records);
    await append(endRecords(arrays.length, records.byteLength, start));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

interface WrittenEntry {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly bytes: number;
  readonly headerOffset: number;
}

/** The fields that local and central records share: version, flags, method, time, date, checksum, sizes, lengths. */
function commonFields(entry: WrittenEntry, extraBytes: number): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(45, 0);
  fields.writeUInt16LE(0x0800, 2); // the name is UTF-8
  fields.writeUInt16LE(METHOD_STORED, 4);
  fields.writeUInt16LE(0, 6);
  fields.writeUInt16LE(0x21, 8); // 1 January 1980: a clock time here would make equal data differ
  fields.writeUInt32LE(entry.crc, 10);
  fields.writeUInt32LE(NARROW, 14);
  fields.writeUInt32LE(NARROW, 18);
  fields.writeUInt16LE(entry.name.byteLength, 22);
  fields.writeUInt16LE(extraBytes, 24);
  return fields;
}

function wideField(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, index) => field.writeBigUInt64LE(BigInt(value), 4 + 8 * index));
  return field;
}

function localRecord(entry: WrittenEntry): Buffer {
  const extra = wideField([entry.bytes, entry.bytes]);
  return Buffer.concat([uint32(LOCAL_SIGNATURE), commonFields(entry, extra.byteLength), entry.name, extra]);
}

function centralRecord(entry: WrittenEntry): Buffer {
  const extra = wideField([entry.bytes, entry.bytes, entry.headerOffset]);
  const madeBy = Buffer.from([45, 0]);
  const tail = Buffer.alloc(14); // comment length, disk, attributes, then the offset
  tail.writeUInt32LE(NARROW, 10);
  return Buffer.concat([
    uint32(CENTRAL_SIGNATURE),
    madeBy,
    commonFields(entry, extra.byteLength),
    tail,
    entry.name,
    extra,
  ]);
}

function endRecords(count: number, directoryBytes: number, start: number): Buffer {
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(END64_SIGNATURE, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeUInt16LE(45, 12);
  end64.writeUInt16LE(45, 14);
  end64.writeBigUInt64LE(BigInt(count), 24);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(directoryBytes), 40);
  end64.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(LOCATOR64_BYTES);
  locator.writeUInt32LE(LOCATOR64_SIGNATURE, 0);
  locator.writeBigUInt64LE(BigInt(start + directoryBytes), 8);
  locator.writeUInt32LE(1, 16);
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(END_SIGNATURE, 0);
  end.writeUInt16LE(0xffff, 8);
  end.writeUInt16LE(0xffff, 10);
  end.writeUInt32LE(NARROW, 12);
  end.writeUInt32LE(NARROW, 16);
  return Buffer.concat([end64, locator, end]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
