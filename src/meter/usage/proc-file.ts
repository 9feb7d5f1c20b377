// Reads the kernel's small text files with three system calls and one buffer; may depend on Node's file system.
import { closeSync, constants, openSync, readSync } from "node:fs";

// A kernel file says everything in one read as long as the buffer is large enough; all that are read here are below 4 KiB
// per line of interest.
const buffer = Buffer.allocUnsafe(16_384);

/** The text of a small file below /proc or /sys; undefined when it cannot be read, for whatever reason. */
export function readKernelFile(path: string): string | undefined {
  let descriptor: number;
  try {
    // A named pipe in a replayed tree must not hang whoever reads it.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    return buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } catch {
    return undefined; // ESRCH: the process ended between open and read
  } finally {
    closeSync(descriptor);
  }
}
