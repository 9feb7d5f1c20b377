// NumPy's `.npz` archives: named arrays in a ZIP file, stored or deflated, also beyond 4 GiB; may depend on errors and its
// room. The ZIP layer is here because libraries unpack into memory twice, and these files are as large as memory allows.
import { open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { LightfootError } from "../errors/index.ts";
import { fileStream, inflateStream, openForReading, type ByteStream } from "./byte-stream.ts";
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
  const handle = await openForReading(file);
  try {
    const { size } = await handle.stat();
    const arrays: NamedArray[] = [];
    for (const entry of await readDirectory(fileReader(file, size, handle), file)) {
      const name = entry.name.replace(/\.npy$/, "");
      if (names !== undefined && !names.includes(name)) continue;
      if (!entry.name.endsWith(".npy")) {
        throw new LightfootError("E_DATA", `entry '${entry.name}' is no array, expected names that end in .npy`, {
          where: { file, path: entry.name },
        });
      }
      arrays.push(await readEntry(entry, fileReader(file, size, handle), file, name));
    }
    return arrays;
  } finally {
    await handle.close();
  }
}

interface Reader {
  readonly size: number;
  stream(start: number, length: number): ByteStream;
  bytes(start: number, length: number): Promise<DataView>;
}

function fileReader(file: string, size: number, handle: Parameters<typeof fileStream>[0]): Reader {
  const stream = (start: number, length: number) => {
    if (start < 0 || length < 0 || start + length > size) {
      throw damaged(file, `bytes ${start}…${start + length} lie outside the file of ${size}`, start);
    }
    return fileStream(handle, file, start, length);
  };
  return {
    size,
    stream,
    async bytes(start, length) {
      const target = new Uint8Array(length);
      await stream(start, length).fill(target);
      return new DataView(target.buffer);
    },
  };
}

async function readDirectory(reader: Reader, file: string): Promise<Entry[]> {
  const tailBytes = Math.min(reader.size, END_BYTES + MAX_COMMENT_BYTES);
  const tailStart = reader.size - tailBytes;
  const tail = await reader.bytes(tailStart, tailBytes);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) throw damaged(file, "no ZIP directory at its end: not an .npz, or cut short", reader.size);
  let count = tail.getUint16(end + 10, true);
  let directoryBytes = tail.getUint32(end + 12, true);
  let start = tail.getUint32(end + 16, true);
  if (count === 0xffff || directoryBytes === NARROW || start === NARROW) {
    const locator = await reader.bytes(tailStart + end - LOCATOR64_BYTES, LOCATOR64_BYTES);
    if (locator.getUint32(0, true) !== LOCATOR64_SIGNATURE) throw damaged(file, "the ZIP64 locator is missing", end);
    const end64At = wide(locator, 8, file);
    const end64 = await reader.bytes(end64At, 56);
    if (end64.getUint32(0, true) !== END64_SIGNATURE) throw damaged(file, "the ZIP64 directory is missing", end64At);
    count = wide(end64, 32, file);
    directoryBytes = wide(end64, 40, file);
    start = wide(end64, 48, file);
  }
  if (directoryBytes > MAX_DIRECTORY_BYTES) throw damaged(file, `a directory of ${directoryBytes} bytes`, start);
  const directory = await reader.bytes(start, directoryBytes);
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

async function readEntry(entry: Entry, reader: Reader, file: string, name: string): Promise<NamedArray> {
  const local = await reader.bytes(entry.headerOffset, 30);
  if (local.getUint32(0, true) !== LOCAL_SIGNATURE) {
    throw damaged(file, `entry '${entry.name}' does not begin where the directory says`, entry.headerOffset);
  }
  const start = entry.headerOffset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  let crc = 0;
  const checkCrc = () => {
    if (crc !== entry.crc) throw damaged(file, `the checksum of '${entry.name}' does not fit its bytes`, start);
  };
  if (entry.method === METHOD_STORED) {
    if (entry.bytes !== entry.compressedBytes) throw damaged(file, `entry '${entry.name}' has two sizes`, start);
    const inner = reader.stream(start, entry.bytes);
    const array = await readNpyStream(
      {
        file,
        get remaining() {
          return inner.remaining;
        },
        async fill(target) {
          await inner.fill(target);
          crc = crc32(target, crc);
        },
      },
      name,
    );
    checkCrc();
    return array;
  }
  if (entry.method !== METHOD_DEFLATED) {
    throw damaged(file, `entry '${entry.name}' uses ZIP method ${entry.method}, expected stored or deflated`, start);
  }
  if (entry.bytes > entry.compressedBytes * MAX_DEFLATE_RATIO + MAX_DEFLATE_RATIO) {
    throw damaged(file, `entry '${entry.name}' claims ${entry.bytes} bytes from ${entry.compressedBytes}`, start);
  }
  reader.stream(start, entry.compressedBytes); // throws when the range is outside the file
  const inflated = inflateStream(file, start, entry.compressedBytes, entry.bytes, (bytes) => {
    crc = crc32(bytes, crc);
  });
  try {
    const array = await readNpyStream(inflated, name);
    await inflated.finish();
    checkCrc();
    return array;
  } finally {
    inflated.abort();
  }
}

function wide(view: DataView, at: number, file: string): number {
  const value = Number(view.getBigUint64(at, true));
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
  const handle = await open(file, "w");
  try {
    const directory: Uint8Array[] = [];
    let offset = 0;
    const append = async (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.byteLength;) {
        const { bytesWritten } = await handle.write(bytes, at, Math.min(bytes.byteLength - at, 64 * 1_048_576));
        at += bytesWritten;
      }
      offset += bytes.byteLength;
    };
    for (const array of arrays) {
      const header = npyHeader(array);
      const data = bytesOf(array.data);
      const crc = crc32(data, crc32(header));
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
  } finally {
    await handle.close();
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
