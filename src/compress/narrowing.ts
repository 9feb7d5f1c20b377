// Looks for the narrowest network that holds the budget, and quantises that one; may depend on this room.
import { tableCandidates } from "./lookup-tables.ts";
import { surelyWithin } from "./loss.ts";
import { mixedCandidates, plannedMixed } from "./mixed/mixed-search.ts";
import { AFTER_NARROWING, following, narrowRecipe, WIDTHS, type Recipe } from "./recipe.ts";
import type { Goal, SearchEvent } from "./search-options.ts";
import type { Base, SearchRun } from "./search-run.ts";

/** Candidates made at most: a bisection of the widths, and what follows the narrowest. */
export function plannedNarrowings(goal: Goal, { wants, wanted }: Pick<SearchRun, "wants" | "wanted">): number {
  if (!wants("narrow")) return 0;
  const after = wanted(AFTER_NARROWING).length;
  return Math.ceil(Math.log2(WIDTHS.length)) + after + plannedMixed(goal, wants);
}

/**
 * Bisects the ladder of widths; "holds" means surely, on validation data. Only the narrowest that holds is compressed further: a wider one
 * under the same scheme is larger and slower.
 */
export async function* narrowings(run: SearchRun): AsyncGenerator<SearchEvent, void> {
  if (!run.wants("narrow")) return;
  let holds = -1;
  let fails: number = WIDTHS.length;
  let narrowest: { readonly recipe: Recipe; readonly base: Base } | undefined;
  while (fails - holds > 1) {
    const middle = (holds + fails) >> 1;
    const recipe = run.fromStart(narrowRecipe(WIDTHS[middle]));
    const attempt = yield* run.attempt(recipe);
    // Refused for a reason of the model or the data, not of the width: no other width will do better.
    if (attempt?.path === undefined || attempt.candidate.validation === null) break;
    if (surelyWithin(attempt.candidate.validation)) {
      holds = middle;
      narrowest = { recipe, base: { path: attempt.path, stepsDone: recipe.steps.length } };
    } else fails = middle;
  }
  if (narrowest === undefined) return;
  yield* run.attemptEach(following(narrowest.recipe, run.wanted(AFTER_NARROWING)), narrowest.base);
  yield* mixedCandidates(run, narrowest);
  yield* tableCandidates(run, narrowest);
}
