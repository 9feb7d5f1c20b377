// The catalogue of metrics by name; may depend on errors and its room.
import { closestName } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/index.ts";
import type { Metric } from "./metric.ts";
import { accuracy, topK } from "./metrics-classification.ts";
import { cosine, fidelityCosine, mae, mse, sqnr } from "./metrics-distance.ts";
import { f1 } from "./metrics-f1.ts";
import { agreement, fidelity } from "./metrics-fidelity.ts";
import { loadUserMetric } from "./metrics-user.ts";

const NAMED: readonly Metric[] = [
  accuracy,
  f1("macro", "f1"),
  f1("macro"),
  f1("micro"),
  f1("binary"),
  mse,
  mae,
  cosine,
  fidelity,
  agreement,
  fidelityCosine,
  sqnr,
];

const TOP_K = /^top-?([1-9]\d*)$/;
const isModulePath = (name: string): boolean => /^[./]/.test(name) || /\.[cm]?js$/.test(name);

export const METRIC_NAMES: readonly string[] = [...NAMED.map((metric) => metric.name), "top<k>"];

/** True for every name that `findMetric` finds; a module of the user's is looked at when it is loaded. */
export const isMetricName = (name: string): boolean =>
  isModulePath(name) || TOP_K.test(name) || NAMED.some((metric) => metric.name === name);

/**
 * A metric by its name: one of the catalogue, `top<k>`, or a user's module (a path such as `./metric.mjs`).
 *
 * @throws LightfootError E_METRIC for an unknown name
 */
export async function findMetric(name: string): Promise<Metric> {
  if (isModulePath(name)) return loadUserMetric(name);
  const k = TOP_K.exec(name)?.[1];
  if (k !== undefined) return topK(Number(k));
  const metric = NAMED.find((candidate) => candidate.name === name);
  if (metric === undefined) {
    const near = closestName(name, METRIC_NAMES);
    const suggestion = near === undefined ? "" : `; did you mean '${near}'?`;
    throw new LightfootError("E_METRIC", `there is no metric '${name}'${suggestion}`, {
      hint: `Known are ${METRIC_NAMES.join(", ")}, and modules of your own such as ./metric.mjs.`,
    });
  }
  return metric;
}

export type { Metric, MetricBatch, MetricResult } from "./metric.ts";
