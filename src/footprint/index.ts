// Public face of the room `footprint`; depends on its own files.
export * from "./efficiency.ts";
export { readIntensityCsv, type SeriesFile, type SeriesFileOptions } from "./intensity-csv.ts";
export * from "./intensity-integral.ts";
export * from "./intensity-series.ts";
export { electricityMaps, type ElectricityMapsOptions } from "./intensity-electricity-maps.ts";
export { shapedSeries, yearlySeries, type MonthHourShape, type Period } from "./intensity-fallback.ts";
export { latestIntensity, obtainIntensity } from "./intensity-obtain.ts";
export type { IntensityPublisher, PublishedPoint } from "./intensity-publisher.ts";
export { placeIntensities } from "./intensity-place.ts";
export * from "./intensity-resolve.ts";
export { wattTime, type WattTimeOptions } from "./intensity-watttime.ts";
export * from "./intensity-market.ts";
export * from "./sci-ai.ts";
export { perWhat, sciDocument, type SciRequest } from "./sci-document.ts";
export type { SciDocument } from "./sci-schema.ts";
export * from "./sci.ts";
export {
  ASSUMED_FACTORS,
  bounded,
  ENERGY_BOUNDARIES,
  energyAt,
  raiseEnergy,
  ratioWithin,
  subtractWithin,
  type Boundary,
  type Bounded,
  type BoundedEnergy,
  type BoundaryFactors,
  type EnergyBoundary,
} from "./boundary.ts";
export { assessFootprint, type FootprintInput } from "./assess.ts";
export { amortizedEmbodied, yearsOfLife, type EmbodiedInput, type EmbodiedPart } from "./embodied.ts";
export type { Cost, Embodied, Footprint, GridEmissions, MarketEmissions, WaterUse } from "./footprint-schema.ts";
export { factorOf, type GridFactor } from "./grid-emissions.ts";
export type { PriceOf } from "./money.ts";
export { llmFootprint, type LlmInput } from "./llm.ts";
export type { Comparability, LlmFootprint } from "./llm-schema.ts";
