// Measures a model that nobody compressed, such as one narrowed by hand, just as candidates are; may depend on io and this room.
import { relative } from "node:path";
import type { Candidate } from "./candidate-schema.ts";
import { Judge } from "./judge.ts";
import { within } from "./loss.ts";
import { profileModel } from "./profile.ts";
import { lossReason } from "./reasons.ts";
import type { SearchOptions } from "./search-options.ts";
import { NOTHING_MEASURED } from "./verdict.ts";
import { ratesAgainst } from "./rates.ts";

export interface MeasureOptions extends Pick<
  SearchOptions,
  "model" | "outDir" | "data" | "budget" | "batches" | "threads" | "seed" | "signal"
> {
  readonly title: string;
}

/**
 * Everything that a candidate's line says, for the model at `path` against the original: on test data, else on validation data.
 *
 * @param options.model path of the original
 * @throws LightfootError E_RUNTIME, E_DATA, E_METRIC, E_INTERRUPTED
 */
export async function measureModel(path: string, options: MeasureOptions, original: Candidate): Promise<Candidate> {
  const { model, data, budget, threads, seed, batches, signal, outDir, title } = options;
  const { validation, test } = data;
  const judge = new Judge({ original: model, budget, validation, test, threads, seed });
  const profile = await profileModel(path, { batches, dataset: validation, threads, signal });
  const verdict = await judge.verdict(path, test === undefined ? "validation" : "test");
  return {
    ...NOTHING_MEASURED,
    ...profile,
    id: "compared",
    title,
    file: relative(outDir, path),
    techniques: [],
    recipe: [],
    accuracy: verdict.loss.candidate,
    test: test === undefined ? null : verdict.loss,
    agreement: verdict.agreement,
    compressionRate: ratesAgainst(original, profile),
    accepted: within(verdict.loss),
    selected: false,
    reasons: [lossReason(budget.metric, verdict.loss)],
  };
}
