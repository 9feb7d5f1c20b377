// Looks for the narrowest network that holds the budget, and quantises each one that does; may depend on this room.
import { surelyWithin } from "./loss.ts";
import { following, narrowRecipe, WIDTHS } from "./recipe.ts";
import type { SearchEvent } from "./search-options.ts";
import type { SearchRun } from "./search-run.ts";

/** Candidates that the bisection makes at most: about log2 of the widths, each with its followers. */
export function plannedNarrowings(run: Pick<SearchRun, "wants" | "wanted">, canTrain: boolean): number {
  if (!run.wants("narrow")) return 0;
  if (!canTrain) return 1;
  return Math.ceil(Math.log2(WIDTHS.length)) * (1 + run.wanted(following(narrowRecipe(1))).length);
}

/** Bisects the ladder of widths; "holds" means surely, on validation data. */
export async function* narrowings(run: SearchRun): AsyncGenerator<SearchEvent, void> {
  if (!run.wants("narrow")) return;
  let holds = -1;
  let fails: number = WIDTHS.length;
  while (fails - holds > 1) {
    const middle = (holds + fails) >> 1;
    const recipe = narrowRecipe(WIDTHS[middle]);
    const attempt = yield* run.attempt(recipe);
    // Refused for a reason of the model or the data, not of the width: no other width will do better.
    if (attempt?.path === undefined || attempt.candidate.validation === null) return;
    if (!surelyWithin(attempt.candidate.validation)) {
      fails = middle;
      continue;
    }
    holds = middle;
    for (const next of run.wanted(following(recipe))) {
      yield* run.attempt(next, { path: attempt.path, stepsDone: recipe.steps.length });
    }
  }
}
