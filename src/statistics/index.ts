// Public face of the room `statistics`; depends on its own files.
export * from "./proportion.ts";
export * from "./random.ts";
