// What flows into each layer when the model runs on real samples, kept small; may depend on io, model, runtime and this room.
import { SpillFile } from "../../io/spill-file.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import { createDataset, sliceDataset, type Dataset } from "../../runtime/dataset.ts";
import { joinSamples } from "../../runtime/join-samples.ts";
import { sliceTensor } from "../../runtime/sample-set.ts";
import { watchTensors, type WatchOptions } from "../calibrate.ts";

/** A layer's input is cut to this along its first axis. */
const MOST_BYTES = 4 * 2 ** 20;

/** What a layer reads, on disk until somebody asks: of all layers together it would not fit into memory. */
export interface CapturedInput {
  readonly shape: readonly number[];
  /** @throws LightfootError E_FILE_READ */
  read(): TensorValue;
}

/** Rows of one tensor, up to the limit; a shape that follows the batch elsewhere than on axis 0 begins anew when it grows. */
class Rows implements CapturedInput {
  readonly #file: SpillFile;
  #parts: { readonly shape: readonly number[]; readonly read: () => Uint8Array }[] = [];
  #bytes = 0;

  constructor(file: SpillFile) {
    this.#file = file;
  }

  add(value: TensorValue): void {
    const [first] = this.#parts;
    if (first !== undefined && first.shape.slice(1).join() !== value.shape.slice(1).join()) {
      if (value.data.byteLength <= this.#bytes) return;
      [this.#parts, this.#bytes] = [[], 0];
    }
    const rowBytes = value.data.byteLength / value.shape[0];
    const room = Math.floor((MOST_BYTES - this.#bytes) / rowBytes);
    const rows = Math.min(value.shape[0], this.#parts.length === 0 ? Math.max(1, room) : room);
    if (rows === 0) return;
    const { shape, data } = sliceTensor(value, 0, rows);
    this.#parts.push({ shape, read: this.#file.put(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) });
    this.#bytes += data.byteLength;
  }

  get shape(): readonly number[] {
    const [{ shape }] = this.#parts;
    return [this.#parts.reduce((rows, part) => rows + part.shape[0], 0), ...shape.slice(1)];
  }

  read(): TensorValue {
    return joinSamples(this.#parts.map(({ shape, read }) => float32Tensor(shape, new Float32Array(read().buffer))));
  }
}

/**
 * Values of the tensors in `names` for the first `count` samples, by name. A tensor is kept up to 4 MiB, or one row where that is larger.
 *
 * @throws LightfootError E_INTERRUPTED, E_DATA, E_RUNTIME, E_FILE_WRITE
 */
export async function captureInputs(
  model: ModelGraph,
  names: readonly string[],
  data: Dataset,
  count: number,
  options: WatchOptions,
): Promise<ReadonlyMap<string, CapturedInput>> {
  const seen = new Map<string, Rows>();
  const file = new SpillFile();
  const samples = sliceDataset(data, 0, Math.min(count, data.sampleCount));
  await watchTensors(model, [...new Set(names)], samples, options, (name, value) => {
    // A vector has no axis left that a kernel could work along.
    if (!(value.data instanceof Float32Array) || value.shape.length < 2 || value.data.length === 0) return;
    const rows = seen.get(name) ?? new Rows(file);
    seen.set(name, rows);
    rows.add(value);
  });
  return seen;
}

/** A captured tensor as samples for the layer that was cut out; `rows` at most. */
export function asDataset(name: string, value: TensorValue, rows = value.shape[0]): Dataset {
  const whole = createDataset({ name: `input of ${name}`, inputs: new Map([[name, value]]) });
  return sliceDataset(whole, 0, Math.min(rows, value.shape[0]));
}
