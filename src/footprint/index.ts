// Public face of the room `footprint`; depends on its own files.
export * from "./efficiency.ts";
export { readIntensityCsv, type SeriesFile, type SeriesFileOptions } from "./intensity-csv.ts";
export * from "./intensity-integral.ts";
export * from "./intensity-series.ts";
