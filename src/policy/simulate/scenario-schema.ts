// `scenario.yaml`: actor groups, the models they choose from, and policies as overlays on levers; may depend on zod, the rules and its room.
import { z } from "zod";
import { ROLES } from "../rules/roles.ts";
import { evidenceValueSchema } from "../rules/rule-schema.ts";
import { amounts, certain, type Amount } from "./amount.ts";

const year = z.int().min(1990).max(2200);
const id = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/i, "expected a name of letters, digits, dots and dashes");

/** Ranges of `docs/methodology/simulation.md`; each one that a scenario leaves to us is recorded as an assumption. */
export const GROUP_DEFAULTS: Readonly<Record<string, Amount>> = {
  carbonPrice: certain(0),
  passThrough: { value: 0.8, low: 0, high: 1 },
  electricityShare: { value: 0.1, low: 0.05, high: 0.2 },
  deviceShare: { value: 0.8, low: 0.55, high: 0.8 },
  elasticity: { value: -0.7, low: -1.5, high: -0.2 },
  growth: certain(0),
  intensityChange: certain(0),
  efficiencyGrowth: certain(0),
  reoptimizing: { value: 0.15, low: 0.05, high: 0.4 },
};

function groupFields(currency: string) {
  const of = amounts(currency);
  return {
    /** Electricity of the information technology in the first year. */
    itEnergy: of.energy,
    pue: of.plain({ least: 1, most: 10 }),
    intensity: of.intensity,
    /** Per year; negative where the grid gets cleaner. */
    intensityChange: of.change,
    /** With the carbon price in force in it. */
    powerPrice: of.energyPrice,
    /** In force in the first year. */
    carbonPrice: of.carbonPrice,
    /** Share of the carbon price that reaches the price of electricity. */
    passThrough: of.share,
    /** Share of the unit cost that is electricity, and that is device time, in the first year. */
    electricityShare: of.share,
    deviceShare: of.share,
    /** Of demand to unit cost. */
    elasticity: of.plain({ most: 0 }),
    /** Of demand per year at constant cost. */
    growth: of.change,
    /** Yearly fall of energy per unit that happens anyway. */
    efficiencyGrowth: of.share,
    /** Share of the actors that choose their model anew in a year. */
    reoptimizing: of.share,
    /** On-site, per kWh of IT energy. */
    water: of.water,
    accuracyFloor: of.share,
  };
}

function leverFields(currency: string) {
  const of = amounts(currency);
  return z
    .strictObject({
      carbonPrice: of.carbonPrice,
      /** On IT energy times the part of PUE above the limit. */
      pueSurcharge: z.strictObject({
        limit: of.plain({ least: 1 }),
        rate: of.energyPrice,
        /** Rate where the excess is more than `farAbove` of the limit. */
        farRate: of.energyPrice.optional(),
        farAbove: of.plain({ least: 0 }).optional(),
      }),
      pueCap: z.strictObject({ max: of.plain({ least: 1 }), compliance: of.share.optional() }),
      /** Most energy per unit, as a multiple of the current model's. */
      efficiencyStandard: z.strictObject({ maxEnergy: of.plain({ least: 0 }), compliance: of.share.optional() }),
      /** Added to the share that chooses anew each year. */
      disclosure: z.strictObject({ addedReoptimizing: of.share }),
      /** Buyers take models within the class although they cost `premium` more. */
      label: z.strictObject({ maxEnergy: of.plain({ least: 0 }), premium: of.share }),
      greenPower: z.strictObject({ share: of.share, additionality: of.share }),
      rndCredit: z.strictObject({
        rate: of.share,
        /** Spend on research in a year that the credit is paid on. */
        spend: of.money,
        /** Of efficiency growth to research spend. */
        response: of.share.optional(),
        lagYears: z.int().min(0).max(30).default(3),
      }),
      retrofitGrant: z.strictObject({
        targetPue: of.plain({ least: 1 }),
        uptake: of.share,
        rate: of.perCoalTonne,
        /** Of all grants together. */
        cap: of.money.optional(),
      }),
      /** Public buyers take their share of demand only from what passes. */
      procurementGate: z.strictObject({
        share: of.share,
        maxPue: of.plain({ least: 1 }).optional(),
        maxEnergy: of.plain({ least: 0 }).optional(),
      }),
      /** A model of the list is taken up at once by a share of demand, whatever it costs. */
      adopt: z.strictObject({ model: id, share: of.share.optional() }),
    })
    .partial();
}

const modelSchema = z.strictObject({
  id,
  /** 0 … 1 */
  accuracy: z.number().min(0).max(1),
  /** Per unit of service, in any unit that all models share. */
  energy: z.number().positive(),
  /** Per unit of service, in any unit that all models share. */
  deviceTime: z.number().positive(),
});

/** Evidence of rules by its field, as declared: `dc.country: DE`. */
const evidenceSchema = z.record(z.string(), evidenceValueSchema);

/** Against which rules the groups are held before and after each policy. */
const checkSchema = z.strictObject({
  roles: z.array(z.enum(ROLES)).min(1),
  /** The day to judge by, in a year of the scenario; left out, the last one. */
  asOf: z.iso.date().optional(),
  /** Draft laws that hold before and after alike. */
  proposals: z.array(z.string()).default([]),
  /** Of all groups. */
  evidence: evidenceSchema.default({}),
});

/** The schema of a scenario whose money is in `currency`: the amounts' units depend on it. */
export function scenarioSchema(currency: string) {
  const fields = groupFields(currency);
  const group = z.strictObject({ ...fields }).partial();
  return z.strictObject({
    title: z.string().min(1),
    currency: z.string().regex(/^[A-Z]{3}$/, "expected a code such as EUR, CNY or USD"),
    seed: z.int().min(0).default(1),
    draws: z.int().min(1).max(1_000_000).default(2_000),
    from: year,
    to: year,
    /** Fields that groups share; a range here is one draw for all of them. */
    defaults: group.default({}),
    groups: z
      .array(
        z.strictObject({
          id,
          title: z.string().optional(),
          model: id.optional(),
          /** For `check`, beside what holds for all groups. */
          evidence: evidenceSchema.optional(),
          ...group.shape,
        }),
      )
      .min(1)
      .max(1_000),
    check: checkSchema.optional(),
    /** What actors can choose from; the first is in use, unless a group names another. */
    models: z.union([z.array(modelSchema).min(1).max(64), z.strictObject({ dossier: z.string().min(1) })]),
    policies: z
      .array(
        z.strictObject({
          id,
          title: z.string().optional(),
          /** A law in force, a draft and an idea of one's own are the same kind of overlay. */
          status: z.enum(["inForce", "proposal", "idea"]).default("idea"),
          from: year.optional(),
          /** Left out: all groups. */
          groups: z.array(id).min(1).optional(),
          levers: leverFields(currency),
        }),
      )
      .min(1)
      .max(64),
  });
}

export type RawScenario = z.output<ReturnType<typeof scenarioSchema>>;
export type RawGroup = RawScenario["groups"][number];
export type Levers = RawScenario["policies"][number]["levers"];
export type ModelOption = z.output<typeof modelSchema>;
