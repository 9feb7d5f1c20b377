// Scores candidates against the original on the same samples, the original once for each split; may depend on runtime.
import { LightfootError } from "../errors/index.ts";
import { exact, type Figure } from "../quantity/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { sliceDataset, type Dataset } from "../runtime/dataset.ts";
import { numbersOf } from "../runtime/convert-tensor.ts";
import { evaluate, type Evaluation } from "../runtime/evaluate.ts";
import type { Metric, MetricResult } from "../runtime/metric.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Loss } from "./candidate-schema.ts";
import { lossBetween } from "./loss.ts";

export type JudgeOptions = Pick<BenchSettings, "model" | "budget" | "data" | "threads" | "seed">;

export interface Verdict {
  readonly loss: Loss;
  /** Share of equal decisions with the original, or the cosine of the outputs where there are no decisions. */
  readonly agreement: Figure;
}

/** What the original gave for all samples is kept up to this; beyond, it runs again beside every candidate. */
const MOST_KEPT_BYTES = 256 * 2 ** 20;

/** Which samples have an output that is not a number: 1 for each of them. */
const NAN_SAMPLES: Metric = {
  name: "samples that are answered by NaN",
  summary: "samples whose output holds a value that is not a number",
  needs: [],
  open({ sampleCount }) {
    const perSample = new Uint8Array(sampleCount);
    return {
      add({ output, start, count }) {
        const values = numbersOf(output);
        const size = values.length / count;
        for (let at = 0; at < values.length; at++) {
          if (Number.isNaN(values[at])) perSample[start + Math.floor(at / size)] = 1;
        }
      },
      finish: () => ({ name: "", figure: exact(0, "", "counted"), higherIsBetter: false, perSample }),
    };
  },
};

/** Against an original that answers nothing, every candidate would hold every budget. */
function requireNumbers(found: MetricResult, { name }: Dataset): void {
  const perSample = found.perSample as Uint8Array;
  const count = perSample.reduce((sum, isNan) => sum + isNan, 0);
  if (count === 0) return;
  throw new LightfootError(
    "E_DATA",
    `the original's answer is not a number (NaN) for ${count} of ${perSample.length} samples of '${name}', first for sample ${perSample.indexOf(1)}`,
    { hint: "Look for weights or inputs that are NaN or infinite, and mend the model or leave these samples out." },
  );
}

interface Original {
  readonly own: MetricResult;
  /** Its outputs, or its path where they are too large to keep. */
  readonly reference: TensorValue | string;
}

/** Holds the original's results, so that each candidate costs one pass over the data. */
export class Judge {
  readonly #options: JudgeOptions;
  readonly #originals = new Map<Loss["split"], Original>();

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** The original's own result on a split. @throws LightfootError E_RUNTIME, E_DATA, E_METRIC */
  async original(split: Loss["split"], signal?: AbortSignal): Promise<MetricResult> {
    return (await this.#originalOn(split, signal)).own;
  }

  /** What the model at `path` loses on a split. @throws LightfootError E_RUNTIME, E_DATA, E_METRIC */
  async verdict(path: string, split: Loss["split"], signal?: AbortSignal): Promise<Verdict> {
    const original = await this.#originalOn(split, signal);
    const { own, fidelity } = await this.#score(path, split, original.reference, signal);
    const loss = lossBetween(original.own, own, this.#options.budget, split, this.#data(split).sampleCount);
    return { loss, agreement: fidelity.figure };
  }

  #data(split: Loss["split"]): Dataset {
    const { test, validation } = this.#options.data;
    return split === "test" ? test! : validation;
  }

  /** One pass gives its score and what it says of each sample. */
  async #originalOn(split: Loss["split"], signal: AbortSignal | undefined): Promise<Original> {
    const known = this.#originals.get(split);
    if (known !== undefined) return known;
    const { model, budget, threads, seed } = this.#options;
    const data = this.#data(split);
    const { outputs: one } = await evaluate(model, sliceDataset(data, 0, 1), {
      metrics: [],
      keepOutput: true,
      threads,
      signal,
    });
    const isSmall = one!.data.byteLength * data.sampleCount <= MOST_KEPT_BYTES;
    const run = (keepOutput: boolean): Promise<Evaluation> =>
      evaluate(model, data, {
        metrics: [budget.metric, NAN_SAMPLES],
        reference: model,
        keepOutput,
        threads,
        seed,
        signal,
      });
    const { metrics, outputs } = await run(isSmall).catch((thrown: unknown) => {
      // Outputs whose shape changes from batch to batch cannot be kept as one tensor.
      if (isSmall && thrown instanceof LightfootError && thrown.code === "E_METRIC") return run(false);
      throw thrown;
    });
    // A user's module is named by its path and calls itself what it likes.
    const [own] = Object.values(metrics);
    requireNumbers(metrics[NAN_SAMPLES.name], data);
    const found = { own, reference: outputs ?? model };
    this.#originals.set(split, found);
    return found;
  }

  async #score(
    path: string,
    split: Loss["split"],
    reference: TensorValue | string,
    signal: AbortSignal | undefined,
  ): Promise<{ own: MetricResult; fidelity: MetricResult }> {
    const { budget, threads, seed } = this.#options;
    const { metrics } = await evaluate(path, this.#data(split), {
      metrics: [...new Set([budget.metric, "fidelity"])],
      reference,
      threads,
      seed,
      signal,
    });
    // A user's module is named by its path and calls itself what it likes: the first result is the budget's.
    const [own] = Object.values(metrics);
    return { own, fidelity: metrics["fidelity"] };
  }
}
