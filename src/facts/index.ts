// Public face of the room `facts`; depends on its own files.
export { matchCpu, type CpuIdentity, type CpuMatch } from "./cpu.ts";
export {
  findHardware,
  listHardware,
  machineProfile,
  parseHardwareId,
  type HardwareListing,
  type HardwareProfile,
  type PeakType,
} from "./hardware.ts";
export {
  embodiedIncludesHost,
  embodiedOfDevice,
  embodiedOfMemoryPerGigabyte,
  embodiedOfServer,
  embodiedOfStoragePerGigabyte,
  type ServerParts,
} from "./embodied.ts";
export {
  comparableIntensities,
  electricityMapsYears,
  incomparable,
  intensityMethod,
  type GridIntensity,
} from "./grid-intensity.ts";
export { hourlyShape, zonesWithShape, type IntensityShape } from "./intensity-shape.ts";
export { findPlace, listPlaces, type Place, type PlaceKind, type PlaceListing } from "./place.ts";
export { carbonPrice, electricityPrice, gpuHourPrices, launchPrice, priceAsOf, type Price } from "./prices.ts";
export { searchFacts, showFact, type SearchOptions } from "./search.ts";
