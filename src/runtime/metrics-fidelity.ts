// Metrics of agreement with the original model; may depend on errors, quantity and its room.
import type { TensorValue } from "../model/tensor-value.ts";
import { bestClasses, findClassLayout, thresholdFor, type ClassLayout } from "./class-decision.ts";
import { numbersOf } from "./convert-tensor.ts";
import type { Metric, MetricAccumulator, MetricContext } from "./metric.ts";
import { RightShare } from "./metrics-classification.ts";
import { fidelityCosine } from "./metrics-distance.ts";

/** Share of decisions in which the model and the original choose the same class; labels only help to find the class axis. */
export const agreement: Metric = {
  name: "agreement",
  summary: "share of decisions equal to the original's",
  needs: ["reference"],
  open: (context) => openAgreement("agreement", context),
};

/** Agreement for classifiers (data with labels), else the cosine of the outputs. */
export const fidelity: Metric = {
  name: "fidelity",
  summary: "agreement with the original when the data has labels, else the cosine of both outputs",
  needs: ["reference"],
  open(context) {
    if (context.hasLabels) return openAgreement("fidelity", context);
    const inner = fidelityCosine.open(context);
    return {
      add: (batch) => inner.add(batch),
      finish: async () => ({ ...(await inner.finish()), name: "fidelity" }),
    };
  },
};

function openAgreement(name: string, context: MetricContext): MetricAccumulator {
  const share = new RightShare(name, context);
  const singles: { own: Float64Array; original: Float64Array; start: number; layout: ClassLayout }[] = [];
  const compare = (own: Int32Array, original: Int32Array, start: number, layout: ClassLayout): void => {
    // Not a number on both sides (−1) is no agreement.
    share.add((position) => own[position] === original[position] && own[position] >= 0, own.length, start, layout);
  };
  return {
    add(batch) {
      const reference = batch.reference as TensorValue;
      const layout = findClassLayout(batch.output, batch.labels, context.classAxis);
      if (layout.kind === "single") {
        const [own, original] = [batch.output, reference].map((value) => Float64Array.from(numbersOf(value)));
        singles.push({ own, original, start: batch.start, layout });
        return;
      }
      const decide = (value: TensorValue): Int32Array =>
        layout.kind === "scores" ? bestClasses(value, layout) : Int32Array.from(numbersOf(value));
      compare(decide(batch.output), decide(reference), batch.start, layout);
    },
    finish() {
      const choices = singles
        .flatMap(({ own, original }) => [own, original])
        .map((scores) => thresholdFor(scores, context.threshold));
      const choice = choices.find(({ threshold }) => threshold === 0) ?? choices[0];
      for (const { own, original, start, layout } of singles) {
        const decide = (scores: Float64Array): Int32Array =>
          Int32Array.from(scores, (score) => (Number.isNaN(score) ? -1 : Number(score >= choice.threshold)));
        compare(decide(own), decide(original), start, layout);
      }
      return share.finish(choice?.assumptions ?? []);
    },
  };
}
