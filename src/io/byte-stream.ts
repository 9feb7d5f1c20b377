// Bytes read front to back, from a file's range or through a decompressor, into memory the caller owns; may depend on errors.
import { constants, open, type FileHandle } from "node:fs/promises";
import { createInflateRaw } from "node:zlib";
import { createReadStream } from "node:fs";
import { LightfootError } from "../errors/index.ts";

/** A forward-only source of a known number of bytes. */
export interface ByteStream {
  readonly file: string;
  /** Bytes that are left. */
  readonly remaining: number;
  /** Fills the whole of `target`. @throws LightfootError E_DATA when the bytes end before that */
  fill(target: Uint8Array): Promise<void>;
}

/** Opens a file for reading with errors a user can act on. @throws LightfootError E_FILE_NOT_FOUND, E_FILE_READ */
export async function openForReading(file: string): Promise<FileHandle> {
  try {
    return await open(file, constants.O_RDONLY);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT") {
      throw new LightfootError("E_FILE_NOT_FOUND", `no file at '${file}'`, { where: { file }, cause });
    }
    throw new LightfootError("E_FILE_READ", `cannot read '${file}': ${String(cause)}`, { where: { file }, cause });
  }
}

/** The bytes `start…start + length` of an open file. */
export function fileStream(handle: FileHandle, file: string, start: number, length: number): ByteStream {
  let position = start;
  const end = start + length;
  return {
    file,
    get remaining() {
      return end - position;
    },
    async fill(target) {
      if (target.byteLength > end - position) throw truncated(file, position, target.byteLength, end - position);
      let filled = 0;
      while (filled < target.byteLength) {
        // One read call moves at most 2 GiB; smaller pieces also keep the thread pool free for others.
        const length = Math.min(target.byteLength - filled, 64 * 1_048_576);
        const { bytesRead } = await handle.read(target, filled, length, position);
        if (bytesRead === 0) throw truncated(file, position, target.byteLength - filled, 0);
        filled += bytesRead;
        position += bytesRead;
      }
    },
  };
}

/**
 * The raw-deflate data at `start…start + compressedLength` of a file, inflated to `length` bytes as it is read.
 *
 * `finish` reads to the end, checks that nothing is left and frees the stream; `onBytes` sees every inflated byte once.
 */
export function inflateStream(
  file: string,
  start: number,
  compressedLength: number,
  length: number,
  onBytes: (bytes: Uint8Array) => void,
): ByteStream & { finish(): Promise<void>; abort(): void } {
  const source = createReadStream(file, { start, end: start + Math.max(compressedLength, 1) - 1 });
  const inflated = source.pipe(createInflateRaw({ chunkSize: 262_144 }));
  source.on("error", (error) => inflated.destroy(error));
  const chunks = inflated[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let pending: Uint8Array = new Uint8Array(0);
  let remaining = length;
  const next = async (): Promise<boolean> => {
    try {
      const step = await chunks.next();
      if (step.done === true) return false;
      pending = new Uint8Array(step.value.buffer, step.value.byteOffset, step.value.byteLength);
      onBytes(pending);
      return true;
    } catch (cause) {
      throw new LightfootError("E_DATA", `the compressed data is damaged: ${(cause as Error).message}`, {
        where: { file, offset: start },
        cause,
      });
    }
  };
  return {
    file,
    get remaining() {
      return remaining;
    },
    async fill(target) {
      if (target.byteLength > remaining) throw truncated(file, start, target.byteLength, remaining);
      let filled = 0;
      while (filled < target.byteLength) {
        if (pending.byteLength === 0 && !(await next())) {
          throw truncated(file, start, target.byteLength - filled, 0);
        }
        const part = pending.subarray(0, target.byteLength - filled);
        target.set(part, filled);
        filled += part.byteLength;
        pending = pending.subarray(part.byteLength);
      }
      remaining -= filled;
    },
    async finish() {
      if (remaining > 0 || pending.byteLength > 0 || (await next())) {
        source.destroy();
        throw new LightfootError("E_DATA", `the entry inflates to another size than the ${length} bytes it declares`, {
          where: { file, offset: start },
        });
      }
      source.destroy();
    },
    abort() {
      source.destroy();
      inflated.destroy();
    },
  };
}

function truncated(file: string, offset: number, wanted: number, found: number): LightfootError {
  return new LightfootError("E_DATA", `the data ends early: ${wanted} more bytes are declared, ${found} are there`, {
    where: { file, offset },
  });
}
