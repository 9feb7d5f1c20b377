// Small files of /sys and /proc, real or replayed: read at once, bounded, never blocking; may depend on Node.
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statfsSync } from "node:fs";

/** How the sources touch the file system; a port, so that tests can deny, change and take away files. */
export interface SmallFiles {
  /** Names in a folder, sorted. Throws what the system throws. */
  list(folder: string): readonly string[];
  /** A file's text, read anew at each call; keeps the file open where the file system allows it. */
  reader(path: string): SmallFileReader;
}

export interface SmallFileReader {
  /** The text now. Throws what the system throws. */
  read(): string;
  close(): void;
}

// Attributes of sysfs have at most one page; /proc/stat of a machine with 512 threads takes 60 kB.
const MOST_BYTES = 262_144;
const SYSFS_MAGIC = 0x62656572;
const PROC_MAGIC = 0x9fa0;

/** Reads with `pread` on an open file. In real sysfs and procfs it stays open; elsewhere a file may be replaced meanwhile. */
class RealReader implements SmallFileReader {
  readonly #path: string;
  #file: number | undefined;
  #keepsOpen = false;
  #buffer = Buffer.allocUnsafe(4096);

  constructor(path: string) {
    this.#path = path;
  }

  read(): string {
    this.#file ??= this.#open();
    try {
      return this.#readAll(this.#file);
    } catch (error) {
      this.close(); // the zone is gone: the next call looks whether it came back
      throw error;
    } finally {
      if (!this.#keepsOpen) this.close();
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    // Without O_NONBLOCK a named pipe in a replayed tree would hang the process.
    const file = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile()) {
      closeSync(file);
      throw Object.assign(new Error(`${this.#path} is not a file`), { code: "EISDIR" });
    }
    const { type } = statfsSync(this.#path);
    this.#keepsOpen = type === SYSFS_MAGIC || type === PROC_MAGIC;
    return file;
  }

  #readAll(file: number): string {
    for (;;) {
      const count = readSync(file, this.#buffer, 0, this.#buffer.length, 0);
      if (count < this.#buffer.length) return this.#buffer.toString("latin1", 0, count);
      if (this.#buffer.length >= MOST_BYTES) throw new Error(`${this.#path} has more than ${MOST_BYTES} bytes`);
      this.#buffer = Buffer.allocUnsafe(Math.min(MOST_BYTES, this.#buffer.length * 8));
    }
  }
}

export const realFiles: SmallFiles = {
  list: (folder) => readdirSync(folder).toSorted(),
  reader: (path) => new RealReader(path),
};

/** A file's text without the line end, or why there is none. */
export function readOnce(files: SmallFiles, path: string): { readonly text: string } | { readonly error: string } {
  const reader = files.reader(path);
  try {
    return { text: reader.read().trim() };
  } catch (error) {
    return { error: reasonOf(error) };
  } finally {
    reader.close();
  }
}

/** The text of a file that may be missing. */
export function textOf(files: SmallFiles, path: string): string | undefined {
  const found = readOnce(files, path);
  return "text" in found ? found.text : undefined;
}

/** A whole number ≥ 0 of a file that may be missing; undefined for text, signs and more digits than a kernel prints. */
export function numberOf(files: SmallFiles, path: string): bigint | undefined {
  const text = textOf(files, path);
  return text === undefined ? undefined : parseCount(text);
}

/** The names in a folder; empty when it cannot be listed. */
export function namesIn(files: SmallFiles, folder: string): readonly string[] {
  try {
    return files.list(folder);
  } catch {
    return [];
  }
}

/** A kernel's decimal number; 64 bits have at most 20 digits. */
export function parseCount(text: string): bigint | undefined {
  const digits = text.trim();
  return /^\d{1,20}$/.test(digits) ? BigInt(digits) : undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOENT: "no such file",
  ENODEV: "no such device",
  ELOOP: "links in a circle",
  EISDIR: "not a file",
  ENOTDIR: "not a folder",
};

/** What the system said, in words; `permission denied` is what the remedies look for. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

export const isDenied = (reason: string): boolean => reason === "permission denied";
