// Trains what rounding left just outside the budget: first only its scales, biases and norms, then through the rounding; may depend on
// this room.
import type { Candidate } from "./candidate-schema.ts";
import { within } from "./loss.ts";
import { chained, type Recipe } from "./recipe.ts";
import type { SearchEvent } from "./search-options.ts";
import type { SearchRun } from "./search-run.ts";
import { costOf } from "./selection.ts";
import type { Step } from "./techniques/technique.ts";

/** Times the budget. What lost more lost more than a few scales bring back. */
const JUST_OUTSIDE = 4;

/** Training takes minutes where making a candidate takes seconds. */
const MOST_TUNED = 2;

/** What rounds to a form that trains. */
const TUNABLE: ReadonlySet<string> = new Set(["weight-int8", "static-int8", "codebooks"]);

/** ONNX Runtime's own kernels have no gradient. */
const hasNoGradient = ({ technique, options }: Step): boolean =>
  technique === "weight-blocks" || technique === "dynamic-int8" || options.form === "qoperator";

/**
 * The original is near, and its answers say more of what rounding took than labels do; larger steps than these lose what 8 bits kept
 * (seen on small networks: 2.3 → 1.9 points by tuning a codebook's biases so, none or less with the labels).
 */
const GENTLE = { teacherShare: 1, learningRate: 1e-3 } as const;

const TUNE: Recipe = {
  id: "tune-small",
  title: "scales, biases and normalizations trained on",
  steps: [{ technique: "tune-small", options: GENTLE }],
};

const QAT: Recipe = {
  id: "qat",
  title: "trained through its rounding",
  steps: [{ technique: "qat", options: GENTLE }],
};

/** Candidates made at most. */
export const plannedRecoveries = ({ wanted }: Pick<SearchRun, "wanted">, canTrain: boolean): number =>
  canTrain ? MOST_TUNED * wanted([TUNE]).length + wanted([QAT]).length : 0;

type Made = Pick<Candidate, "id" | "title"> & { readonly steps: readonly Step[] };

const isTunable = ({ steps }: Made): boolean => TUNABLE.has(steps.at(-1)!.technique) && !steps.some(hasNoGradient);

/** The same numbers, trained through their rounding; undefined where they are not of a form that trains. */
function throughRounding(made: Made): Recipe | undefined {
  const { id, title, steps } = made;
  const { technique, options } = steps.at(-1)!;
  if (technique !== "codebooks" && isTunable(made)) return chained(made, QAT);
  if (technique !== "weight-blocks" || options.bits !== 4 || options.layers !== undefined) return undefined;
  return {
    id: `${id}-qat`,
    title: `${title}; instead of blocks one scale an output, trained through the rounding`,
    steps: [...steps.slice(0, -1), { technique: "qat", options: { ...GENTLE, bits: 4 } }],
  };
}

/** Candidates that would be the best if they had lost less, cheapest first. */
function nearMisses(run: SearchRun): (Made & { readonly path: string })[] {
  const { goal } = run.options;
  const limit = costOf(run.best ?? run.original, goal);
  const near = run.attempts.flatMap(({ candidate, path }) => {
    const { validation, techniques, id, title } = candidate;
    if (path === undefined || validation === null || techniques.length === 0) return [];
    const isNear = !within(validation) && validation.loss.value <= JUST_OUTSIDE * validation.allowedLoss;
    const cost = costOf(candidate, goal);
    return isNear && cost < limit ? [{ id, title, path, cost, steps: candidate.recipe as Step[] }] : [];
  });
  return near.toSorted((left, right) => left.cost - right.cost || (left.id < right.id ? -1 : 1));
}

/**
 * Tunes the small tensors of the cheapest near misses until one holds the budget; where none does, trains the cheapest one whose form
 * allows it through its rounding. Needs training data.
 */
export async function* recoveries(run: SearchRun): AsyncGenerator<SearchEvent, void> {
  if (run.options.data.train === undefined) return;
  const near = nearMisses(run);
  const tunable = run.wanted([TUNE]).length === 0 ? [] : near.filter(isTunable).slice(0, MOST_TUNED);
  for (const miss of tunable) {
    const attempt = yield* run.attempt(chained(miss, TUNE), { path: miss.path, stepsDone: miss.steps.length });
    if (attempt === undefined || attempt.candidate.accepted) return;
  }
  if (run.wanted([QAT]).length === 0) return;
  const [trainable] = near.flatMap((miss) => {
    const recipe = throughRounding(miss);
    return recipe === undefined ? [] : [{ miss, recipe }];
  });
  if (trainable === undefined) return;
  const { miss, recipe } = trainable;
  const goesOn = recipe.steps.length > miss.steps.length;
  yield* run.attempt(recipe, goesOn ? { path: miss.path, stepsDone: miss.steps.length } : undefined);
}
