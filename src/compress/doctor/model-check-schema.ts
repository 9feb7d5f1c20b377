// The document of `lightfoot doctor model`: what runs in which precision, what is slow or wrong, what was repaired; may depend on
// quantity and candidate-schema.
import { z } from "zod";
import { figureSchema } from "../../quantity/figure-schema.ts";
import { executionSchema } from "../candidate-schema.ts";

export const findingSchema = z.object({
  pattern: z.string(),
  /** `slow` and `inaccurate` make the check fail; a `note` is a choice with a price. */
  severity: z.enum(["slow", "inaccurate", "note"]),
  what: z.string(),
  cost: z.string(),
  /** `exact`: the same function, at most summed in another order; `rounds`: activations are rounded to 8 bits. */
  repair: z.object({ kind: z.enum(["exact", "rounds", "none"]), how: z.string() }),
  /** Every node where it occurs, and whether that one can be mended from the file alone. */
  places: z.array(z.object({ node: z.string(), repairable: z.boolean() })),
});

const modelFileSchema = z.object({ file: z.string(), digest: z.string(), fileBytes: z.int().nonnegative() });

export const repairSchema = z.object({
  model: modelFileSchema,
  /** Places mended, by pattern. */
  mended: z.record(z.string(), z.int().positive()),
  execution: executionSchema,
  /** Synthetic numbers or the data set on which both files ran. */
  data: z.string(),
  batch: z.int().positive(),
  outputs: z.array(
    z.object({
      name: z.string(),
      identical: z.boolean(),
      largestDifference: z.number(),
      relativeDifference: z.number().nullable(),
    }),
  ),
  latency: z.object({
    before: figureSchema,
    after: figureSchema,
    /** before / after, the median over pairs of neighbouring runs. */
    speedUp: figureSchema,
  }),
  /** What else changed for callers: inputs whose default became constant. */
  notes: z.array(z.string()),
  /** What is still there afterwards, by pattern. */
  remaining: z.record(z.string(), z.int().positive()),
});

export const modelCheckSchema = z.object({
  schema: z.literal("lightfoot.model-check/1"),
  model: modelFileSchema,
  /** Why u8 × i8 products are, or are not, exact and quick on this machine. */
  processor: z.string(),
  execution: executionSchema,
  /** Operators whose multiply-adds are not known, and so not in the shares. */
  unknownOperators: z.array(z.string()),
  /** What patterns were not looked for in: bodies of If, Loop and Scan, and model-local functions. */
  unexamined: z.object({ subgraphs: z.int().nonnegative(), functions: z.int().nonnegative() }),
  findings: z.array(findingSchema),
  repair: repairSchema.nullable(),
});

export type ModelFinding = z.infer<typeof findingSchema>;
export type ModelRepair = z.infer<typeof repairSchema>;
export type ModelCheck = z.infer<typeof modelCheckSchema>;
