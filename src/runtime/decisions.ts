// Collects class decisions batch by batch and hands them on once they are certain; may depend on quantity, model and its room.
import type { TensorValue } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/index.ts";
import {
  bestClasses,
  findClassLayout,
  requireLabelsInRange,
  thresholdFor,
  type ClassLayout,
} from "./class-decision.ts";
import { numbersOf } from "./convert-tensor.ts";
import type { MetricBatch, MetricContext } from "./metric.ts";

/** The labels of a batch; metrics that need labels are never opened without them. */
export const labelsOf = (batch: MetricBatch): Int32Array => (batch.labels as TensorValue).data as Int32Array;

/** Hands each batch's decisions on; single scores wait until all are seen, because the threshold depends on them all. */
export class Decisions {
  readonly #context: MetricContext;
  readonly #receive: (predicted: Int32Array, labels: Int32Array, start: number, layout: ClassLayout) => void;
  readonly #waiting: { batch: MetricBatch; scores: Float64Array; layout: ClassLayout }[] = [];

  constructor(
    context: MetricContext,
    receive: (predicted: Int32Array, labels: Int32Array, start: number, layout: ClassLayout) => void,
  ) {
    this.#context = context;
    this.#receive = receive;
  }

  add(batch: MetricBatch): void {
    const layout = findClassLayout(batch.output, batch.labels, this.#context.classAxis);
    requireLabelsInRange(labelsOf(batch), layout, batch.start);
    if (layout.kind === "single") {
      this.#waiting.push({ batch, scores: Float64Array.from(numbersOf(batch.output)), layout });
    } else {
      const predicted =
        layout.kind === "scores" ? bestClasses(batch.output, layout) : Int32Array.from(numbersOf(batch.output));
      this.#receive(predicted, labelsOf(batch), batch.start, layout);
    }
  }

  finish(): readonly Assumption[] {
    if (this.#waiting.length === 0) return [];
    const given = this.#context.threshold;
    const choices = this.#waiting.map(({ scores }) => thresholdFor(scores, given));
    // One batch with a score outside 0…1 makes all of them logits.
    const { threshold, assumptions } = choices.find((choice) => choice.threshold === 0) ?? choices[0];
    for (const { batch, scores, layout } of this.#waiting) {
      const predicted = Int32Array.from(scores, (score) => (score !== score ? -1 : score >= threshold ? 1 : 0));
      this.#receive(predicted, labelsOf(batch), batch.start, layout);
    }
    return assumptions;
  }
}
