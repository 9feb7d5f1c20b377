// Decides which tensors of a model lie outside the model file and where; may depend on graph, errors and tensor-data.
import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import type { OpenFiles } from "../../io/file-range.ts";
import type { DeferredBytes } from "../../io/protobuf.ts";
import type { TensorRef } from "../graph.ts";
import { tensorByteLength } from "../tensor-data.ts";
import type { TensorRole } from "./write-graph.ts";
import { elementBytes } from "./write-tensor.ts";

/** ONNX asks for page-aligned offsets, so that runtimes can map the file into memory. */
const ALIGNMENT_BYTES = 4096;

/** Where weights go: `keep` as they were read, `inline` into the model file, or outside from a size on. */
export type ExternalDataMode = "keep" | "inline" | { readonly thresholdBytes: number };

/** Which tensors go to a data file beside the model, and that file's content. */
export class ExternalPlan {
  readonly #mode: ExternalDataMode;
  readonly #files: OpenFiles;
  readonly #folder: string;
  readonly #modelName: string;
  readonly #parts: (Uint8Array | DeferredBytes)[] = [];
  readonly #placed = new Map<TensorRef["data"], ReadonlyMap<string, string>>();
  readonly #kept = new Set<string>();
  #byteLength = 0;
  /** Name of the data file, relative to the model; chosen before the first tensor is placed. */
  readonly dataName: string;

  constructor(modelPath: string, mode: ExternalDataMode, tensors: Iterable<TensorRef>, files: OpenFiles) {
    this.#mode = mode;
    this.#files = files;
    this.#folder = realFolder(modelPath);
    this.#modelName = basename(modelPath);
    if (mode === "keep") for (const tensor of tensors) this.#noteKept(tensor);
    this.dataName = this.#freeName();
  }

  get dataPath(): string {
    return join(this.#folder, this.dataName);
  }

  /** Bytes of the data file, 0 when none is needed. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** The content of the data file, front to back. */
  parts(): readonly (Uint8Array | DeferredBytes)[] {
    return this.#parts;
  }

  place(tensor: TensorRef, role: TensorRole): ReadonlyMap<string, string> | undefined {
    const { data, dtype } = tensor;
    if (this.#mode === "inline" || dtype === "string" || data.kind === "strings") return undefined;
    if (this.#mode === "keep") {
      if (data.kind !== "file" || data.external === undefined) return undefined;
      const location = this.#locationInFolder(data.file);
      return location === undefined ? this.#append(tensor) : new Map(data.external.entries).set("location", location);
    }
    const outside = role === "initializer" && tensorByteLength(tensor) >= this.#mode.thresholdBytes;
    return outside ? this.#append(tensor) : undefined;
  }

  #append(tensor: TensorRef): ReadonlyMap<string, string> {
    const known = this.#placed.get(tensor.data);
    if (known !== undefined) return known;
    const content = elementBytes(tensor, this.#files);
    const offset = Math.ceil(this.#byteLength / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    this.#parts.push(new Uint8Array(offset - this.#byteLength), content);
    this.#byteLength = offset + content.byteLength;
    const entries = new Map([
      ["location", this.dataName],
      ["offset", String(offset)],
      ["length", String(content.byteLength)],
    ]);
    this.#placed.set(tensor.data, entries);
    return entries;
  }

  #noteKept({ data }: TensorRef): void {
    const file = data.kind === "file" && data.external !== undefined ? data.file : undefined;
    const location = file === undefined ? undefined : this.#locationInFolder(file);
    if (location !== undefined) this.#kept.add(location);
  }

  /** `model.onnx.data`, or the next name that no kept tensor refers to: overwriting that file would destroy its weights. */
  #freeName(): string {
    for (let number = 1; ; number++) {
      const name = `${this.#modelName}${number === 1 ? "" : `.${number}`}.data`;
      if (!this.#kept.has(name)) return name;
    }
  }

  /** POSIX path of a data file relative to the new model's folder, or undefined when it lies elsewhere. */
  #locationInFolder(file: string): string | undefined {
    const path = relative(this.#folder, realpathSync(file));
    return path === "" || path.startsWith("..") || resolve(path) === path ? undefined : path.split(sep).join("/");
  }
}

function realFolder(modelPath: string): string {
  const folder = dirname(resolve(modelPath));
  try {
    return realpathSync(folder);
  } catch {
    // The atomic writer reports a missing folder, with a hint.
    return folder;
  }
}
