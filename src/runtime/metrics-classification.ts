// Metrics of single decisions: accuracy and top-k; may depend on errors, quantity, statistics and its room.
import { LightfootError } from "../errors/index.ts";
import { figure, type Assumption } from "../quantity/index.ts";
import { wilson } from "../statistics/index.ts";
import { findClassLayout, rankOfLabel, requireLabelsInRange, type ClassLayout } from "./class-decision.ts";
import { Decisions, labelsOf } from "./decisions.ts";
import { meanFigure } from "./mean-figure.ts";
import type { Metric, MetricAccumulator, MetricContext, MetricResult } from "./metric.ts";

/** Shares of right decisions by sample, as a result: Wilson's interval for one decision a sample, else that of a mean. */
export class RightShare {
  readonly #name: string;
  readonly #shares: Float64Array;
  #positions = 1;

  constructor(name: string, context: MetricContext) {
    this.#name = name;
    this.#shares = new Float64Array(context.sampleCount);
  }

  add(right: (position: number) => boolean, decisions: number, start: number, layout: ClassLayout): void {
    this.#positions = layout.positions;
    for (let position = 0; position < decisions; position++) {
      if (!right(position)) continue;
      const sample = start + Math.floor(position / layout.positions);
      this.#shares[sample] = this.#shares[sample] + 1;
    }
  }

  finish(assumptions: readonly Assumption[]): MetricResult {
    const name = this.#name;
    if (this.#positions === 1) {
      const perSample = Uint8Array.from(this.#shares);
      const interval = wilson(
        perSample.reduce((total, right) => total + right, 0),
        perSample.length,
      );
      const sources = [`${name} over ${perSample.length} samples, Wilson's interval`];
      return {
        name,
        higherIsBetter: true,
        perSample,
        figure: figure({ ...interval, unit: "1", method: "measured", sources, assumptions }),
      };
    }
    // Pixels or tokens of one sample are not independent: the interval is over samples.
    const perSample = this.#shares.map((count) => count / this.#positions);
    return {
      name,
      higherIsBetter: true,
      perSample,
      figure: meanFigure(perSample, { unit: "1", source: `${name}, mean over samples`, assumptions, within: [0, 1] }),
    };
  }
}

export const accuracy: Metric = {
  name: "accuracy",
  summary: "share of decisions equal to the label; argmax over the class axis, or a single score against its threshold",
  needs: ["labels"],
  open(context): MetricAccumulator {
    const share = new RightShare("accuracy", context);
    const decisions = new Decisions(context, (predicted, labels, start, layout) => {
      share.add((position) => predicted[position] === labels[position], predicted.length, start, layout);
    });
    return { add: (batch) => decisions.add(batch), finish: () => share.finish(decisions.finish()) };
  },
};

/** Share of decisions whose label is among the `k` best classes. */
export function topK(k: number): Metric {
  const name = `top${k}`;
  return {
    name,
    summary: `share of decisions whose label is among the ${k} best classes`,
    needs: ["labels"],
    open(context) {
      const share = new RightShare(name, context);
      return {
        add(batch) {
          const layout = findClassLayout(batch.output, batch.labels, context.classAxis);
          if (layout.kind !== "scores") {
            throw new LightfootError("E_METRIC", `${name} needs a score for each class, the output has none`, {
              hint: "Use accuracy for outputs that are one score or a class number.",
            });
          }
          const labels = labelsOf(batch);
          requireLabelsInRange(labels, layout, batch.start);
          const ranks = rankOfLabel(batch.output, labels, layout);
          share.add((position) => ranks[position] < Math.min(k, layout.classCount), ranks.length, batch.start, layout);
        },
        finish: () => share.finish([]),
      };
    },
  };
}
