// Streams the parts of a message in order while the next ones are already being fetched or computed; may depend on io.
import type { DeferredBytes } from "../../io/protobuf.ts";

/** What may be under way beyond the part that is being written: enough to keep a few threads busy. */
const WINDOW_BYTES = 64 * 2 ** 20;

interface Begun {
  readonly pieces: AsyncIterator<Uint8Array>;
  readonly first: Promise<IteratorResult<Uint8Array>>;
}

function begin(part: DeferredBytes): Begun {
  const pieces = part.chunks()[Symbol.asyncIterator]();
  const first = pieces.next();
  // It may fail while an earlier part is being written; whoever reaches this part sees the error then.
  first.catch(() => undefined);
  return { pieces, first };
}

/**
 * The bytes of `parts` in order. The first piece of each later part is asked for early, as long as the parts so begun take
 * no more than 64 MiB together: reading, computing and writing overlap, and memory stays bounded.
 */
export async function* streamParts(parts: readonly (Uint8Array | DeferredBytes)[]): AsyncGenerator<Uint8Array> {
  const begun = new Map<number, Begun>();
  let next = 0;
  let pendingBytes = 0;
  for (const [at, part] of parts.entries()) {
    for (; next < parts.length; next++) {
      const candidate = parts[next];
      if (candidate instanceof Uint8Array) continue;
      if (next > at && pendingBytes + candidate.byteLength > WINDOW_BYTES) break;
      begun.set(next, begin(candidate));
      pendingBytes += candidate.byteLength;
    }
    if (part instanceof Uint8Array) {
      yield part;
      continue;
    }
    const { pieces, first } = begun.get(at)!;
    // Forgotten before it is written: a large tensor must not outlive its turn.
    begun.delete(at);
    for (let step = await first; step.done !== true; step = await pieces.next()) yield step.value;
    pendingBytes -= part.byteLength;
  }
}

/** Parts from here on are written as they are. */
const LARGE_BYTES = 2 ** 16;

/** The same bytes with the many small parts between tensors copied together: each write costs a turn of the event loop. */
export async function* gathered(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const small = new Uint8Array(LARGE_BYTES);
  let length = 0;
  for await (const chunk of chunks) {
    if (length > 0 && length + chunk.byteLength > LARGE_BYTES) {
      yield small.subarray(0, length);
      length = 0;
    }
    if (chunk.byteLength >= LARGE_BYTES) yield chunk;
    else {
      small.set(chunk, length);
      length += chunk.byteLength;
    }
  }
  if (length > 0) yield small.subarray(0, length);
}
