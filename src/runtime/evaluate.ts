// Runs a model over a data set and judges it by metrics; may depend on errors, quantity, model and its room.
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/index.ts";
import { bindDataset } from "./bind-dataset.ts";
import { joinSamples } from "./join-samples.ts";
import type { MetricAccumulator, MetricBatch, MetricResult } from "./metric.ts";
import { findMetric, type Metric } from "./metrics.ts";
import { sliceTensor, type Dataset } from "./sample-set.ts";
import { describe, openSession, type Session, type SessionOptions } from "./session.ts";
import { throwIfStopped, type StopSignal } from "./stop-signal.ts";

export interface EvaluateOptions {
  /** Names of the catalogue, paths of a user's modules, or metrics themselves. */
  readonly metrics: readonly (string | Metric)[];
  /** Samples in one run, 256 if left out; a model that fixes its first axis overrides it. */
  readonly batch?: number;
  readonly threads?: number;
  /** The output that is judged; left out, the first. */
  readonly output?: string;
  readonly classAxis?: number;
  readonly threshold?: number;
  /**
   * The original, for metrics that compare with it: a model, or what it gave for these samples, `[N, …]`. The path of the judged model
   * itself compares it with itself, in the same run.
   */
  readonly reference?: string | Uint8Array | TensorValue;
  /** Seed of bootstrap intervals. */
  readonly seed?: number;
  /** Keep the judged output of all samples in the result. */
  readonly keepOutput?: boolean;
  readonly session?: SessionOptions;
  readonly signal?: StopSignal;
  readonly onProgress?: (samplesDone: number, sampleCount: number) => void;
}

export interface Evaluation {
  readonly dataset: { readonly name: string; readonly digest: string; readonly sampleCount: number };
  readonly output: string;
  readonly batch: number;
  readonly metrics: Readonly<Record<string, MetricResult>>;
  readonly assumptions: readonly Assumption[];
  /** Wall time of the runs alone, without metrics and loading. */
  readonly runSeconds: number;
  /** `[N, …]` of the judged output, when it was asked for. */
  readonly outputs?: TensorValue;
}

const DEFAULT_BATCH = 256;

/**
 * Evaluates a model, given as a path or ONNX bytes.
 *
 * Metrics see each batch once; memory stays that of one batch plus a few numbers for each sample. The batch size can
 * change results of dynamically quantised models, so it is part of the result.
 * @throws LightfootError E_DATA when data and model do not fit, E_METRIC, E_RUNTIME, E_INTERRUPTED when aborted
 * @example const { metrics } = await evaluate("net.onnx", await loadDataset("mnist:test"), { metrics: ["accuracy"] });
 */
export async function evaluate(
  model: string | Uint8Array,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const sessionOptions = { threads: options.threads, ...options.session } as SessionOptions;
  const session = await openSession(model, sessionOptions);
  try {
    const { reference } = options;
    if (reference === model) return await judge(session, "itself", dataset, options);
    if (reference === undefined || isTensor(reference)) return await judge(session, reference, dataset, options);
    const other = await openSession(reference, sessionOptions);
    try {
      return await judge(session, other, dataset, options);
    } finally {
      await other.close();
    }
  } finally {
    await session.close();
  }
}

const isTensor = (reference: Session | TensorValue | string | Uint8Array): reference is TensorValue =>
  typeof reference === "object" && "dtype" in reference;

async function judge(
  session: Session,
  reference: Session | TensorValue | "itself" | undefined,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const metrics = await Promise.all(
    options.metrics.map(async (metric) => (typeof metric === "string" ? findMetric(metric) : metric)),
  );
  const twice = metrics.find(({ name }, index) => metrics.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new LightfootError("E_USAGE", `the metric '${twice.name}' was asked for twice`);
  for (const metric of metrics) requireNeeds(metric, dataset, reference !== undefined);
  const bound = bindDataset(dataset, session.inputs);
  const original = reference === undefined || reference === "itself" ? undefined : openReference(reference, dataset);
  const batch = commonBatch([bound.fixedBatch, original?.fixedBatch], options.batch);
  const assumptions = [...dataset.assumptions, ...bound.assumptions];
  const output = chooseOutput(session, options.output, assumptions);
  const context = {
    ...options,
    sampleCount: dataset.sampleCount,
    hasLabels: dataset.labels !== undefined,
    seed: options.seed ?? 0,
  };
  const accumulators = metrics.map((metric) => metric.open(context));
  const fetches = metrics.some((metric) => metric.allOutputs === true) ? undefined : [output];
  const kept: TensorValue[] = [];
  let runSeconds = 0;
  for (let start = 0; start < dataset.sampleCount; start += batch) {
    throwIfStopped(options.signal, "the evaluation");
    const end = Math.min(start + batch, dataset.sampleCount);
    const { feeds, count } = bound.feeds(start, end);
    const began = performance.now();
    const results = await session.run(feeds, fetches);
    runSeconds += (performance.now() - began) / 1e3;
    const rows = bound.fixedBatch ?? count;
    const judged = samplesOf(results[output], output, rows, count, bound.single);
    const outputs: Record<string, TensorValue> = { [output]: judged };
    for (const [name, value] of Object.entries(results)) {
      // Other outputs that do not follow the batch, such as recurrent state, are no business of a metric.
      if (name !== output && (bound.single || value.shape[0] === rows)) {
        outputs[name] = samplesOf(value, name, rows, count, bound.single);
      }
    }
    const compared = reference === "itself" ? judged : await original?.rows(output, session, start, end);
    if (options.keepOutput === true) kept.push(judged);
    const result: MetricBatch = {
      start,
      count,
      inputs: Object.fromEntries(
        Object.entries(feeds).map(([name, value]) => [name, samplesOf(value, name, rows, count, bound.single)]),
      ),
      outputs,
      output: judged,
      ...(compared === undefined ? {} : { reference: compared }),
      ...(dataset.labels === undefined ? {} : { labels: sliceTensor(dataset.labels, start, end) }),
      ...(dataset.targets === undefined ? {} : { targets: sliceTensor(dataset.targets, start, end) }),
    };
    for (const accumulator of accumulators) accumulator.add(result);
    options.onProgress?.(end, dataset.sampleCount);
  }
  return {
    dataset: { name: dataset.name, digest: dataset.digest, sampleCount: dataset.sampleCount },
    output,
    batch,
    metrics: await finishAll(metrics, accumulators),
    assumptions,
    runSeconds,
    ...(options.keepOutput === true ? { outputs: joinSamples(kept) } : {}),
  };
}

async function finishAll(
  metrics: readonly Metric[],
  accumulators: readonly MetricAccumulator[],
): Promise<Record<string, MetricResult>> {
  const results: Record<string, MetricResult> = {};
  for (const [index, accumulator] of accumulators.entries()) {
    results[metrics[index].name] = await accumulator.finish();
  }
  return results;
}

function requireNeeds(metric: Metric, dataset: Dataset, hasReference: boolean): void {
  const has = { labels: dataset.labels !== undefined, targets: dataset.targets !== undefined, reference: hasReference };
  const missing = metric.needs.find((need) => !has[need]);
  if (missing === undefined) return;
  const found = missing === "reference" ? "no reference model was given" : `'${dataset.name}' has no ${missing}`;
  throw new LightfootError("E_METRIC", `${metric.name} needs ${missing}, ${found}`, {
    hint:
      missing === "reference"
        ? "Name the original model: --reference original.onnx."
        : `Add an array '${missing}' to the .npz, or name it with #${missing}= or #${missing.slice(0, -1)}=.`,
  });
}

function commonBatch(sizes: readonly (number | undefined)[], wanted = DEFAULT_BATCH): number {
  const fixed = sizes.filter((size) => size !== undefined);
  const batch = fixed[0] ?? wanted;
  if (!Number.isInteger(batch) || batch < 1) throw new LightfootError("E_USAGE", `a batch of ${batch} is not possible`);
  if (fixed.some((size) => size !== batch)) {
    throw new LightfootError("E_METRIC", `the models take ${fixed.join(" and ")} samples a run, expected the same`);
  }
  return batch;
}

function chooseOutput(session: Session, wanted: string | undefined, assumptions: Assumption[]): string {
  const usable = session.outputs.filter((output) => output.dtype !== undefined);
  const chosen = wanted === undefined ? usable[0] : usable.find((output) => output.name === wanted);
  if (chosen === undefined) {
    const names = session.outputs.map((output) => `'${output.name}' ${describe(output)}`).join(", ");
    throw new LightfootError(
      "E_METRIC",
      `'${session.name}' has no output '${wanted ?? "of numbers"}'; it has ${names}`,
    );
  }
  if (wanted === undefined && usable.length > 1) {
    assumptions.push({
      key: "evaluate.output",
      text: `The first of ${usable.length} outputs, '${chosen.name}', was judged; --output names another.`,
    });
  }
  return chosen.name;
}

/** The reference's output of the same name, else the one at the same place. */
function matchOutput(reference: Session, output: string, session: Session): string {
  const place = session.outputs.findIndex((candidate) => candidate.name === output);
  const match = reference.outputs.find((candidate) => candidate.name === output) ?? reference.outputs[place];
  if (match === undefined) {
    throw new LightfootError("E_METRIC", `the reference '${reference.name}' has no output like '${output}'`);
  }
  return match.name;
}

interface Reference {
  readonly fixedBatch: number | undefined;
  /** What it says of samples `start … end − 1` where the judged model's `session` gives `output`. */
  rows(output: string, session: Session, start: number, end: number): Promise<TensorValue>;
}

/** @throws LightfootError E_METRIC when it holds results of another number of samples; E_DATA when data and model do not fit */
function openReference(reference: Session | TensorValue, dataset: Dataset): Reference {
  if (isTensor(reference)) {
    const { sampleCount } = dataset;
    if (reference.shape[0] !== sampleCount) {
      throw new LightfootError("E_METRIC", `the reference is ${describe(reference)}, expected ${sampleCount} samples`);
    }
    return { fixedBatch: undefined, rows: async (_output, _session, start, end) => sliceTensor(reference, start, end) };
  }
  const bound = bindDataset(dataset, reference.inputs);
  return {
    fixedBatch: bound.fixedBatch,
    async rows(output, session, start, end) {
      const { feeds, count } = bound.feeds(start, end);
      const name = matchOutput(reference, output, session);
      const results = await reference.run(feeds, [name]);
      return samplesOf(results[name], name, bound.fixedBatch ?? count, count, bound.single);
    },
  };
}

/** The output's rows of real samples. @throws LightfootError E_METRIC when its first axis does not count samples */
function samplesOf(value: TensorValue, name: string, rows: number, count: number, single: boolean): TensorValue {
  if (single && value.shape[0] !== 1) return { ...value, shape: [1, ...value.shape] };
  if (value.shape[0] === rows) return rows === count ? value : sliceTensor(value, 0, count);
  throw new LightfootError(
    "E_METRIC",
    `output '${name}' is ${describe(value)} for ${rows} samples, expected them on its first axis`,
    { hint: "Choose another output, or run one sample at a time: --batch 1." },
  );
}
