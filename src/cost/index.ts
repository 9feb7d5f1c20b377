// Public face of the room `cost`; depends on its own files.
export { analyze, analyzeFile, type AnalyzeOptions } from "./analyze.ts";
export { countParameters, type ParameterCount } from "./parameters.ts";
export { peakActivationBytes } from "./activation-memory.ts";
export { workOf } from "./operator-work.ts";
export type { ShapedNode, Work } from "./work.ts";
export type { CostReport, NodeCost, OperatorCost } from "./report-schema.ts";
export { operatorName } from "./tally.ts";
