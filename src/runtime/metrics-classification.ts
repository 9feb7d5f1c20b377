// Metrics of classifiers: accuracy, top-k and F1; may depend on errors, quantity, statistics and its room.
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { figure, type Assumption } from "../quantity/index.ts";
import { seededRandom, wilson } from "../statistics/index.ts";
import {
  bestClasses,
  findClassLayout,
  rankOfLabel,
  requireLabelsInRange,
  thresholdFor,
  type ClassLayout,
} from "./class-decision.ts";
import { numbersOf } from "./convert-tensor.ts";
import { meanFigure } from "./mean-figure.ts";
import type { Metric, MetricAccumulator, MetricBatch, MetricContext, MetricResult } from "./metric.ts";

const labelsOf = (batch: MetricBatch): Int32Array => (batch.labels as TensorValue).data as Int32Array;

/** Hands each batch's decisions on; single scores wait until all are seen, because the threshold depends on them all. */
class Decisions {
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
    const { threshold, assumptions } =
      choices.find((choice) => choice.threshold === 0) ?? (choices[0] as (typeof choices)[0]);
    for (const { batch, scores, layout } of this.#waiting) {
      const predicted = Int32Array.from(scores, (score) => (score !== score ? -1 : score >= threshold ? 1 : 0));
      this.#receive(predicted, labelsOf(batch), batch.start, layout);
    }
    return assumptions;
  }
}

/** Shares of right decisions by sample, as a result: Wilson's interval for one decision a sample, else that of a mean. */
class RightShare {
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
      this.#shares[sample] = (this.#shares[sample] as number) + 1;
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
        figure: figure({ ...interval, unit: "", method: "measured", sources, assumptions }),
      };
    }
    // Pixels or tokens of one sample are not independent: the interval is over samples.
    const perSample = this.#shares.map((count) => count / this.#positions);
    return {
      name,
      higherIsBetter: true,
      perSample,
      figure: meanFigure(perSample, { unit: "", source: `${name}, mean over samples`, assumptions, within: [0, 1] }),
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
          share.add(
            (position) => (ranks[position] as number) < Math.min(k, layout.classCount),
            ranks.length,
            batch.start,
            layout,
          );
        },
        finish: () => share.finish([]),
      };
    },
  };
}

export type F1Average = "macro" | "micro" | "binary";

const REPLICATES = 500;
// P(X ≤ k) of a Poisson variable with mean 1, for k = 0, 1, …; beyond the list the chance is below 1e-9.
const POISSON_ONE = Array.from({ length: 13 }, (_, last) => {
  let term = Math.exp(-1);
  let total = 0;
  for (let k = 0; k <= last; k++) {
    total += term;
    term /= k + 1;
  }
  return total;
});

/**
 * F1 = 2 TP / (2 TP + FP + FN): `macro` averages over the classes that occur, `micro` pools them, `binary` is class 1.
 *
 * The interval is a Poisson bootstrap over samples (each sample enters a replicate Poisson(1) times), which needs one
 * pass and memory for the counts only. Source: Chamandy et al. 2012, Google Research, "Estimating uncertainty for
 * massive data streams".
 */
export function f1(average: F1Average, name = `f1-${average}`): Metric {
  return {
    name,
    summary: `F1, ${average === "binary" ? "of class 1" : `${average} average over classes`}`,
    needs: ["labels"],
    open(context) {
      const random = seededRandom(context.seed).fork(name);
      const counts = new WeightedCounts();
      const decisions = new Decisions(context, (predicted, labels, _start, layout) => {
        if (average === "binary" && layout.classCount !== 2) {
          throw new LightfootError("E_METRIC", `${name} is for two classes, the output has ${layout.classCount}`, {
            hint: "Use f1-macro or f1-micro.",
          });
        }
        const weights = new Uint8Array(REPLICATES + 1);
        for (let sample = 0; sample < predicted.length / layout.positions; sample++) {
          weights[0] = 1; // replicate 0 is the data as they are
          for (let replicate = 1; replicate <= REPLICATES; replicate++) {
            const uniform = random.next();
            let draw = 0;
            while (draw < POISSON_ONE.length && uniform > (POISSON_ONE[draw] as number)) draw++;
            weights[replicate] = draw;
          }
          for (let inner = 0; inner < layout.positions; inner++) {
            const position = sample * layout.positions + inner;
            counts.add(labels[position] as number, predicted[position] as number, weights);
          }
        }
      });
      return {
        add: (batch) => decisions.add(batch),
        finish() {
          const assumptions = decisions.finish();
          const value = counts.f1(average, 0);
          const replicates = Float64Array.from({ length: REPLICATES }, (_, index) =>
            counts.f1(average, index + 1),
          ).sort();
          const source = `${name} over ${context.sampleCount} samples, Poisson bootstrap of ${REPLICATES} (seed ${context.seed})`;
          return {
            name,
            higherIsBetter: true,
            figure: figure({
              value,
              low: Math.min(value, replicates[Math.floor(0.025 * REPLICATES)] as number),
              high: Math.max(value, replicates[Math.ceil(0.975 * REPLICATES) - 1] as number),
              unit: "",
              method: "measured",
              sources: [source],
              assumptions,
            }),
          };
        },
      };
    },
  };
}

/** True positives, predictions and labels of each class, in the data and in every replicate. */
class WeightedCounts {
  readonly #classes: { hits: Float64Array; predicted: Float64Array; labelled: Float64Array }[] = [];

  add(label: number, predicted: number, weights: Uint8Array): void {
    const labelled = this.#class(label).labelled;
    const hits = label === predicted ? this.#class(label).hits : undefined;
    const claimed = predicted < 0 ? undefined : this.#class(predicted).predicted;
    for (let replicate = 0; replicate < weights.length; replicate++) {
      const weight = weights[replicate] as number;
      labelled[replicate] = (labelled[replicate] as number) + weight;
      if (hits !== undefined) hits[replicate] = (hits[replicate] as number) + weight;
      if (claimed !== undefined) claimed[replicate] = (claimed[replicate] as number) + weight;
    }
  }

  f1(average: F1Average, replicate: number): number {
    const ratio = (hits: number, predicted: number, labelled: number): number =>
      predicted + labelled === 0 ? 0 : (2 * hits) / (predicted + labelled);
    const at = (index: number) => {
      const counts = this.#classes[index];
      return {
        hits: counts?.hits[replicate] ?? 0,
        predicted: counts?.predicted[replicate] ?? 0,
        labelled: counts?.labelled[replicate] ?? 0,
      };
    };
    if (average === "binary") return ratio(at(1).hits, at(1).predicted, at(1).labelled);
    const occurring = Object.keys(this.#classes).map((index) => at(Number(index)));
    if (average === "macro") {
      return (
        occurring.reduce((total, { hits, predicted, labelled }) => total + ratio(hits, predicted, labelled), 0) /
        occurring.length
      );
    }
    const pooled = (pick: "hits" | "predicted" | "labelled") =>
      occurring.reduce((total, entry) => total + entry[pick], 0);
    return ratio(pooled("hits"), pooled("predicted"), pooled("labelled"));
  }

  #class(index: number) {
    const empty = () => new Float64Array(REPLICATES + 1);
    return (this.#classes[index] ??= { hits: empty(), predicted: empty(), labelled: empty() });
  }
}
