// Lookup tables (embeddings) in few bits, and the layers that read from them compressed with them; may depend on model and this room.
import type { ModelGraph } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { surelyWithin } from "./loss.ts";
import { mixedCandidates, plannedMixed } from "./mixed/mixed-search.ts";
import { storedBytes } from "./profile.ts";
import { AFTER_TABLES, chained, following, tableRecipe, type Recipe } from "./recipe.ts";
import type { Goal, SearchEvent, SearchOptions } from "./search-options.ts";
import type { Base, SearchRun } from "./search-run.ts";
import { tableBytes } from "./techniques/embedding-blocks.ts";

/** Few bits first: what more bits hold beyond that is only larger. */
const WIDTHS = [4, 8] as const;

/** Blocks that the engine knows, cheap ones first. */
const BLOCK_SIZES = [32, 16] as const;

/** Least share of the model's bytes. One hundredth is a tenth of the file once all other weights have 4 bits. */
const WORTH = 0.01;

/**
 * The blocks for a model's tables; undefined where they are not worth a candidate: too few bytes, or a goal that a lookup does not
 * delay. Whoever names the technique has it tried all the same.
 */
export async function tableBlocks(
  path: string,
  { goal, techniques }: Pick<SearchOptions, "goal" | "techniques">,
): Promise<16 | 32 | undefined> {
  const model = await readOnnx(path);
  if (techniques !== undefined)
    return techniques.includes("embedding-blocks") ? (blocksFor(model, 0) ?? 32) : undefined;
  return goal === "size" || goal === "memory" ? blocksFor(model, WORTH * (await storedBytes(path, model))) : undefined;
}

const blocksFor = (model: ModelGraph, least: number): 16 | 32 | undefined =>
  BLOCK_SIZES.find((size) => tableBytes(model, size) > least);

/** Candidates made at most, for one model that the tables are in. */
export function plannedTables(goal: Goal, { wants, wanted }: Pick<SearchRun, "wants" | "wanted">): number {
  return WIDTHS.length * (1 + wanted(AFTER_TABLES).length) + plannedMixed(goal, wants);
}

/**
 * Tries the tables alone, then what shrinks the layers too on the smallest tables that hold the budget; on larger ones only where none
 * of that held with the weights in their fewest bits.
 *
 * @param prefix recipe that made `base`; undefined: the model that the search starts from
 */
export async function* tableCandidates(
  run: SearchRun,
  prefix?: { readonly recipe: Recipe; readonly base: Base },
): AsyncGenerator<SearchEvent, void> {
  const blockSize = await tableBlocks(prefix?.base.path ?? run.start.path, run.options);
  if (blockSize === undefined) return;
  const holding: { readonly recipe: Recipe; readonly base: Base; readonly isSure: boolean }[] = [];
  for (const bits of WIDTHS) {
    const own = tableRecipe(bits, blockSize);
    const recipe = prefix === undefined ? run.fromStart(own) : chained(prefix.recipe, own);
    const attempt = yield* run.attempt(recipe, prefix?.base);
    if (attempt?.path === undefined || !attempt.candidate.accepted) continue;
    const base = { path: attempt.path, stepsDone: recipe.steps.length };
    holding.push({ recipe, base, isSure: surelyWithin(attempt.candidate.validation!) });
  }
  for (const { recipe, base } of holding) {
    const all = following(recipe, run.wanted(AFTER_TABLES));
    yield* run.attemptEach(all, base);
    const fewest = all.filter(({ steps }) => steps.at(-1)!.options.bits === 4);
    if (fewest.some(({ id }) => run.holds(id))) break;
  }
  const sure = holding.find(({ isSure }) => isSure);
  if (sure !== undefined) yield* mixedCandidates(run, sure);
}
