// The document of an evaluation, `lightfoot.evaluation/1`; may depend on zod and quantity.
import { z } from "zod";
import { assumptionSchema, figureSchema } from "../quantity/figure-schema.ts";

export const evaluationSchema = z.object({
  schema: z.literal("lightfoot.evaluation/1"),
  model: z.object({ file: z.string(), digest: z.string() }),
  /** The model that outputs were compared with; null when none was given. */
  reference: z.object({ file: z.string(), digest: z.string() }).nullable(),
  data: z.object({ name: z.string(), sampleCount: z.int().positive(), digest: z.string() }),
  /** Name of the output that was judged. */
  output: z.string(),
  /** Samples in one run; dynamically quantized models can depend on it. */
  batch: z.int().positive(),
  threads: z.int().positive().nullable(),
  seed: z.int().nonnegative(),
  metrics: z.record(z.string(), z.object({ figure: figureSchema, higherIsBetter: z.boolean() })),
  assumptions: z.array(assumptionSchema),
  /** Wall time of the model's runs, without loading and metrics. */
  runSeconds: z.number().nonnegative(),
});

export type EvaluationDocument = z.infer<typeof evaluationSchema>;
