// Public face of the room `meter`; depends on its own files.
export * from "./cpu-energy.ts";
