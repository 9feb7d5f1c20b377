// SHA-256 digests of files and bytes, as `sha256:<hex>`; may depend on errors and file-range.
import { createHash } from "node:crypto";
import { openFileRange } from "./file-range.ts";

/** Large enough that hashing, not system calls, takes the time; small enough to stay in the processor's cache. */
const CHUNK_BYTES = 2 ** 20;

export type Digest = `sha256:${string}`;

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The digest of a file of any size in one chunk of memory. @throws LightfootError as `openFileRange` */
export async function sha256File(path: string): Promise<Digest> {
  return `sha256:${await hashFile(path, "sha256")}`;
}

/** The bare hex digest of a file under an algorithm that a format prescribes. */
export async function hashFile(path: string, algorithm: "sha1" | "sha256"): Promise<string> {
  const hash = createHash(algorithm);
  const range = await openFileRange(path);
  try {
    for (let offset = 0; offset < range.size; offset += CHUNK_BYTES) {
      hash.update(await range.read(offset, Math.min(CHUNK_BYTES, range.size - offset)));
    }
  } finally {
    await range.close();
  }
  return hash.digest("hex");
}
