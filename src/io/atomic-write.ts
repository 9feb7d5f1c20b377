// Files that appear whole or not at all: written beside the target, synced, renamed; may depend on errors and Node's file system.
import { createReadStream, rmSync } from "node:fs";
import { appendFile, mkdir, open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LightfootError } from "../errors/lightfoot-error.ts";

export interface AtomicWriter {
  /** The file that `commit` will create or replace. */
  readonly path: string;
  write(chunk: Uint8Array): Promise<void>;
  /** Makes the content durable and visible under `path`. */
  commit(): Promise<void>;
  /** Removes what was written; harmless after `commit`. */
  abort(): Promise<void>;
}

const unfinished = new Set<string>();

/** Deletes every temporary file of this process, at once: for a signal that is to end it, where nothing can be awaited. */
export function removeUnfinishedFiles(): void {
  for (const path of unfinished) rmSync(path, { force: true });
  unfinished.clear();
}

process.on("exit", removeUnfinishedFiles);

/** Makes a folder and those above it, where they are missing. @throws LightfootError E_FILE_WRITE, E_PERMISSION */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw writeError(error, path);
  }
}

/**
 * Writes a whole file so that a reader sees the old content or the new one, never a part.
 * @throws LightfootError E_FILE_WRITE, E_PERMISSION
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const writer = await openAtomicWriter(path);
  try {
    await writer.write(typeof content === "string" ? Buffer.from(content) : content);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Adds text to the end of a file, which is made when it is missing. @throws LightfootError E_FILE_WRITE, E_PERMISSION */
export async function appendText(path: string, text: string): Promise<void> {
  try {
    await appendFile(path, text);
  } catch (error) {
    throw writeError(error, path);
  }
}

/** Copies a file of any size so that a reader of `target` sees the old content or the new one. */
export async function copyFileAtomic(source: string, target: string): Promise<void> {
  const writer = await openAtomicWriter(target);
  try {
    for await (const chunk of createReadStream(source)) await writer.write(chunk as Uint8Array);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/**
 * The same for content that comes in pieces; the folder must exist. A device, a pipe and a descriptor of this process
 * (`/dev/null`, `/dev/stdout`) are written to as they are: a rename would put a file in their place.
 */
export async function openAtomicWriter(path: string): Promise<AtomicWriter> {
  if (await isStream(path)) return openStreamWriter(path);
  // Renaming over a symbolic link would replace the link and leave the file behind it as it was.
  const target = await realpath(path).catch(() => path);
  // A process and a nanosecond: two writers of one file differ, and Node's crypto, slow to load, is not needed for a random name.
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}-${process.hrtime.bigint()}.tmp`);
  unfinished.add(temporary);
  try {
    const handle = await open(temporary, "wx", await modeOf(target));
    return new TemporaryFileWriter(handle, temporary, target);
  } catch (error) {
    unfinished.delete(temporary);
    throw writeError(error, path);
  }
}

const DESCRIPTOR = /^\/(dev\/(stdout|stderr|fd\/\d+)|proc\/(self|\d+)\/fd\/\d+)$/;

async function isStream(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && !found.isDirectory() && (!found.isFile() || DESCRIPTOR.test(path));
}

async function openStreamWriter(path: string): Promise<AtomicWriter> {
  try {
    return new FileWriter(await open(path, "a"), path);
  } catch (error) {
    throw writeError(error, path);
  }
}

async function modeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch {
    return 0o666;
  }
}

/** Writes straight on; nothing can be taken back. */
class FileWriter implements AtomicWriter {
  protected readonly handle: FileHandle;
  readonly path: string;
  #open = true;

  constructor(handle: FileHandle, path: string) {
    this.handle = handle;
    this.path = path;
  }

  async write(chunk: Uint8Array): Promise<void> {
    try {
      // `write` may take less than it was given when the disk fills up or a chunk reaches 2 GiB.
      for (let done = 0; done < chunk.byteLength;) {
        done += (await this.handle.write(chunk, done, Math.min(chunk.byteLength - done, 2 ** 30))).bytesWritten;
      }
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  async commit(): Promise<void> {
    await this.close();
  }

  async abort(): Promise<void> {
    await this.close();
  }

  protected async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.handle.close();
  }
}

/** Less is synced at the end, at once. */
const SYNC_BYTES = 4 * 2 ** 20;

class TemporaryFileWriter extends FileWriter {
  readonly #temporary: string;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;

  constructor(handle: FileHandle, temporary: string, path: string) {
    super(handle, path);
    this.#temporary = temporary;
  }

  override async write(chunk: Uint8Array): Promise<void> {
    await super.write(chunk);
    this.#unsyncedBytes += chunk.byteLength;
    if (this.#unsyncedBytes >= SYNC_BYTES && this.#syncing === undefined) this.#syncMeanwhile();
  }

  /** Has the disk take what there is while more is being made, so that `commit` finds little left to wait for. */
  #syncMeanwhile(): void {
    this.#unsyncedBytes = 0;
    this.#syncing = this.handle.datasync().then(() => void (this.#syncing = undefined));
    // A failure stays and is told by `commit`: the system tells it once, a later sync would succeed.
    this.#syncing.catch(() => undefined);
  }

  override async commit(): Promise<void> {
    try {
      await this.#syncing;
      await this.handle.sync();
      await this.close();
      await rename(this.#temporary, this.path);
      unfinished.delete(this.#temporary);
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  override async abort(): Promise<void> {
    await this.#syncing?.catch(() => undefined);
    await this.close();
    if (unfinished.delete(this.#temporary)) await rm(this.#temporary, { force: true });
  }
}

/** After a power cut the new name is there only if its folder was synced; some systems do not open folders. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  if (handle === undefined) return;
  try {
    await handle.sync();
  } catch {
    // File systems without folder sync (network shares, Windows) still renamed atomically.
  } finally {
    await handle.close();
  }
}

/** The LightfootError behind a failure to write. */
export function writeError(error: unknown, path: string): LightfootError {
  if (error instanceof LightfootError) return error;
  const { code = "", message } = error as NodeJS.ErrnoException;
  const where = { file: path };
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new LightfootError("E_PERMISSION", `the system does not let ${path} be written`, { where, cause: error });
  }
  const hint = {
    ENOENT: "Create the folder first.",
    ENOSPC: "The disk is full: free some space or choose another folder.",
    EEXIST: "A file has the name of the folder: choose another one.",
    ENOTDIR: "A file has the name of a folder above it: choose another one.",
    EISDIR: "The path names a folder: add a file name.",
  }[code];
  return new LightfootError("E_FILE_WRITE", `${path} cannot be written: ${message}`, { hint, where, cause: error });
}
