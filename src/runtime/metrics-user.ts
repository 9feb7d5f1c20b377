// Metrics of the user's own: a JavaScript module that gets all outputs and gives a number; may depend on errors, quantity,
// model and its room.
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { figure, scale, type Figure } from "../quantity/index.ts";
import { joinSamples } from "./join-samples.ts";
import { meanFigure } from "./mean-figure.ts";
import type { Metric, MetricBatch, MetricResult } from "./metric.ts";

/** What a user's metric function is called with; each tensor is `{ dtype, shape, data }` with samples on axis 0. */
export interface UserMetricInput {
  /** The judged output. */
  readonly output: TensorValue;
  /** All outputs by name. */
  readonly outputs: Readonly<Record<string, TensorValue>>;
  readonly inputs: Readonly<Record<string, TensorValue>>;
  readonly labels?: TensorValue;
  readonly targets?: TensorValue;
  /** The judged output of the reference model, when one was given. */
  readonly reference?: TensorValue;
}

/**
 * What it gives back: a number; or the metric of each sample, whose mean is the metric; or a value with an interval that
 * the module itself knows. A bare number has no interval, and the result says so.
 */
export type UserMetricOutput =
  | number
  | { readonly perSample: ArrayLike<number>; readonly value?: number }
  | { readonly value: number; readonly low?: number; readonly high?: number };

interface UserModule {
  readonly default: (input: UserMetricInput) => UserMetricOutput | Promise<UserMetricOutput>;
  /** True if left out. */
  readonly higherIsBetter?: boolean;
  /** "" if left out; "1" for a share, which is shown in percent and may be budgeted in points. */
  readonly unit?: string;
  /** `sum` counts: the metric is the sum of `perSample`, such as the number of exact matches; `mean` if left out. */
  readonly aggregate?: "mean" | "sum";
}

/**
 * Loads `./metric.mjs`: its default export is the function; `higherIsBetter`, `unit` and `aggregate` are optional exports.
 *
 * The whole outputs are kept in memory for it.
 * @throws LightfootError E_FILE_NOT_FOUND, E_METRIC when the module does not load or exports no function
 */
export async function loadUserMetric(path: string): Promise<Metric> {
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new LightfootError("E_FILE_NOT_FOUND", `there is no metric module ${path}`, { where: { file } });
  }
  let loaded: Partial<UserModule>;
  try {
    loaded = (await import(pathToFileURL(file).href)) as Partial<UserModule>;
  } catch (cause) {
    throw new LightfootError("E_METRIC", `the metric module does not load: ${messageOf(cause)}`, {
      where: { file },
      cause,
    });
  }
  if (typeof loaded.default !== "function") {
    throw new LightfootError("E_METRIC", "the metric module has no function as its default export", {
      where: { file },
      hint: "export default ({ output, labels }) => …a number…;",
    });
  }
  return userMetric(basename(path), loaded as UserModule, file);
}

function userMetric(name: string, loaded: UserModule, file: string): Metric {
  return {
    name,
    summary: `the user's ${file}`,
    needs: [],
    allOutputs: true,
    open() {
      const batches: MetricBatch[] = [];
      return {
        add: (batch) => void batches.push(batch),
        async finish(): Promise<MetricResult> {
          if (!["mean", "sum", undefined].includes(loaded.aggregate)) {
            throw new LightfootError("E_METRIC", `aggregate is '${loaded.aggregate}', expected mean or sum`, {
              where: { file },
            });
          }
          let given: UserMetricOutput;
          try {
            given = await loaded.default(join(batches));
          } catch (cause) {
            throw new LightfootError("E_METRIC", `${name} failed: ${messageOf(cause)}`, { where: { file }, cause });
          }
          return {
            name,
            higherIsBetter: loaded.higherIsBetter ?? true,
            ...resultOf(given, name, loaded, file),
          };
        },
      };
    },
  };
}

function join(batches: readonly MetricBatch[]): UserMetricInput {
  const [first] = batches;
  const all = (pick: (batch: MetricBatch) => TensorValue): TensorValue => joinSamples(batches.map(pick));
  const byName = (pick: (batch: MetricBatch) => Readonly<Record<string, TensorValue>>): Record<string, TensorValue> =>
    Object.fromEntries(Object.keys(pick(first)).map((key) => [key, all((batch) => pick(batch)[key])]));
  return {
    output: all((batch) => batch.output),
    outputs: byName((batch) => batch.outputs),
    inputs: byName((batch) => batch.inputs),
    ...(first.labels === undefined ? {} : { labels: all((batch) => batch.labels as TensorValue) }),
    ...(first.targets === undefined ? {} : { targets: all((batch) => batch.targets as TensorValue) }),
    ...(first.reference === undefined ? {} : { reference: all((batch) => batch.reference as TensorValue) }),
  };
}

/** The interval of the mean times n around the sum itself, so that a count is a whole number. */
function sumFigure(mean: Figure, perSample: Float64Array, unit: string): Figure {
  const scaled = scale(mean, perSample.length, unit);
  const value = perSample.reduce((sum, each) => sum + each, 0);
  return { ...scaled, value, low: Math.min(scaled.low, value), high: Math.max(scaled.high, value) };
}

function resultOf(
  given: UserMetricOutput,
  name: string,
  { unit = "", aggregate = "mean" }: UserModule,
  file: string,
): Pick<MetricResult, "figure" | "perSample" | "aggregate"> {
  if (typeof given === "object" && given !== null && "perSample" in given) {
    const perSample = Float64Array.from(given.perSample);
    if (perSample.length === 0 || !perSample.every(Number.isFinite)) {
      throw new LightfootError("E_METRIC", `${name} gave perSample that is empty or not finite`, { where: { file } });
    }
    const mean = meanFigure(perSample, { unit, source: `${name}, ${aggregate} over samples` });
    const whole = aggregate === "sum" ? sumFigure(mean, perSample, unit) : mean;
    const value = given.value ?? whole.value;
    if (!(Math.abs(value - whole.value) <= 1e-6 * Math.max(1, Math.abs(whole.value)))) {
      throw new LightfootError(
        "E_METRIC",
        `${name} gave ${value}, the ${aggregate} of its perSample is ${whole.value}`,
        {
          where: { file },
          hint: 'Leave perSample out when the metric is not its mean; export const aggregate = "sum" makes it a sum.',
        },
      );
    }
    return { figure: whole, perSample, aggregate };
  }
  const { value, low, high } = typeof given === "object" && given !== null ? given : { value: given };
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new LightfootError("E_METRIC", `${name} gave ${String(value)}, expected a finite number`, {
      where: { file },
    });
  }
  const hasInterval = low !== undefined && high !== undefined;
  const assumptions = hasInterval
    ? []
    : [
        {
          key: "metric.no-interval",
          text: `${name} gives a number without an interval; how sure it is, is not known.`,
        },
      ];
  const interval = hasInterval ? { low, high } : {};
  return { figure: figure({ value, ...interval, unit, method: "measured", sources: [name], assumptions }) };
}

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
