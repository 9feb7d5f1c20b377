// What only makes files smaller, for the goal size: sparse shared weights, codebooks, and the winner's file packed; may depend on this room.
import { DEFAULT_RETRAIN } from "./bench-settings.ts";
import { surelyWithin } from "./loss.ts";
import { CODEBOOKS, packedRecipe, sparseRecipe, SPARSITIES } from "./recipe.ts";
import type { SearchEvent } from "./search-options.ts";
import type { SearchRun } from "./search-run.ts";

/** Candidates made at most: a bisection of the sparsities, codebooks, and one packed. */
export function plannedSmallFiles(run: Pick<SearchRun, "wanted">, canTrain: boolean): number {
  const sparse = canTrain ? Math.ceil(Math.log2(SPARSITIES.length + 1)) * run.wanted([sparseRecipe(0.5, 1)]).length : 0;
  return sparse + run.wanted(CODEBOOKS).length + run.wanted([packedRecipe(undefined)]).length;
}

/**
 * Bisects the sparsities for the sparsest network that surely holds the budget; where none does, or nothing can be retrained, tries
 * codebooks.
 */
export async function* fewNumbers(run: SearchRun): AsyncGenerator<SearchEvent, void> {
  const { goal, data, retrain } = run.options;
  const epochs = retrain?.epochs ?? DEFAULT_RETRAIN.epochs;
  if (goal !== "size") return;
  let [holds, fails] = [-1, SPARSITIES.length as number];
  if (data.train !== undefined && run.wanted([sparseRecipe(0.5, 1)]).length > 0) {
    while (fails - holds > 1) {
      const middle = (holds + fails) >> 1;
      const attempt = yield* run.attempt(run.fromStart(sparseRecipe(SPARSITIES[middle], epochs)));
      const validation = attempt?.candidate.validation ?? null;
      if (validation === null) break;
      if (surelyWithin(validation)) holds = middle;
      else fails = middle;
    }
  }
  // No codebook is as small as a sparse network that holds.
  if (holds < 0) for (const recipe of run.wanted(CODEBOOKS)) yield* run.attempt(run.fromStart(recipe));
}

/** Packs the smallest file that holds the budget. */
export async function* packing(run: SearchRun): AsyncGenerator<SearchEvent, void> {
  if (run.options.goal !== "size") return;
  const { best } = run;
  const made = run.attempts.find(({ candidate }) => candidate.id === best?.id);
  if (best?.techniques.at(-1) === "packed") return;
  const recipe = best === undefined ? run.fromStart(packedRecipe(undefined)) : packedRecipe(best);
  if (run.wanted([recipe]).length === 0) return;
  yield* run.attempt(
    recipe,
    made?.path === undefined ? undefined : { path: made.path, stepsDone: best!.recipe.length },
  );
}
