// Metrics of distance between two tensors, output and target or output and reference: MSE, MAE, cosine, SQNR; may depend
// on errors, quantity and its room.
import { LightfootError } from "../errors/index.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { figure } from "../quantity/index.ts";
import { numbersOf } from "./convert-tensor.ts";
import { meanFigure } from "./mean-figure.ts";
import type { Metric, MetricAccumulator, MetricBatch, MetricContext } from "./metric.ts";
import { PoissonBootstrap, REPLICATES } from "./poisson-bootstrap.ts";

/** Which tensor the output is held against. */
export type Against = "targets" | "reference";

type SampleDistance = (output: ArrayLike<number>, other: ArrayLike<number>, from: number, to: number) => number;

const meanSquare: SampleDistance = (output, other, from, to) => {
  let total = 0;
  for (let index = from; index < to; index++) total += (output[index] - other[index]) ** 2;
  return total / (to - from);
};

const meanAbsolute: SampleDistance = (output, other, from, to) => {
  let total = 0;
  for (let index = from; index < to; index++) total += Math.abs(output[index] - other[index]);
  return total / (to - from);
};

/** Two zero vectors are alike (1); a zero vector and another are not (0). */
const cosineOf: SampleDistance = (output, other, from, to) => {
  let dot = 0;
  let left = 0;
  let right = 0;
  for (let index = from; index < to; index++) {
    dot += output[index] * other[index];
    left += output[index] ** 2;
    right += other[index] ** 2;
  }
  if (left === 0 || right === 0) return left === right ? 1 : 0;
  return Math.min(1, Math.max(-1, dot / Math.sqrt(left) / Math.sqrt(right)));
};

/** Mean over samples of a distance within each sample; its interval is Student's t over samples. */
function meanMetric(
  name: string,
  against: Against,
  summary: string,
  options: {
    readonly distance: SampleDistance;
    readonly higherIsBetter: boolean;
    readonly within: readonly [number, number];
  },
): Metric {
  return {
    name,
    summary,
    needs: [against],
    open: (context) => openMean(name, against, context, options),
  };
}

function openMean(
  name: string,
  against: Against,
  context: MetricContext,
  options: {
    readonly distance: SampleDistance;
    readonly higherIsBetter: boolean;
    readonly within: readonly [number, number];
  },
): MetricAccumulator {
  const perSample = new Float64Array(context.sampleCount);
  return {
    add(batch) {
      const { output, other, width } = sides(name, batch, against);
      for (let row = 0; row < batch.count; row++) {
        perSample[batch.start + row] = options.distance(output, other, row * width, (row + 1) * width);
      }
    },
    finish() {
      requireNumbers(name, perSample);
      const source = `${name} against the ${against}, mean over samples`;
      return {
        name,
        higherIsBetter: options.higherIsBetter,
        perSample,
        figure: meanFigure(perSample, { unit: "", source, within: options.within }),
      };
    },
  };
}

const NOT_NEGATIVE = [0, Number.POSITIVE_INFINITY] as const;

export const mse = meanMetric("mse", "targets", "mean squared error against the targets", {
  distance: meanSquare,
  higherIsBetter: false,
  within: NOT_NEGATIVE,
});

export const mae = meanMetric("mae", "targets", "mean absolute error against the targets", {
  distance: meanAbsolute,
  higherIsBetter: false,
  within: NOT_NEGATIVE,
});

const COSINE = { distance: cosineOf, higherIsBetter: true, within: [-1, 1] } as const;

export const cosine = meanMetric("cosine", "targets", "cosine of output and target, mean over samples", COSINE);

export const fidelityCosine = meanMetric(
  "fidelity-cosine",
  "reference",
  "cosine of the output and the original's, mean over samples",
  COSINE,
);

// Equal outputs have no noise at all; a figure must be finite, and no float32 computation is cleaner than this.
const CEILING_DECIBELS = 200;

/** 10 · log₁₀(Σ reference² / Σ (output − reference)²) over all elements, in dB; the interval is a bootstrap over samples. */
export const sqnr: Metric = {
  name: "sqnr",
  summary: "signal-to-quantization-noise ratio against the original's output, in dB",
  needs: ["reference"],
  open(context) {
    const bootstrap = new PoissonBootstrap(context.seed, "sqnr");
    const signal = new Float64Array(REPLICATES + 1);
    const noise = new Float64Array(REPLICATES + 1);
    const ratio = (replicate: number): number => {
      if (noise[replicate] === 0) return CEILING_DECIBELS;
      if (signal[replicate] === 0) return -CEILING_DECIBELS;
      const decibels = 10 * Math.log10(signal[replicate] / noise[replicate]);
      return Math.min(CEILING_DECIBELS, Math.max(-CEILING_DECIBELS, decibels));
    };
    return {
      add(batch) {
        const { output, other, width } = sides("sqnr", batch, "reference");
        for (let row = 0; row < batch.count; row++) {
          const weights = bootstrap.nextWeights();
          const sampleNoise = meanSquare(output, other, row * width, (row + 1) * width);
          let sampleSignal = 0;
          for (let index = row * width; index < (row + 1) * width; index++) sampleSignal += other[index] ** 2 / width;
          for (let replicate = 0; replicate <= REPLICATES; replicate++) {
            signal[replicate] += weights[replicate] * sampleSignal;
            noise[replicate] += weights[replicate] * sampleNoise;
          }
        }
      },
      finish() {
        requireNumbers("sqnr", [signal[0], noise[0]]);
        const sources = [`sqnr over ${context.sampleCount} samples, ${bootstrap.source}`];
        const equal = {
          key: "metric.sqnr-equal",
          text: `No output differs; ${CEILING_DECIBELS} dB stands for no noise.`,
        };
        return {
          name: "sqnr",
          higherIsBetter: true,
          figure: figure({
            ...bootstrap.interval(ratio),
            unit: "dB",
            method: "measured",
            sources,
            assumptions: noise[0] === 0 ? [equal] : [],
          }),
        };
      },
    };
  },
};

interface Sides {
  readonly output: ArrayLike<number>;
  readonly other: ArrayLike<number>;
  /** Elements of one sample. */
  readonly width: number;
}

function sides(name: string, batch: MetricBatch, against: Against): Sides {
  const other = (against === "targets" ? batch.targets : batch.reference) as TensorValue;
  const width = batch.output.data.length / batch.count;
  if (!sameSamples(batch.output.shape, other.shape)) {
    throw new LightfootError(
      "E_METRIC",
      `${name}: the output is [${batch.output.shape.join(",")}], the ${against} are [${other.shape.join(",")}]`,
      { hint: "Both need the same shape; choose another output if the model has several." },
    );
  }
  return { output: numbersOf(batch.output), other: numbersOf(other), width };
}

const wide = (shape: readonly number[]): string =>
  shape
    .slice(1)
    .filter((size) => size !== 1)
    .join();

/** The same shape but for axes of size 1: targets `[N]` fit an output `[N, 1]`. */
const sameSamples = (left: readonly number[], right: readonly number[]): boolean => wide(left) === wide(right);

function requireNumbers(name: string, values: ArrayLike<number>): void {
  for (let index = 0; index < values.length; index++) {
    if (!Number.isFinite(values[index])) {
      throw new LightfootError(
        "E_METRIC",
        `${name} of sample ${index} is ${values[index]}: the outputs are not finite`,
        {
          hint: "Check the model's outputs for overflow; float16 ends at 65504.",
        },
      );
    }
  }
}
