// Public face of the room `compress`; depends on its own files.
export * from "./budget.ts";
export {
  candidateSchema,
  searchResultSchema,
  type Candidate,
  type Execution,
  type Loss,
  type SearchResult,
} from "./candidate-schema.ts";
export { measureModel, type MeasureOptions } from "./measure-model.ts";
export type { CompressionData, Goal, RetrainOptions, SearchEvent, SearchOptions } from "./search-options.ts";
export { DEFAULT_RETRAIN } from "./bench-settings.ts";
export { search, TECHNIQUE_NAMES } from "./search.ts";
export { selectionRule } from "./selection.ts";
export {
  pack,
  packedBytes,
  unpack,
  type Packed,
  type PackOptions,
  type Unpacked,
  type UnpackOptions,
} from "./container/pack.ts";
