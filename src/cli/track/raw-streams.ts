// Writes to standard output and error without opening them as streams; may depend on Node's file system.
import { writeSync } from "node:fs";

/**
 * Writes text to a descriptor, whole.
 *
 * Opening a pipe as a stream makes it non-blocking for the tracked command as well, which shares it and may not expect that. A
 * reader that has gone is its own affair.
 *
 * @returns why the rest could not be written, such as `ENOSPC`; undefined when all was, or nobody reads any more
 */
export function writeRaw(descriptor: 1 | 2, text: string): string | undefined {
  const bytes = Buffer.from(text);
  for (let done = 0, waits = 0; done < bytes.length;) {
    try {
      done += writeSync(descriptor, bytes, done);
      waits = 0;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Somebody else made the pipe non-blocking and its reader is slow.
      if (code !== "EAGAIN" || ++waits > MOST_WAITS) return code === "EPIPE" ? undefined : (code ?? String(error));
      Atomics.wait(SLEEPER, 0, 0, WAIT_MILLISECONDS);
    }
  }
  return undefined;
}

const SLEEPER = new Int32Array(new SharedArrayBuffer(4));
const WAIT_MILLISECONDS = 5;
/** Ten minutes: a document that is cut off is worth less than waiting for a slow reader. */
const MOST_WAITS = 120_000;
