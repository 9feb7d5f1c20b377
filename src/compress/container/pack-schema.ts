// `lightfoot.pack/1` and `lightfoot.unpack/1`: what went into a container or came out of one, as plain JSON; may depend on quantity.
import { z } from "zod";
import { figureFields } from "../../quantity/figure-schema.ts";

const sizes = {
  /** Bytes of the model file and its external data files. */
  contentBytes: z.int().nonnegative(),
  containerBytes: z.int().positive(),
  /** contentBytes / containerBytes, counted on the files. */
  compressionRate: z.object({ ...figureFields, basis: z.string() }),
};

const fileSchema = z.object({ file: z.string(), bytes: z.int().nonnegative() });

export const packSchema = z.object({
  schema: z.literal("lightfoot.pack/1"),
  container: z.string(),
  /** sha256:<hex> of the container. */
  digest: z.string(),
  /** What it holds: the model first, then its external data. */
  files: z.array(fileSchema).min(1),
  /** False for a file that was packed as plain bytes. */
  isModel: z.boolean(),
  ...sizes,
});

export const unpackSchema = z.object({
  schema: z.literal("lightfoot.unpack/1"),
  container: z.string(),
  /** Paths of what was written, the model first. */
  files: z.array(fileSchema).min(1),
  ...sizes,
});

export type PackDocument = z.infer<typeof packSchema>;
export type UnpackDocument = z.infer<typeof unpackSchema>;
