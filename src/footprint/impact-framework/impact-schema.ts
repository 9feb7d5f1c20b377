// `lightfoot.impact/1`: what a run of an Impact Framework manifest gave, as plain JSON; may depend on zod, quantity and its room.
import { z } from "zod";
import { assumptionSchema, figureSchema } from "../../quantity/figure-schema.ts";
import { FINDING_CODES } from "./findings.ts";

const findingSchema = z.object({
  code: z.enum(FINDING_CODES),
  severity: z.enum(["error", "warning", "note"]).meta({
    description: "error: a number is wrong; warning: likely wrong or misleading; note: worth knowing",
  }),
  message: z.string(),
  where: z.object({
    path: z.string().meta({ description: "inside the YAML, e.g. tree.children.web.inputs[3].energy" }),
    line: z.int().positive().optional(),
  }),
  says: z.string().nullable().meta({ description: "what the framework or the manifest says at the first place" }),
  right: z.string().nullable().meta({ description: "what is right there" }),
  factor: z.number().nullable().meta({ description: "says over right" }),
  count: z.int().positive().meta({ description: "observations, or other places of the same kind, it was met in" }),
});

const totalSchema = z.object({
  path: z.string().meta({ description: "the node whose total it is" }),
  metric: z.string(),
  asWritten: figureSchema.nullable().meta({ description: "the framework's own number; null when it is not finite" }),
  corrected: figureSchema
    .nullable()
    .meta({ description: "with the right arithmetic; null when no finding changes it, or when it is undefined" }),
  isUndefined: z
    .boolean()
    .meta({ description: "true when the right arithmetic gives no number, such as a division by 0" }),
});

export const impactSchema = z.object({
  schema: z.literal("lightfoot.impact/1"),
  file: z.string(),
  name: z.string(),
  seed: z.number().meta({ description: "of MockObservations" }),
  components: z.int().nonnegative(),
  observations: z.int().nonnegative().meta({ description: "in all inputs, before plugins made or merged any" }),
  outputs: z.int().nonnegative().meta({ description: "in all components, after the pipelines" }),
  /** Root first, then in the order of the tree. */
  totals: z.array(totalSchema),
  totalsLeftOut: z.int().nonnegative(),
  findings: z.array(findingSchema),
  counts: z.object({ errors: z.int().nonnegative(), warnings: z.int().nonnegative(), notes: z.int().nonnegative() }),
  differences: z
    .array(
      z.object({
        path: z.string(),
        stated: z.string(),
        recomputed: z.string(),
        factor: z.number().nullable(),
      }),
    )
    .nullable()
    .meta({ description: "outputs that the file states and that its inputs do not give; null when it states none" }),
  assumptions: z.array(assumptionSchema),
});

export type ImpactDocument = z.infer<typeof impactSchema>;
