// What the room's transformer model gives to other rooms; depends on its files only.
export { asAccelerators, type Accelerators } from "./accelerator.ts";
export { isSparse, typicalArchitecture, type KnownArchitecture, type TransformerArchitecture } from "./architecture.ts";
export { BAND, CROSS_VALIDATION, SERVING, SERVING_SOURCE, type ServingConstants } from "./coefficients.ts";
export { architectureOfConfig } from "./model-config.ts";
export { requestCapacity, servingStep, type ServingLoad, type ServingStep } from "./serving-step.ts";
export { WEIGHT_FORMATS, type WeightFormat } from "./weight-format.ts";
