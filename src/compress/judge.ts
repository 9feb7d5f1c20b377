// Scores candidates against the original on the same samples, the original once for each split; may depend on runtime.
import type { Figure } from "../quantity/index.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { evaluate } from "../runtime/evaluate.ts";
import type { MetricResult } from "../runtime/metric.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Loss } from "./candidate-schema.ts";
import { lossBetween } from "./loss.ts";

export type JudgeOptions = Pick<BenchSettings, "model" | "budget" | "data" | "threads" | "seed">;

export interface Verdict {
  readonly loss: Loss;
  /** Share of equal decisions with the original, or the cosine of the outputs where there are no decisions. */
  readonly agreement: Figure;
}

/** Holds the original's results, so that each candidate costs one pass over the data. */
export class Judge {
  readonly #options: JudgeOptions;
  readonly #originals = new Map<Loss["split"], MetricResult>();

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** The original's own result on a split. */
  async original(split: Loss["split"], signal?: AbortSignal): Promise<MetricResult> {
    const known = this.#originals.get(split);
    if (known !== undefined) return known;
    const { own } = await this.#score(this.#options.model, split, signal);
    this.#originals.set(split, own);
    return own;
  }

  /** What the model at `path` loses on a split. @throws LightfootError E_RUNTIME, E_DATA, E_METRIC */
  async verdict(path: string, split: Loss["split"], signal?: AbortSignal): Promise<Verdict> {
    const original = await this.original(split, signal);
    const { own, fidelity } = await this.#score(path, split, signal);
    const loss = lossBetween(original, own, this.#options.budget, split, this.#data(split).sampleCount);
    return { loss, agreement: fidelity.figure };
  }

  #data(split: Loss["split"]): Dataset {
    const { test, validation } = this.#options.data;
    return split === "test" ? test! : validation;
  }

  async #score(
    path: string,
    split: Loss["split"],
    signal: AbortSignal | undefined,
  ): Promise<{ own: MetricResult; fidelity: MetricResult }> {
    const { model: original, budget, threads, seed } = this.#options;
    const { metrics } = await evaluate(path, this.#data(split), {
      metrics: [...new Set([budget.metric, "fidelity"])],
      reference: original,
      threads,
      seed,
      signal,
    });
    // A user's module is named by its path and calls itself what it likes: the first result is the budget's.
    const [own] = Object.values(metrics);
    return { own, fidelity: metrics["fidelity"] };
  }
}
