// `lightfoot.audit/1`: how a compressed classifier behaves beside its original, as plain JSON; may depend on zod and quantity.
import { z } from "zod";
import { assumptionSchema, figureSchema } from "../../quantity/figure-schema.ts";

const probability = z.number().min(0).max(1);
const fileSchema = z.object({ file: z.string(), digest: z.string() });
const samplesSchema = z.object({ name: z.string(), sampleCount: z.int().positive(), digest: z.string() });

/** One class or group. Shares are of right answers; `drop` is original − compressed, paired, positive is a loss. */
const groupSchema = z.object({
  name: z.string(),
  sampleCount: z.int().positive(),
  original: probability,
  compressed: probability,
  drop: figureSchema,
  onlyOriginalRight: z.int().nonnegative(),
  onlyCompressedRight: z.int().nonnegative(),
  mcnemarP: probability,
  /** After Holm over every comparison of the audit: the whole, all classes, all groups. */
  adjustedP: probability,
});

export const partitionSchema = z.object({
  /** `class`, or the name of what the groups are of. */
  name: z.string(),
  groups: z.array(groupSchema).min(1),
  /** Group with the largest drop. */
  worst: z.string(),
  smallestSampleCount: z.int().positive(),
  /** Best minus worst group's share right. */
  gap: z.object({ original: probability, compressed: probability }),
});

const attackSchema = z.object({
  /** TPR − FPR of the threshold that was best on the other half. */
  advantage: figureSchema,
  /** Share of members found where at most 1 % of the others are taken for members; null below 100 others to choose on. */
  tprAtLowFpr: figureSchema.nullable(),
});

export const auditSchema = z.object({
  schema: z.literal("lightfoot.audit/1"),
  original: fileSchema,
  compressed: fileSchema,
  data: samplesSchema,
  seed: z.int().nonnegative(),
  /** How outputs were read as probabilities; both models alike. */
  reading: z.enum(["probabilities", "logits", "classes"]),
  accuracy: z.object({
    original: figureSchema,
    compressed: figureSchema,
    drop: figureSchema,
    mcnemarP: probability,
    adjustedP: probability,
  }),
  /** Share of samples with the same answer, and the flips among the others by which of the two is right. */
  agreement: z.object({
    share: figureSchema,
    onlyOriginalRight: z.int().nonnegative(),
    onlyCompressedRight: z.int().nonnegative(),
    bothWrongDifferently: z.int().nonnegative(),
  }),
  /** By class first, then by each division that was given. */
  partitions: z.array(partitionSchema).min(1),
  /** Expected calibration error, 15 bins of equal width; null for outputs that are class numbers. */
  calibration: z.object({ original: probability, compressed: probability, drift: figureSchema }).nullable(),
  /** Accuracy under the fixed set of perturbations; null where no input can be perturbed. */
  robustness: z
    .object({
      sampleCount: z.int().positive(),
      perturbations: z.array(
        z.object({ name: z.string(), what: z.string(), original: probability, compressed: probability }),
      ),
      /** Means over the set. */
      original: probability,
      compressed: probability,
      /** compressed / original; null where the original gets nothing right. */
      ratio: figureSchema.nullable(),
    })
    .nullable(),
  /** Threshold attack on the loss; null without members and others. */
  membership: z
    .object({
      members: samplesSchema,
      others: samplesSchema,
      original: attackSchema,
      compressed: attackSchema,
      /** Rise of the advantage, paired. */
      change: figureSchema,
    })
    .nullable(),
  /** What was not measured, and why. */
  notMeasured: z.array(z.object({ what: z.string(), why: z.string() })),
  assumptions: z.array(assumptionSchema),
});

export type AuditDocument = z.infer<typeof auditSchema>;
export type AuditPartition = z.infer<typeof partitionSchema>;
/** What is measured, without the files' names, which only the caller knows. */
export type Audit = Omit<AuditDocument, "schema" | "original" | "compressed">;
