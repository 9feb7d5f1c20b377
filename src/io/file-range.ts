// `FileRange`: positioned reads of a file that must not change meanwhile; may depend on errors and Node's file system.
import { constants, fstatSync, readSync, type BigIntStats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { LightfootError } from "../errors/lightfoot-error.ts";

/** Node refuses a single read of 2 GiB or more; a power of two below it keeps large reads page-aligned. */
const READ_LIMIT_BYTES = 2 ** 30;

/** Largest Buffer of Node 20. A tensor beyond it can still be copied from file to file. */
const BUFFER_LIMIT_BYTES = 2 ** 32;

export interface FileRange {
  readonly path: string;
  /** Bytes in the file when it was opened. */
  readonly size: number;
  /** Identity of this content of the file: device, inode, size and time of change. */
  readonly stamp: string;
  /** Bytes `[offset, offset + length)`. @throws LightfootError E_FILE_READ outside the file, E_FILE_CHANGED, E_LIMIT */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** The same without a promise, for parsers that take thousands of small windows. */
  readSync(offset: number, length: number): Uint8Array;
  /** Fills memory that the caller uses again and again, for passes over many windows. */
  fillSync(target: Uint8Array, offset: number): void;
  close(): Promise<void>;
}

/**
 * Opens a regular file for positioned reads.
 *
 * @param expectedStamp the `stamp` under which offsets into this file were noted earlier
 * @throws LightfootError E_FILE_NOT_FOUND, E_PERMISSION, E_FILE_READ; E_FILE_CHANGED when the stamp is another one
 */
export async function openFileRange(path: string, expectedStamp?: string): Promise<FileRange> {
  const handle = await openRegularFile(path);
  try {
    const status = await handle.stat({ bigint: true });
    if (!status.isFile()) {
      throw new LightfootError("E_FILE_READ", `${path} is not a regular file`, { where: { file: path } });
    }
    const stamp = stampOf(status);
    if (expectedStamp !== undefined && expectedStamp !== stamp) throw changed(path);
    return new OpenFileRange(handle, path, Number(status.size), stamp);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Files that stay open over many reads: a model's thousand tensors lie in one or two of them. */
export class OpenFiles {
  // Promises, because several readers may ask for a file that is just being opened.
  readonly #ranges = new Map<string, Promise<FileRange>>();

  /** @throws LightfootError as `openFileRange` */
  async range(path: string, expectedStamp?: string): Promise<FileRange> {
    const key = `${path}\0${expectedStamp ?? ""}`;
    let opening = this.#ranges.get(key);
    if (opening === undefined) {
      opening = openFileRange(path, expectedStamp);
      this.#ranges.set(key, opening);
    }
    return opening;
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#ranges.values());
    this.#ranges.clear();
    for (const one of opened) if (one.status === "fulfilled") await one.value.close();
  }
}

async function openRegularFile(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK, opening a named pipe waits for a writer: a hostile external-data path would hang the reader.
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The LightfootError behind a failure of Node's file system. */
export function fileError(error: unknown, path: string): LightfootError {
  if (error instanceof LightfootError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const where = { file: path };
  if (code === "ENOENT" || code === "ENOTDIR") {
    const hint = "Check the spelling, and that the path is relative to the folder you are in.";
    return new LightfootError("E_FILE_NOT_FOUND", `there is no file ${path}`, { hint, where, cause: error });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new LightfootError("E_PERMISSION", `the system denies access to ${path}`, { where, cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new LightfootError("E_FILE_READ", `${path} cannot be read: ${reason}`, { where, cause: error });
}

class OpenFileRange implements FileRange {
  readonly #handle: FileHandle;
  readonly path: string;
  readonly size: number;
  readonly stamp: string;

  constructor(handle: FileHandle, path: string, size: number, stamp: string) {
    this.#handle = handle;
    this.path = path;
    this.size = size;
    this.stamp = stamp;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = this.#target(offset, length);
    for (let done = 0; done < length;) {
      const step = Math.min(READ_LIMIT_BYTES, length - done);
      const { bytesRead } = await this.#guard(this.#handle.read(bytes, done, step, offset + done));
      if (bytesRead === 0) throw changed(this.path);
      done += bytesRead;
    }
    this.#refuseChange(await this.#guard(this.#handle.stat({ bigint: true })));
    return bytes;
  }

  readSync(offset: number, length: number): Uint8Array {
    const bytes = this.#target(offset, length);
    this.fillSync(bytes, offset);
    return bytes;
  }

  fillSync(target: Uint8Array, offset: number): void {
    const length = target.byteLength;
    this.#refuseOutside(offset, length);
    try {
      for (let done = 0; done < length;) {
        const step = Math.min(READ_LIMIT_BYTES, length - done);
        const bytesRead = readSync(this.#handle.fd, target, done, step, offset + done);
        if (bytesRead === 0) throw changed(this.path);
        done += bytesRead;
      }
      this.#refuseChange(fstatSync(this.#handle.fd, { bigint: true }));
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #refuseOutside(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return;
    const message = `bytes ${offset} to ${offset + length} were asked for, ${this.path} has ${this.size}`;
    throw new LightfootError("E_FILE_READ", message, { where: { file: this.path, offset } });
  }

  #target(offset: number, length: number): Uint8Array {
    this.#refuseOutside(offset, length);
    if (length > BUFFER_LIMIT_BYTES) {
      const message = `${length} bytes at once exceed the largest buffer, ${BUFFER_LIMIT_BYTES} bytes`;
      throw new LightfootError("E_LIMIT", message, { where: { file: this.path, offset } });
    }
    return new Uint8Array(length);
  }

  async #guard<T>(operation: Promise<T>): Promise<T> {
    try {
      return await operation;
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  #refuseChange(status: BigIntStats): void {
    if (stampOf(status) !== this.stamp) throw changed(this.path);
  }
}

/** Identity of a file's content. The inode belongs in: renaming another file over the path gives new content under the same name and size. */
export const stampOf = (status: BigIntStats): string => `${status.dev}:${status.ino}:${status.size}:${status.mtimeNs}`;

function changed(path: string): LightfootError {
  return new LightfootError("E_FILE_CHANGED", `${path} changed after Lightfoot read its structure`, {
    hint: "Read the model again, and write results to another path while the original is in use.",
    where: { file: path },
  });
}
