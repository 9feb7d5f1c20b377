// The zod schemas of `lightfoot.gpai-form/1` and `lightfoot.export/1`; may depend on zod and quantity.
import { z } from "zod";
import { METHODS } from "../../quantity/figure.ts";
import { assumptionSchema } from "../../quantity/figure-schema.ts";

const fieldSchema = z.object({
  field: z.string(),
  title: z.string(),
  value: z.union([z.string(), z.number()]).meta({ description: "'unknown' where neither run nor supplement says it" }),
  text: z.string().optional().meta({ description: "a number as it goes into the form, with its significant digits" }),
  unit: z.string().optional(),
  low: z.number().optional().meta({ description: "lower end of the 95 % interval" }),
  high: z.number().optional().meta({ description: "upper end of the 95 % interval" }),
  method: z.enum(METHODS).optional(),
  sources: z.array(z.string()).optional(),
  note: z.string().optional().meta({ description: "boundary, task, or why it is unknown" }),
});

export const gpaiFormSchema = z.object({
  schema: z.literal("lightfoot.gpai-form/1"),
  basis: z.string(),
  createdAt: z.string(),
  fields: z.array(fieldSchema),
  unknownFields: z.array(z.string()),
  notes: z.array(z.string()),
  assumptions: z.array(assumptionSchema),
});

export const EXPORT_FORMATS = ["cyclonedx", "model-card", "sci", "gpai-form"] as const;

/** Documents of a dossier, and the sheet of a site's key figures, which is of no model. */
export const WRITTEN_FORMATS = [...EXPORT_FORMATS, "kpi-sheet"] as const;

export const exportSchema = z.object({
  schema: z.literal("lightfoot.export/1"),
  format: z.enum(WRITTEN_FORMATS),
  model: z.string().nullable().meta({ description: "digest of the model that the document is about; null for a site" }),
  file: z.string().nullable().meta({ description: "where it was written; null when it was not" }),
  text: z.string().meta({ description: "the document itself" }),
  assumptions: z.array(assumptionSchema),
});

export type FormField = z.infer<typeof fieldSchema>;
export type GpaiForm = z.infer<typeof gpaiFormSchema>;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
export type WrittenFormat = (typeof WRITTEN_FORMATS)[number];
export type ExportDocument = z.infer<typeof exportSchema>;
