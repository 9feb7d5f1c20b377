// Bytes by offset, from memory or from a file of any size through one small window; may depend on io.
import type { FileRange } from "../../io/file-range.ts";

export interface Bytes {
  readonly size: number;
  /** The byte at `offset`, which must be below `size`. */
  at(offset: number): number;
  /** `[offset, offset + length)`, which must lie within; small pieces only. */
  slice(offset: number, length: number): Uint8Array;
}

const WINDOW_BYTES = 262_144;

export const memoryBytes = (bytes: Uint8Array): Bytes => ({
  size: bytes.byteLength,
  at: (offset) => bytes[offset],
  slice: (offset, length) => bytes.subarray(offset, offset + length),
});

/** The part of a file from `start` on. @throws LightfootError E_FILE_CHANGED, E_FILE_READ while it is read */
export function fileBytes(range: FileRange, start = 0, size = range.size - start): Bytes {
  let windowStart = 0;
  let window: Uint8Array = new Uint8Array(0);
  const load = (offset: number): void => {
    windowStart = offset;
    window = range.readSync(start + offset, Math.min(WINDOW_BYTES, size - offset));
  };
  return {
    size,
    at(offset) {
      if (offset < windowStart || offset >= windowStart + window.byteLength) load(offset);
      return window[offset - windowStart];
    },
    slice(offset, length) {
      if (length > WINDOW_BYTES) return range.readSync(start + offset, length);
      if (offset < windowStart || offset + length > windowStart + window.byteLength) load(offset);
      return window.subarray(offset - windowStart, offset - windowStart + length);
    },
  };
}

/** A part of other bytes. */
export const partOf = (bytes: Bytes, start: number, size: number): Bytes => ({
  size,
  at: (offset) => bytes.at(start + offset),
  slice: (offset, length) => bytes.slice(start + offset, length),
});
