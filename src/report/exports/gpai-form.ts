// The fields of the EU Model Documentation Form that a dossier or its supplement can fill, the others marked unknown; may depend on its room and quantity.
import { exact, figure, type Assumption, type Figure } from "../../quantity/figure.ts";
import { formatCount } from "../../quantity/format.ts";
import { CROSSWALK, inUnit, significant, type FormatUnit } from "../../footprint/exchange/crosswalk.ts";
import type { FormField, GpaiForm } from "./export-schema.ts";
import { runAmounts, unique, type Subject } from "./subject.ts";

const { energy: ENERGY, work: WORK } = CROSSWALK["gpai-form"];

/** The form asks for at least two; a third keeps a rounding error below the interval's. */
const DIGITS = 3;

const BACKWARD_WORK: Assumption = {
  key: "export.backward-work",
  text: "Training work is 3 times the forward pass per sample and epoch: one forward, two for the gradients (the 2N and 6N per token of dense networks). Validation and other models of the run are not in it.",
};

const told = (field: string, title: string, value: string | undefined): FormField => ({
  field,
  title,
  value: value ?? "unknown",
  ...(value === undefined ? {} : { method: "declared" as const }),
});

const unknown = (field: string, title: string, why: string): FormField => ({
  field,
  title,
  value: "unknown",
  note: why,
});

function amount(field: string, title: string, part: Figure, unit: FormatUnit, note: string): FormField {
  const { value, low, high } = inUnit(part, unit);
  return {
    field,
    title,
    value,
    text: `${significant(value, DIGITS)} ${unit}`,
    unit,
    low,
    high,
    method: part.method,
    sources: [...part.sources],
    note,
  };
}

/**
 * The form as data. Only fields of Annex XI, section 1, and of the form's energy and compute part; whether the model is a
 * general-purpose one, or its documentation is owed at all, is not judged.
 *
 * @source Regulation (EU) 2024/1689, Annex XI; General-Purpose AI Code of Practice, Model Documentation Form of 2025-07-10
 */
export function gpaiFormOf(subject: Subject): { document: GpaiForm; assumptions: readonly Assumption[] } {
  const { dossier, model, supplement } = subject;
  const work = trainingWork(subject);
  const fields: FormField[] = [
    told("general.provider", "Provider", supplement.provider),
    {
      field: "general.model",
      title: "Model and its digest",
      value: `${dossier.title}, ${model.title} (${model.role}), ${model.digest}`,
    },
    told("general.task", "Tasks the model is meant for", supplement.task),
    told("general.acceptable-use", "Acceptable use policy", supplement.acceptableUse),
    told("general.release-date", "Release date", supplement.releaseDate),
    told("general.distribution", "Methods of distribution", supplement.distribution),
    told("properties.architecture", "Architecture", supplement.architecture),
    {
      field: "properties.parameters",
      title: "Number of parameters",
      value: model.parameters,
      unit: "1",
      text: formatCount(model.parameters),
      note: "counted in the model's file",
    },
    told("properties.input-modalities", "Input modality and format", supplement.inputModalities),
    told("properties.output-modalities", "Output modality and format", supplement.outputModalities),
    told("general.license", "License", supplement.license),
    told("general.integration", "Technical means of integration", supplement.integration),
    told("training.design", "Design specifications", supplement.designSpecifications),
    told("training.method", "Training method", supplement.trainingMethod),
    told("training.data-provenance", "Provenance and curation of the data", supplement.dataProvenance),
    {
      field: "training.data",
      title: "Data of the run",
      value: dossier.data
        .map(({ role, name, sampleCount, digest }) => `${role}: ${name}, ${sampleCount} samples, ${digest}`)
        .join("; "),
    },
    ...trainingFields(subject, work),
    amount(
      "inference.compute",
      "Computation of inference",
      exact(model.flops, "FLOP", "count over the model's graph, multiply-add = 2"),
      WORK.unit,
      `task: one inference (batch 1) of ${model.file}; architecture-based, the same on any hardware`,
    ),
  ];
  const assumptions = unique([...subject.assumptions, ...(work?.assumptions ?? [])]);
  return {
    document: {
      schema: "lightfoot.gpai-form/1",
      basis: "Regulation (EU) 2024/1689, Annex XI, section 1; Model Documentation Form of 2025-07-10",
      createdAt: dossier.createdAt,
      fields,
      unknownFields: fields.filter(({ value }) => value === "unknown").map(({ field }) => field),
      notes: [
        "The form fixes no boundary for energy; the one used is written beside the number.",
        "Whether the model is a general-purpose AI model, and whether this documentation is owed, is not judged here.",
      ],
      assumptions: [...assumptions],
    },
    assumptions,
  };
}

function trainingFields(subject: Subject, work: Figure | undefined): FormField[] {
  const { dossier, run, runPlace, isTrainedHere, ancestor, model } = subject;
  const why = "the model was not trained in this run";
  const stage = dossier.stages.find(
    (each) => each.stage === (model.role === "narrow" ? "train-narrow" : "train-original"),
  );
  const duration: FormField =
    isTrainedHere && stage !== undefined
      ? {
          field: "training.duration",
          title: "Training time",
          value: stage.durationSeconds,
          text: `${significant(stage.durationSeconds, DIGITS)} s`,
          unit: "s",
          method: "measured",
          note: `wall time of training ${(ancestor ?? model).title}`,
        }
      : unknown("training.duration", "Training time", why);
  const compute =
    work === undefined
      ? unknown("training.compute", "Computation of training", "the model came as a file")
      : amount(
          "training.compute",
          "Computation of training",
          work,
          WORK.unit,
          `architecture-based, of training ${(ancestor ?? model).title}; compression and retraining of candidates not in it`,
        );
  if (!isTrainedHere) {
    return [duration, compute, unknown("training.energy", "Energy of training", why)];
  }
  const { energy } = runAmounts(run);
  return [
    duration,
    compute,
    amount(
      "training.energy",
      "Energy of training",
      energy,
      ENERGY.unit,
      `boundary: ${run.energy.boundary}; place: ${runPlace ?? "unknown"}; the whole run: training of all its models, search and judging`,
    ),
  ];
}

/** 3 · FLOP of a forward pass · samples · epochs, also of an earlier run that left its epochs; undefined for a model that came as a file. */
function trainingWork({ dossier, model, ancestor }: Subject): Figure | undefined {
  const trained = ancestor ?? model;
  const samples = dossier.data.find(({ role }) => role === "train")?.sampleCount;
  if (trained.training.length === 0 || samples === undefined) return undefined;
  const value = 3 * trained.flops * samples * trained.training.length;
  return figure({
    value,
    unit: "FLOP",
    // A graph's first layer needs no gradient of its input (2 passes of work instead of 3); the optimizer's own work is below a tenth.
    low: (2 / 3) * value,
    high: 1.1 * value,
    method: "modelled",
    sources: [`${samples} samples, ${trained.training.length} epochs, ${trained.flops} FLOP a forward pass`],
    assumptions: [BACKWARD_WORK],
  });
}
