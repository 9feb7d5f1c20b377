// Bytes taken front to back, from a range of a file or through a decompressor; may depend on errors and its room.
import { Readable } from "node:stream";
import { createInflateRaw } from "node:zlib";
import { LightfootError } from "../errors/index.ts";
import type { FileRange } from "./file-range.ts";
import { allocateBytes } from "./named-array.ts";

/** A forward-only source of a known number of bytes. */
export interface ByteStream {
  readonly file: string;
  /** Bytes that are left. */
  readonly remaining: number;
  /** The next `length` bytes, in memory of their own. @throws LightfootError E_DATA when there are fewer */
  take(length: number): Promise<Uint8Array>;
}

/** The bytes `start … start + byteLength` of an open file. */
export function fileStream(range: FileRange, start = 0, byteLength = range.size - start): ByteStream {
  let position = start;
  const end = start + byteLength;
  return {
    file: range.path,
    get remaining() {
      return end - position;
    },
    async take(length) {
      if (length > end - position) throw endsEarly(range.path, position, length, end - position);
      const bytes = await range.read(position, length);
      position += length;
      return bytes;
    },
  };
}

export interface InflateStream extends ByteStream {
  /** Reads on to the end. @throws LightfootError E_DATA when more comes than was declared */
  finish(): Promise<void>;
  /** Frees the decompressor; harmless after `finish`. */
  close(): void;
}

const PIECE_BYTES = 1_048_576;

/**
 * The raw-deflate data at `start … start + compressedBytes`, inflated to `byteLength` bytes while it is read.
 *
 * @param onBytes sees every inflated byte once, in order
 */
export function inflateStream(
  range: FileRange,
  start: number,
  compressedBytes: number,
  byteLength: number,
  onBytes: (bytes: Uint8Array) => void,
): InflateStream {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const end = start + compressedBytes;
    for (let at = start; at < end; at += PIECE_BYTES) yield await range.read(at, Math.min(PIECE_BYTES, end - at));
  }
  const source = Readable.from(pieces());
  const inflated = source.pipe(createInflateRaw({ chunkSize: 262_144 }));
  source.on("error", (error) => inflated.destroy(error));
  const chunks = inflated[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let pending: Uint8Array = new Uint8Array(0);
  let remaining = byteLength;
  const refill = async (): Promise<boolean> => {
    try {
      const step = await chunks.next();
      if (step.done === true) return false;
      pending = step.value;
      onBytes(pending);
      return true;
    } catch (cause) {
      if (cause instanceof LightfootError) throw cause;
      throw new LightfootError("E_DATA", `the compressed data is damaged: ${(cause as Error).message}`, {
        where: { file: range.path, offset: start },
        cause,
      });
    }
  };
  return {
    file: range.path,
    get remaining() {
      return remaining;
    },
    async take(length) {
      if (length > remaining) throw endsEarly(range.path, start, length, remaining);
      const target = allocateBytes(length, { file: range.path });
      for (let filled = 0; filled < length;) {
        if (pending.byteLength === 0 && !(await refill())) throw endsEarly(range.path, start, length - filled, 0);
        const part = pending.subarray(0, length - filled);
        target.set(part, filled);
        filled += part.byteLength;
        pending = pending.subarray(part.byteLength);
      }
      remaining -= length;
      return target;
    },
    async finish() {
      if (remaining > 0 || pending.byteLength > 0 || (await refill())) {
        throw new LightfootError(
          "E_DATA",
          `the entry inflates to another size than the ${byteLength} bytes it declares`,
          {
            where: { file: range.path, offset: start },
          },
        );
      }
    },
    close() {
      source.destroy();
      inflated.destroy();
    },
  };
}

/** Bytes in memory as a stream. */
export function memoryStream(bytes: Uint8Array, file: string): ByteStream {
  let position = 0;
  return {
    file,
    get remaining() {
      return bytes.byteLength - position;
    },
    async take(length) {
      if (length > bytes.byteLength - position) throw endsEarly(file, position, length, bytes.byteLength - position);
      position += length;
      return bytes.slice(position - length, position); // a copy, so that its memory is aligned for every type
    },
  };
}

function endsEarly(file: string, offset: number, wanted: number, found: number): LightfootError {
  return new LightfootError("E_DATA", `the data ends early: ${wanted} more bytes are declared, ${found} are there`, {
    where: { file, offset },
  });
}
