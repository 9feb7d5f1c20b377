// The schemes that a layer may get when layers differ, and how an assignment becomes a recipe; may depend on this room's recipes.
import type { Recipe } from "../recipe.ts";
import type { Goal } from "../search-options.ts";
import type { Step } from "../techniques/technique.ts";
import type { Assignment } from "./assignment.ts";

/** What `float` stands for: the layer as it was. */
export const FLOAT = "float";

const blocks = (bits: 2 | 4 | 8, blockSize: number, rounding: "nearest" | "gptq" = "nearest"): Step => ({
  technique: "weight-blocks",
  options: { bits, blockSize, symmetric: true, accuracyLevel: 4, rounding },
});

const codebook = (vectorLength: number, entries: number): Step => ({
  technique: "codebooks",
  options: { vectorLength, entries },
});

/**
 * In the order in which their steps are applied. Static int8 comes last: it puts quantise and dequantise around the tensors between
 * layers, and a layer whose output was renamed by that could no longer be found.
 */
export const SCHEMES: ReadonlyMap<string, Step> = new Map([
  ["float16", { technique: "half", options: { dtype: "float16" } }],
  ["codebook-4x256", codebook(4, 256)],
  // Four bits a weight under any operator set: 16 single values need 21 for that, and err twice as much for 4 % fewer bytes.
  ["codebook-2x256", codebook(2, 256)],
  ["codebook-1x256", codebook(1, 256)],
  ["weight-int2-b32", blocks(2, 32, "gptq")],
  ["weight-int4-b128", blocks(4, 128)],
  ["weight-int4-b32", blocks(4, 32)],
  ["weight-int8-b128", blocks(8, 128)],
  ["weight-int8", { technique: "weight-int8", options: {} }],
  ["dynamic-int8", { technique: "dynamic-int8", options: { activations: "tensor" } }],
  [
    "static-int8",
    {
      technique: "static-int8",
      options: { range: "minmax", form: "qdq", biasCorrection: true, samples: 512 },
    },
  ],
]);

/** Rounds a little, needs no calibration, and is quick to make: what a layer's error does at the end is found with it. */
export const PROBE = "float16";

/** They change bytes on disk and nothing else: the engine rebuilds the weights when it loads them. */
export const STORAGE: readonly string[] = ["half", "codebooks"];

/** The same bytes as weights alone in 8 bits, and a larger error: it only saves time. */
const TIME: readonly string[] = ["dynamic-int8"];

/** The schemes that can serve a goal, `wants` telling which techniques may be used. */
export function schemesOf(goal: Goal, wants: (technique: string) => boolean): ReadonlyMap<string, Step> {
  const useless = goal === "size" ? TIME : STORAGE;
  return new Map([...SCHEMES].filter(([, { technique }]) => wants(technique) && !useless.includes(technique)));
}

/** One step for each scheme that some layer has. */
export function recipeOf(id: string, assignment: Assignment): Recipe {
  const parts: string[] = [];
  const steps: Step[] = [];
  for (const [scheme, { technique, options }] of SCHEMES) {
    const layers = [...assignment].filter(([, chosen]) => chosen === scheme).map(([layer]) => layer);
    if (layers.length === 0) continue;
    parts.push(`${layers.length} × ${scheme}`);
    steps.push({ technique, options: { ...options, layers } });
  }
  const kept = [...assignment.values()].filter((scheme) => scheme === FLOAT).length;
  if (kept > 0) parts.push(`${kept} × float`);
  return { id, title: `layer by layer: ${parts.join(", ")}`, steps };
}
