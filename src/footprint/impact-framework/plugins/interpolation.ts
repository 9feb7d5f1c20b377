// Interpolation between given points: linear, natural cubic spline, polynomial; may depend on errors and its room.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { ratio, show } from "../findings.ts";
import { cellAt, columnOf, withColumns } from "../observations.ts";
import {
  at,
  configError,
  numbersOf,
  operandOf,
  placeOf,
  textOf,
  writeNumbers,
  type PluginCall,
  type PluginKind,
} from "../plugin.ts";

export const INTERPOLATION_METHODS = ["linear", "spline", "polynomial"] as const;
type Method = (typeof INTERPOLATION_METHODS)[number];
type Curve = (x: number) => number;

/**
 * y at the input parameter's x; the word `off` is 0.
 *
 * The framework sorts x and y each for itself: points of a falling curve are joined crosswise.
 */
export const interpolation: PluginKind = {
  expressions: ["input-parameter"],
  run(call) {
    const method = (call.config["method"] ?? "linear") as Method;
    if (!INTERPOLATION_METHODS.includes(method)) {
      throw configError(call, `'method' is ${JSON.stringify(method)}, expected ${INTERPOLATION_METHODS.join(", ")}`);
    }
    const xs = pointsOf(call, "x");
    const ys = pointsOf(call, "y");
    if (xs.length !== ys.length) throw configError(call, `x has ${xs.length} points and y has ${ys.length}`);
    if (xs.length < 2) throw configError(call, "x and y need at least two points");
    const order = xs.map((_, index) => index).toSorted((a, b) => xs[a] - xs[b]);
    const x = order.map((index) => xs[index]);
    const together = order.map((index) => ys[index]);
    const apart = ys.toSorted((a, b) => a - b);
    if (x.some((value, index) => index > 0 && value === x[index - 1])) throw configError(call, "x holds a point twice");
    const curves = { written: curveOf(method, x, apart), right: curveOf(method, x, together) };
    numbersOf(call, "duration");
    const { call: asked, input } = switchedOff(call);
    const curve = call.arithmetic === "corrected" ? curves.right : curves.written;
    const output = new Float64Array(call.observations.length);
    const isSorted = apart.every((value, index) => value === together[index]);
    for (let row = 0; row < output.length; row++) {
      const value = input(row);
      if (value === "off") continue;
      if (!(value >= 0) || value < x[0] || value > x[x.length - 1]) {
        throw new LightfootError(
          "E_IMPACT",
          `${call.name}: '${String(call.config["input-parameter"])}' is ${value}, outside of x ${x[0]}…${x[x.length - 1]}`,
          {
            where: placeOf(call, row, String(call.config["input-parameter"])),
            hint: "Give points that span every value.",
          },
        );
      }
      output[row] = curve(value);
      if (!isSorted) {
        call.report({
          code: "interpolation-points-sorted",
          severity: "error",
          message: "x and y are sorted each for itself, which joins the points of a curve that does not rise crosswise",
          where: { path: `initialize.plugins.${call.name}.config.y` },
          says: show(curves.written(value)),
          right: show(curves.right(value)),
          factor: ratio(curves.written(value), curves.right(value)),
        });
      }
      const [low, high] = [apart[0], apart[apart.length - 1]];
      if (method !== "linear" && (output[row] < Math.min(0, low) || output[row] > high + (high - low))) {
        call.report({
          code: "interpolation-spline-overshoot",
          severity: "warning",
          message: `the ${method} leaves the range of its points (${show(low)}…${show(high)})`,
          where: { path: `initialize.plugins.${call.name}.config.method` },
          says: show(output[row]),
          right: show(curveOf("linear", x, together)(value)),
        });
      }
    }
    return writeNumbers(asked, textOf(call, "output-parameter"), output);
  },
};

function pointsOf(call: PluginCall, key: string): number[] {
  const value = call.config[key];
  if (Array.isArray(value) && value.every((each) => typeof each === "number" && !Number.isNaN(each))) {
    return value as number[];
  }
  throw configError(call, `'${key}' is ${JSON.stringify(value) ?? "missing"}, expected a list of numbers`);
}

/** The input of each observation, and the observations with `off` written as 0, as the framework does. */
function switchedOff(call: PluginCall): { call: PluginCall; input: (row: number) => number | "off" } {
  const name = call.config["input-parameter"];
  const column = typeof name === "string" ? call.observations.columns.get(name) : undefined;
  if (typeof name === "string" && (column?.kind === "any" || column?.kind === "constant")) {
    const cells = Array.from({ length: call.observations.length }, (_, row) => cellAt(column, row));
    if (cells.includes("off")) {
      const zeroed = cells.map((cell) => (cell === "off" ? 0 : cell));
      const next = { ...call, observations: withColumns(call.observations, [[name, columnOf(zeroed)]]) };
      const numbers = operandOf(next, "input-parameter");
      return { call: next, input: (row) => (cells[row] === "off" ? "off" : at(numbers, row)) };
    }
  }
  const numbers = operandOf(call, "input-parameter");
  return { call, input: (row) => at(numbers, row) };
}

export function curveOf(method: Method, x: readonly number[], y: readonly number[]): Curve {
  if (method === "linear") return linear(x, y);
  return method === "spline" ? naturalSpline(x, y) : lagrange(x, y);
}

/** Index of the last point at or before `value`. */
function segmentOf(x: readonly number[], value: number): number {
  let low = 0;
  let high = x.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}

const linear =
  (x: readonly number[], y: readonly number[]): Curve =>
  (value) => {
    const last = x.length - 1;
    if (value === x[last]) return y[last];
    const left = segmentOf(x, value);
    if (value === x[left]) return y[left];
    return y[left] + (value - x[left]) * ((y[left + 1] - y[left]) / (x[left + 1] - x[left]));
  };

/** Lagrange's polynomial through all points. */
const lagrange =
  (x: readonly number[], y: readonly number[]): Curve =>
  (value) => {
    let result = 0;
    for (let i = 0; i < x.length; i++) {
      let product = 1;
      for (let j = 0; j < x.length; j++) if (j !== i) product = (product * (value - x[j])) / (x[i] - x[j]);
      result += y[i] * product;
    }
    return result;
  };

/** Cubic spline with second derivative 0 at both ends; slopes from the tridiagonal system (Thomas' algorithm). */
function naturalSpline(x: readonly number[], y: readonly number[]): Curve {
  const n = x.length - 1;
  const lower = new Float64Array(n + 1);
  const diagonal = new Float64Array(n + 1);
  const upper = new Float64Array(n + 1);
  const right = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) {
    const width = 1 / (x[i + 1] - x[i]);
    const rise = 3 * (y[i + 1] - y[i]) * width * width;
    diagonal[i] += 2 * width;
    diagonal[i + 1] += 2 * width;
    upper[i] = width;
    lower[i + 1] = width;
    right[i] += rise;
    right[i + 1] += rise;
  }
  for (let i = 1; i <= n; i++) {
    const factor = lower[i] / diagonal[i - 1];
    diagonal[i] -= factor * upper[i - 1];
    right[i] -= factor * right[i - 1];
  }
  const slope = new Float64Array(n + 1);
  for (let i = n; i >= 0; i--) slope[i] = (right[i] - (i < n ? upper[i] * slope[i + 1] : 0)) / diagonal[i];
  return (value) => {
    const left = segmentOf(x, value);
    const width = x[left + 1] - x[left];
    const rise = y[left + 1] - y[left];
    const t = (value - x[left]) / width;
    const a = slope[left] * width - rise;
    const b = -slope[left + 1] * width + rise;
    return (1 - t) * y[left] + t * y[left + 1] + t * (1 - t) * (a * (1 - t) + b * t);
  };
}
