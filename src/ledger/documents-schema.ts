// What `lightfoot ledger list|show|compact|sql` answer, as plain JSON; may depend on quantity and zod.
import { z } from "zod";
import { figureSchema } from "../quantity/figure-schema.ts";

const runSchema = z.object({
  run: z.string(),
  /** ISO 8601, UTC. */
  at: z.string(),
  verb: z.string(),
  title: z.string(),
  command: z.array(z.string()),
  model: z.string().nullable(),
  inputs: z.array(z.object({ name: z.string(), digest: z.string() })),
  outputs: z.array(z.object({ name: z.string(), digest: z.string() })),
  /** Digest of the result document as compact JSON. */
  document: z.string().nullable(),
  host: z.string(),
  version: z.string(),
  /** `cut off`: the run has no end, because it goes on or its process was killed. */
  outcome: z.enum(["completed", "failed", "interrupted", "cut off"]),
  exitCode: z.int().nullable(),
  /** By a clock that never goes backwards. Of a run that was cut off: up to its last sample. */
  elapsedSeconds: z.number().nullable(),
  /** The run's own figure of its energy. */
  energy: figureSchema.nullable(),
  /** Sum over the samples of domains that count towards the total; null without samples. No interval is known for it. */
  sampledJoules: z.number().nullable(),
});

/** Files whose last line was dropped because their writer was killed while it wrote. */
const tornSchema = z.array(z.string());

export const ledgerListSchema = z.object({
  schema: z.literal("lightfoot.ledger-list/1"),
  ledger: z.string(),
  runs: z.array(runSchema),
  torn: tornSchema,
});

export const ledgerRunSchema = z.object({
  schema: z.literal("lightfoot.ledger-run/1"),
  ledger: z.string(),
  ...runSchema.shape,
  figures: z.array(z.object({ subject: z.string().nullable(), name: z.string(), figure: figureSchema })),
  domains: z.array(
    z.object({
      domain: z.string(),
      label: z.string(),
      kind: z.string(),
      device: z.string().nullable(),
      method: z.string(),
      countsTowardsTotal: z.boolean(),
      samples: z.int().nonnegative(),
      /** Null when no sample knows it. */
      energyJoules: z.number().nullable(),
      gapSeconds: z.number(),
      lastPowerWatts: z.number().nullable(),
      /** Wall clock of the last sample, seconds since 1970; null without samples. */
      lastAtSeconds: z.number().nullable(),
    }),
  ),
  torn: tornSchema,
});

export const ledgerCompactionSchema = z.object({
  schema: z.literal("lightfoot.ledger-compacted/1"),
  ledger: z.string(),
  files: z.array(
    z.object({
      writer: z.string(),
      state: z.enum(["compacted", "open", "done"]),
      rows: z.int().nonnegative(),
      bytes: z.int().nonnegative(),
      parquetBytes: z.int().nonnegative(),
    }),
  ),
});

export const ledgerQuerySchema = z.object({
  schema: z.literal("lightfoot.ledger-query/1"),
  ledger: z.string(),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.record(z.string(), z.json())),
  torn: tornSchema,
});

export type LedgerRun = z.infer<typeof runSchema>;
export type LedgerList = z.infer<typeof ledgerListSchema>;
export type LedgerRunDetail = z.infer<typeof ledgerRunSchema>;
