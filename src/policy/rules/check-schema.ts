// `lightfoot.check/1`: what the rules say of a case on a day, as plain JSON; may depend on zod, quantity and its room.
import { z } from "zod";
import { METHODS } from "../../quantity/figure.ts";
import { ROLES } from "./roles.ts";
import { evidenceValueSchema, KINDS, MARKS, OUTCOMES, STATUSES } from "./rule-schema.ts";

const bilingual = z.object({ en: z.string(), zh: z.string() });

const findingSchema = z.object({
  id: z.string(),
  title: bilingual,
  jurisdiction: z.string(),
  kind: z.enum(KINDS),
  status: z.enum(STATUSES),
  severity: z.enum(["breach", "warning", "information"]),
  outcome: z.enum(OUTCOMES),
  explain: bilingual,
  manual: bilingual.nullable(),
  evidence: z.array(z.object({ field: z.string(), value: evidenceValueSchema, method: z.enum(METHODS) })),
  /** Worst method of the evidence; null when none was looked at. */
  evidenceQuality: z.enum(METHODS).nullable(),
  missing: z.array(z.string()),
  parameters: z.array(
    z.object({
      name: z.string(),
      value: z.number(),
      low: z.number().nullable(),
      high: z.number().nullable(),
      unit: z.string(),
      /** A market price seen more than 90 days before: told, and never used as a point. */
      stale: z.boolean(),
      from: z.string(),
      ref: z.string(),
      mark: z.enum(MARKS),
      overlay: z.string().nullable(),
    }),
  ),
  /** Money by the rule's formula, where the rule applies and has one. */
  amount: z
    .object({
      currency: z.string(),
      means: bilingual,
      formula: z.string(),
      /** Null when evidence is missing or a price is stale. */
      value: z.number().nullable(),
      low: z.number().nullable(),
      high: z.number().nullable(),
      missing: z.array(z.string()),
      stale: z.array(z.string()),
    })
    .nullable(),
  appliesFrom: z.string().nullable(),
  source: z.object({ url: z.string(), article: z.string().nullable(), readOn: z.string(), mark: z.enum(MARKS) }),
});

export const checkSchema = z.object({
  schema: z.literal("lightfoot.check/1"),
  notice: z.literal(
    "Thresholds are checked, not law applied: whether a rule is yours is for you and your counsel to say.",
  ),
  asOf: z.string(),
  roles: z.array(z.enum(ROLES)),
  /** Proposals that were laid over the law. */
  overlays: z.array(z.string()),
  /** Rules of draft laws that were judged as if they held. */
  proposedRules: z.array(z.string()),
  packDigest: z.string(),
  /** Beside any score stands how much is unknown. */
  counts: z.object(
    Object.fromEntries(OUTCOMES.map((outcome) => [outcome, z.int().nonnegative()])) as Record<
      (typeof OUTCOMES)[number],
      z.ZodInt
    >,
  ),
  rules: z.array(findingSchema),
  /** What begins or changes after `asOf`, nearest first, among the rules that are or may be the case's. */
  deadlines: z.array(z.object({ date: z.string(), rule: z.string(), title: bilingual, what: z.string() })),
});

export type CheckDocument = z.infer<typeof checkSchema>;
export type RuleFinding = z.infer<typeof findingSchema>;
