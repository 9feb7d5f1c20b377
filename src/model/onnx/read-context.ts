// What every part of the ONNX reader shares: the source's name, and how a byte range becomes tensor data; may depend on io and graph.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { FileRange } from "../../io/file-range.ts";
import { byteSource, type ByteSource, type MessageReader } from "../../io/protobuf.ts";
import type { TensorData } from "../graph.ts";
import type { ExternalFiles } from "./external-data.ts";
import { ENTRY } from "./fields.ts";

export interface ByteRange {
  readonly offset: number;
  readonly byteLength: number;
}

export interface ReadContext {
  /** Names the model in errors. */
  readonly file: string;
  readonly source: ByteSource;
  /** A range of the model as tensor data: a reference into the file, or a view of the bytes in memory. */
  slice(range: ByteRange, encoding: "raw" | "varint", typed: boolean): TensorData;
  bytes(range: ByteRange): Uint8Array;
  /** The runs of a list that was not stored in one piece, in order. */
  join(runs: readonly (ByteRange & { readonly bytes?: Uint8Array })[]): ByteRange & { readonly bytes: Uint8Array };
  externalData(entries: ReadonlyMap<string, string>, tensorName: string, byteLength: number): TensorData;
}

abstract class SourceContext implements ReadContext {
  readonly file: string;
  readonly source: ByteSource;

  constructor(source: ByteSource) {
    this.file = source.name;
    this.source = source;
  }

  abstract slice(range: ByteRange, encoding: "raw" | "varint", typed: boolean): TensorData;
  abstract externalData(entries: ReadonlyMap<string, string>, tensorName: string, byteLength: number): TensorData;

  bytes(range: ByteRange): Uint8Array {
    return this.source.readSync(range.offset, range.byteLength);
  }

  join(runs: readonly (ByteRange & { readonly bytes?: Uint8Array })[]): ByteRange & { readonly bytes: Uint8Array } {
    const bytes = concatenate(runs.map((run) => run.bytes ?? this.bytes(run)));
    return { offset: 0, byteLength: bytes.byteLength, bytes };
  }
}

/** For a model whose bytes are all in memory: tensors are views of them. */
export class MemoryContext extends SourceContext {
  constructor(bytes: Uint8Array, name: string) {
    super(byteSource(bytes, name));
  }

  slice(range: ByteRange, _encoding: "raw" | "varint", typed: boolean): TensorData {
    return { kind: "memory", bytes: this.bytes(range), ...(typed ? { typed } : {}) };
  }

  externalData(_entries: ReadonlyMap<string, string>, tensorName: string): TensorData {
    throw new LightfootError("E_EXTERNAL_DATA", `tensor '${tensorName}' lies in another file than the model`, {
      hint: "Read the model from its path (readOnnx) instead of from bytes: only then are its neighbor files known.",
      where: { file: this.file, path: tensorName },
    });
  }
}

/** For a model on disk: tensors are ranges of the file. */
export class FileContext extends SourceContext {
  readonly #range: FileRange;
  readonly #external: ExternalFiles;

  constructor(range: FileRange, external: ExternalFiles) {
    super({ name: range.path, size: range.size, readSync: (offset, length) => range.readSync(offset, length) });
    this.#range = range;
    this.#external = external;
  }

  slice({ offset, byteLength }: ByteRange, encoding: "raw" | "varint", typed: boolean): TensorData {
    const { path: file, stamp } = this.#range;
    return { kind: "file", file, stamp, offset, byteLength, encoding, ...(typed ? { typed } : {}) };
  }

  externalData(entries: ReadonlyMap<string, string>, tensorName: string, byteLength: number): TensorData {
    return this.#external.locate(entries, tensorName, byteLength);
  }
}

/** A StringStringEntryProto. */
export function readEntry(reader: MessageReader): [key: string, value: string] {
  const entry = reader.message();
  let key = "";
  let value = "";
  while (entry.next()) {
    if (entry.field === ENTRY.key) key = entry.string();
    else if (entry.field === ENTRY.value) value = entry.string();
  }
  return [key, value];
}

export function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((length, piece) => length + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.byteLength;
  }
  return joined;
}
