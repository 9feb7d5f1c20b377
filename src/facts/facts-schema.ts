// `lightfoot.facts/1`: facts found by words or by id, each with unit, year, method, source and licence; may depend on zod, quantity and its room.
import { z } from "zod";
import { figureSchema } from "../quantity/figure-schema.ts";
import { FACT_KINDS } from "./fact-kinds.ts";

const propertySchema = z.object({
  /** What the number says of the subject: `grid intensity`, `memory`, `GPU hour`. */
  name: z.string(),
  figure: figureSchema,
  /** Year the number is for; null where the source gives none. */
  year: z.int().nullable(),
  /** Scope, basis and boundary in words, without which two numbers cannot be compared. */
  basis: z.string(),
  licence: z.string(),
});

const subjectSchema = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(FACT_KINDS),
  facts: z.array(propertySchema),
});

export const factsSchema = z.object({
  schema: z.literal("lightfoot.facts/1"),
  /** The words or the id asked for. */
  query: z.string(),
  /** How many subjects match; `subjects` holds the best of them. */
  found: z.int().nonnegative(),
  /** Set when grid intensities of several methods stand in the document: they must not be ranked against each other. */
  notComparable: z.string().nullable(),
  subjects: z.array(subjectSchema),
});

export type FactProperty = z.infer<typeof propertySchema>;
export type FactSubject = z.infer<typeof subjectSchema>;
export type FactsDocument = z.infer<typeof factsSchema>;
