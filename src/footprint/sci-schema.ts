// The zod schema of `lightfoot.sci/1`, a Software Carbon Intensity with all its terms and disclosures; may depend on zod, quantity and its room.
import { z } from "zod";
import { PART_STATES } from "./sci-ai.ts";
import { assumptionSchema, figureSchema } from "../quantity/figure-schema.ts";

const aiSchema = z.object({
  persona: z.enum(["consumer", "provider"]),
  edition: z.string(),
  functionalUnit: z.string(),
  multiple: z
    .number()
    .positive()
    .optional()
    .meta({ description: "the multiple in which the specification states the unit" }),
  isListedUnit: z.boolean().meta({ description: "false for a consumer's own unit, which is allowed and not listed" }),
  stages: z.string(),
  boundary: z.array(z.object({ component: z.string(), isRequired: z.boolean(), state: z.enum(PART_STATES) })),
  disclosures: z.array(
    z.object({
      key: z.string(),
      requirement: z.string(),
      given: z.string().nullable().meta({ description: "what was said; null when it is missing" }),
    }),
  ),
  isComplete: z.boolean().meta({ description: "true when nothing that the specification requires is missing" }),
});

export const sciSchema = z
  .object({
    schema: z.literal("lightfoot.sci/1"),
    standard: z.literal("ISO/IEC 21031:2024"),
    score: figureSchema.meta({ description: "SCI = ((E · I) + M) / R, gCO2e per functional unit" }),
    readableScore: z.object({
      figure: figureSchema.meta({ description: "gCO2e per `multiple` functional units" }),
      multiple: z.number().positive(),
    }),
    functionalUnit: z.string(),
    units: z.number().positive().meta({ description: "R, the number of functional units" }),
    energy: figureSchema.meta({ description: "E, in J, for all of R, data center overhead included" }),
    intensity: figureSchema.meta({ description: "I, gCO2e/kWh" }),
    intensityBasis: z.literal("location-based"),
    intensityKind: z.enum(["average", "marginal"]),
    intensityScope: z.enum(["life-cycle", "direct", "direct CO2 only", "undeclared"]),
    intensityVintage: z.string().nullable().meta({ description: "year, version or day of retrieval of the intensity" }),
    operational: figureSchema.meta({ description: "O = E · I, gCO2e" }),
    embodied: figureSchema.meta({ description: "M, gCO2e" }),
    total: figureSchema.meta({ description: "C = O + M, gCO2e" }),
    subject: z.string().nullable(),
    period: z.string().nullable(),
    boundary: z.string().nullable().meta({ description: "the software boundary in words" }),
    ai: aiSchema.nullable().meta({ description: "persona, boundary and disclosures under SCI for AI" }),
    statement: z.string().meta({ description: "the score as prose that can be pasted into a report" }),
    assumptions: z.array(assumptionSchema),
  })
  .meta({ id: "Sci", description: "a Software Carbon Intensity after ISO/IEC 21031" });

export type SciDocument = z.infer<typeof sciSchema>;
