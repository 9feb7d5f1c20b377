// Values that one segment of a model makes and later ones read, on disk in between; may depend on io, model and session.
import { SpillFile } from "../../io/spill-file.ts";
import type { ValueInfo } from "../../model/graph.ts";
import { readTensor } from "../../model/tensor-data.ts";
import type { TensorValue } from "../../model/tensor-value.ts";
import type { SessionValue } from "../session.ts";

interface Stored {
  readonly declared: SessionValue;
  /** One for each run, in order. */
  readonly runs: (() => Promise<TensorValue>)[];
  readonly rank: number;
}

/** One value of one run is in memory at a time; a value is on disk once, until its last reader is done. */
export class LiveValues {
  readonly #stored = new Map<string, Stored>();
  /** By the segment after which nobody reads what is in the file. */
  readonly #files = new Map<number, SpillFile>();

  /** Keeps what the next run gave. @throws LightfootError E_FILE_WRITE */
  put(declared: SessionValue, { dtype, shape, data }: TensorValue, lastReader: number): void {
    let file = this.#files.get(lastReader);
    if (file === undefined) this.#files.set(lastReader, (file = new SpillFile()));
    const read = file.put(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const { name } = declared;
    const stored = this.#stored.get(name) ?? { declared, runs: [], rank: shape.length };
    this.#stored.set(name, stored);
    const reference = { name, dtype, shape, data: { kind: "computed", make: async () => read() } } as const;
    stored.runs.push(() => readTensor(reference));
  }

  /** What run number `run` gave. @throws LightfootError E_FILE_READ */
  take(name: string, run: number): Promise<TensorValue> {
    return this.#stored.get(name)!.runs[run]();
  }

  /** The value as an input of another session, with what the one that made it knew of its shape. */
  inputInfo(name: string): ValueInfo {
    const { declared, rank } = this.#stored.get(name)!;
    const { dtype, shape } = declared;
    // ONNX Runtime gives an unknown rank as the empty shape, the same as a scalar.
    return { name, type: { kind: "tensor", dtype: dtype!, shape: shape.length === rank ? shape : undefined } };
  }

  /** Frees what no segment after this one reads. */
  dropAfter(segment: number): void {
    this.#files.get(segment)?.close();
    this.#files.delete(segment);
  }

  /** Frees everything. */
  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }
}
