// A mean over samples as a figure with its interval; may depend on quantity and statistics.
import { figure, type Assumption, type Figure } from "../quantity/index.ts";
import { studentQuantile } from "../statistics/special-functions.ts";

export interface MeanFigureOptions {
  readonly unit: string;
  readonly source: string;
  readonly assumptions?: readonly Assumption[];
  /** Range that the mean cannot leave; the interval is cut to it. */
  readonly within?: readonly [low: number, high: number];
}

/** Mean x̄ with x̄ ± t₀.₉₇₅,ₙ₋₁ · s/√n; a single sample gives a point, with an assumption that says so. */
export function meanFigure(values: ArrayLike<number>, options: MeanFigureOptions): Figure {
  const count = values.length;
  let mean = 0;
  let squares = 0;
  for (let index = 0; index < count; index++) {
    // Welford's update: the plain sum of squares loses all digits when the spread is small against the mean.
    const delta = values[index] - mean;
    mean += delta / (index + 1);
    squares += delta * (values[index] - mean);
  }
  const half = count < 2 ? 0 : studentQuantile(0.975, count - 1) * Math.sqrt(squares / (count - 1) / count);
  const [floor, ceiling] = options.within ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const single: Assumption = { key: "metric.single-sample", text: "One sample gives no interval." };
  return figure({
    value: mean,
    low: Math.min(mean, Math.max(floor, mean - half)),
    high: Math.max(mean, Math.min(ceiling, mean + half)),
    unit: options.unit,
    method: "measured",
    sources: [`${options.source} (${count} samples, Student's t)`],
    assumptions: [...(options.assumptions ?? []), ...(count < 2 ? [single] : [])],
  });
}
