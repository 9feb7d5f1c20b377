// Which shape rule belongs to which operator of which domain; depends on the rule tables.
import type { ShapeRule, RuleTable } from "../call.ts";
import { CONTRIB } from "./contrib.ts";
import { CONVOLUTION } from "./convolution.ts";
import { ELEMENTWISE, TRAINING } from "./elementwise.ts";
import { GENERATOR } from "./generator.ts";
import { MATMUL } from "./matmul.ts";
import { MOVEMENT } from "./movement.ts";
import { NORMALIZATION } from "./normalization.ts";
import { REDUCTION } from "./reduction.ts";

const STANDARD: RuleTable = {
  ...ELEMENTWISE,
  ...CONVOLUTION,
  ...MOVEMENT,
  ...REDUCTION,
  ...MATMUL,
  ...NORMALIZATION,
  ...GENERATOR,
};

const BY_DOMAIN = new Map<string, RuleTable>([
  ["", STANDARD],
  ["ai.onnx", STANDARD],
  ["com.microsoft", CONTRIB],
  ["ai.onnx.preview.training", TRAINING],
]);

export function ruleFor(domain: string, opType: string): ShapeRule | undefined {
  const table = BY_DOMAIN.get(domain);
  return table !== undefined && Object.hasOwn(table, opType) ? table[opType] : undefined;
}
