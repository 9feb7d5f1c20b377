// Public face of the room `footprint`; depends on its own files.
export * from "./efficiency.ts";
