// The last word on a candidate: accepted or not, and why; a pure function of what was found out about it; may depend on this room.
import type { Candidate, Loss } from "./candidate-schema.ts";
import type { Verdict } from "./judge.ts";
import { within } from "./loss.ts";
import {
  classReasons,
  containerReason,
  executionReason,
  lossReason,
  nameIsWrong,
  sizeAndSpeedReasons,
} from "./reasons.ts";
import { ratesAgainst } from "./rates.ts";
import { techniquesOf, type Recipe } from "./recipe.ts";

/** A candidate with what the search still has to know about it. */
export interface Attempt {
  readonly candidate: Candidate;
  /** Absolute path of its file; undefined when it was refused. */
  readonly path: string | undefined;
  /** Id of the earlier candidate whose very bytes this recipe gave; then it is refused, and that one counts. */
  readonly twin?: string;
  /** Remarks of the techniques. */
  readonly notes: readonly string[];
}

/** The empty line of the document, to be filled as things are found out. */
export const NOTHING_MEASURED: Omit<
  Candidate,
  "id" | "title" | "techniques" | "recipe" | "accepted" | "selected" | "reasons"
> = {
  file: null,
  digest: null,
  promisedInt8Share: 0,
  accuracy: null,
  validation: null,
  test: null,
  agreement: null,
  classes: null,
  fileBytes: null,
  container: null,
  compressionRate: null,
  parameters: null,
  flops: null,
  macs: null,
  latency: [],
  peakMemory: null,
  energyPerInference: null,
  processorTime: null,
  execution: null,
};

/** What a recipe says about its candidate before anything ran. */
export function describedBy(recipe: Recipe): Pick<Candidate, "id" | "title" | "techniques" | "recipe"> {
  const steps = recipe.steps.map(({ technique, options }) => ({ technique, options: { ...options } }));
  return { id: recipe.id, title: recipe.title, techniques: techniquesOf(recipe), recipe: steps };
}

/** A candidate that never came to run, with the reason. */
export function refusedCandidate(recipe: Recipe, reason: string): Candidate {
  return { ...NOTHING_MEASURED, ...describedBy(recipe), accepted: false, selected: false, reasons: [reason] };
}

/** What the last word rests on, besides the measurements of the attempt. */
export interface Conclusion extends Pick<Candidate, "classes" | "container" | "selected"> {
  readonly original: Candidate;
  /** On test data; undefined when there is none. */
  readonly verdict: Verdict | undefined;
  /** The rule of selection, in words. */
  readonly rule: string;
  readonly metric: string;
}

/**
 * Accepted means: within the budget on test data (on validation data where there is no other), and true to its name. A chosen
 * candidate that fails here stays chosen and is not accepted: choosing again by test data would make them validation data.
 */
export function conclude({ candidate: measured, notes }: Attempt, found: Conclusion): Candidate {
  const { original, verdict, selected, rule, metric, classes, container } = found;
  const compressionRate = ratesAgainst(original, measured, container);
  const candidate = { ...measured, classes, container, compressionRate };
  const judged: Loss = verdict?.loss ?? candidate.validation!;
  const misnomer = nameIsWrong(candidate);
  const chosen = selected ? [`chosen: ${rule}`] : [];
  const missed =
    selected && !within(judged)
      ? [`chosen on validation data and beyond the budget on ${judged.split} data: not accepted, and not chosen again`]
      : [];
  const onlyValidation = verdict === undefined ? ["judged on validation data alone: no test data was given"] : [];
  return {
    ...candidate,
    accuracy: judged.candidate,
    test: verdict?.loss ?? null,
    agreement: verdict?.agreement ?? candidate.agreement,
    selected,
    accepted: within(judged) && misnomer === undefined,
    reasons: [
      ...chosen,
      ...missed,
      ...(misnomer === undefined ? [] : [misnomer]),
      ...(verdict === undefined ? [] : [lossReason(metric, verdict.loss)]),
      lossReason(metric, candidate.validation!),
      ...onlyValidation,
      ...(classes === null ? [] : classReasons(classes)),
      ...sizeAndSpeedReasons(candidate, original),
      ...containerReason(candidate),
      ...(candidate.execution === null ? [] : [executionReason(candidate.execution)]),
      ...notes,
    ],
  };
}
