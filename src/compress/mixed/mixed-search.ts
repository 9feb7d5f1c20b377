// Gives each layer the scheme that suits it: a measured table, a path of assignments, and a bisection of that path under the budget; may depend
// on this room.
import type { SensitivityRow } from "../candidate-schema.ts";
import { surelyWithin } from "../loss.ts";
import type { Goal, SearchEvent } from "../search-options.ts";
import type { Base, SearchRun } from "../search-run.ts";
import type { Recipe } from "../recipe.ts";
import { assignmentPath, type LayerSchemes } from "./assignment.ts";
import { FLOAT, recipeOf, schemesOf, STORAGE } from "./scheme-catalogue.ts";

/** Candidates that one bisection makes at most: enough for a path of 63 steps, and near the end of any longer one. */
const MOST_STEPS = 6;

/** True when some layers may compute in other numbers than the rest; mere storage is no reason to measure a table. */
const mixes = (goal: Goal, wants: SearchRun["wants"]): boolean =>
  [...schemesOf(goal, wants).values()].some(({ technique }) => !STORAGE.includes(technique));

export const plannedMixed = (goal: Goal, wants: SearchRun["wants"]): number => (mixes(goal, wants) ? MOST_STEPS : 0);

/** The table in the goal's unit. A scheme that was refused, or is no cheaper than float, is none. */
export function schemesFor(rows: readonly SensitivityRow[], goal: Goal): LayerSchemes[] {
  // Memory is counted by the weights: that of the activations does not change.
  const key = goal === "size" || goal === "memory" ? "storedBytes" : "seconds";
  return rows.flatMap(({ layer, gain, schemes }) => {
    const known = schemes.flatMap((scheme) => {
      const { id, error } = scheme;
      const cost = scheme[key];
      return cost === null || error === null || !Number.isFinite(error)
        ? []
        : [{ id, cost, error: error * (gain ?? 1) }];
    });
    return known.some(({ id }) => id === FLOAT) ? [{ layer, schemes: known }] : [];
  });
}

/**
 * Bisects the path for the cheapest assignment that surely holds the budget on validation data.
 *
 * @param prefix recipe that made `base`; undefined: the model that the search starts from
 */
export async function* mixedCandidates(
  run: SearchRun,
  prefix?: { readonly recipe: Recipe; readonly base: Base },
): AsyncGenerator<SearchEvent, void> {
  if (!mixes(run.options.goal, (technique) => run.wants(technique))) return;
  const { id, path: modelPath } = prefix === undefined ? run.start : { id: prefix.recipe.id, path: prefix.base.path };
  const rows = yield* run.sensitivity(id, modelPath);
  if (rows === undefined) return;
  const path = assignmentPath(schemesFor(rows, run.options.goal));
  let [holds, fails] = [0, path.length];
  for (let step = 0; step < MOST_STEPS && fails - holds > 1; step++) {
    const middle = (holds + fails) >> 1;
    const assignment = path[middle];
    const own = recipeOf(`mixed-${run.options.goal}-${middle}-of-${path.length - 1}`, assignment);
    const recipe: Recipe =
      prefix === undefined
        ? run.fromStart(own)
        : {
            id: `${prefix.recipe.id}+${own.id}`,
            title: `${prefix.recipe.title}; ${own.title}`,
            steps: [...prefix.recipe.steps, ...own.steps],
          };
    const attempt = yield* run.attempt(recipe, prefix?.base);
    if (attempt === undefined) return;
    const { validation } = attempt.candidate;
    if (validation !== null && surelyWithin(validation)) holds = middle;
    else fails = middle;
  }
}
