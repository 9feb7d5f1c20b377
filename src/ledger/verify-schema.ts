// `lightfoot.ledger-verification/1`: what a check of a ledger found, as plain JSON; may depend on zod.
import { z } from "zod";

const fileSchema = z.object({
  writer: z.string(),
  file: z.string(),
  lines: z.int().nonnegative(),
  blocks: z.int().nonnegative(),
  /** Whole lines after the last block: readable, not chained yet. */
  looseLines: z.int().nonnegative(),
  /** `closed`: the writer said that nothing follows; `open`: it did not, because it goes on or was killed. */
  state: z.enum(["closed", "open"]),
  /** The unfinished last line of a killed writer. Nobody reads it; it is no finding. */
  torn: z.object({ line: z.int().positive(), bytes: z.int().positive() }).nullable(),
  /** Digest that stands for the whole file up to its last block: keep it elsewhere to prove what was there. */
  seal: z.string().nullable(),
  /** `checked`: the Parquet says row by row what the JSONL says; `none`: the file was not compacted. */
  parquet: z.enum(["none", "checked", "damaged"]),
});

const findingSchema = z.object({
  message: z.string(),
  file: z.string(),
  /** 1-based; null where a whole file is missing or is no text. */
  line: z.int().positive().nullable(),
});

export const verificationSchema = z.object({
  schema: z.literal("lightfoot.ledger-verification/1"),
  ledger: z.string(),
  holds: z.boolean(),
  files: z.array(fileSchema),
  findings: z.array(findingSchema),
});

export type Verification = z.infer<typeof verificationSchema>;
