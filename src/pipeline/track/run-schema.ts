// `lightfoot.run/1`: what a tracked command used, how it is known, and what is missing; may depend on zod, quantity, footprint and this room.
import { z } from "zod";
import { footprintSchema } from "../../footprint/footprint-schema.ts";
import { assumptionSchema, figureSchema } from "../../quantity/figure-schema.ts";
import { IDLE_POLICIES } from "./attribution.ts";

const seconds = z.number().nonnegative();

/** The share of a command under each policy; null where a policy cannot say. */
const sharesSchema = z.object(
  Object.fromEntries(IDLE_POLICIES.map((policy) => [policy, figureSchema.nullable()])) as Record<
    (typeof IDLE_POLICIES)[number],
    z.ZodNullable<typeof figureSchema>
  >,
);

const domainSchema = z.object({
  id: z.string(),
  label: z.string(),
  kind: z.string(),
  method: z.enum(["measured", "modelled", "declared", "assumed"]),
  /** False where another domain contains or mirrors it: shown, never added. */
  countsTowardsTotal: z.boolean(),
  why: z.string().nullable(),
  energy: figureSchema.nullable(),
  /** µJ counted, exact, as decimal digits. */
  microjoules: z.string().regex(/^\d+$/),
  coverage: z.number().min(0).max(1),
});

const gapSchema = z.object({
  domain: z.string(),
  /** Since the command started; before it where the meter was already reading. */
  fromSeconds: z.number(),
  toSeconds: z.number(),
  reason: z.string(),
  /** The most that the span can have hidden. */
  mostJoules: z.number().nonnegative(),
});

const budgetSchema = z.object({
  budget: z.string(),
  limit: z.number().positive(),
  unit: z.string(),
  used: z.number().nonnegative(),
  exceeded: z.boolean(),
  /** When it was exceeded; null if it was not. */
  exceededAtSeconds: seconds.nullable(),
});

export const runSchema = z.object({
  schema: z.literal("lightfoot.run/1"),
  name: z.string().nullable(),
  command: z.array(z.string()).min(1),
  startedAt: z.string(),
  tool: z.object({ name: z.string(), version: z.string() }),
  /** Of the command: its own, or 128 + n after signal n. */
  exitCode: z.int().min(0).max(255),
  signal: z.string().nullable(),
  duration: figureSchema,
  /** J of what `attribution.scope` names; null when nothing could be read. */
  energy: figureSchema.nullable(),
  /** W: energy over duration. */
  power: figureSchema.nullable(),
  /** Mean power of stretches of equal length, for a curve; at most 240 of them. */
  powerOverTime: z.array(z.object({ fromSeconds: seconds, toSeconds: seconds, meanWatts: z.number().nonnegative() })),
  attribution: z.object({
    scope: z.enum(["machine", "process", "cgroup"]),
    idle: z.enum(IDLE_POLICIES),
    /** `attribute`: another rank of this node counts the machine, and `energy` is 0 so that sums over ranks hold. */
    role: z.enum(["meter", "attribute"]),
    roleBecause: z.string().nullable(),
    /** The whole devices: the only energy that may be measured. */
    machine: figureSchema.nullable(),
    process: sharesSchema.nullable(),
    cgroup: sharesSchema.extend({ path: z.string() }).nullable(),
  }),
  usage: z.object({
    /** User and system time of the command's process tree, dead children included; null without /proc. */
    cpu: figureSchema.nullable(),
    cgroupCpu: figureSchema.nullable(),
    /** CPU time of the whole machine meanwhile, and what there was to have. */
    machineBusySeconds: seconds.nullable(),
    machineCapacitySeconds: seconds.nullable(),
    mostProcesses: z.int().nonnegative(),
    mostResidentBytes: z.number().nonnegative(),
  }),
  domains: z.array(domainSchema),
  gaps: z.array(gapSchema),
  /** Share of the run in which the least covered counting domain was read; 0 when there is none. */
  coverage: z.number().min(0).max(1),
  /** Sources that do not work here, and why. */
  problems: z.array(z.object({ source: z.string(), code: z.string(), message: z.string() })),
  samples: z.int().nonnegative(),
  pauses: z.array(z.object({ fromSeconds: seconds, toSeconds: seconds, reason: z.string() })),
  budgets: z.array(budgetSchema),
  /** Carbon, water and money; null without an intensity, or without an energy. */
  footprint: footprintSchema.nullable(),
  ledger: z.object({ file: z.string(), run: z.string() }).nullable(),
  /** What went wrong beside the command: a ledger that could not be written, a table that could not be read. */
  troubles: z.array(z.string()),
  assumptions: z.array(assumptionSchema),
});

export type RunDocument = z.infer<typeof runSchema>;
