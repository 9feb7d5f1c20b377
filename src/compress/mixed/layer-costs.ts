// The measured table behind an assignment: what each scheme costs each layer and how much it bends the layer's output; may depend on io,
// model, runtime and this room.
import { folderCache, userCacheFolder, type JsonCache } from "../../io/cache-folder.ts";
import { sha256 } from "../../io/digest.ts";
import { describeThisMachine } from "../../io/machine.ts";
import { LightfootError } from "../../errors/index.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import { measureLatency } from "../../runtime/latency.ts";
import { engineName, openSession } from "../../runtime/session.ts";
import { TECHNIQUES } from "../techniques/registry.ts";
import type { Step, TechniqueContext } from "../techniques/technique.ts";

/** Enough for the median of a kernel; a table has many rows. */
const TIMED = { runs: 30, warmUps: 3, maxSeconds: 0.25 } as const;

export interface LayerCost {
  /** Of the layer cut out as a file of its own, structure included. */
  readonly storedBytes: number;
  /** Median seconds of one run; null where the goal does not ask for time. */
  readonly seconds: number | null;
  /** Σ (y − ŷ)² / Σ y² on the layer's own output. */
  readonly error: number;
}

/** Why a scheme is none for a layer. */
export interface NoCost {
  readonly reason: string;
}

/** Sum of squared differences over the sum of squares; 1 and more means that nothing of the signal is left. */
export function relativeError(wanted: ArrayLike<number>, found: ArrayLike<number>): number {
  let [noise, signal] = [0, 0];
  for (let at = 0; at < wanted.length; at++) {
    noise += (wanted[at] - found[at]) ** 2;
    signal += wanted[at] ** 2;
  }
  return signal === 0 ? (noise === 0 ? 0 : Infinity) : noise / signal;
}

/** Measured times by machine, engine and shape. Weights do not matter to a kernel's time, so layers of one shape share an entry. */
export class TimeTable {
  readonly #cache: JsonCache | undefined;
  readonly #known = new Map<string, number>();
  readonly #threads: number | undefined;

  /** @param useDisk keep the times in the user's cache folder, for the next search on this machine */
  constructor(threads: number | undefined, useDisk: boolean) {
    this.#threads = threads;
    this.#cache = useDisk ? folderCache(userCacheFolder()) : undefined;
  }

  async seconds(shapeKey: string, bytes: Uint8Array, rows: Dataset, signal: AbortSignal | undefined): Promise<number> {
    const { cpuName, logicalCpuCount } = describeThisMachine();
    const machine = `${cpuName}, ${logicalCpuCount} threads, ${await engineName()}`;
    const key = ["layer-times", machine, sha256(`${shapeKey} ${this.#threads ?? "all"} threads`)];
    const id = key.join("\n");
    const stored = this.#known.get(id) ?? (await this.#cache?.read(key));
    if (typeof stored === "number" && stored > 0) return stored;
    const batch = rows.sampleCount;
    const options = { ...TIMED, batches: [batch], dataset: rows, threads: this.#threads, signal };
    const { measurements } = await measureLatency(bytes, options);
    const { value } = measurements[0].median;
    this.#known.set(id, value);
    await this.#cache?.write(key, value);
    return value;
  }
}

/** A cut-out layer with its data: rows to compare on, rows to time. */
export interface Specimen {
  readonly model: ModelGraph;
  readonly output: string;
  /** Kind, shape of the weights, shape of the input: what decides a kernel's time. */
  readonly shapeKey: string;
  readonly compared: Dataset;
  readonly timed: Dataset | undefined;
}

async function outputOf(bytes: Uint8Array, { compared, output }: Specimen, threads: number | undefined) {
  const session = await openSession(bytes, { threads, name: output });
  try {
    const feeds = Object.fromEntries(compared.inputs);
    return (await session.run(feeds, [output]))[output].data as Float32Array;
  } finally {
    await session.close();
  }
}

/** Measures one layer under each step; `undefined` is the layer as it is. */
export async function layerCosts(
  specimen: Specimen,
  schemes: ReadonlyMap<string, Step | undefined>,
  context: TechniqueContext,
  times: TimeTable,
): Promise<Map<string, LayerCost | NoCost>> {
  const { threads, signal } = context;
  const wanted = await outputOf(await serializeOnnx(specimen.model), specimen, threads);
  const costs = new Map<string, LayerCost | NoCost>();
  for (const [id, step] of schemes) {
    try {
      const found = await compressed(specimen, step, context);
      if (found.kind === "refused") {
        costs.set(id, { reason: found.reason });
        continue;
      }
      const bytes = await serializeOnnx(found.model);
      const error = step === undefined ? 0 : relativeError(wanted, await outputOf(bytes, specimen, threads));
      if (!Number.isFinite(error)) {
        costs.set(id, { reason: "its outputs on the calibration data are not finite" });
        continue;
      }
      const { timed, shapeKey } = specimen;
      const seconds = timed === undefined ? null : await times.seconds(`${shapeKey} ${id}`, bytes, timed, signal);
      costs.set(id, { storedBytes: bytes.byteLength, seconds, error });
    } catch (thrown) {
      if (!(thrown instanceof LightfootError) || thrown.code === "E_INTERRUPTED" || thrown.exitCode === 70)
        throw thrown;
      costs.set(id, { reason: `${thrown.message} (${thrown.code})` });
    }
  }
  return costs;
}

async function compressed({ model, compared, output }: Specimen, step: Step | undefined, context: TechniqueContext) {
  if (step === undefined) return { kind: "model" as const, model };
  const options = { ...step.options, layers: [output] };
  return TECHNIQUES[step.technique](model, options, { ...context, calibration: compared });
}
