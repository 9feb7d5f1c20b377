// Reads a file line by line as exact bytes, whatever its size, and keeps an unfinished last line apart; depends on errors and Node.
import { closeSync, openSync, readSync } from "node:fs";
import { LightfootError } from "../errors/lightfoot-error.ts";

const WINDOW_BYTES = 2 ** 20;
const LINE_END = 10;

export interface TornTail {
  /** 1-based line that has no end. */
  readonly line: number;
  readonly bytes: number;
}

/**
 * Calls `each` with the bytes of each whole line, its line end included, and its 1-based number.
 *
 * The bytes are valid until the call returns.
 * @returns the unfinished last line, which no reader may use, if there is one
 * @throws LightfootError E_FILE_READ
 */
export function forEachLine(file: string, each: (line: Uint8Array, number: number) => void): TornTail | undefined {
  let handle: number | undefined;
  try {
    handle = openSync(file, "r");
    // The beginning of a line that goes on in the next window; pieces, because one line may be as long as the file.
    let rest: Buffer[] = [];
    let number = 0;
    const window = Buffer.alloc(WINDOW_BYTES);
    for (;;) {
      const count = readSync(handle, window, 0, WINDOW_BYTES, null);
      if (count === 0) break;
      const bytes = window.subarray(0, count);
      let start = 0;
      for (let end = bytes.indexOf(LINE_END); end !== -1; end = bytes.indexOf(LINE_END, start)) {
        const piece = bytes.subarray(start, end + 1);
        each(rest.length === 0 ? piece : Buffer.concat([...rest, piece]), (number += 1));
        rest = [];
        start = end + 1;
      }
      if (start < count) rest.push(Buffer.from(bytes.subarray(start)));
    }
    return rest.length === 0
      ? undefined
      : { line: number + 1, bytes: rest.reduce((sum, { length }) => sum + length, 0) };
  } catch (cause) {
    if (cause instanceof LightfootError) throw cause;
    throw new LightfootError("E_FILE_READ", `${file} cannot be read: ${(cause as Error).message}`, {
      where: { file },
      cause,
    });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
