// What a classifier chose for each sample, how sure it was, and how surprised by the label; may depend on errors, quantity, statistics and runtime.
import { LightfootError } from "../../errors/index.ts";
import { figure } from "../../quantity/index.ts";
import { wilson } from "../../statistics/index.ts";
import { bestClasses, findClassLayout, requireLabelsInRange } from "../class-decision.ts";
import { numbersOf } from "../convert-tensor.ts";
import { labelsOf } from "../decisions.ts";
import { evaluate, type EvaluateOptions } from "../evaluate.ts";
import type { Metric, MetricBatch, MetricContext } from "../metric.ts";
import type { Dataset } from "../sample-set.ts";

/** How outputs become probabilities: as they are (normalized), by softmax or sigmoid, or not at all. */
export type Reading = "probabilities" | "logits" | "classes";

/** Of every sample, `[samples]`. */
export interface Choices {
  readonly reading: Reading;
  /** The chosen class; −1 where an output is not a number. */
  readonly predicted: Int32Array;
  /** 1 where it is the label, else 0. */
  readonly correct: Uint8Array;
  /** Probability of the chosen class; undefined for outputs that are class numbers. 0 where an output is not a number. */
  readonly confidence: Float64Array | undefined;
  /** −ln of the label's probability, +∞ where it has none; undefined likewise. */
  readonly loss: Float64Array | undefined;
  readonly assumptions: Awaited<ReturnType<typeof evaluate>>["assumptions"];
}

export interface ChoicesOptions extends Pick<EvaluateOptions, "batch" | "threads" | "signal"> {
  /** Left out: probabilities where all outputs are none below 0 and sum to 1 within one percent, else logits. */
  readonly reading?: Reading;
}

/**
 * Runs a classifier over labelled data.
 *
 * A compressed model is read like its original: pass the original's `reading`, or rounding might decide it.
 * @throws LightfootError E_METRIC for more than one decision a sample or data without labels, and what `evaluate` throws
 */
export async function chooseClasses(
  model: string | Uint8Array,
  dataset: Dataset,
  options: ChoicesOptions = {},
): Promise<Choices> {
  const collector = new Collector(dataset.sampleCount);
  const metric: Metric = {
    name: "choices",
    summary: "choice, confidence and loss of every sample",
    needs: ["labels"],
    open: (context) => ({
      add: (batch) => collector.add(batch, context),
      finish: () => ({
        name: "choices",
        higherIsBetter: true,
        figure: shareRight(collector.finish(options.reading).correct),
      }),
    }),
  };
  const { reading, ...settings } = options;
  const { assumptions } = await evaluate(model, dataset, { ...settings, metrics: [metric] });
  return { ...collector.finish(reading), assumptions };
}

/** The share of ones with Wilson's interval. */
export function shareRight(correct: Uint8Array) {
  const right = correct.reduce((total, one) => total + one, 0);
  const sources = [`share of ${correct.length} samples, Wilson's interval`];
  return figure({ ...wilson(right, correct.length), unit: "1", method: "measured", sources });
}

/** Keeps a few numbers a sample under both readings, because which one holds is known only at the end. */
class Collector {
  readonly #labels: Int32Array;
  readonly #predicted: Int32Array;
  readonly #read: Record<"probabilities" | "logits", { confidence: Float64Array; loss: Float64Array }>;
  /** Scores of single-output models. */
  readonly #scores: Float64Array;
  #kind: "scores" | "single" | "decided" = "scores";
  #looksLikeProbabilities = true;

  constructor(sampleCount: number) {
    const empty = () => ({ confidence: new Float64Array(sampleCount), loss: new Float64Array(sampleCount) });
    this.#labels = new Int32Array(sampleCount);
    this.#predicted = new Int32Array(sampleCount);
    this.#scores = new Float64Array(sampleCount);
    this.#read = { probabilities: empty(), logits: empty() };
  }

  add(batch: MetricBatch, context: MetricContext): void {
    const layout = findClassLayout(batch.output, batch.labels, context.classAxis);
    if (layout.positions !== 1) {
      throw new LightfootError(
        "E_METRIC",
        `the model makes ${layout.positions} decisions a sample, an audit compares models that make one`,
        { hint: "lightfoot evaluate judges models of pixels and tokens." },
      );
    }
    const labels = labelsOf(batch);
    requireLabelsInRange(labels, layout, batch.start);
    this.#kind = layout.kind;
    this.#labels.set(labels, batch.start);
    const outputs = numbersOf(batch.output);
    if (layout.kind === "decided") this.#predicted.set(Int32Array.from(outputs), batch.start);
    else if (layout.kind === "single") {
      this.#scores.set(Float64Array.from(outputs), batch.start);
      for (let sample = 0; sample < batch.count; sample++) {
        if (outputs[sample] < 0 || outputs[sample] > 1) this.#looksLikeProbabilities = false;
      }
    } else {
      const best = bestClasses(batch.output, layout);
      this.#predicted.set(best, batch.start);
      for (let sample = 0; sample < batch.count; sample++) {
        const row = { outputs, from: sample * layout.classCount, classCount: layout.classCount };
        this.#addRow(row, best[sample], labels[sample], batch.start + sample);
      }
    }
  }

  #addRow(
    { outputs, from, classCount }: { outputs: ArrayLike<number>; from: number; classCount: number },
    chosen: number,
    label: number,
    at: number,
  ): void {
    const { probabilities, logits } = this.#read;
    if (chosen < 0) {
      probabilities.loss[at] = logits.loss[at] = Infinity;
      return;
    }
    const top = outputs[from + chosen];
    let [sum, exponentials, least] = [0, 0, Infinity];
    for (let index = from; index < from + classCount; index++) {
      sum += Math.max(0, outputs[index]);
      exponentials += Math.exp(outputs[index] - top);
      if (outputs[index] < least) least = outputs[index];
    }
    if (least < 0 || Math.abs(sum - 1) > 0.01) this.#looksLikeProbabilities = false;
    probabilities.confidence[at] = sum === 0 ? 1 / classCount : Math.max(0, top) / sum;
    probabilities.loss[at] = sum === 0 ? Math.log(classCount) : -Math.log(Math.max(0, outputs[from + label]) / sum);
    logits.confidence[at] = 1 / exponentials;
    logits.loss[at] = Math.log(exponentials) + top - outputs[from + label];
  }

  finish(given: Reading | undefined): Omit<Choices, "assumptions"> {
    if (this.#kind === "decided") return this.#result("classes", undefined);
    const reading =
      given === "probabilities" || given === "logits"
        ? given
        : this.#looksLikeProbabilities
          ? "probabilities"
          : "logits";
    const read = this.#read[reading];
    if (this.#kind === "single") {
      for (const [sample, score] of this.#scores.entries()) {
        const isNumber = !Number.isNaN(score);
        const one = reading === "logits" ? 1 / (1 + Math.exp(-score)) : Math.min(1, Math.max(0, score));
        this.#predicted[sample] = isNumber ? (one >= 0.5 ? 1 : 0) : -1;
        read.confidence[sample] = isNumber ? Math.max(one, 1 - one) : 0;
        read.loss[sample] = isNumber ? -Math.log(this.#labels[sample] === 1 ? one : 1 - one) : Infinity;
      }
    }
    return this.#result(reading, read);
  }

  #result(
    reading: Reading,
    read: { confidence: Float64Array; loss: Float64Array } | undefined,
  ): Omit<Choices, "assumptions"> {
    const correct = Uint8Array.from(this.#predicted, (chosen, at) => (chosen === this.#labels[at] ? 1 : 0));
    return { reading, predicted: this.#predicted, correct, confidence: read?.confidence, loss: read?.loss };
  }
}
