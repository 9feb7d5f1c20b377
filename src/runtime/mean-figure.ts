// A mean over samples as a figure with its interval; may depend on quantity and statistics.
import { figure, type Assumption, type Figure } from "../quantity/index.ts";
import { meanInterval } from "../statistics/index.ts";

export interface MeanFigureOptions {
  readonly unit: string;
  readonly source: string;
  readonly assumptions?: readonly Assumption[];
  /** Range that the mean cannot leave; the interval is cut to it. */
  readonly within?: readonly [low: number, high: number];
}

/** Mean x̄ with Student's interval over the values; a single value gives a point, with an assumption that says so. */
export function meanFigure(values: ArrayLike<number>, options: MeanFigureOptions): Figure {
  const count = values.length;
  const [floor, ceiling] = options.within ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const { value, low, high } = count < 2 ? { value: values[0], low: values[0], high: values[0] } : meanInterval(values);
  const single: Assumption = { key: "metric.single-sample", text: "One sample gives no interval." };
  return figure({
    value,
    low: Math.min(value, Math.max(floor, low)),
    high: Math.max(value, Math.min(ceiling, high)),
    unit: options.unit,
    method: "measured",
    sources: [`${options.source} (${count} values, Student's t)`],
    assumptions: [...(options.assumptions ?? []), ...(count < 2 ? [single] : [])],
  });
}
