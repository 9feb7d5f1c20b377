// `lightfoot.dossier/1`: everything one run of a manifest found out, as plain JSON; may depend on quantity, runtime, footprint, compress and policy.
import { z } from "zod";
import { candidateSchema, latencySchema, maxDropSchema, searchResultSchema } from "../compress/candidate-schema.ts";
import { footprintSchema } from "../footprint/footprint-schema.ts";
import { checkSchema } from "../policy/rules/check-schema.ts";
import { figureSchema } from "../quantity/figure-schema.ts";
import { auditSchema } from "../runtime/audit/audit-schema.ts";

/** Counts that a footprint may be of: a thousand to a billion, so that grams stand before the point. */
export const INFERENCE_COUNTS = [1e3, 1e6, 1e9] as const;

const assumptionSchema = z.object({ key: z.string(), text: z.string() });

/** Accuracy / Resource, for each resource that was found out; the unit names the resource: `1/kWh`. */
const efficiencySchema = z.object({
  resource: z.enum(["energy", "flops", "fileBytes", "latency", "deviceHours", "emissions", "water", "electricityCost"]),
  figure: figureSchema,
  /** How many times as efficient as the original; null for the original itself. Their bases agree. */
  gain: figureSchema.nullable(),
  /** What must agree before two efficiencies may be compared. */
  basis: z.object({ task: z.string(), data: z.string(), boundary: z.string(), period: z.string() }),
});

/** One operator type of a model: how often it occurs and what one inference spends on it. */
const operatorCostSchema = z.object({
  operator: z.string(),
  count: z.int().nonnegative(),
  flops: z.number().nonnegative(),
  movedBytes: z.number().nonnegative(),
});

const costSchema = z.object({
  operators: z.array(operatorCostSchema),
  weightBytes: z.number().nonnegative(),
  peakActivationBytes: z.number().nonnegative(),
  /** Seconds of one inference on the manifest's `hardware`; null without one. */
  estimatedDuration: figureSchema.nullable(),
  /** Operators that the analysis has no rule for: their work is missing in `flops`. */
  unknownOperators: z.array(z.string()),
});

const epochSchema = z.object({
  epoch: z.int().positive(),
  loss: z.number(),
  validationScore: z.number().nullable(),
});

/** A line of the table: a model in full, measured like every other. */
const modelSchema = z.object({
  role: z.enum(["original", "narrow", "compressed"]),
  title: z.string(),
  /** Path relative to the dossier's folder. */
  file: z.string(),
  digest: z.string(),
  /** The budget's metric on test data, or on validation data when there is no test data. */
  accuracy: figureSchema,
  fileBytes: z.int().positive(),
  container: candidateSchema.shape.container,
  /** OriginalSize / CompressedSize by basis; 1 for the original itself, except as a coded container. */
  compressionRate: candidateSchema.shape.compressionRate,
  parameters: z.int().nonnegative(),
  /** Per single inference; multiply-add = 2. */
  flops: z.number().nonnegative(),
  macs: z.number().nonnegative(),
  latency: z.array(latencySchema),
  peakMemory: figureSchema.nullable(),
  energyPerInference: figureSchema.nullable(),
  /** Of `footprintInferences` inferences; null when no energy is known. */
  footprint: footprintSchema.nullable(),
  efficiency: z.array(efficiencySchema),
  cost: costSchema,
  /** Empty for a model that came as a file or out of the search. */
  training: z.array(epochSchema),
});

const dataSchema = z.object({
  role: z.enum(["train", "validation", "test", "calibration"]),
  name: z.string(),
  sampleCount: z.int().positive(),
  digest: z.string(),
});

const stageSchema = z.object({
  stage: z.enum(["data", "train-original", "train-narrow", "compress", "audit", "judge"]),
  durationSeconds: z.number().nonnegative(),
  cpuSeconds: z.number().nonnegative(),
  /** True when the result of an earlier run with the same inputs was taken. */
  reused: z.boolean(),
});

export const dossierSchema = z.object({
  schema: z.literal("lightfoot.dossier/1"),
  title: z.string(),
  tool: z.object({ name: z.literal("lightfoot"), version: z.string(), node: z.string(), engine: z.string() }),
  /** ISO 8601, UTC. */
  createdAt: z.string(),
  manifest: z.object({ file: z.string(), digest: z.string() }),
  seed: z.int().nonnegative(),
  machine: z.object({
    cpuName: z.string(),
    logicalCpuCount: z.int().positive(),
    memoryBytes: z.number().positive(),
    platform: z.string(),
    architecture: z.string(),
    isVirtual: z.boolean(),
  }),
  /** Device of the catalogue that `cost.estimatedDuration` is for. */
  hardware: z.string().nullable(),
  /** Place of use as the manifest declares it; footprints are of it, or of the world's average with its range. */
  where: z.string().nullable(),
  /** How many inferences each model's footprint is of. */
  footprintInferences: z.literal(INFERENCE_COUNTS),
  data: z.array(dataSchema),
  task: z.object({
    metric: z.string(),
    goal: z.enum(["size", "latency", "energy", "memory"]),
    budget: maxDropSchema,
    batches: z.array(z.int().positive()),
  }),
  models: z.array(modelSchema),
  candidates: z.array(candidateSchema),
  /** Id of the chosen candidate; null when none was accepted. */
  selected: z.string().nullable(),
  selectionRule: z.string(),
  /** Why the search ended; anything but `complete` leaves candidates untried. */
  searchEnded: searchResultSchema.shape.ended,
  /** Union over all figures and stages. */
  assumptions: z.array(assumptionSchema),
  stages: z.array(stageSchema),
  /** What this run itself used. */
  runEnergy: figureSchema,
  runFootprint: footprintSchema,
  /** How the chosen model behaves beside the original, beyond the budget's metric; null without labels or a chosen model. */
  audit: auditSchema.omit({ schema: true, original: true, compressed: true }).nullable().default(null),
  /** What the rules say of the chosen model; null when the manifest does not ask. */
  check: checkSchema.nullable(),
});

export type Dossier = z.infer<typeof dossierSchema>;
export type DossierModel = z.infer<typeof modelSchema>;
export type DossierStage = z.infer<typeof stageSchema>;
export type DossierData = z.infer<typeof dataSchema>;
