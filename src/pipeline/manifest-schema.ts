// What `lightfoot.yaml` may say, as a zod schema; may depend on compress (the budget's notation) and policy (the roles).
import { z } from "zod";
import { parseMaxDrop } from "../compress/budget.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { ROLES } from "../policy/rules/roles.ts";
import { evidenceValueSchema } from "../policy/rules/rule-schema.ts";

const LARGEST_LAYER = 1_000_000;

/** A multilayer perceptron to be trained from scratch: `layers` are the widths from input to output. */
export const mlpSchema = z.strictObject({
  layers: z.array(z.int().min(1).max(LARGEST_LAYER)).min(2),
  activation: z.enum(["relu", "tanh", "sigmoid", "gelu"]).default("relu"),
  output: z.enum(["softmax", "sigmoid", "none"]).default("softmax"),
});

/** Exactly one of `file` and `mlp`; the parser checks that, so that the message can name both. */
const modelSourceSchema = z.strictObject({
  name: z.string().min(1).optional(),
  file: z.string().min(1).optional(),
  mlp: mlpSchema.optional(),
});

/** `split`: below 1 a share of the training data, from 1 on a number of samples. Drawn with the manifest's seed. */
const splitSchema = z.strictObject({ split: z.number().positive() });

/** A bare number comes as far as the parser, whose message says why it is refused. */
const maxDropSchema = z.union([z.string(), z.number()]).transform((drop, context) => {
  try {
    return parseMaxDrop(String(drop));
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    context.addIssue({ code: "custom", message: error.message, params: { hint: error.hint } });
    return z.NEVER;
  }
});

export const trainSchema = z.strictObject({
  loss: z.enum(["cross-entropy", "mse"]),
  optimizer: z.enum(["adam", "adamw", "sgd"]),
  learningRate: z.number().positive(),
  epochs: z.int().min(1),
  batch: z.int().min(1),
  /** Of `sgd` only. */
  momentum: z.number().min(0).lt(1).optional(),
  /** Added to the gradient with `adam` and `sgd`, taken off the weights directly with `adamw`. */
  weightDecay: z.number().min(0).optional(),
});

export const manifestSchema = z.strictObject({
  /** Title of the report. */
  name: z.string().min(1).optional(),
  model: modelSourceSchema,
  /** A smaller model made by hand, for comparison. */
  compare: modelSourceSchema.optional(),
  data: z.strictObject({
    /** Trains. */
    train: z.string().min(1).optional(),
    /** Chooses among the candidates. */
    validate: z.union([z.string().min(1), splitSchema]),
    /** Judges, after the choice; never seen before. */
    test: z.string().min(1).optional(),
    /** Finds the ranges of activations. */
    calibrate: z.string().min(1).optional(),
  }),
  train: trainSchema.optional(),
  /** How the search retrains narrower networks; what is left out comes from `train`, else from the search. */
  retrain: z
    .strictObject({
      epochs: z.int().min(1).optional(),
      batch: z.int().min(1).optional(),
      learningRate: z.number().positive().optional(),
      /** What inner layers count that differ from the original's, beside its answers; left out, nothing. */
      featureWeight: z.number().nonnegative().optional(),
    })
    .optional(),
  budget: z.strictObject({
    metric: z.string().min(1),
    maxDrop: maxDropSchema,
    /** At which the loss's far end must hold the budget; left out, the estimate does, and the far end at 95 % twice the budget. */
    confidence: z.number().gt(0).lt(1).optional(),
  }),
  /** What is to become small within the budget. */
  goal: z.enum(["size", "latency", "energy", "memory"]),
  /**
   * Batch sizes at which latency is measured; energy per inference is taken at the largest. Left out: 1 and 32, 1 alone where 32 samples take
   * more than 2·10¹⁰ multiply-adds, or what the model fixes.
   */
  batch: z.array(z.int().min(1).max(LARGEST_LAYER)).min(1).optional(),
  threads: z.int().min(1).max(1024).optional(),
  seed: z.int().min(0).default(0),
  /** Device of the catalogue for which the analysis estimates seconds. */
  hardware: z.string().min(1).optional(),
  /** Place where the model will run: `DE`, `US-CAL-CISO`, `aws:eu-central-1`. Carbon, water and money are counted for it. */
  where: z.string().min(1).optional(),
  /** What the audit of the chosen model against the original needs to know; it runs wherever the data has labels. */
  audit: z
    .strictObject({
      /** Files with a group for each sample of the judging data: `people.csv#column=sex`, `sex.npy`. */
      groups: z.array(z.string().min(1)).min(1).optional(),
      /** Layout of images that come as flat arrays, for shifts and blur. */
      image: z
        .string()
        .regex(/^\d+x\d+(x\d+)?$/, "expected a layout such as 28x28 or 3x32x32")
        .optional(),
    })
    .optional(),
  /** Holds the result against the rule pack, for these roles. */
  check: z
    .strictObject({
      roles: z.array(z.enum(ROLES)).min(1),
      /** What the run cannot find out by itself, as declared: `model.generative: false`. */
      evidence: z.record(z.string(), evidenceValueSchema).default({}),
      /** The day to judge by; the day of the run when left out. */
      asOf: z.iso.date().optional(),
      /** Draft laws to lay over the law in force. */
      proposals: z.array(z.string().min(1)).optional(),
    })
    .optional(),
  /** Names of the techniques to try; all when left out. */
  techniques: z.array(z.string().min(1)).min(1).optional(),
  /** The search tries no further candidate after this. */
  timeLimitSeconds: z.number().positive().optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ModelSource = z.infer<typeof modelSourceSchema>;
export type Mlp = z.infer<typeof mlpSchema>;
export type TrainSettings = z.infer<typeof trainSchema>;
