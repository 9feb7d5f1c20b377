// A file without a name for results that need not stay in memory, gone when nobody holds it any more; may depend on errors and Node's
// file system.
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LightfootError } from "../errors/lightfoot-error.ts";

/** A single call takes less than 2 GiB. */
const STEP_BYTES = 2 ** 30;

const forgotten = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

/** In the system's folder for temporary files; the space is free again when the object is collected, or the process ends, however. */
export class SpillFile {
  readonly #descriptor: number;
  #size = 0;

  /** @throws LightfootError E_FILE_WRITE */
  constructor() {
    const path = join(tmpdir(), `lightfoot-${randomBytes(8).toString("hex")}.tmp`);
    this.#descriptor = guarded("E_FILE_WRITE", () => openSync(path, "wx+", 0o600));
    forgotten.register(this, this.#descriptor, this);
    // The open file stays usable; without a name nothing is left behind by a crash.
    guarded("E_FILE_WRITE", () => unlinkSync(path));
  }

  /** Writes `bytes` behind what is there; gives what reads them back. @throws LightfootError E_FILE_WRITE, E_FILE_READ */
  put(bytes: Uint8Array): () => Uint8Array {
    const start = this.#size;
    this.#write(bytes, start);
    this.#size += bytes.byteLength;
    return this.#reader(start, bytes.byteLength);
  }

  #write(bytes: Uint8Array, start: number): void {
    guarded("E_FILE_WRITE", () => {
      for (let done = 0; done < bytes.byteLength;) {
        const step = Math.min(STEP_BYTES, bytes.byteLength - done);
        done += writeSync(this.#descriptor, bytes, done, step, start + done);
      }
    });
  }

  /** A scope of its own: a function made where `bytes` is in use would keep them in memory. */
  #reader(start: number, byteLength: number): () => Uint8Array {
    return () => {
      const read = new Uint8Array(byteLength);
      for (let done = 0; done < byteLength;) {
        const step = Math.min(STEP_BYTES, byteLength - done);
        const bytesRead = guarded("E_FILE_READ", () => readSync(this.#descriptor, read, done, step, start + done));
        if (bytesRead === 0) throw new LightfootError("E_FILE_READ", "temporary results were cut short");
        done += bytesRead;
      }
      return read;
    };
  }

  /** Gives the space back at once; nothing can be read any more. A second call does nothing. */
  close(): void {
    if (forgotten.unregister(this)) closeSync(this.#descriptor);
  }
}

function guarded<T>(code: "E_FILE_READ" | "E_FILE_WRITE", work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const what = code === "E_FILE_READ" ? "cannot be read again" : "cannot be kept";
    throw new LightfootError(code, `temporary results ${what} in ${tmpdir()}: ${String(cause)}`, {
      hint: "Free some space there, or set TMPDIR to a folder that has it.",
      cause,
    });
  }
}
