// NumPy's `.npz` archives: named arrays in a ZIP file, also beyond 4 GiB; may depend on errors and its room.
import { LightfootError } from "../errors/index.ts";
import { openAtomicWriter } from "./atomic-write.ts";
import { openFileRange, type FileRange } from "./file-range.ts";
import { bytesOf, type NamedArray } from "./named-array.ts";
import { npyHeader, readNpyStream } from "./npy.ts";
import { checksumOf, openZipEntry, readZipDirectory, type ZipEntry } from "./zip.ts";

const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR64_SIGNATURE = 0x07064b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const LOCATOR64_BYTES = 20;
const NARROW = 0xffff_ffff;
const METHOD_STORED = 0;

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
    for (const entry of await readZipDirectory(range)) {
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

async function readEntry(entry: ZipEntry, range: FileRange, name: string): Promise<NamedArray> {
  const stream = await openZipEntry(entry, range);
  try {
    const array = await readNpyStream(stream, name);
    await stream.finish();
    return array;
  } finally {
    stream.close();
  }
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
