// ONNX external data: finds the file and range of a tensor, and lets no path out of the model's folder; may depend on io and graph.
import { realpathSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { fileError, stampOf } from "../../io/file-range.ts";
import type { TensorData } from "../graph.ts";

/** The neighbor files of one model. Each is examined once, however many tensors it holds. */
export class ExternalFiles {
  readonly #modelFile: string;
  readonly #folder: string;
  readonly #files = new Map<string, { path: string; size: number; stamp: string }>();

  constructor(modelFile: string) {
    this.#modelFile = modelFile;
    this.#folder = dirname(modelFile);
  }

  /** @throws LightfootError E_EXTERNAL_DATA when the place is unsafe or does not hold the tensor's bytes */
  locate(entries: ReadonlyMap<string, string>, tensorName: string, byteLength: number): TensorData {
    const refuse = (message: string, hint?: string) =>
      new LightfootError("E_EXTERNAL_DATA", `tensor '${tensorName}': ${message}`, {
        hint,
        where: { file: this.#modelFile, path: tensorName },
      });
    const location = entries.get("location") ?? "";
    const file = this.#files.get(location) ?? this.#examine(location, refuse);
    this.#files.set(location, file);
    const offset = wholeNumber(entries.get("offset") ?? "0");
    const length = wholeNumber(entries.get("length") ?? String(byteLength));
    if (offset === undefined || length === undefined) {
      throw refuse(`offset '${entries.get("offset")}' and length '${entries.get("length")}' are not whole numbers`);
    }
    if (length !== byteLength) throw refuse(`its shape takes ${byteLength} bytes, the external data has ${length}`);
    if (offset + length > file.size) {
      const hint = `${location} is cut short or belongs to another version of the model: fetch both again.`;
      throw refuse(`bytes ${offset} to ${offset + length} lie outside ${location} with ${file.size} bytes`, hint);
    }
    const { path, stamp } = file;
    return { kind: "file", file: path, stamp, offset, byteLength, encoding: "raw", external: { entries } };
  }

  #examine(location: string, refuse: (message: string, hint?: string) => LightfootError) {
    // Windows separators and drives count on every system, so that a model is judged the same everywhere.
    const parts = location.split(/[/\\]/);
    if (location === "" || /^([/\\]|[A-Za-z]:)/.test(location) || parts.includes("..") || location.includes("\0")) {
      const hint = "Put the data file beside the model and name it by a plain relative path.";
      throw refuse(`the location '${location}' is not a path inside the model's folder`, hint);
    }
    const path = join(this.#folder, ...parts);
    let real: string;
    let status;
    try {
      real = realpathSync(path);
      status = statSync(real, { bigint: true });
    } catch (error) {
      const { message } = fileError(error, path);
      throw refuse(message, `Fetch ${location} too: the model is of no use without it.`);
    }
    const folder = realpathSync(this.#folder);
    if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
      const hint = "Replace the symbolic link by the file it points to, or by a copy inside the folder.";
      throw refuse(`${location} is a symbolic link to ${real}, outside the model's folder`, hint);
    }
    if (!status.isFile()) throw refuse(`${location} is not a regular file`);
    return { path, size: Number(status.size), stamp: stampOf(status) };
  }
}

/** Digits only: `Number` would also take "", "0x10", "1e9" and fractions. */
function wholeNumber(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
