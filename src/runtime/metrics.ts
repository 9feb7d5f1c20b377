// The catalogue of metrics by name; may depend on errors and its room.
import { LightfootError } from "../errors/index.ts";
import type { Metric } from "./metric.ts";
import { accuracy, f1, topK } from "./metrics-classification.ts";

const NAMED: readonly Metric[] = [accuracy, f1("macro", "f1"), f1("macro"), f1("micro"), f1("binary")];

export const METRIC_NAMES: readonly string[] = [...NAMED.map((metric) => metric.name), "top<k>"];

/**
 * A metric by its name: one of the catalogue, `top<k>`, or a user's module (a path that begins with `.` or `/`).
 *
 * @throws LightfootError E_METRIC for an unknown name
 */
export async function findMetric(name: string): Promise<Metric> {
  const k = /^top-?([1-9]\d*)$/.exec(name)?.[1];
  if (k !== undefined) return topK(Number(k));
  const metric = NAMED.find((candidate) => candidate.name === name);
  if (metric === undefined) {
    throw new LightfootError("E_METRIC", `there is no metric '${name}'`, {
      hint: `Known are ${METRIC_NAMES.join(", ")}, and modules of your own such as ./metric.mjs.`,
    });
  }
  return metric;
}

export type { Metric, MetricBatch, MetricResult } from "./metric.ts";
