// Recipes for techniques that a search does not surely try by itself: tried where one was named and nothing planned uses it; may depend on this room.
import {
  AWQ,
  CLEAN,
  CODEBOOKS,
  narrowRecipe,
  packedRecipe,
  POST_TRAINING,
  sparseRecipe,
  STATIC_MSE,
  staticInt8Recipe,
  tableRecipe,
  techniquesOf,
  WIDEN,
  WIDTHS,
  type Recipe,
} from "./recipe.ts";
import type { SearchOptions } from "./search-options.ts";
import type { Step } from "./techniques/technique.ts";

const step = (technique: string, options: Step["options"] = {}): Step => ({ technique, options });
const recipe = (id: string, title: string, ...steps: Step[]): Recipe => ({ id, title, steps });

const pruned = (sparsity: number, pattern: "any" | "2:4"): Step =>
  step("prune", { sparsity, criterion: "magnitude", scope: "global", pattern });
const shared = step("share-weights", { values: 17, biasValues: 8 });
const packed = step("packed");

/** One technique alone, or with another that makes a file smaller of what it did. */
const NAMED: readonly Recipe[] = [
  recipe("smooth", "channels scaled for later int8", step("smooth", { insert: true })),
  recipe("activation-aware", "channels scaled for later 4-bit weights (AWQ)", AWQ.steps[0]),
  AWQ,
  recipe("fine-tune", "every weight trained on", step("fine-tune")),
  recipe("tune-small", "scales, biases and normalizations trained on", step("tune-small")),
  recipe("qat-int8", "8-bit weights, trained through their rounding", step("qat", { bits: 8 })),
  recipe("qat-int4", "4-bit weights, trained through their rounding", step("qat", { bits: 4 })),
  recipe("static-int8+qat", "static int8 (QDQ), trained through its rounding", ...STATIC_MSE.steps, step("qat")),
  recipe("prune-90", "90 % of the weights zero", pruned(0.9, "any")),
  recipe("prune-2-of-4", "two of every four weights zero", pruned(0.5, "2:4")),
  recipe("prune-90+packed", "90 % of the weights zero; packed", pruned(0.9, "any"), packed),
  recipe("share-weights-16", "16 values a layer, and zero", shared),
  recipe("share-weights-16+packed", "16 values a layer, and zero; packed", shared, packed),
  ...CODEBOOKS,
  packedRecipe(undefined),
];

const calibrated = (id: string, title: string, options: Step["options"]): Recipe =>
  staticInt8Recipe(`static-int8-${id}`, `static int8, ${title}`, options);

/** Other ways to the same arithmetic, worth their time to those who named it: what a search plans anyway has the widest and the best fit. */
const VARIANTS: readonly Recipe[] = [
  calibrated("moving-average", "moving average of the ranges", { range: "moving-average" }),
  calibrated("percentile", "99.999 % of the values", { range: "percentile", percentile: 99.999 }),
  calibrated("entropy", "ranges of least divergence", { range: "entropy" }),
  calibrated("qoperator", "full ranges, as integer operators", { form: "qoperator" }),
];

/** What a search surely tries, as far as its options allow: one of each kind. */
function planned({ goal, data }: Pick<SearchOptions, "goal" | "data">): readonly Recipe[] {
  const sparse = data.train === undefined ? [] : [sparseRecipe(0.5, 1)];
  const small = goal === "size" ? [...sparse, ...CODEBOOKS, packedRecipe(undefined)] : [];
  const surely = POST_TRAINING.filter(({ insteadOf }) => insteadOf === undefined);
  return [WIDEN, CLEAN, ...surely, tableRecipe(8, 32), narrowRecipe(WIDTHS[0]), ...small];
}

/** The recipes for those named techniques that nothing planned uses, and variants of those it does; none where none was named. */
export function namedRecipes(options: Pick<SearchOptions, "techniques" | "goal" | "data">): Recipe[] {
  const { techniques } = options;
  if (techniques === undefined) return [];
  const isWanted = (each: Recipe): boolean => techniquesOf(each).every((technique) => techniques.includes(technique));
  const covered = new Set(planned(options).filter(isWanted).flatMap(techniquesOf));
  const missing = NAMED.filter((each) => techniquesOf(each).some((technique) => !covered.has(technique)));
  return [...VARIANTS, ...missing].filter(isWanted);
}
