// `lightfoot.simulation/1`: what policies would change, over all draws, as plain JSON; may depend on zod, quantity and the rules.
import { z } from "zod";
import { assumptionSchema } from "../../quantity/figure-schema.ts";
import { ROLES } from "../rules/roles.ts";
import { OUTCOMES } from "../rules/rule-schema.ts";

/** A quantity over all draws: percentiles, and its value with every number at its most likely. */
const spreadSchema = z
  .object({
    central: z.number(),
    p5: z.number(),
    p50: z.number(),
    p95: z.number(),
    unit: z.string(),
  })
  .meta({
    id: "Spread",
    description: "5th, 50th and 95th percentile over the draws, and the value at the central numbers",
  });

const yearSchema = z.object({
  year: z.int(),
  energy: spreadSchema,
  emissions: spreadSchema,
});

const flipSchema = z
  .object({
    rule: z.string(),
    title: z.object({ en: z.string(), zh: z.string() }),
    group: z.string(),
    before: z.enum(OUTCOMES),
    after: z.enum(OUTCOMES),
    share: z
      .number()
      .meta({ description: "share of the checked draws in which it flips this way, above 0, at most 1" }),
    moved: z
      .array(z.object({ field: z.string(), before: z.number(), after: z.number() }))
      .meta({ description: "evidence of the rule that the policy changes, as the median over those draws" }),
  })
  .meta({ id: "Flip", description: "a rule whose outcome for a group is another one under the policy" });

const policySchema = z.object({
  id: z.string(),
  title: z.string(),
  status: z.enum(["inForce", "proposal", "idea"]),
  energy: spreadSchema,
  emissions: spreadSchema,
  /** Baseline minus policy, over all years. */
  energySaving: spreadSchema,
  emissionsSaving: spreadSchema,
  /** Of the baseline's emissions, 0…1. */
  emissionsSavingShare: spreadSchema,
  water: spreadSchema.nullable(),
  /** Mean accuracy over all service, and its change against the baseline. */
  accuracy: spreadSchema,
  accuracyChange: spreadSchema,
  electricityBillChange: spreadSchema,
  /** Paid to the public in carbon price and surcharge, above what is paid without the policy. */
  publicRevenue: spreadSchema,
  /** Grants and credits. */
  publicSpend: spreadSchema,
  /** Public spend per tonne saved; null where nothing is spent or nothing saved in the central case. */
  spendPerTonne: spreadSchema.nullable(),
  /** What changed the emissions of the central case; the parts add up to the change. */
  waterfall: z.object({
    baseline: z.number().meta({ description: "t CO2e" }),
    /** Less energy for the same service. */
    engineering: z.number(),
    /** More or less service, because its cost changed. */
    behavior: z.number(),
    policy: z.number(),
    /** Taken off in market-based accounts only; changes no emissions. */
    accounting: z.number(),
  }),
  /** 1 − actual saving / engineering saving, of energy; null where engineering saves nothing. */
  rebound: spreadSchema.nullable(),
  /** Elasticity at which the saving is eaten up, −1/s, with s the part of unit cost that fell for each part of energy; null where cost or energy did not fall. */
  breakEvenElasticity: z.number().nullable(),
  /** Share of draws in which emissions fall. */
  savingFraction: z.number().min(0).max(1),
  /** The uncertain numbers that move the saving most, one at a time. */
  tornado: z.array(
    z.object({
      parameter: z.string(),
      low: z.number(),
      high: z.number(),
      /** Saving in t CO2e with the parameter at its ends, all else central. */
      savingAtLow: z.number(),
      savingAtHigh: z.number(),
    }),
  ),
  years: z.array(yearSchema),
  /** Rules whose outcome changes; null where the scenario asks for no check. */
  flips: z.array(flipSchema).nullable(),
});

export const simulationSchema = z.object({
  schema: z.literal("lightfoot.simulation/1"),
  notice: z.literal("Not a forecast: what would follow if the scenario's numbers held."),
  title: z.string(),
  digest: z.string(),
  currency: z.string(),
  seed: z.int(),
  draws: z.int().positive(),
  sampling: z.literal("Latin hypercube, triangular"),
  from: z.int(),
  to: z.int(),
  groups: z.array(z.string()),
  uncertain: z.array(z.object({ parameter: z.string(), value: z.number(), low: z.number(), high: z.number() })),
  baseline: z.object({
    energy: spreadSchema,
    emissions: spreadSchema,
    electricityBill: spreadSchema,
    years: z.array(yearSchema),
  }),
  policies: z.array(policySchema),
  /** What the flips are of; null where the scenario asks for none. */
  check: z
    .object({
      asOf: z.iso.date(),
      roles: z.array(z.enum(ROLES)),
      proposals: z.array(z.string()),
      packDigest: z.string(),
      /** The first ones of the run's. */
      draws: z.int().positive(),
      /** Rules that hang on what the simulation determines, and that could be judged for some group. */
      rules: z.array(z.string()),
    })
    .nullable(),
  assumptions: z.array(assumptionSchema),
});

export type Spread = z.infer<typeof spreadSchema>;
export type PolicyResult = z.infer<typeof policySchema>;
export type Flip = z.infer<typeof flipSchema>;
export type Simulation = z.infer<typeof simulationSchema>;
