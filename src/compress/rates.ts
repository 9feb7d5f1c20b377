// CompressionRate of a measured model against the original, on each basis; may depend on footprint and this room.
import { compressionRate } from "../footprint/efficiency.ts";
import type { Candidate } from "./candidate-schema.ts";
import type { Profile } from "./profile.ts";

type Sizes = Pick<Profile, "fileBytes" | "parameters" | "peakMemory">;

/** OriginalSize / CompressedSize on every basis that both were measured on. */
export function ratesAgainst(original: Sizes, candidate: Sizes): Candidate["compressionRate"] {
  const peaks = original.peakMemory !== null && candidate.peakMemory !== null;
  return {
    bytesOnDisk: compressionRate(original.fileBytes!, candidate.fileBytes!, "bytes on disk").value,
    parameters: compressionRate(original.parameters!, candidate.parameters!, "parameters").value,
    peakMemory: peaks ? compressionRate(original.peakMemory!, candidate.peakMemory!, "peak memory") : null,
  };
}
