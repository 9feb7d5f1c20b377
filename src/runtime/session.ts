// An ONNX Runtime session: a model that is ready to run, with typed feeds and results; may depend on errors, model, its room and
// onnxruntime-node, which is loaded when the first session opens.
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { InferenceSession, Tensor } from "onnxruntime-common";
import { LightfootError } from "../errors/index.ts";
import type { DType } from "../model/dtype.ts";
import type { NumericArray, TensorValue } from "../model/tensor-value.ts";
import { unsharedTensor } from "./shared-dataset.ts";

type Ort = typeof import("onnxruntime-node");

/** A graph input or output as the engine declares it; a symbol is a string, an unnamed free dimension is null. */
export interface SessionValue {
  readonly name: string;
  /** Undefined for what is no numeric tensor: strings, sequences, maps. */
  readonly dtype: DType | undefined;
  readonly shape: readonly (number | string | null)[];
}

export interface SessionOptions {
  /** Threads inside one operator; left out, ONNX Runtime takes one for each physical core. */
  readonly threads?: number;
  readonly graphOptimization?: "disabled" | "basic" | "extended" | "layout" | "all";
  /** Where to write the graph as ONNX Runtime will execute it. */
  readonly optimizedModelPath?: string;
  /** External data for a model given as bytes: `path` is the location that the model names. */
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
  /** Configuration entries of ONNX Runtime as nested objects, e.g. `{ session: { set_denormal_as_zero: "1" } }`. */
  readonly extra?: Record<string, unknown>;
  /** What messages call the model; left out, the file's name. */
  readonly name?: string;
}

/** Output names to compute; or for each name a tensor to write into, or null to let the engine allocate. */
export type Fetches = readonly string[] | Readonly<Record<string, TensorValue | null>>;

export interface Session {
  readonly name: string;
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
  /**
   * Runs the model once. Blocks the event loop of its thread until the engine is done: long work belongs in a worker.
   *
   * Without `fetches` every numeric tensor output is computed. A tensor given in `fetches` is filled in place and given
   * back as that very object.
   * @throws LightfootError E_RUNTIME with what was fed and what is expected
   */
  run(feeds: Readonly<Record<string, TensorValue>>, fetches?: Fetches): Promise<Record<string, TensorValue>>;
  /** Frees the engine's memory; a second call does nothing. */
  close(): Promise<void>;
}

let loading: Promise<Ort> | undefined;

async function loadEngine(): Promise<Ort> {
  loading ??= import("onnxruntime-node").then((ort) => {
    // Warnings about absent GPUs go to stderr from native code, where no caller could catch them.
    ort.env.logLevel = "error";
    return ort;
  });
  try {
    return await loading;
  } catch (cause) {
    loading = undefined;
    throw new LightfootError("E_DEPENDENCY", `ONNX Runtime does not load here: ${messageOf(cause)}`, {
      hint: "npm install onnxruntime-node@1.30.0 --ignore-scripts",
      cause,
    });
  }
}

/** The engine with its version, as a result document names it. */
export async function engineName(): Promise<string> {
  const { versions } = (await loadEngine()).env;
  return `onnxruntime-node ${versions.node ?? versions.common}`;
}

/**
 * Opens a model, given as a path or as the bytes of an ONNX file.
 *
 * External data is found beside a model given by path (and stays memory-mapped).
 * @throws LightfootError E_FILE_NOT_FOUND, E_RUNTIME when the engine refuses the model
 * @example const session = await openSession("net.onnx", { threads: 1 });
 */
export async function openSession(model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const name = options.name ?? (typeof model === "string" ? basename(model) : "model in memory");
  const where = typeof model === "string" ? { file: model } : undefined;
  if (typeof model === "string" && !existsSync(model)) {
    throw new LightfootError("E_FILE_NOT_FOUND", `no model at '${model}'`, { where, hint: "check the path" });
  }
  const ort = await loadEngine();
  const engineOptions: InferenceSession.SessionOptions = {
    logSeverityLevel: 3,
    executionProviders: ["cpu"],
    graphOptimizationLevel: options.graphOptimization ?? "all",
    ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads, interOpNumThreads: 1 }),
    ...(options.optimizedModelPath === undefined ? {} : { optimizedModelFilePath: options.optimizedModelPath }),
    ...(options.externalData === undefined ? {} : { externalData: [...options.externalData] }),
    ...(options.extra === undefined ? {} : { extra: options.extra }),
  };
  let engine: InferenceSession;
  try {
    // Two calls because the overloads of `create` do not take the union.
    engine =
      typeof model === "string"
        ? await ort.InferenceSession.create(model, engineOptions)
        : await ort.InferenceSession.create(model, engineOptions);
  } catch (cause) {
    throw new LightfootError("E_RUNTIME", `ONNX Runtime refuses '${name}': ${messageOf(cause)}`, { where, cause });
  }
  return new EngineSession(name, engine, ort);
}

class EngineSession implements Session {
  readonly name: string;
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
  readonly #engine: InferenceSession;
  readonly #ort: Ort;
  // A training loop feeds the same buffers thousands of times; wrapping them anew costs more than small operators do.
  readonly #wrapped = new WeakMap<TensorValue, Tensor>();
  #closed = false;

  constructor(name: string, engine: InferenceSession, ort: Ort) {
    this.name = name;
    this.#engine = engine;
    this.#ort = ort;
    this.inputs = engine.inputMetadata.map(sessionValue);
    this.outputs = engine.outputMetadata.map(sessionValue);
  }

  async run(feeds: Readonly<Record<string, TensorValue>>, fetches?: Fetches): Promise<Record<string, TensorValue>> {
    if (this.#closed) throw new LightfootError("E_RUNTIME", `the session of '${this.name}' is closed`);
    const engineFeeds: Record<string, Tensor> = {};
    for (const input of this.inputs) {
      const value = feeds[input.name];
      if (value === undefined) throw this.#mismatch(`input '${input.name}' is not fed`, feeds);
      if (!fits(input, value)) {
        throw this.#mismatch(`input '${input.name}' is ${describe(input)}, fed was ${describe(value)}`, feeds);
      }
      engineFeeds[input.name] = this.#wrap(input.name, unsharedTensor(value));
    }
    for (const name of Object.keys(feeds)) {
      if (!(name in engineFeeds)) throw this.#mismatch(`'${name}' is fed and the model has no such input`, feeds);
    }
    const targets = this.#targets(fetches);
    const engineFetches: Record<string, Tensor | null> = {};
    for (const [name, target] of Object.entries(targets)) {
      engineFetches[name] = target === null ? null : this.#wrap(name, target);
    }
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.#engine.run(engineFeeds, engineFetches);
    } catch (cause) {
      throw this.#mismatch(`ONNX Runtime failed: ${messageOf(cause)}`, feeds, cause);
    }
    const values: Record<string, TensorValue> = {};
    for (const [name, target] of Object.entries(targets)) {
      values[name] = target ?? tensorValue(name, results[name], this.name);
    }
    return values;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#engine.release();
  }

  #targets(fetches: Fetches | undefined): Readonly<Record<string, TensorValue | null>> {
    if (fetches === undefined) {
      const names = this.outputs.filter((output) => output.dtype !== undefined).map((output) => output.name);
      return Object.fromEntries(names.map((name) => [name, null]));
    }
    const targets = isNameList(fetches) ? Object.fromEntries(fetches.map((name) => [name, null])) : fetches;
    for (const name of Object.keys(targets)) {
      const output = this.outputs.find((candidate) => candidate.name === name);
      if (output?.dtype === undefined) {
        const names = this.outputs.map((candidate) => candidate.name).join(", ");
        const found = output === undefined ? "is no output" : "is no numeric tensor";
        throw new LightfootError("E_RUNTIME", `'${name}' ${found} of '${this.name}'; its outputs are ${names}`);
      }
    }
    return targets;
  }

  #wrap(name: string, value: TensorValue): Tensor {
    const known = this.#wrapped.get(value);
    if (known !== undefined) return known;
    try {
      const tensor = new this.#ort.Tensor(value.dtype as "float32", value.data as Float32Array, value.shape);
      this.#wrapped.set(value, tensor);
      return tensor;
    } catch (cause) {
      throw new LightfootError("E_RUNTIME", `'${name}' (${describe(value)}) cannot be fed: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  #mismatch(problem: string, feeds: Readonly<Record<string, TensorValue>>, cause?: unknown): LightfootError {
    const fed = Object.entries(feeds).map(([name, value]) => `${name} ${describe(value)}`);
    const expected = this.inputs.map((input) => `${input.name} ${describe(input)}`);
    const context = `expected: ${expected.join(", ") || "no inputs"}; fed: ${fed.join(", ") || "nothing"}`;
    return new LightfootError("E_RUNTIME", `'${this.name}': ${problem} (${context})`, { cause });
  }
}

/** `[N,784] float32`: type and shape of a declared or an actual tensor, as messages show it. */
export function describe(value: {
  readonly dtype: DType | undefined;
  readonly shape: readonly (number | string | null)[];
}): string {
  return `[${value.shape.map((dim) => dim ?? "?").join(",")}] ${value.dtype ?? "not a numeric tensor"}`;
}

/** Whether a tensor has the declared type, rank and fixed dimensions. */
export function fits(declared: SessionValue, value: TensorValue): boolean {
  return (
    declared.dtype === value.dtype &&
    // ONNX Runtime gives an unknown rank as the empty shape, the same as a scalar: only the engine can tell.
    (declared.shape.length === 0 ||
      (declared.shape.length === value.shape.length &&
        declared.shape.every((dim, axis) => typeof dim !== "number" || dim === value.shape[axis])))
  );
}

const isNameList = (fetches: Fetches): fetches is readonly string[] => Array.isArray(fetches);

function sessionValue(metadata: InferenceSession.ValueMetadata): SessionValue {
  if (!metadata.isTensor || metadata.type === "string") return { name: metadata.name, dtype: undefined, shape: [] };
  const shape = metadata.shape.map((dim) => (dim === "" ? null : dim));
  return { name: metadata.name, dtype: metadata.type, shape };
}

function tensorValue(name: string, tensor: Tensor, model: string): TensorValue {
  if (tensor.type === "string") {
    throw new LightfootError("E_RUNTIME", `output '${name}' of '${model}' holds strings, expected numbers`);
  }
  const data = tensor.data as NumericArray;
  // Node 24 has Float16Array, and then ONNX Runtime gives that; everywhere here half floats are bit patterns.
  const bits =
    tensor.type === "float16" && !(data instanceof Uint16Array)
      ? new Uint16Array((data as ArrayBufferView).buffer, (data as ArrayBufferView).byteOffset, tensor.size)
      : data;
  return { dtype: tensor.type, shape: [...tensor.dims], data: bits };
}

function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replaceAll(/\s+/g, " ").trim();
}
