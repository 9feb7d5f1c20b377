// The catalogue of gradient rules by operator of the standard domain; may depend on its own room.
import type { Node } from "../../../model/graph.ts";
import { flat, type GradientRule } from "../rule.ts";
import { activation } from "./activation.ts";
import { arithmetic } from "./arithmetic.ts";
import { convolution } from "./convolution.ts";
import { linear } from "./linear.ts";
import { movement } from "./movement.ts";
import { normalization } from "./normalization.ts";
import { pooling } from "./pooling.ts";
import { quantization } from "./quantization.ts";
import { reductions } from "./reduction.ts";

const RULES: ReadonlyMap<string, GradientRule> = new Map(
  Object.entries({
    ...arithmetic,
    ...activation,
    ...linear,
    ...convolution,
    ...pooling,
    ...normalization,
    ...movement,
    ...reductions,
    ...quantization,
    Floor: flat,
    Ceil: flat,
    Round: flat,
    Sign: flat,
  }),
);

/** The rule of a node, or undefined when there is none. */
export function ruleOf(node: Node): GradientRule | undefined {
  return node.domain === "" || node.domain === "ai.onnx" ? RULES.get(node.opType) : undefined;
}

/** Operators with a rule, sorted by name. */
export const differentiableOperators = (): string[] => [...RULES.keys()].sort();
