// Runs a model on calibration samples and watches chosen tensors, segment by segment; memory grows with neither samples nor layers; may
// depend on model, runtime and quantize.
import { LightfootError } from "../errors/index.ts";
import type { ModelGraph } from "../model/graph.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { bindDataset, type BoundDataset } from "../runtime/bind-dataset.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { openModel } from "../runtime/model-session.ts";
import type { Session } from "../runtime/session.ts";
import { cutIntoSegments, type Segment, type WatchedGroup } from "../runtime/segments/cut.ts";
import { LiveValues } from "../runtime/segments/live-values.ts";
import { exposing, fedInputs, segmentModel } from "../runtime/segments/segment-model.ts";

export interface WatchOptions {
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Weights that are in memory at once, where no single node has more; 32 MiB if left out. */
  readonly segmentBytes?: number;
}

/** What is known of watched values beforehand. */
export interface WatchedValues {
  /** Bytes that a value stands for while the model runs, where these are not its own. */
  readonly bytesBehind?: (name: string, value: TensorValue) => number;
  /** Memory for a value whose shape never changes, filled again by each run of its segment. */
  readonly target?: (name: string) => TensorValue | undefined;
}

/** Takes one batch's value of a tensor; `rows` samples are in it. */
export type See = (name: string, value: TensorValue, rows: number) => void | Promise<void>;

const NAME = "calibration";
const SEGMENT_BYTES = 32 * 2 ** 20;
const MOST_SAMPLES_A_RUN = 64;
/** What one run of a whole model may give out: the first sample tells how much one sample's is. */
const RUN_BYTES = 16 * 2 ** 20;
/** The same for a segment, where memory is short: several runs' tensors wait for the collector. */
const SEGMENT_RUN_BYTES = 4 * 2 ** 20;

/**
 * Feeds `dataset` through `model` batch by batch and hands each batch's value of every tensor in `names` to `see`.
 *
 * The values are gone after the call: whoever needs them longer keeps a digest of them (a histogram, a sum), not a copy.
 * @throws LightfootError E_INTERRUPTED when `signal` fires, E_DATA when data and model do not fit
 */
export async function watchTensors(
  model: ModelGraph,
  names: readonly string[],
  dataset: Dataset,
  options: WatchOptions,
  see: See,
): Promise<void> {
  const groups = names.map((name) => ({ names: [name] }));
  await toTheEnd(watchBySegment(model, groups, dataset, options, see));
}

/**
 * The same, and gives after each segment of the model the names that were seen of all samples by then and have not been given before;
 * the names of a group are seen in the same run. A model whose weights, and what is held of its groups, take no more than
 * `segmentBytes` is one segment.
 *
 * Between segments the values that later ones need lie on disk, for all samples.
 * @throws LightfootError as `watchTensors`; E_FILE_WRITE when there is no room for them
 */
export async function* watchBySegment(
  model: ModelGraph,
  groups: readonly WatchedGroup[],
  dataset: Dataset,
  options: WatchOptions,
  see: See,
  values: WatchedValues = {},
): AsyncGenerator<readonly string[]> {
  const segments = await cutIntoSegments(model, groups, options.segmentBytes ?? SEGMENT_BYTES);
  const bound = bindDataset(dataset, fedInputs(model));
  const watcher = new Watcher(model, segments, bound, options, values);
  // All segments take the same batches, so their size is found before the first one runs.
  if (segments.length > 1 && bound.fixedBatch === undefined && dataset.sampleCount > 1) {
    await toTheEnd(watcher.watch(1, () => undefined));
  }
  yield* watcher.watch(dataset.sampleCount, see);
}

async function toTheEnd(segments: AsyncGenerator): Promise<void> {
  for (let step = await segments.next(); step.done !== true;) step = await segments.next();
}

class Watcher {
  readonly #model: ModelGraph;
  readonly #segments: readonly Segment[];
  readonly #bound: BoundDataset;
  readonly #options: WatchOptions;
  readonly #values: WatchedValues;
  /** Most that any segment gave out for the first sample. */
  #sampleBytes = 0;

  constructor(
    model: ModelGraph,
    segments: readonly Segment[],
    bound: BoundDataset,
    options: WatchOptions,
    values: WatchedValues,
  ) {
    [this.#model, this.#segments, this.#bound, this.#options] = [model, segments, bound, options];
    this.#values = values;
  }

  /** Runs the first `count` samples. */
  async *watch(count: number, see: See): AsyncGenerator<readonly string[]> {
    const live = new LiveValues();
    try {
      for (const [at, segment] of this.#segments.entries()) {
        await this.#run(segment, live, count, see);
        live.dropAfter(at);
        yield segment.watched;
      }
    } finally {
      live.close();
    }
  }

  /** Packed copies of the weights make runs faster; a segment goes without, so that its weights are only mapped. */
  #open(segment: Segment, computed: readonly string[], live: LiveValues): Promise<Session> {
    const { threads } = this.#options;
    const isWhole = segment.nodes === this.#model.graph.nodes;
    if (isWhole) return openModel(exposing(this.#model, computed), { threads, name: NAME });
    const model = segmentModel(this.#model, segment, (name) => live.inputInfo(name));
    return openModel(model, { threads, name: NAME, extra: { session: { disable_prepacking: "1" } } });
  }

  async #run(segment: Segment, live: LiveValues, count: number, see: See): Promise<void> {
    const { watched, takes, keeps } = segment;
    const { bytesBehind, target } = this.#values;
    const inputs = new Set(this.#model.graph.inputs.map(({ name }) => name));
    const computed = watched.filter((name) => !inputs.has(name));
    const session = await this.#open(segment, computed, live);
    try {
      const fetches = Object.fromEntries([...computed, ...keeps.keys()].map((name) => [name, target?.(name) ?? null]));
      const declared = new Map(session.outputs.map((output) => [output.name, output]));
      let run = 0;
      for (const [start, end] of this.#batches(count)) {
        if (this.#options.signal?.aborted) throw new LightfootError("E_INTERRUPTED", "calibration was stopped");
        const { feeds, count: rows } = this.#bound.feeds(start, end);
        const given: Record<string, TensorValue> = {};
        for (const { name } of session.inputs) given[name] = feeds[name];
        for (const name of takes) given[name] = await live.take(name, run);
        const outputs = Object.keys(fetches).length === 0 ? {} : await session.run(given, fetches);
        let bytes = 0;
        for (const name of watched) {
          const value = outputs[name] ?? feeds[name];
          if (value === undefined) continue;
          bytes += bytesBehind?.(name, value) ?? value.data.byteLength;
          await see(name, value, rows);
        }
        for (const [name, lastReader] of keeps) {
          if (!watched.includes(name)) bytes += outputs[name].data.byteLength;
          live.put(declared.get(name)!, outputs[name], lastReader);
        }
        if (start === 0) this.#sampleBytes = Math.max(this.#sampleBytes, bytes);
        run++;
      }
    } finally {
      await session.close();
    }
  }

  /** Where the model leaves it open, one sample and then as many as the bytes of a run allow, known once the first one ran. */
  *#batches(count: number): Generator<readonly [start: number, end: number]> {
    for (let start = 0, end = 0; start < count; start = end) {
      const runBytes = this.#segments.length === 1 ? RUN_BYTES : SEGMENT_RUN_BYTES;
      const fitting = Math.floor(runBytes / this.#sampleBytes);
      const open = start === 0 ? 1 : Math.max(1, Math.min(MOST_SAMPLES_A_RUN, fitting));
      end = Math.min(start + (this.#bound.fixedBatch ?? open), count);
      yield [start, end];
    }
  }
}
