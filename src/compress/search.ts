// The search for the smallest, fastest or leanest model within an accuracy budget; may depend on cost, runtime, meter, footprint and this room.
import type { SearchResult } from "./candidate-schema.ts";
import type { SearchEvent, SearchOptions } from "./search-options.ts";

export type Search = (options: SearchOptions) => AsyncGenerator<SearchEvent, SearchResult>;
