// The record that closes a block of lines: digest of the bytes, mark of each line, seal of the block before; may depend on io.
import { sha256 } from "../io/digest.ts";

/** A block and the record that closes it are at most 256 lines. */
export const LINES_PER_BLOCK = 255;

export interface BlockRecord {
  readonly record: "block";
  /** 1-based. */
  readonly block: number;
  readonly lines: number;
  /** Four hexadecimal digits a line: they say which line was changed, and prove nothing. */
  readonly marks: string;
  /** SHA-256 of the exact bytes of the block's lines, line ends included. */
  readonly digest: string;
  /** SHA-256 of the exact bytes of the block record before, line end included; null for the first. */
  readonly previous: string | null;
}

const LINE_END = 10;
const MARK_DIGITS = 4;

/**
 * A 16-bit mark of each line of a text that ends with a line end.
 *
 * m ← 31 m + byte (mod 2^16): any single changed byte changes the mark, because 31 is odd.
 */
export function marksOf(bytes: Uint8Array): string {
  const marks: string[] = [];
  let mark = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === LINE_END) {
      marks.push((mark & 0xffff).toString(16).padStart(MARK_DIGITS, "0"));
      mark = 0;
    } else {
      mark = (Math.imul(mark, 31) + byte) | 0;
    }
  }
  return marks.join("");
}

export function splitMarks(marks: string): string[] {
  return marks.match(/.{4}/g) ?? [];
}

/** The block record of these lines. */
export function blockRecord(bytes: Uint8Array, lines: number, block: number, previous: string | null): BlockRecord {
  return { record: "block", block, lines, marks: marksOf(bytes), digest: sha256(bytes), previous };
}

/** The one spelling of a block record: another one, even with the same meaning, was not written here. */
export function renderBlock({ record, block, lines, marks, digest, previous }: BlockRecord): string {
  return `${JSON.stringify({ record, block, lines, marks, digest, previous })}\n`;
}

/** What the next block, the head and later files know this block by. */
export const sealOf = (blockLine: Uint8Array | string): string => sha256(blockLine);
