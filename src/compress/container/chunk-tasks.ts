// A chunk's coding as tasks for worker threads, which take and give plain data; may depend on runtime's port and this folder.
import type { TaskFunction } from "../../runtime/task-runner.ts";
import { decodeChunk, encodeChunk, type CodedChunk, type CodedPiece } from "./chunk-codec.ts";

export interface EncodeInput {
  readonly pieces: readonly CodedPiece[];
  readonly layout: Uint8Array | undefined;
}

export const encode: TaskFunction<EncodeInput, CodedChunk> = ({ pieces, layout }) => encodeChunk(pieces, layout);

export interface DecodeInput {
  readonly chunk: CodedChunk;
  readonly pieces: readonly { readonly byteLength: number; readonly elements: CodedPiece["elements"] }[];
}

export const decode: TaskFunction<DecodeInput, Uint8Array> = ({ chunk, pieces }) => decodeChunk(chunk, pieces);
