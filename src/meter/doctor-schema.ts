// The document `lightfoot.doctor/1`: which energy sources work here, and what would make the others work; may depend on zod and quantity.
import { z } from "zod";
import { assumptionSchema, figureSchema } from "../quantity/figure-schema.ts";
import { METHODS } from "../quantity/figure.ts";

const domainSchema = z.object({
  id: z.string(),
  label: z.string(),
  kind: z.string(),
  method: z.enum(METHODS),
  countsTowardsTotal: z.boolean().meta({ description: "false where another domain contains or mirrors it" }),
  why: z.string().optional().meta({ description: "why it does not count, or what is special about it" }),
  state: z
    .enum(["works", "still", "trouble"])
    .meta({ description: "works: gave energy; still: did not move meanwhile; trouble: gave no usable reading" }),
  power: figureSchema.optional().meta({ description: "mean power while doctor looked, W" }),
  trouble: z.string().optional(),
});

const sourceSchema = z.object({
  name: z.string(),
  works: z.boolean(),
  domains: z.array(domainSchema),
});

const problemSchema = z.object({
  source: z.string(),
  code: z.enum(["absent", "permission", "broken", "dependency", "not-configured"]),
  message: z.string(),
  remedies: z.array(
    z.object({ what: z.string(), command: z.string().optional().meta({ description: "to copy and paste" }) }),
  ),
});

/** What `lightfoot doctor` found. */
export const doctorSchema = z
  .object({
    schema: z.literal("lightfoot.doctor/1"),
    machine: z.object({
      processor: z.string(),
      logicalCpuCount: z.number().int(),
      memoryBytes: z.number(),
      platform: z.string(),
      isVirtual: z.boolean(),
    }),
    sysRoot: z.string(),
    procRoot: z.string(),
    durationSeconds: z.number().meta({ description: "how long doctor looked" }),
    method: z
      .enum(METHODS)
      .nullable()
      .meta({ description: "how the total would be known in a run now; null when nothing can be read or modelled" }),
    power: figureSchema.nullable().meta({ description: "mean power of what counts while doctor looked, W" }),
    sources: z.array(sourceSchema),
    problems: z.array(problemSchema),
    assumptions: z.array(assumptionSchema),
  })
  .meta({ id: "Doctor", description: "which energy sources work, and how to make the others work" });

export type DoctorReport = z.infer<typeof doctorSchema>;
