// Exact clean-up: the same answers from a smaller file; may depend on model and rewrite.
import type { ModelGraph } from "../../model/graph.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { foldConstants } from "../rewrite/constant-folding.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { mergeDuplicates, tieTransposes, type Shared } from "../rewrite/duplicates.ts";
import { foldAffine } from "../rewrite/fold-affine.ts";
import { removeUnreadInside, subgraphsWithin } from "../rewrite/inner-graphs.ts";
import { removeDeadNodes, removeNoOps } from "../rewrite/no-ops.ts";
import { joinTransposes } from "../rewrite/transposes.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** Constants that nobody reads, before anything else is changed. */
function unusedConstants(draft: GraphDraft): number {
  const uses = draft.useCounts();
  return [...draft.constants.keys()].filter((name) => !uses.has(name)).length;
}

/** What else there is inside subgraphs and functions was not looked at; to be said only where something was changed. */
function innerNote({ nodes, functions }: GraphDraft): string[] {
  const parts = [
    [subgraphsWithin(nodes).length, "subgraph"],
    [functions.length, "function"],
  ] as const;
  const present = parts.filter(([count]) => count > 0).map(([count, what]) => counted(count, what));
  return present.length === 0 ? [] : [`inside ${present.join(" and ")} only what nobody reads was looked for`];
}

const sharedNote = ({ count, bytes }: Shared, what: string): string[] =>
  count === 0 ? [] : [`${counted(count, `${what} weight`)} stored once (${bytes} bytes less)`];

/**
 * Takes out what the model does not need in order to give the same answers: constants that nobody reads or that are stored twice (also
 * one as the other's transpose), functions that nobody calls, operators that change nothing or whose results nobody reads, a Transpose that takes an earlier
 * one back, operators on constants alone where their result takes no more room, and batch normalizations that fit into the weights before
 * them.
 *
 * Everything keeps every bit of the answers except the batch normalizations, which keep them up to float32 rounding; a note says so.
 * Inputs and outputs stay. Inside subgraphs only what nobody reads goes; a note says so.
 *
 * @returns refused when there is nothing to clean up
 * @throws LightfootError E_RUNTIME, and as `inferShapes`
 */
export async function clean(model: ModelGraph): Promise<TechniqueResult> {
  const shapes = await inferShapes(model);
  const draft = new GraphDraft(model);
  const unused = unusedConstants(draft);
  const before = draft.nodes.length;
  // First, since operators outside may have been there for what goes inside.
  const { inner, functions } = removeUnreadInside(draft);
  let [joined, idle, dead, computed, folded] = [0, 0, 0, 0, 0];
  for (let changed = true; changed;) {
    const round = [
      joinTransposes(draft),
      removeNoOps(draft, shapes),
      removeDeadNodes(draft),
      await foldConstants(draft, shapes),
      (await foldAffine(draft, { shapes, operators: ["BatchNormalization"] })).count,
    ] as const;
    changed = round.some((count) => count > 0);
    [joined, idle, dead] = [joined + round[0], idle + round[1], dead + round[2]];
    [computed, folded] = [computed + round[3], folded + round[4]];
  }
  const merged = await mergeDuplicates(draft);
  const tied = await tieTransposes(draft);
  const notes = [
    ...(unused === 0 ? [] : [`${counted(unused, "unused constant")} removed`]),
    ...(idle + dead === 0 ? [] : [`${counted(idle + dead, "operator")} of ${before} removed: they changed nothing`]),
    ...(joined === 0 ? [] : [`${counted(joined, "Transpose")} taken together with the one before`]),
    ...(computed === 0 ? [] : [`${counted(computed, "operator")} on constants computed once`]),
    ...(folded === 0
      ? []
      : [
          `${counted(folded, "batch normalization")} folded into weights: equal up to float32 rounding, all else bit for bit`,
        ]),
    ...(inner === 0
      ? []
      : [
          `${counted(inner, "operator or constant", "operators and constants")} inside subgraphs removed: nobody read them`,
        ]),
    ...(functions === 0 ? [] : [`${counted(functions, "function")} removed: nobody called them`]),
    ...sharedNote(merged, "duplicate"),
    ...sharedNote(tied, "transposed"),
  ];
  if (notes.length === 0) return refused("nothing to clean up: every constant and operator is needed as it is");
  return made(draft.finish(), [...notes, ...innerNote(draft)]);
}
