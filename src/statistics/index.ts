// Public face of the room `statistics`; depends on its own files.
export * from "./bootstrap.ts";
export * from "./calibration.ts";
export * from "./cholesky.ts";
export * from "./group-drop.ts";
export * from "./membership.ts";
export * from "./proportion.ts";
export * from "./random.ts";
export * from "./sample.ts";
export * from "./symmetric-eigen.ts";
