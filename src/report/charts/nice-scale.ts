// Axis ends on round numbers; depends on nothing.

export interface Scale {
  readonly min: number;
  readonly max: number;
  readonly interval: number;
}

const ROUND = [1, 2, 2.5, 5, 10];

/** Ends and step on multiples of 1, 2, 2.5 or 5 times a power of ten, about `steps` of them over `low … high`. */
export function niceScale(low: number, high: number, steps = 5): Scale {
  const span = high > low ? high - low : Math.max(Math.abs(high), 1e-9) * 0.01;
  const power = 10 ** Math.floor(Math.log10(span / steps));
  const interval = power * (ROUND.find((factor) => factor * power >= span / steps) ?? 10);
  return { min: Math.floor(low / interval) * interval, max: Math.ceil(high / interval) * interval, interval };
}
