// What every exported document is made from: one model of a dossier, the run's own energy, and what the supplement adds; may depend on pipeline, footprint, facts.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { findPlace } from "../../facts/place.ts";
import type { Footprint } from "../../footprint/footprint-schema.ts";
import { runFootprintAt } from "../../pipeline/dossier-footprint.ts";
import type { Dossier, DossierModel } from "../../pipeline/dossier-schema.ts";
import type { Assumption, Figure } from "../../quantity/figure.ts";
import type { Supplement } from "./supplement.ts";

/** One figure of the model's table. */
export interface Result {
  /** Key for machines: `latency.batch-1`. */
  readonly key: string;
  readonly name: string;
  readonly figure: Figure;
  /** The data it was found on, where it hangs on data. */
  readonly slice?: string;
}

export interface Subject {
  readonly dossier: Dossier;
  readonly supplement: Supplement;
  readonly model: DossierModel;
  /** What the model was made from by compression. */
  readonly ancestor: DossierModel | undefined;
  /** The run's footprint, at the supplement's place of training if it names one. */
  readonly run: Footprint;
  /** True when the model, or the one it was made from, was trained in this very run. */
  readonly isTrainedHere: boolean;
  /** Where the run's energy is counted; undefined: the world's average stands in. */
  readonly runPlace: string | undefined;
  readonly results: readonly Result[];
  /** What the document rests on; codecs add their own. */
  readonly assumptions: readonly Assumption[];
}

export const ROLES = ["original", "narrow", "compressed"] as const satisfies readonly DossierModel["role"][];

const RUN_IS_WHOLE: Assumption = {
  key: "export.run-is-whole",
  text: "The run's energy is that of all its stages: training of each model, search of candidates and judging. It is more than the training of this model alone took.",
};
const NOT_TRAINED_HERE: Assumption = {
  key: "export.not-trained-here",
  text: "The model was not trained in this run (it came as a file, or an earlier run trained it), so the energy of its training is not known here; the run's energy is that of compression and judging.",
};

/**
 * @param role left out, the compressed model, or the original when no candidate was accepted
 * @throws LightfootError E_DATA when the dossier has no model of that role
 */
export function subjectOf(dossier: Dossier, supplement: Supplement, role?: DossierModel["role"]): Subject {
  const byRole = (wanted: DossierModel["role"]): DossierModel | undefined =>
    dossier.models.find((model) => model.role === wanted);
  const model = role === undefined ? (byRole("compressed") ?? byRole("original")) : byRole(role);
  if (model === undefined) {
    throw new LightfootError("E_DATA", `the dossier has no ${role ?? "original"} model`, {
      hint: `It has: ${dossier.models.map((each) => each.role).join(", ") || "none"}.`,
    });
  }
  const ancestor = model.role === "compressed" ? byRole("original") : undefined;
  const stage = model.role === "narrow" ? "train-narrow" : "train-original";
  const isTrainedHere =
    (ancestor ?? model).training.length > 0 && dossier.stages.some((each) => each.stage === stage && !each.reused);
  const { trainingLocation } = supplement;
  const run =
    trainingLocation === undefined
      ? dossier.runFootprint
      : runFootprintAt(dossier.runEnergy, findPlace(trainingLocation), new Date(dossier.createdAt).getUTCFullYear());
  const results = resultsOf(dossier, model);
  const used = [
    isTrainedHere ? RUN_IS_WHOLE : NOT_TRAINED_HERE,
    ...results.flatMap(({ figure }) => figure.assumptions),
    ...run.assumptions,
    ...(model.footprint?.assumptions ?? []),
  ];
  return {
    dossier,
    supplement,
    model,
    ancestor,
    run,
    isTrainedHere,
    runPlace: placeName(run),
    results,
    assumptions: unique(used),
  };
}

/** One assumption a key, in order of first mention. */
export const unique = (assumptions: readonly Assumption[]): Assumption[] => [
  ...new Map(assumptions.map((each) => [each.key, each])).values(),
];

/** A cloud region by its id, which readers of all tools know; anything else by its name. The world is no place. */
function placeName({ place }: Footprint): string | undefined {
  if (place === null || place.kind === "world") return undefined;
  return place.kind === "cloud-region" ? place.id : place.name;
}

function resultsOf(dossier: Dossier, model: DossierModel): Result[] {
  const judged =
    dossier.data.find((each) => each.role === "test") ?? dossier.data.find((each) => each.role === "validation");
  const on = judged === undefined ? {} : { slice: judged.name };
  const candidate = dossier.candidates.find(({ digest }) => digest !== null && digest === model.digest);
  const loss = model.role === "compressed" ? (candidate?.test ?? candidate?.validation) : undefined;
  const agreement = model.role === "compressed" ? candidate?.agreement : undefined;
  const optional = (key: string, name: string, figure: Figure | null | undefined, slice: object = {}): Result[] =>
    figure ? [{ key, name, figure, ...slice }] : [];
  return [
    { key: dossier.task.metric, name: dossier.task.metric, figure: model.accuracy, ...on },
    ...optional("loss-against-original", `${dossier.task.metric} lost against the original`, loss?.loss, on),
    ...optional("agreement-with-original", "answers like the original's", agreement, on),
    ...model.latency.flatMap(({ batch, median, p95 }): Result[] => [
      { key: `latency.batch-${batch}.median`, name: `median latency, batch ${batch}`, figure: median },
      { key: `latency.batch-${batch}.p95`, name: `95th percentile of latency, batch ${batch}`, figure: p95 },
    ]),
    ...optional("peak-memory", "peak memory", model.peakMemory),
    ...optional("energy-per-inference", "energy per inference (processor and memory)", model.energyPerInference),
  ];
}

/** The run's energy at the wall of the facility, whose product with the grid's intensity is the emissions. */
export const runAmounts = (run: Footprint): { energy: Figure; emissions: Figure; intensity: Figure } => ({
  energy: run.energy,
  emissions: run.emissions.locationBased,
  intensity: run.emissions.locationBased.intensity,
});

/** `SPDX-like` names go where an identifier is asked for; anything with spaces is a name. */
export const isLicenseId = (license: string): boolean => /^[A-Za-z0-9][A-Za-z0-9.+-]*$/.test(license);
