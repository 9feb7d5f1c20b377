// How far off a language-model estimate may be: the band of its errors on unseen models, wider beyond the fit; may depend on cost, quantity and its room.
import type { Accelerators } from "../cost/transformer/accelerator.ts";
import { isSparse, type KnownArchitecture } from "../cost/transformer/architecture.ts";
import { BAND, CROSS_VALIDATION, FITTED_RANGE } from "../cost/transformer/coefficients.ts";
import type { ServingLoad } from "../cost/transformer/serving-step.ts";
import type { WeightFormat } from "../cost/transformer/weight-format.ts";
import type { Assumption } from "../quantity/figure.ts";
import { formatCount } from "../quantity/format.ts";
import type { LlmFootprint } from "./llm-schema.ts";

/** Half-widths of 95 % intervals, as factors. */
export interface Band {
  readonly energy: number;
  readonly latency: number;
}

export function bandOf(known: KnownArchitecture, isSeen: boolean): Band {
  const { energy, latency } = known.isComplete ? BAND.withConfig : BAND.sizesOnly;
  const wider = isSeen ? 1 : BAND.unseen;
  return { energy: energy * wider, latency: latency * wider };
}

/** What the band rests on, for the document. */
export function errorOnUnseenModels(known: KnownArchitecture, isSeen: boolean): LlmFootprint["errorOnUnseenModels"] {
  const { energy } = known.isComplete ? CROSS_VALIDATION.withConfig : CROSS_VALIDATION.sizesOnly;
  return { runs: CROSS_VALIDATION.runs, medianFold: energy.median, p95Fold: energy.p95, appliesHere: isSeen };
}

/** One assumption that names every size and load beyond the runs of the fit; a fifth beyond is still taken as inside. */
export function outsideOfFit(
  { architecture }: KnownArchitecture,
  format: WeightFormat,
  devices: Accelerators,
  load: ServingLoad,
): Assumption[] {
  const spans: [name: string, value: number, span: readonly [number, number]][] = [
    ["parameters", architecture.parameters, FITTED_RANGE.parameters],
    ["requests in flight", load.batch, FITTED_RANGE.batch],
    ["tokens in the context", load.meanContext, FITTED_RANGE.meanContext],
    ["devices", devices.count, FITTED_RANGE.devices],
  ];
  const beyond = spans.filter(([, value, [low, high]]) => value < low / 1.2 || value > high * 1.2);
  const list = beyond.map(
    ([name, value, [low, high]]) => `${short(value)} ${name} (runs of the fit: ${short(low)} to ${short(high)})`,
  );
  if (format === "int4" || (format === "mxfp4" && !isSparse(architecture))) {
    list.push(`${format} weights${format === "mxfp4" ? " in a dense model" : ""} (runs of the fit: none)`);
  }
  if (list.length === 0) return [];
  return [{ key: "fit.outside", text: `extrapolated, with a wider interval: ${list.join(", ")}` }];
}

const short = (value: number): string =>
  value >= 1e6 ? `${Number((value / 1e9).toPrecision(3))}e9` : formatCount(value);

/** Power errs less than time: measured power lay within a factor 1.6 of the model's in 95 % of the runs. */
export const powerWidth = (band: Band): number => Math.min(1.6, band.energy);
