// `lightfoot.verification/1`: what of somebody else's footprint holds, as plain JSON; may depend on zod and its room.
import { z } from "zod";

/** Formats that can be verified, with the name people know them by. */
export const REPORT_FORMATS = {
  codecarbon: "CodeCarbon emissions.csv",
  "impact-framework": "Impact Framework manifest",
  "model-card": "Hugging Face model card",
  cyclonedx: "CycloneDX bill of materials",
  sci: "SCI statement (YAML or JSON)",
  statement: "written statement",
} as const;
export type ReportFormat = keyof typeof REPORT_FORMATS;

const checkSchema = z.object({
  code: z.enum([
    "unit-slip",
    "arithmetic",
    "sum",
    "functional-unit",
    "pue",
    "water",
    "range",
    "intensity",
    "vintage",
    "boundary",
    "double-count",
    "model",
    "method",
    "incomplete",
  ]),
  outcome: z.enum(["holds", "fails", "not possible"]),
  severity: z.enum(["error", "warning", "note"]).meta({ description: "how bad it is when the check fails" }),
  message: z.string(),
  where: z.object({ line: z.int().positive().optional(), path: z.string().optional() }),
  stated: z.string().nullable(),
  recomputed: z.string().nullable().meta({ description: "what follows from the report's own parts, in its unit" }),
  count: z
    .int()
    .positive()
    .meta({ description: "checks that came out like this one, this one included: rows of a table" }),
  factor: z.number().nullable().meta({ description: "stated over recomputed" }),
});

export const verificationSchema = z.object({
  schema: z.literal("lightfoot.verification/1"),
  file: z.string(),
  digest: z.string().meta({ description: "SHA-256 of the report's bytes" }),
  format: z.enum(Object.keys(REPORT_FORMATS) as [ReportFormat, ...ReportFormat[]]),
  holds: z.boolean().meta({ description: "true when no check of severity `error` fails" }),
  /** Of all checks, also those that are told once for many rows. */
  counts: z.object({
    holds: z.int().nonnegative(),
    errors: z.int().nonnegative(),
    warnings: z.int().nonnegative(),
    notes: z.int().nonnegative(),
    notPossible: z.int().nonnegative(),
  }),
  /** In the order of the report. */
  checks: z.array(checkSchema),
});

export type Verification = z.infer<typeof verificationSchema>;
