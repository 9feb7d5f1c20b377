// How long a model takes for a batch, and how much processor time: warm runs on this machine; may depend on errors,
// quantity, statistics, io, model and its room.
import { LightfootError } from "../errors/index.ts";
import { processUsage, type ProcessUsage } from "../io/process-usage.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { figure, type Figure } from "../quantity/index.ts";
import { quantileInterval } from "../statistics/index.ts";
import { bindDataset } from "./bind-dataset.ts";
import { meanFigure } from "./mean-figure.ts";
import type { Dataset } from "./sample-set.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";
import { syntheticFeeds } from "./synthetic-feeds.ts";
import { throwIfStopped, type StopSignal } from "./stop-signal.ts";

export interface LatencyOptions {
  /** Samples in one run, for each measurement. */
  readonly batches: readonly number[];
  /** Timed runs for each batch size, 100 if left out; p95 has a 95 % interval from 93 on. */
  readonly runs?: number;
  /** Untimed runs before; 10 if left out. */
  readonly warmUps?: number;
  /** Ends a batch size's runs early, after at least 20; 10 if left out. */
  readonly maxSeconds?: number;
  readonly threads?: number;
  readonly session?: SessionOptions;
  /** Real samples to feed; left out, seeded random numbers in the inputs' shapes. */
  readonly dataset?: Dataset;
  /** Shapes of inputs whose free dimensions are more than the batch, when there is no data set. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  readonly seed?: number;
  readonly signal?: StopSignal;
  readonly usage?: ProcessUsage;
}

export interface LatencyMeasurement {
  readonly batch: number;
  readonly runs: number;
  /** Seconds for one run of the whole batch. */
  readonly median: Figure;
  readonly p95: Figure;
  /** Processor seconds of the whole process for one sample, spinning threads included. */
  readonly cpuPerInference: Figure;
  /** Wall seconds for one sample, mean. */
  readonly wallPerInference: Figure;
}

export interface LatencyReport {
  readonly measurements: readonly LatencyMeasurement[];
  /** Batch sizes that the model cannot take, with the reason. */
  readonly skipped: readonly { readonly batch: number; readonly reason: string }[];
}

const BLOCKS = 10;
const FEWEST_RUNS = 20;

/**
 * Measures latency and processor time of warm runs.
 *
 * Runs go one after another on the calling thread. The clock is monotonic; the quantiles' intervals are free of any
 * distribution, those of the means are Student's t over ten blocks of runs. Other work on the machine shows in the result.
 * @throws LightfootError E_SHAPE when no asked-for batch size fits the model, E_RUNTIME, E_INTERRUPTED
 * @example await measureLatency("net.onnx", { batches: [1, 32], threads: 1 })
 */
export async function measureLatency(model: string | Uint8Array, options: LatencyOptions): Promise<LatencyReport> {
  const session = await openSession(model, { threads: options.threads, ...options.session });
  try {
    const measurements: LatencyMeasurement[] = [];
    const skipped: { batch: number; reason: string }[] = [];
    let hint: string | undefined;
    for (const batch of options.batches) {
      let feeds: Record<string, TensorValue>;
      try {
        feeds = feedsFor(session, batch, options);
      } catch (thrown) {
        if (!(thrown instanceof LightfootError) || thrown.code !== "E_SHAPE") throw thrown;
        skipped.push({ batch, reason: thrown.message });
        hint ??= thrown.hint;
        continue;
      }
      measurements.push(await measure(session, feeds, batch, options));
    }
    if (measurements.length === 0) {
      const reasons = skipped.map(({ reason }) => reason).join("; ");
      throw new LightfootError("E_SHAPE", reasons || "no batch size was given", { hint });
    }
    return { measurements, skipped };
  } finally {
    await session.close();
  }
}

function feedsFor(session: Session, batch: number, options: LatencyOptions): Record<string, TensorValue> {
  if (options.dataset === undefined) {
    return syntheticFeeds(session, { batch, inputs: options.inputs ?? {}, seed: options.seed ?? 0 });
  }
  const bound = bindDataset(options.dataset, session.inputs);
  if (bound.fixedBatch !== undefined && bound.fixedBatch !== batch) {
    throw new LightfootError("E_SHAPE", `'${session.name}' takes ${bound.fixedBatch} samples a run, not ${batch}`, {
      hint: `Ask for what it takes: --batch ${bound.fixedBatch}.`,
    });
  }
  if (batch > options.dataset.sampleCount) {
    throw new LightfootError("E_SHAPE", `'${options.dataset.name}' has fewer than ${batch} samples`);
  }
  return bound.feeds(0, batch).feeds;
}

async function measure(
  session: Session,
  feeds: Record<string, TensorValue>,
  batch: number,
  options: LatencyOptions,
): Promise<LatencyMeasurement> {
  const usage = options.usage ?? processUsage;
  const wanted = Math.max(options.runs ?? 100, 1);
  const maxSeconds = options.maxSeconds ?? 10;
  const run = async (): Promise<number> => {
    throwIfStopped(options.signal, "the measurement");
    const began = performance.now();
    await session.run(feeds);
    return (performance.now() - began) / 1e3;
  };
  const warmBegan = performance.now();
  for (let index = 0; index < (options.warmUps ?? 10); index++) {
    await run();
    if (performance.now() - warmBegan > maxSeconds * 500) break;
  }
  const seconds: number[] = [];
  const cpuByRun: number[] = [];
  let spent = 0;
  while (seconds.length < wanted && (spent < maxSeconds || seconds.length < Math.min(wanted, FEWEST_RUNS))) {
    const cpuBefore = usage.cpuSeconds();
    const duration = await run();
    cpuByRun.push(usage.cpuSeconds() - cpuBefore);
    seconds.push(duration);
    spent += duration;
  }
  const source = `${seconds.length} warm runs of batch ${batch}`;
  return {
    batch,
    runs: seconds.length,
    median: quantileFigure(seconds, 0.5, source),
    p95: quantileFigure(seconds, 0.95, source),
    cpuPerInference: blockMean(cpuByRun, batch, `processor time, ${source}`),
    wallPerInference: blockMean(seconds, batch, `wall time, ${source}`),
  };
}

function quantileFigure(seconds: readonly number[], q: number, source: string): Figure {
  const { value, low, high, confidence } = quantileInterval(seconds, q);
  const tooFew = {
    key: `latency.p${q * 100}.runs`,
    text: `${seconds.length} runs bound the ${q * 100} % quantile with ${(confidence * 100).toFixed(0)} % confidence only, not 95 %.`,
  };
  return figure({
    value,
    low,
    high,
    unit: "s",
    method: "measured",
    sources: [`${source}, order statistics`],
    assumptions: confidence >= 0.95 ? [] : [tooFew],
  });
}

/** Mean for one sample. Blocks, because neighbouring runs are not independent and clocks tick more coarsely than runs. */
function blockMean(byRun: readonly number[], batch: number, source: string): Figure {
  const blocks = Math.min(BLOCKS, byRun.length);
  const means = Array.from({ length: blocks }, (_, block) => {
    const part = byRun.slice(
      Math.floor((block * byRun.length) / blocks),
      Math.floor(((block + 1) * byRun.length) / blocks),
    );
    return part.reduce((total, value) => total + value, 0) / part.length / batch;
  });
  return meanFigure(means, { unit: "s", source, within: [0, Number.POSITIVE_INFINITY] });
}
