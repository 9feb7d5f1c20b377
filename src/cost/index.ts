// Public face of the room `cost`; depends on its own files.
export { analyze, analyzeFile, operatorName, type AnalyzeOptions } from "./analyze.ts";
export { countParameters, type ParameterCount } from "./parameters.ts";
export { peakActivationBytes } from "./activation-memory.ts";
export { workOf, type ShapedNode, type Work } from "./operator-work.ts";
export type { CostReport, NodeCost, OperatorCost } from "./report-schema.ts";
