// Sets the times of a ZIP archive's entries to one fixed day, so that equal content gives equal bytes; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_BYTES = 46;
/** 1 January 1980, midnight. */
const FIRST_DAY = 0x21;

/**
 * A copy with every entry of 1 January 1980.
 *
 * @throws LightfootError E_DATA for an archive with a comment, of 4 GiB and more, or none
 */
export function withFixedTimes(archive: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(archive);
  const view = new DataView(bytes.buffer);
  const end = bytes.length - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== END_SIGNATURE)
    throw new LightfootError("E_DATA", "it is no plain ZIP archive");
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL_SIGNATURE) {
      throw new LightfootError("E_DATA", "the archive's directory is damaged");
    }
    const local = view.getUint32(at + 42, true);
    for (const time of [at + 12, local + 10]) {
      view.setUint16(time, 0, true);
      view.setUint16(time + 2, FIRST_DAY, true);
    }
    at += CENTRAL_BYTES + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return bytes;
}
