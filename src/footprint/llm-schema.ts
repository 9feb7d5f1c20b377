// `lightfoot.llm-footprint/1`: energy and latency of a served language model per token and request; may depend on zod, quantity and its room.
import { z } from "zod";
import { assumptionSchema, figureSchema } from "../quantity/figure-schema.ts";
import { ENERGY_BOUNDARIES } from "./boundary.ts";
import { energySchema, footprintSchema } from "./footprint-schema.ts";

const boundaryField = z.enum(ENERGY_BOUNDARIES);

const comparabilitySchema = z.object({
  board: z.string(),
  quantity: z.string(),
  isComparable: z.boolean(),
  /** What stands between; where nothing does, what to bear in mind. */
  why: z.array(z.string()),
});

export const llmFootprintSchema = z.object({
  schema: z.literal("lightfoot.llm-footprint/1"),
  /** What the energies below cover, unless they say otherwise. */
  boundary: boundaryField,
  energyPerOutputToken: figureSchema.meta({
    description: "J: all energy of a request, prompt included, over its output tokens",
  }),
  energyPerRequest: figureSchema.meta({ description: "J" }),
  energyPerInputToken: figureSchema.meta({
    description: "J an uncached input token adds: prefill, and its place in the context",
  }),
  energyPerCachedToken: figureSchema.meta({ description: "J a cached input token adds: its place in the context" }),
  energyPerDecodedToken: figureSchema.meta({ description: "J of an output token without its share of the prompt" }),
  latencyPerOutputToken: figureSchema.meta({ description: "s between two tokens of one request, mean" }),
  throughput: figureSchema.meta({ description: "output tokens per second of the whole server" }),
  power: figureSchema.meta({ description: "W of all accelerators while they serve" }),
  /** AI Energy Score's unit, always of the accelerators alone. */
  acceleratorEnergyPer1000Requests: figureSchema,
  energyPerRequestByBoundary: z.array(energySchema),
  /** Carbon, water, materials and money of one request; null unless a place, an intensity or a price was given. */
  footprintPerRequest: footprintSchema.nullable(),
  model: z.object({
    parameters: z.number().positive(),
    activeParameters: z.number().positive(),
    isMixtureOfExperts: z.boolean(),
    weights: z.string(),
    architecture: z.enum(["config", "typical for its size"]),
    layers: z.int().positive(),
    cacheBytesPerToken: z.number().nonnegative(),
  }),
  hardware: z.object({ id: z.string(), name: z.string(), count: z.int().positive() }),
  load: z.object({
    batch: z.number().positive(),
    requestsInFlight: z.number().positive(),
    limitedBy: z.enum(["batch", "memory"]),
    tokensIn: z.number().nonnegative(),
    cachedTokens: z.number().nonnegative(),
    tokensOut: z.number().positive(),
    meanContextTokens: z.number().positive(),
  }),
  /** Where a decoding step's time goes. */
  step: z.object({
    fixedSeconds: z.number().nonnegative(),
    communicationSeconds: z.number().nonnegative(),
    weightsSeconds: z.number().nonnegative(),
    cacheSeconds: z.number().nonnegative(),
  }),
  /** Fold = max(estimate/measured, measured/estimate) of energy per output token, on models the constants were not fitted to. */
  errorOnUnseenModels: z.object({
    runs: z.int().positive(),
    medianFold: z.number().min(1),
    p95Fold: z.number().min(1),
    /** True when the measured runs were on this device and within its spans of size and load. */
    appliesHere: z.boolean(),
  }),
  comparability: z.array(comparabilitySchema),
  assumptions: z.array(assumptionSchema),
});

export type LlmFootprint = z.infer<typeof llmFootprintSchema>;
export type Comparability = z.infer<typeof comparabilitySchema>;
