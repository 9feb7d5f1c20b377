// An ONNX message without its weights, which an engine maps from where they lie; may depend on the other writers of this folder and io.
import { writeFile } from "node:fs/promises";
import { parse, relative, resolve, sep } from "node:path";
import { OpenFiles } from "../../io/file-range.ts";
import { writeError } from "../../io/atomic-write.ts";
import type { DeferredBytes } from "../../io/protobuf.ts";
import { DTYPES } from "../dtype.ts";
import type { ModelGraph, TensorData, TensorRef } from "../graph.ts";
import { tensorByteLength } from "../tensor-data.ts";
import { streamParts } from "./read-ahead.ts";
import { GraphWriter } from "./write-graph.ts";
import { elementBytes } from "./write-tensor.ts";

/** Smaller tensors stay in the message: engines read shapes and the like from there. */
const MAPPED_FROM_BYTES = 1024;
/** What vector instructions like. */
const ALIGNMENT_BYTES = 64;

export interface MappedModel {
  /** The ONNX message; initializers of 1 KiB and more are external data. */
  readonly bytes: Uint8Array;
  /** The folder that their locations are relative to. */
  readonly root: string;
}

/** Where each large initializer of a model lies: in its own file, or in one that is written for those without. */
class Places {
  readonly #root: string;
  readonly #dataPath: string;
  readonly #files: OpenFiles;
  readonly #initializers: ReadonlySet<TensorData>;
  readonly #known = new Map<TensorData, ReadonlyMap<string, string>>();
  readonly parts: (Uint8Array | DeferredBytes)[] = [];
  #byteLength = 0;

  constructor(model: ModelGraph, dataPath: string, files: OpenFiles) {
    [this.#root, this.#dataPath, this.#files] = [parse(resolve(dataPath)).root, dataPath, files];
    this.#initializers = new Set([...model.graph.initializers.values()].map(({ data }) => data));
  }

  get root(): string {
    return this.#root;
  }

  of(tensor: TensorRef): ReadonlyMap<string, string> | undefined {
    const { data, dtype } = tensor;
    if (dtype === "string" || !this.#initializers.has(data)) return undefined;
    const byteLength = tensorByteLength(tensor);
    if (byteLength < MAPPED_FROM_BYTES) return undefined;
    const entries = this.#known.get(data) ?? this.#entries(tensor, byteLength);
    this.#known.set(data, entries);
    return entries;
  }

  #entries(tensor: TensorRef, byteLength: number): ReadonlyMap<string, string> {
    const { data, dtype } = tensor;
    const place =
      data.kind === "file" &&
      data.encoding === "raw" &&
      data.byteLength === byteLength &&
      data.offset % Math.max(1, DTYPES[dtype].bits / 8) === 0 &&
      parse(resolve(data.file)).root === this.#root
        ? data
        : { file: this.#dataPath, offset: this.#append(tensor) };
    return new Map([
      ["location", relative(this.#root, resolve(place.file)).split(sep).join("/")],
      ["offset", String(place.offset)],
      ["length", String(byteLength)],
    ]);
  }

  #append(tensor: TensorRef): number {
    const content = elementBytes(tensor, this.#files);
    const offset = Math.ceil(this.#byteLength / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    this.parts.push(new Uint8Array(offset - this.#byteLength), content);
    this.#byteLength = offset + content.byteLength;
    return offset;
  }
}

/**
 * The model as a message whose large initializers an engine maps into memory: from the files that they were read from, or from
 * `dataPath`, which is written for those that were computed, changed or lie at an odd offset.
 *
 * @throws LightfootError E_FILE_CHANGED when a file is no longer the one that the model was read from; E_FILE_WRITE
 */
export async function serializeMapped(model: ModelGraph, dataPath: string): Promise<MappedModel> {
  const files = new OpenFiles();
  try {
    for (const { data } of model.graph.initializers.values()) {
      if (data.kind === "file") await files.range(data.file, data.stamp);
    }
    const places = new Places(model, dataPath, files);
    const writer = new GraphWriter((tensor) => places.of(tensor), files).model(model);
    const chunks: Uint8Array[] = [];
    for await (const chunk of streamParts(writer.parts())) chunks.push(chunk);
    if (places.parts.length > 0) await writeData(dataPath, places.parts);
    return { bytes: Buffer.concat(chunks), root: places.root };
  } finally {
    await files.close();
  }
}

/** Without beginning a tensor before the one in front is written: this is for when memory is short. */
async function* inTurn(parts: readonly (Uint8Array | DeferredBytes)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part;
    else yield* part.chunks();
  }
}

async function writeData(path: string, parts: readonly (Uint8Array | DeferredBytes)[]): Promise<void> {
  try {
    await writeFile(path, inTurn(parts));
  } catch (error) {
    throw writeError(error, path);
  }
}
