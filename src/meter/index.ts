// Public face of the room `meter`; depends on its own files.
export * from "./counter.ts";
export * from "./cpu-energy.ts";
export * from "./power-integral.ts";
export type * from "./source.ts";
