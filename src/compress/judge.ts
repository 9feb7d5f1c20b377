// Scores candidates against the original on the same samples, the original once for each split; may depend on runtime.
import type { Figure } from "../quantity/index.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { evaluate } from "../runtime/evaluate.ts";
import type { MetricResult } from "../runtime/metric.ts";
import type { AccuracyBudget } from "./budget.ts";
import type { Loss } from "./candidate-schema.ts";
import { lossBetween } from "./loss.ts";

export interface JudgeOptions {
  /** Path of the original. */
  readonly original: string;
  readonly budget: AccuracyBudget;
  readonly validation: Dataset;
  readonly test: Dataset | undefined;
  readonly threads: number | undefined;
  readonly seed: number;
}

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
  async original(split: Loss["split"]): Promise<MetricResult> {
    const known = this.#originals.get(split);
    if (known !== undefined) return known;
    const { own } = await this.#score(this.#options.original, split);
    this.#originals.set(split, own);
    return own;
  }

  /** What the model at `path` loses on a split. @throws LightfootError E_RUNTIME, E_DATA, E_METRIC */
  async verdict(path: string, split: Loss["split"]): Promise<Verdict> {
    const original = await this.original(split);
    const { own, fidelity } = await this.#score(path, split);
    const { maxDrop } = this.#options.budget;
    const loss = lossBetween(original, own, maxDrop, split, this.#data(split).sampleCount);
    return { loss, agreement: fidelity.figure };
  }

  #data(split: Loss["split"]): Dataset {
    return split === "test" ? this.#options.test! : this.#options.validation;
  }

  async #score(path: string, split: Loss["split"]): Promise<{ own: MetricResult; fidelity: MetricResult }> {
    const { original, budget, threads, seed } = this.#options;
    const { metrics } = await evaluate(path, this.#data(split), {
      metrics: [...new Set([budget.metric, "fidelity"])],
      reference: original,
      threads,
      seed,
    });
    // A user's module is named by its path and calls itself what it likes: the first result is the budget's.
    const [own] = Object.values(metrics);
    return { own, fidelity: metrics["fidelity"] };
  }
}
