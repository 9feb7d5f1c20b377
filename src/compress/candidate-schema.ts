// The documents of a compression: one candidate with everything that was found out about it, and the whole front; may depend on quantity.
import { z } from "zod";
import { figureSchema } from "../quantity/figure-schema.ts";

/**
 * What the metric lost against the original on the same samples: `original − candidate` for metrics where more is better,
 * the other way round where less is better, so that a positive value is always a loss. In the metric's unit.
 */
export const lossSchema = z.object({
  split: z.enum(["validation", "test"]),
  sampleCount: z.int().nonnegative(),
  original: figureSchema,
  candidate: figureSchema,
  /** Paired difference with its 95 % interval. */
  loss: figureSchema,
  /** Far end of the two-sided interval at the confidence that the budget asks for; null when it asks for none. */
  bound: z.object({ confidence: z.number(), loss: z.number() }).nullable().default(null),
  /** What the budget allows to be lost, in the same unit. */
  allowedLoss: z.number().nonnegative(),
  /** Exact McNemar p-value that both models err equally often; null when the metric is not right-or-wrong per sample. */
  mcnemarP: z.number().min(0).max(1).nullable(),
});

/** The largest loss accepted: percentage points, percent of the original's score, or an amount in the metric's own unit. */
export const maxDropSchema = z.union([
  z.object({ kind: z.enum(["points", "relative"]), value: z.number().nonnegative() }),
  z.object({ kind: z.literal("absolute"), value: z.number().nonnegative(), unit: z.string().min(1) }),
]);

/** OriginalSize / CompressedSize; the key is the basis of the size. Null when one of the two was not measured. */
export const compressionRateSchema = z.object({
  bytesOnDisk: z.number().positive(),
  parameters: z.number().positive(),
  peakMemory: figureSchema.nullable(),
  /** The original's bytes on disk / bytes of the candidate's coded container. */
  codedContainer: z.number().positive().nullable().default(null),
});

/** A candidate as a coded container of `lightfoot pack`: what is sent, not what a runtime opens. */
export const containerSchema = z.object({
  bytes: z.int().positive(),
  /**
   * What `lightfoot unpack` gives back: the candidate's very file; or `plain`, the same weights as the tensors that a packed file
   * rebuilds at load, which code into fewer bytes, with outputs seen to be equal to the last bit.
   */
  holds: z.enum(["file", "plain"]),
  /** Path of the container relative to the document's folder; kept for the chosen candidate only. */
  file: z.string().nullable(),
});

export const latencySchema = z.object({
  batch: z.int().positive(),
  /** Seconds for one run of the whole batch. */
  median: figureSchema,
  p95: figureSchema,
});

/** What the optimised graph really runs, as shares of the multiply-adds of one inference (0…1). */
export const executionSchema = z.object({
  int8Share: z.number().min(0).max(1),
  int4Share: z.number().min(0).max(1),
  floatShare: z.number().min(0).max(1),
  /** QuantizeLinear and DequantizeLinear nodes that no kernel absorbed. */
  leftoverQuantizeNodes: z.int().nonnegative(),
});

/** Changes against the original on the data that judges. The largest of many losses is large by chance alone: see `adjustedP`. */
export const classesSchema = z.object({
  split: z.enum(["validation", "test"]),
  /** The class whose recall fell most. */
  worst: z.object({
    class: z.int().nonnegative(),
    sampleCount: z.int().positive(),
    original: z.number().min(0).max(1),
    candidate: z.number().min(0).max(1),
    loss: figureSchema,
    /** Exact McNemar p-value after Holm over all classes. */
    adjustedP: z.number().min(0).max(1),
  }),
  /** Expected calibration error and its rise; null when the outputs are class numbers without a probability. */
  calibrationError: z.object({ original: z.number(), candidate: z.number(), rise: figureSchema }).nullable(),
});

const SMALLEST_REASON = 1;

export const candidateSchema = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/),
  title: z.string(),
  /** Path relative to the document's folder; null when no file came about. */
  file: z.string().nullable(),
  digest: z.string().nullable(),
  techniques: z.array(z.string()),
  /** The options of each technique, in order: enough to make the same bytes again. */
  recipe: z.array(z.object({ technique: z.string(), options: z.record(z.string(), z.json()) })),
  /** Share of the multiply-adds that the recipe promises to run in int8: of the whole model, or of the layers that it names. */
  promisedInt8Share: z.number().min(0).max(1).default(0),
  /** The metric on test data; on validation data when there is no test data. Null when the candidate never ran. */
  accuracy: figureSchema.nullable(),
  validation: lossSchema.nullable(),
  test: lossSchema.nullable(),
  /** Share of samples on which original and candidate give the same answer; null where that has no meaning. */
  agreement: figureSchema.nullable(),
  /** What single classes lost, and confidence; null without class labels, with several decisions a sample, or when nobody looked. */
  classes: classesSchema.nullable().default(null),
  fileBytes: z.int().nonnegative().nullable(),
  /** Null when nobody coded it: it never ran, the search was ended early, or it is larger than 64 MiB and was not chosen by a search that went to its end. */
  container: containerSchema.nullable().default(null),
  compressionRate: compressionRateSchema.nullable(),
  parameters: z.int().nonnegative().nullable(),
  /** Per single inference. */
  flops: z.number().nonnegative().nullable(),
  macs: z.number().nonnegative().nullable(),
  latency: z.array(latencySchema),
  peakMemory: figureSchema.nullable(),
  energyPerInference: figureSchema.nullable(),
  /** Processor time of one inference at the largest batch, over all threads: what the energy is modelled from. */
  processorTime: figureSchema.nullable().default(null),
  execution: executionSchema.nullable(),
  /** Within the budget on the data named in `reasons`, and true to its name. */
  accepted: z.boolean(),
  selected: z.boolean(),
  reasons: z.array(z.string()).min(SMALLEST_REASON),
});

/** One layer of the table that assigns schemes: each scheme run on the layer alone, with real inputs. */
export const sensitivityRowSchema = z.object({
  /** The layer's output, its name in recipes. */
  layer: z.string(),
  title: z.string(),
  kind: z.enum(["dense", "conv"]),
  weightShape: z.array(z.int().nonnegative()),
  /** Relative error at the model's first output for each unit of the layer's own; null when too dear to find out (then 1 is assumed). */
  gain: z.number().nonnegative().nullable(),
  schemes: z.array(
    z.object({
      id: z.string(),
      /** Of the layer as a file of its own. */
      storedBytes: z.int().nonnegative().nullable(),
      /** Median of one run of the layer alone; null where the goal asks for no times. */
      seconds: z.number().positive().nullable(),
      /** Σ (y − ŷ)² / Σ y² on the layer's own output. */
      error: z.number().nonnegative().nullable(),
      /** Why the layer cannot have this scheme; null when it can. */
      reason: z.string().nullable(),
    }),
  ),
});

export const searchResultSchema = z.object({
  schema: z.literal("lightfoot.compression/1"),
  goal: z.enum(["size", "latency", "energy", "memory"]),
  metric: z.string(),
  budget: maxDropSchema,
  /** At which the loss's far end must hold the budget; null: the estimate holds it, and the far end at 95 % twice the budget. */
  confidence: z.number().nullable(),
  /** The rule by which the winner was chosen, and on what data. */
  selectionRule: z.string(),
  seed: z.int(),
  data: z.array(
    z.object({
      role: z.enum(["train", "validation", "test", "calibration"]),
      name: z.string(),
      sampleCount: z.int().positive(),
      digest: z.string(),
    }),
  ),
  /** What made the search end. */
  ended: z.enum(["complete", "candidate-limit", "time-limit", "interrupted"]),
  tried: z.int().nonnegative(),
  planned: z.int().nonnegative(),
  /** Id of the first recipe (or name of the table of layers) that a limit or an interruption kept from being made; null when all were. */
  stoppedBefore: z.string().nullable(),
  /** The tables by which layers got different schemes, for each model that was mixed from: `original` or a candidate's id (`clean`). */
  sensitivity: z.array(z.object({ of: z.string(), layers: z.array(sensitivityRowSchema) })),
  original: candidateSchema,
  candidates: z.array(candidateSchema),
  /** Ids of those that no other beats in both the goal's cost and the loss on validation data, cheapest first. */
  front: z.array(z.string()),
  /** Id of the chosen candidate; null when none held on validation data. */
  selected: z.string().nullable(),
});

export type Loss = z.infer<typeof lossSchema>;
export type Container = z.infer<typeof containerSchema>;
export type Execution = z.infer<typeof executionSchema>;
export type Candidate = z.infer<typeof candidateSchema>;
export type SensitivityRow = z.infer<typeof sensitivityRowSchema>;
export type SearchResult = z.infer<typeof searchResultSchema>;
