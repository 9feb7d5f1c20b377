// CompressionRate of a measured model against the original, on each basis; may depend on footprint and this room.
import { compressionRate } from "../footprint/efficiency.ts";
import type { Candidate, Container } from "./candidate-schema.ts";
import type { Profile } from "./profile.ts";

type Sizes = Pick<Profile, "fileBytes" | "parameters" | "peakMemory">;

/** The original's bytes on disk / bytes of the container. */
export const containerRate = (original: Pick<Profile, "fileBytes">, { bytes }: Container): number =>
  compressionRate(original.fileBytes!, bytes, "coded container, bytes").value;

/** OriginalSize / CompressedSize on every basis that both were measured on. */
export function ratesAgainst(
  original: Sizes,
  candidate: Sizes,
  container: Container | null = null,
): Candidate["compressionRate"] {
  const peaks = original.peakMemory !== null && candidate.peakMemory !== null;
  return {
    bytesOnDisk: compressionRate(original.fileBytes!, candidate.fileBytes!, "bytes on disk").value,
    parameters: compressionRate(original.parameters!, candidate.parameters!, "parameters").value,
    codedContainer: container && containerRate(original, container),
    peakMemory: peaks ? compressionRate(original.peakMemory!, candidate.peakMemory!, "peak memory") : null,
  };
}
