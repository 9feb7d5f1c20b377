// All coupling rules by operator; may depend on this folder.
import type { Node } from "../../../model/graph.ts";
import type { CouplingRule, CouplingRules } from "../coupling-call.ts";
import { CHANNELWISE } from "./channelwise.ts";
import { CONTRIB_ELEMENTWISE, ELEMENTWISE } from "./elementwise.ts";
import { LINEAR } from "./linear.ts";
import { MOVEMENT } from "./movement.ts";
import { RESHAPING } from "./reshape.ts";

const STANDARD: CouplingRules = { ...CHANNELWISE, ...ELEMENTWISE, ...LINEAR, ...MOVEMENT, ...RESHAPING };

/** The rule of an operator; undefined: unknown, and whatever goes in stays as it is. */
export function couplingRule({ domain, opType }: Node): CouplingRule | undefined {
  const table =
    domain === "" || domain === "ai.onnx" ? STANDARD : domain === "com.microsoft" ? CONTRIB_ELEMENTWISE : {};
  return Object.hasOwn(table, opType) ? table[opType] : undefined;
}
