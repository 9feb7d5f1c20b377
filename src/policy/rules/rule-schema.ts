// A rule as data: who, when, which dated numbers, which condition, which evidence, which source, and its own fixtures; may depend on zod and its room.
import { z } from "zod";
import { ROLES } from "./roles.ts";

export const KINDS = [
  "environment",
  "ai-law",
  "safety",
  "privacy",
  "tax",
  "investment",
  "research",
  "procurement",
] as const;
export const STATUSES = ["inForce", "adopted", "proposal", "voluntary", "teamDefault", "expired"] as const;
/** How far a number was verified: against the text itself, against a report of it, or not at all in this edition. */
export const MARKS = ["verified", "secondary", "unverified"] as const;
export type Mark = (typeof MARKS)[number];
/** What a rule says of a case. */
export const OUTCOMES = ["pass", "fail", "unknown", "notApplicable", "notYetApplicable", "manual"] as const;
export type Outcome = (typeof OUTCOMES)[number];

const date = z.iso.date();
const bilingual = z.strictObject({ en: z.string().min(1), zh: z.string().min(1) });
const name = z.string().regex(/^[a-z][A-Za-z0-9]*$/, "expected a name such as pueMax");

const datedValueSchema = z
  .strictObject({
    from: date,
    value: z.number(),
    /** Where the value is not one number: the range that the source gives. */
    low: z.number().optional(),
    high: z.number().optional(),
    ref: z.string().min(1),
    mark: z.enum(MARKS),
  })
  .refine(({ low, value, high }) => (low ?? value) <= value && value <= (high ?? value), {
    error: "expected low ≤ value ≤ high",
  });

const parameterSchema = z.strictObject({
  unit: z.string().min(1),
  /** A price of a market: `from` is the day it was seen, and after 90 days it is stale. */
  market: z.boolean().optional(),
  /** In order; the last one that has begun holds. */
  values: z.array(datedValueSchema).min(1),
});

/** Evidence of a fixture or a case: a value, or a value with where it comes from. */
export const evidenceValueSchema = z.union([z.number(), z.string(), z.boolean()]);

const fixtureSchema = z.strictObject({
  name: z.string().min(1),
  asOf: date,
  /** Left out: the rule's first role. */
  role: z.enum(ROLES).optional(),
  evidence: z.record(z.string(), evidenceValueSchema).default({}),
  outcome: z.enum(OUTCOMES),
  /** What the rule's amount has to be, within a billionth of it; null where it can be no point. */
  amount: z.number().nullable().optional(),
});

/** Money a rule costs or brings: a CEL formula over evidence and `param` that gives a double. */
const amountSchema = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/, "expected a currency code such as EUR"),
  /** What the money is, who pays it to whom, over which time. */
  means: bilingual,
  formula: z.string().min(1),
});

export const ruleSchema = z.strictObject({
  id: z.string().regex(/^[A-Z]+(-[A-Z0-9]+)+$/, "expected an id such as ENV-DE-PUE-NEW"),
  title: bilingual,
  jurisdiction: z.string().min(2),
  kind: z.enum(KINDS),
  status: z.enum(STATUSES),
  appliesTo: z.array(z.enum(ROLES)).min(1),
  /** First and last day of application. */
  from: date,
  to: date.optional(),
  /** Month and day on which something is due each year: `05-15`. */
  dueYearly: z
    .string()
    .regex(/^(0[1-9]|1[0-2])-(0[1-9]|1\d|2\d|3[01])$/, "expected a month and a day such as 05-15")
    .optional(),
  /** CEL over evidence: whom the rule is for, beyond the role. */
  when: z.string().optional(),
  parameters: z.record(name, parameterSchema).default({}),
  /** CEL over evidence and `param`; left out when only people can judge. */
  require: z.string().optional(),
  /** CEL over evidence and `param`: whether there is enough evidence to judge by; where not, the outcome is unknown. */
  enough: z.string().optional(),
  amount: amountSchema.optional(),
  severity: z.enum(["breach", "warning", "information"]),
  explain: bilingual,
  /** What a person has to do where no condition can be computed. */
  manual: bilingual.optional(),
  source: z.strictObject({ url: z.url(), article: z.string().min(1).optional(), readOn: date, mark: z.enum(MARKS) }),
  fixtures: z.array(fixtureSchema).min(1),
});
export type Rule = z.output<typeof ruleSchema>;

/** A draft law or an idea: other values for parameters of rules that exist. */
export const overlaySchema = z.strictObject({
  overlay: z.string().regex(/^[A-Z]+(-[A-Z0-9]+)+$/, "expected an id such as ENV-DE-DRAFT-2026"),
  title: bilingual,
  changes: z.record(z.string(), z.record(name, parameterSchema.shape.values)),
  source: ruleSchema.shape.source,
});
export type Overlay = z.output<typeof overlaySchema>;

export const FIELD_TYPES = ["number", "text", "truth", "date"] as const;
export const fieldSchema = z.strictObject({
  type: z.enum(FIELD_TYPES),
  unit: z.string().min(1).optional(),
  /** What a number can be at all: a PUE of 0.9 is a mistake and not a pass. */
  min: z.number().optional(),
  max: z.number().optional(),
  en: z.string().min(1),
  zh: z.string().min(1),
});
/** `dc: { pueAnnual: { type: number, … } }` */
export const vocabularySchema = z.record(name, z.record(name, fieldSchema));
export type Vocabulary = z.output<typeof vocabularySchema>;
