// Public face of the room `pipeline`; depends on its own files.
export { runManifest, type RunEvent, type RunOptions } from "./run.ts";
export { parseManifest, readManifest, type KnownNames, type ReadManifest } from "./manifest.ts";
export type { Manifest } from "./manifest-schema.ts";
export { runSchema, type RunDocument } from "./track/run-schema.ts";
export { dossierSchema, type Dossier } from "./dossier-schema.ts";
