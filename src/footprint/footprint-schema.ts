// `lightfoot.footprint/1`: carbon, water, materials and money of an energy at a place, as plain JSON; may depend on zod, quantity and its room.
import { z } from "zod";
import { assumptionSchema, figureFields, figureSchema, isOrdered } from "../quantity/figure-schema.ts";
import { BOUNDARIES, ENERGY_BOUNDARIES } from "./boundary.ts";
import type { MarketPart } from "./intensity-market.ts";

const ORDER_MESSAGE = "a figure needs low ≤ value ≤ high";
const boundaryField = z.enum(BOUNDARIES).meta({ description: "what the figure covers" });

const boundedSchema = z
  .object({ ...figureFields, boundary: boundaryField })
  .refine(isOrdered, ORDER_MESSAGE)
  .meta({
    id: "Bounded",
    description: "a figure with what it covers; figures of different boundaries are not subtracted",
  });

export const energySchema = z
  .object({ ...figureFields, boundary: z.enum(ENERGY_BOUNDARIES) })
  .refine(isOrdered, ORDER_MESSAGE);

/** What the intensity counts: figures that differ in one of these are different quantities and are never ranked. */
const gridBasis = {
  kind: z.enum(["average", "marginal"]),
  scope: z.enum(["life-cycle", "direct", "direct CO2 only", "undeclared"]),
  basis: z.enum(["consumption", "generation", "undeclared"]),
  vintage: z.string().meta({ description: "year of the data, or the state of a series" }),
  dataset: z.string(),
  licence: z.string().nullable(),
};

const emissionsSchema = z
  .object({
    ...figureFields,
    boundary: boundaryField,
    intensity: figureSchema.meta({ description: "gCO2e/kWh, energy-weighted where it changes with time" }),
    ...gridBasis,
    /** Share of the energy for which a series has a value; null without a series. */
    coveredFraction: z.number().min(0).max(1).nullable(),
  })
  .refine(isOrdered, ORDER_MESSAGE);

const marketPartsSchema: z.ZodType<readonly MarketPart[]> = z.array(
  z.object({
    kind: z.enum(["certificate", "contract", "supplier", "residual mix", "grid average"]),
    label: z.string().optional(),
    fraction: z.number().min(0).max(1),
    intensity: figureSchema,
    emissions: figureSchema,
  }),
);
const notesSchema: z.ZodType<readonly string[]> = z.array(z.string());

const marketSchema = z
  .object({
    ...figureFields,
    boundary: boundaryField,
    intensity: figureSchema.meta({ description: "gCO2e/kWh, weighted over the parts" }),
    parts: marketPartsSchema,
    /** Quality criteria of the Scope 2 Guidance that are not met or not answered. */
    notes: notesSchema,
  })
  .refine(isOrdered, ORDER_MESSAGE);

const waterSchema = z.object({
  consumption: boundedSchema.meta({ description: "L, on-site and off-site: water that does not come back" }),
  onSite: boundedSchema.meta({ description: "L, E_IT · WUE" }),
  offSite: boundedSchema.meta({ description: "L, E_IT · PUE · grid water" }),
  /** L taken from rivers and wells by the power plants, most of which flows back; never added to consumption. */
  withdrawal: boundedSchema.nullable(),
  waterUsageEffectiveness: figureSchema,
  gridWater: figureSchema,
});

const embodiedPartSchema = z.object({
  name: z.string(),
  count: z.number().positive(),
  perUnit: figureSchema.meta({ description: "gCO2e of making one, cradle to gate" }),
  share: figureSchema,
});

const embodiedSchema = z
  .object({
    ...figureFields,
    boundary: boundaryField,
    parts: z.array(embodiedPartSchema).min(1),
    usedSeconds: z.number().nonnegative(),
    lifetime: figureSchema.meta({ description: "s" }),
    useFraction: figureSchema.meta({ description: "share of its life for which the hardware is of use to anyone" }),
  })
  .refine(isOrdered, ORDER_MESSAGE);

const costSchema = z
  .object({
    ...figureFields,
    boundary: boundaryField,
    price: figureSchema.meta({ description: "with the band that its age adds" }),
    /** Null where the price was given for this very use. */
    priceYear: z.int().nullable(),
    priceAgeYears: z.number().nonnegative().nullable(),
    isStale: z.boolean(),
    basis: z.string(),
  })
  .refine(isOrdered, ORDER_MESSAGE);

export const footprintSchema = z.object({
  schema: z.literal("lightfoot.footprint/1"),
  place: z.object({ id: z.string(), name: z.string(), kind: z.string() }).nullable(),
  /** ISO 8601, UTC. */
  period: z.object({ from: z.string(), to: z.string() }).nullable(),
  /** The widest that any figure below covers. */
  boundary: boundaryField,
  energy: energySchema.meta({ description: "J, of the facility" }),
  /** The energy at each boundary, from where it was known (from IT where only the facility's was) up to the facility. */
  energyByBoundary: z.array(energySchema).min(1),
  energyKnownAt: z
    .enum(ENERGY_BOUNDARIES)
    .meta({ description: "where the energy was given or modelled; the others follow from it by factors" }),
  powerUsageEffectiveness: figureSchema,
  emissions: z.object({
    locationBased: emissionsSchema,
    /** By contract (certificates, power purchase); null when none was stated. Reported beside, never instead. */
    marketBased: marketSchema.nullable(),
    /** The same energy by other data sets: different quantities, in no order of merit. */
    otherMethods: z.array(emissionsSchema),
    /** Location-based and embodied together; null without embodied. */
    withEmbodied: boundedSchema.nullable(),
  }),
  water: waterSchema,
  embodied: embodiedSchema.nullable(),
  /** Each in its own currency; a device-hour price usually contains electricity, so they are not summed. */
  money: z.object({
    electricity: costSchema.nullable(),
    deviceHours: costSchema.nullable(),
    carbon: costSchema.nullable(),
  }),
  deviceHours: figureSchema.nullable().meta({ description: "device-h: devices times hours" }),
  /** What could not be said, and why. */
  unknown: z.array(z.object({ what: z.string(), why: z.string() })),
  assumptions: z.array(assumptionSchema),
});

export type Footprint = z.infer<typeof footprintSchema>;
export type MarketEmissions = NonNullable<Footprint["emissions"]["marketBased"]>;
export type GridEmissions = Footprint["emissions"]["locationBased"];
export type Embodied = NonNullable<Footprint["embodied"]>;
export type Cost = NonNullable<Footprint["money"]["electricity"]>;
export type WaterUse = Footprint["water"];
