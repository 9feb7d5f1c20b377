// Public face of the room `quantity`; depends on its own files.
export * from "./convert.ts";
export * from "./figure.ts";
export * from "./format.ts";
export * from "./parse-quantity.ts";
export * from "./parse-rate.ts";
