// Two models run in turns on the same inputs: how far their outputs differ and which is quicker; may depend on errors, quantity,
// statistics, model and its room.
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { figure, type Figure } from "../quantity/index.ts";
import { quantileInterval } from "../statistics/index.ts";
import { bindDataset } from "./bind-dataset.ts";
import type { Dataset } from "./sample-set.ts";
import { numbersOf } from "./convert-tensor.ts";
import { openSession, type Session } from "./session.ts";
import { throwIfStopped, type StopSignal } from "./stop-signal.ts";
import { syntheticFeeds } from "./synthetic-feeds.ts";

export interface CompareOptions {
  /** Real samples; left out, seeded numbers in the inputs' shapes. */
  readonly dataset?: Dataset;
  /** Shapes of inputs whose free dimensions are more than the batch, when there is no data set. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  /** Samples in one run; left out, what the model fixes, else 1. */
  readonly batch?: number;
  /** Pairs of timed runs; 50 if left out. Fewer when `maxSeconds` are over, at least 10. */
  readonly pairs?: number;
  readonly maxSeconds?: number;
  readonly threads?: number;
  readonly seed?: number;
  readonly signal?: StopSignal;
}

export interface OutputDifference {
  readonly name: string;
  /** Equal to the last bit, the sign of zeros included. */
  readonly identical: boolean;
  readonly largestDifference: number;
  /** `‖b − a‖₂ / ‖a‖₂`; null when the first model's output is zero throughout. */
  readonly relativeDifference: number | null;
}

export interface ModelComparison {
  readonly batch: number;
  readonly outputs: readonly OutputDifference[];
  /** Seconds a run: medians with their 95 % intervals. */
  readonly first: Figure;
  readonly second: Figure;
  /** `first / second`, the median over pairs of neighbouring runs: above 1 the second model is quicker. */
  readonly speedUp: Figure;
}

const FEWEST_PAIRS = 10;
const WARM_UPS = 3;

/**
 * Runs both models on the same inputs, once for the outputs, then in turns for the time: another load on the machine slows both.
 *
 * @throws LightfootError E_RUNTIME, E_SHAPE, E_DATA, E_INTERRUPTED
 */
export async function compareModels(first: string, second: string, options: CompareOptions): Promise<ModelComparison> {
  return withBoth(first, second, options, async (one, two) => {
    const { feeds, batch } = feedsOf(one, options);
    const outputs = differences(await one.run(feeds), await two.run(feeds));
    const [firstSeconds, secondSeconds] = await inTurns(one, two, feeds, options);
    const source = `${firstSeconds.length} pairs of warm runs of batch ${batch}, in turns`;
    const ratios = firstSeconds.map((seconds, at) => seconds / secondSeconds[at]);
    return {
      batch,
      outputs,
      first: medianFigure(firstSeconds, "s", source),
      second: medianFigure(secondSeconds, "s", source),
      speedUp: medianFigure(ratios, "1", source),
    };
  });
}

/**
 * How far the outputs of both models differ on the same inputs, in one run each.
 *
 * @throws LightfootError E_RUNTIME, E_SHAPE, E_DATA
 */
export async function compareOutputs(
  first: string,
  second: string,
  options: CompareOptions,
): Promise<readonly OutputDifference[]> {
  return withBoth(first, second, options, async (one, two) => {
    const { feeds } = feedsOf(one, options);
    return differences(await one.run(feeds), await two.run(feeds));
  });
}

async function withBoth<Result>(
  first: string,
  second: string,
  { threads }: CompareOptions,
  work: (one: Session, two: Session) => Promise<Result>,
): Promise<Result> {
  const one = await openSession(first, { threads });
  try {
    const two = await openSession(second, { threads });
    try {
      return await work(one, two);
    } finally {
      await two.close();
    }
  } finally {
    await one.close();
  }
}

function feedsOf(
  session: Session,
  options: CompareOptions,
): { readonly feeds: Record<string, TensorValue>; readonly batch: number } {
  const batch = options.batch ?? batchOf(session) ?? 1;
  if (options.dataset === undefined) {
    const feeds = syntheticFeeds(session, { batch, inputs: options.inputs ?? {}, seed: options.seed ?? 0 });
    return { feeds, batch };
  }
  const bound = bindDataset(options.dataset, session.inputs);
  const count = bound.fixedBatch ?? batch;
  if (count > options.dataset.sampleCount) {
    throw new LightfootError("E_SHAPE", `'${options.dataset.name}' has fewer than ${count} samples`);
  }
  return { feeds: bound.feeds(0, count).feeds, batch: count };
}

/** The batch that a model with one input fixes. */
function batchOf({ inputs }: Session): number | undefined {
  const [first] = inputs.length === 1 ? inputs[0].shape : [];
  return typeof first === "number" ? first : undefined;
}

function differences(
  first: Readonly<Record<string, TensorValue>>,
  second: Readonly<Record<string, TensorValue>>,
): OutputDifference[] {
  return Object.entries(first).map(([name, value]) => {
    const { dtype, shape } = value;
    const other = second[name];
    if (other === undefined || other.dtype !== dtype || other.shape.join() !== shape.join()) {
      throw new LightfootError("E_RUNTIME", `output '${name}' [${shape.join(", ")}] is not the same in both models`);
    }
    const identical = Buffer.compare(bytesOf(value), bytesOf(other)) === 0;
    const [before, after] = [numbersOf(value), numbersOf(other)];
    let [largest, difference, size] = [0, 0, 0];
    for (let at = 0; at < before.length; at++) {
      const [a, b] = [before[at], after[at]];
      if (!Number.isNaN(a)) size += a ** 2;
      // The difference of equal infinities is no number.
      if (Object.is(a, b)) continue;
      largest = Math.max(largest, Math.abs(a - b));
      difference += (a - b) ** 2;
    }
    const relativeDifference = size === 0 ? null : Math.sqrt(difference / size);
    return { name, identical, largestDifference: largest, relativeDifference };
  });
}

const bytesOf = ({ data }: TensorValue): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

async function inTurns(
  one: Session,
  two: Session,
  feeds: Record<string, TensorValue>,
  options: CompareOptions,
): Promise<[number[], number[]]> {
  const timed = async (session: Session): Promise<number> => {
    throwIfStopped(options.signal, "the measurement");
    const began = performance.now();
    await session.run(feeds);
    return (performance.now() - began) / 1e3;
  };
  for (let index = 0; index < WARM_UPS; index++) for (const session of [one, two]) await timed(session);
  const [first, second]: [number[], number[]] = [[], []];
  const { pairs = 50, maxSeconds = 20 } = options;
  for (let spent = 0; first.length < pairs && (spent < maxSeconds || first.length < FEWEST_PAIRS);) {
    first.push(await timed(one));
    second.push(await timed(two));
    spent += first.at(-1)! + second.at(-1)!;
  }
  return [first, second];
}

function medianFigure(values: readonly number[], unit: "s" | "1", source: string): Figure {
  const { value, low, high } = quantileInterval(values, 0.5);
  return figure({ value, low, high, unit, method: "measured", sources: [source], assumptions: [] });
}
