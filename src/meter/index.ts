// Public face of the room `meter`; depends on its own files.
export * from "./counter.ts";
export * from "./cpu-energy.ts";
export { SOURCE_OPENERS, openMeter, type MeterOptions } from "./open-meter.ts";
export type { EnvironmentOptions, MeterEnvironment, Opened, SourceOpener } from "./environment.ts";
export * from "./power-integral.ts";
export type * from "./source.ts";
export { settleTotals, type Boundary, type TotalRules } from "./totals.ts";
