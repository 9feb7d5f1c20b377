// The container as bytes: magic, chunks with their lengths and check sums, and at the end the digest of all content; may depend on
// this folder, io and runtime's task runner.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { OpenFiles, type FileRange } from "../../io/file-range.ts";
import { compiledModule } from "../../runtime/compiled-module.ts";
import { throwIfStopped } from "../../runtime/stop-signal.ts";
import { createThreadPool, type TaskRunner } from "../../runtime/task-runner.ts";
import { decodeFirstChunk, encodeChunk, type CodedChunk, type CodedPiece } from "./chunk-codec.ts";
import type { DecodeInput, EncodeInput } from "./chunk-tasks.ts";
import { chunksOf, pushVarint, readLayout, writeLayout, type FileLayout, type Piece } from "./layout.ts";
import type { PackedFile } from "./segments.ts";

/** "LFZ" and the version of the format. */
export const MAGIC = Uint8Array.of(0x4c, 0x46, 0x5a, 1);
/** SHA-256 cut to 128 bits: enough that no accident passes; who signs models signs the model itself. */
const DIGEST_BYTES = 16;
const CHECK_BYTES = 4;
/** No chunk that `pack` writes takes more, coded: twice what its pieces take. */
const CODED_LIMIT_BYTES = 2 ** 26;

export interface CodingOptions {
  readonly threads: number;
  readonly signal?: AbortSignal;
  /** Bytes of content that are done. */
  readonly onProgress?: (done: number) => void;
}

const tasks = (): string => compiledModule("./chunk-tasks.js", import.meta.url).href;

/** Runs `start` for each item on several threads and gives the results in order, few of them in memory at a time. */
async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  ahead: number,
  start: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const result = start(item);
      // Whoever waits for it sees it fail; until then no failure may end the process as one that nobody handles.
      result.catch(() => undefined);
      running.push(result);
      if (running.length > ahead) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  pushVarint(bytes, value);
  return Uint8Array.from(bytes);
}

/** CRC-32 of a chunk as it is stored, four bytes, lowest first. */
function checkOf({ coded, plain }: CodedChunk): Uint8Array {
  // zlib takes an empty buffer without memory as a call for the start value, and forgets what was summed up.
  const check = (plain.length === 0 ? crc32(coded) : crc32(plain, crc32(coded))) >>> 0;
  return Uint8Array.of(check & 255, (check >>> 8) & 255, (check >>> 16) & 255, check >>> 24);
}

function framed(chunk: CodedChunk): Uint8Array {
  const { coded, plain } = chunk;
  // The length is one more than it is, because 0 ends the row of chunks.
  return Buffer.concat([varint(coded.length + 1), varint(plain.length), checkOf(chunk), coded, plain]);
}

/** The container of the files as pieces to write one after another. @throws LightfootError E_FILE_CHANGED, E_INTERRUPTED */
export async function* encodeContainer(
  files: readonly PackedFile[],
  options: CodingOptions,
): AsyncGenerator<Uint8Array> {
  const { threads, signal, onProgress } = options;
  const hash = createHash("sha256");
  const chunks = [...chunksOf(files)];
  const pool = chunks.length === 1 ? undefined : createThreadPool(threads);
  const sources = new OpenFiles();
  async function* inputs(): AsyncGenerator<EncodeInput> {
    for (const [index, chunk] of chunks.entries()) {
      const pieces = await Promise.all(chunk.map((piece) => readPiece(files[piece.file], piece, sources)));
      for (const { bytes } of pieces) hash.update(bytes);
      yield { pieces, layout: index === 0 ? writeLayout(files) : undefined };
    }
  }
  const code = async (input: EncodeInput): Promise<{ chunk: CodedChunk; byteLength: number }> => {
    const byteLength = input.pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (pool === undefined) return { chunk: encodeChunk(input.pieces, input.layout), byteLength };
    const task = { module: tasks(), function: "encode", input };
    return { chunk: await pool.run<CodedChunk>(task, { signal }), byteLength };
  };
  let done = 0;
  try {
    yield MAGIC;
    for await (const { chunk, byteLength } of inOrder(inputs(), threads, code)) {
      throwIfStopped(signal, "packing");
      yield framed(chunk);
      onProgress?.((done += byteLength));
    }
    yield varint(0);
    yield hash.digest().subarray(0, DIGEST_BYTES);
  } finally {
    await pool?.close();
    await sources.close();
  }
}

async function readPiece(file: PackedFile, piece: Piece, sources: OpenFiles): Promise<CodedPiece> {
  const range = await sources.range(file.path);
  if (range.size !== file.byteLength) {
    throw new LightfootError("E_FILE_CHANGED", `${file.path} changed while it was packed`, {
      where: { file: file.path },
    });
  }
  return { bytes: await range.read(piece.offset, piece.byteLength), elements: piece.elements };
}

/** A container that was opened: what it holds is known, and the first chunk decoded. */
export interface OpenContainer {
  readonly files: readonly FileLayout[];
  /**
   * The content in file order, every byte once.
   * @throws LightfootError E_CONTAINER on damage, at the latest after the last piece: keep nothing before that
   */
  content(options: CodingOptions): AsyncGenerator<{ readonly file: number; readonly bytes: Uint8Array }>;
}

/** Reads a container front to back. */
class ContainerReader {
  readonly #range: FileRange;
  #position = 0;

  constructor(range: FileRange) {
    this.#range = range;
  }

  broken(message: string): LightfootError {
    return new LightfootError("E_CONTAINER", message, {
      hint: "The file is damaged, cut short, or was not written by lightfoot pack. Fetch it again.",
      where: { file: this.#range.path, offset: this.#position },
    });
  }

  async take(length: number): Promise<Uint8Array> {
    const left = this.#range.size - this.#position;
    if (length > left) throw this.broken(`the container ends early: of ${length} bytes ${length - left} are missing`);
    const bytes = await this.#range.read(this.#position, length);
    this.#position += length;
    return bytes;
  }

  async varint(): Promise<number> {
    let value = 0;
    for (let unit = 1; unit < 2 ** 42; unit *= 128) {
      const [byte] = await this.take(1);
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
    throw this.broken("a length takes too many bytes");
  }

  async magic(): Promise<void> {
    const found = await this.take(Math.min(MAGIC.length, this.#range.size));
    if (Buffer.compare(found.subarray(0, 3), MAGIC.subarray(0, 3)) !== 0) {
      throw new LightfootError("E_FORMAT_UNKNOWN", "the file is no container of lightfoot pack", {
        where: { file: this.#range.path },
      });
    }
    if (found[3] !== MAGIC[3]) {
      throw new LightfootError("E_FORMAT_UNKNOWN", `the container has version ${found[3]}, this reads ${MAGIC[3]}`, {
        hint: "A newer Lightfoot wrote it: update this one.",
        where: { file: this.#range.path },
      });
    }
  }

  /** The next chunk, its check sum compared, or undefined at the end of the chunks. */
  async chunk(): Promise<CodedChunk | undefined> {
    const mark = await this.varint();
    if (mark === 0) return undefined;
    const plainLength = await this.varint();
    if (mark > CODED_LIMIT_BYTES || plainLength > CODED_LIMIT_BYTES) throw this.broken("a chunk claims too many bytes");
    const check = await this.take(CHECK_BYTES);
    const coded = await this.take(mark - 1);
    const plain = await this.take(plainLength);
    if (Buffer.compare(check, checkOf({ coded, plain })) !== 0) {
      throw this.broken("a chunk's check sum differs from its content");
    }
    return { coded, plain };
  }

  async end(digest: Uint8Array): Promise<void> {
    if ((await this.chunk()) !== undefined) throw this.broken("the container has more chunks than its layout");
    const found = await this.take(DIGEST_BYTES);
    if (this.#position !== this.#range.size) throw this.broken("the container goes on behind its end");
    if (Buffer.compare(found, digest.subarray(0, DIGEST_BYTES)) !== 0) {
      throw this.broken("the content's SHA-256 differs from what the container says");
    }
  }
}

const specificationOf = ({ byteLength, elements }: Piece) => ({ byteLength, elements });

/**
 * Opens a container and decodes its first chunk.
 * @param limitBytes content above this is refused before any of it is made
 * @throws LightfootError E_FORMAT_UNKNOWN, E_CONTAINER, E_LIMIT
 */
export async function openContainer(range: FileRange, limitBytes: number): Promise<OpenContainer> {
  const reader = new ContainerReader(range);
  await reader.magic();
  const first = await reader.chunk();
  if (first === undefined) throw reader.broken("the container holds no chunk");
  let files: FileLayout[] = [];
  let chunks: Iterator<Piece[]> | undefined;
  let firstPieces: Piece[] = [];
  const firstBytes = decodeFirstChunk(first, (layout) => {
    files = readLayout(layout);
    const total = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (total > limitBytes) {
      throw new LightfootError("E_LIMIT", `the container claims ${total} bytes of content, at most ${limitBytes}`, {
        hint: "If you trust where it comes from, allow more with --limit.",
        where: { file: range.path },
      });
    }
    chunks = chunksOf(files)[Symbol.iterator]();
    firstPieces = chunks.next().value as Piece[];
    return firstPieces.map(specificationOf);
  });

  async function* content({ threads, signal, onProgress }: CodingOptions) {
    const hash = createHash("sha256");
    let pool: TaskRunner | undefined;
    async function* inputs(): AsyncGenerator<{ pieces: Piece[]; chunk: CodedChunk | undefined }> {
      yield { pieces: firstPieces, chunk: undefined };
      for (let next = chunks!.next(); next.done !== true; next = chunks!.next()) {
        const chunk = await reader.chunk();
        if (chunk === undefined) throw reader.broken("the container has fewer chunks than its layout");
        yield { pieces: next.value, chunk };
      }
    }
    const decode = async ({ pieces, chunk }: { pieces: Piece[]; chunk: CodedChunk | undefined }) => {
      if (chunk === undefined) return { pieces, bytes: firstBytes };
      pool ??= createThreadPool(threads);
      const input: DecodeInput = { chunk, pieces: pieces.map(specificationOf) };
      return { pieces, bytes: await pool.run<Uint8Array>({ module: tasks(), function: "decode", input }, { signal }) };
    };
    let done = 0;
    try {
      for await (const { pieces, bytes } of inOrder(inputs(), threads, decode)) {
        throwIfStopped(signal, "unpacking");
        hash.update(bytes);
        let at = 0;
        for (const { file, byteLength } of pieces) {
          yield { file, bytes: bytes.subarray(at, at + byteLength) };
          at += byteLength;
        }
        onProgress?.((done += bytes.length));
      }
      await reader.end(hash.digest());
    } finally {
      await pool?.close();
    }
  }
  return { files, content };
}
