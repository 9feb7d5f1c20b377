// F1 of classifiers with bootstrap intervals; may depend on errors, quantity, statistics and its room.
import { LightfootError } from "../errors/index.ts";
import { figure } from "../quantity/index.ts";
import { Decisions } from "./decisions.ts";
import type { Metric } from "./metric.ts";
import { PoissonBootstrap, REPLICATES } from "./poisson-bootstrap.ts";

export type F1Average = "macro" | "micro" | "binary";

/**
 * F1 = 2 TP / (2 TP + FP + FN): `macro` averages over the classes that occur, `micro` pools them, `binary` is class 1.
 *
 * The interval is a Poisson bootstrap over samples.
 */
export function f1(average: F1Average, name = `f1-${average}`): Metric {
  return {
    name,
    summary: `F1, ${average === "binary" ? "of class 1" : `${average} average over classes`}`,
    needs: ["labels"],
    open(context) {
      const bootstrap = new PoissonBootstrap(context.seed, name);
      const counts = new WeightedCounts();
      const decisions = new Decisions(context, (predicted, labels, _start, layout) => {
        if (average === "binary" && layout.classCount !== 2) {
          throw new LightfootError("E_METRIC", `${name} is for two classes, the output has ${layout.classCount}`, {
            hint: "Use f1-macro or f1-micro.",
          });
        }
        for (let sample = 0; sample < predicted.length / layout.positions; sample++) {
          const weights = bootstrap.nextWeights();
          for (let inner = 0; inner < layout.positions; inner++) {
            const position = sample * layout.positions + inner;
            counts.add(labels[position], predicted[position], weights);
          }
        }
      });
      return {
        add: (batch) => decisions.add(batch),
        finish() {
          const assumptions = decisions.finish();
          const interval = bootstrap.interval((replicate) => counts.f1(average, replicate));
          const sources = [`${name} over ${context.sampleCount} samples, ${bootstrap.source}`];
          return {
            name,
            higherIsBetter: true,
            figure: figure({ ...interval, unit: "1", method: "measured", sources, assumptions }),
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
      const weight = weights[replicate];
      labelled[replicate] = labelled[replicate] + weight;
      if (hits !== undefined) hits[replicate] = hits[replicate] + weight;
      if (claimed !== undefined) claimed[replicate] = claimed[replicate] + weight;
    }
  }

  f1(average: F1Average, replicate: number): number {
    const at = (index: number) => {
      const counts = this.#classes[index];
      return {
        hits: counts?.hits[replicate] ?? 0,
        predicted: counts?.predicted[replicate] ?? 0,
        labelled: counts?.labelled[replicate] ?? 0,
      };
    };
    if (average === "binary") return f1Of(at(1).hits, at(1).predicted, at(1).labelled);
    const occurring = Object.keys(this.#classes).map((index) => at(Number(index)));
    if (average === "macro") {
      return (
        occurring.reduce((total, { hits, predicted, labelled }) => total + f1Of(hits, predicted, labelled), 0) /
        occurring.length
      );
    }
    const pooled = (pick: "hits" | "predicted" | "labelled") =>
      occurring.reduce((total, entry) => total + entry[pick], 0);
    return f1Of(pooled("hits"), pooled("predicted"), pooled("labelled"));
  }

  #class(index: number) {
    return (this.#classes[index] ??= { hits: emptyCounts(), predicted: emptyCounts(), labelled: emptyCounts() });
  }
}

const emptyCounts = (): Float64Array => new Float64Array(REPLICATES + 1);

const f1Of = (hits: number, predicted: number, labelled: number): number =>
  predicted + labelled === 0 ? 0 : (2 * hits) / (predicted + labelled);
