// What share of a model's work a recipe promises to run in integers; may depend on cost, model, rewrite and this room.
import { analyze } from "../cost/analyze.ts";
import type { ModelGraph } from "../model/graph.ts";
import { nodePath } from "../model/shapes/inference.ts";
import { GraphDraft } from "./rewrite/draft.ts";
import { chosenLayers, findLinearLayers } from "./rewrite/linear.ts";
import type { Step } from "./techniques/technique.ts";

const INTEGER_TECHNIQUES: ReadonlySet<string> = new Set(["dynamic-int8", "static-int8"]);

/**
 * Share of the multiply-adds, 0 … 1: all of them where a step quantises the whole model, those of its layers where it names them, none
 * where no step promises integer arithmetic. Weight-only techniques promise a smaller file.
 *
 * @param model what the steps are applied to
 * @param inputs shapes of its inputs
 */
export async function promisedInt8Share(
  model: ModelGraph,
  steps: readonly Step[],
  inputs: Readonly<Record<string, readonly number[]>>,
): Promise<number> {
  const choices = steps
    .filter(({ technique }) => INTEGER_TECHNIQUES.has(technique))
    .map(({ options }) => options["layers"] as readonly string[] | undefined);
  if (choices.length === 0) return 0;
  if (choices.includes(undefined)) return 1;
  const draft = new GraphDraft(model);
  const named = chosenLayers(findLinearLayers(draft), { layers: choices.flatMap((layers) => layers ?? []) });
  const promised = new Set(named.flatMap(({ nodes }) => nodes));
  const whole = draft.finish();
  const paths = new Set(
    whole.graph.nodes.flatMap((node, index) => (promised.has(node) ? [nodePath("", node, index)] : [])),
  );
  const { macs, byNode } = await analyze(whole, { inputs });
  const own = byNode.reduce((sum, node) => sum + (paths.has(node.path) ? (node.macs ?? 0) : 0), 0);
  return macs === 0 ? 0 : own / macs;
}
