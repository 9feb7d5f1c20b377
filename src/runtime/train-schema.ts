// The document of a training run, `lightfoot.training/1`; may depend on zod.
import { z } from "zod";

export const trainingSchema = z.object({
  schema: z.literal("lightfoot.training/1"),
  source: z.object({ file: z.string(), digest: z.string() }),
  result: z.object({ file: z.string(), digest: z.string(), fileBytes: z.int().positive() }),
  data: z.object({
    train: z.object({ name: z.string(), sampleCount: z.int().positive(), digest: z.string() }),
    validation: z.object({ name: z.string(), sampleCount: z.int().positive(), digest: z.string() }).nullable(),
  }),
  /** Everything that decides the weights, with defaults filled in where the program chose. */
  options: z.record(z.string(), z.json()),
  trainable: z.array(z.string()),
  steps: z.int().nonnegative(),
  /** Why training ended. */
  reason: z.enum(["completed", "early-stop"]),
  /** The epoch whose weights were written. */
  epoch: z.int().positive(),
  history: z.array(
    z.object({
      epoch: z.int().positive(),
      /** Mean training loss over the epoch. */
      loss: z.number(),
      validationLoss: z.number().optional(),
      /** Share of positions whose highest score is the label, 0…1. */
      validationAccuracy: z.number().min(0).max(1).optional(),
    }),
  ),
  /** Wall time of the run, a resumed part only for itself. */
  durationSeconds: z.number().nonnegative(),
});

export type TrainingDocument = z.infer<typeof trainingSchema>;
