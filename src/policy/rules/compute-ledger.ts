// A ledger of training compute in an evidence file: each run by its architecture, its hardware or a count, added up to the FLOP that rules ask for; may depend on zod, facts and its room.
import { z } from "zod";
import { findHardware, type PeakType } from "../../facts/hardware.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Evidence } from "./judge.ts";

const PRECISIONS = [
  "float32",
  "tf32",
  "float16",
  "bfloat16",
  "float8",
  "float4",
  "int8",
  "int4",
] as const satisfies readonly PeakType[];

const name = z.string().min(1).optional();

/** Every run counts, also those that were stopped, of which nothing was kept. */
const runSchema = z.union([
  /** Architecture route: 6 FLOP a parameter and token for training, 2 where only the forward pass runs (calibration, distilling data). */
  z.strictObject({
    name,
    /** Of a mixture of experts those that are active for a token. */
    parameters: z.number().positive(),
    /** Over all epochs. */
    tokens: z.number().positive(),
    passes: z.enum(["training", "forward"]).default("training"),
  }),
  /** Hardware route: devices × seconds × dense peak × utilization. */
  z.strictObject({
    name,
    /** Id of the catalogue with `:N` for N devices. */
    hardware: z.string().min(1),
    hours: z.number().positive(),
    precision: z.enum(PRECISIONS),
    /** Share of the dense peak that the work reached, MFU; 1 gives an upper bound. */
    utilization: z.number().positive().max(1),
  }),
  z.strictObject({ name, flop: z.number().positive() }),
]);

export const computeSchema = z.strictObject({
  /** The model as it is placed on the market, from scratch. */
  model: z.array(runSchema).min(1).optional(),
  /** The original that was changed. */
  base: z.array(runSchema).min(1).optional(),
  /** The change: fine-tuning, distillation, pruning with retraining, calibration. */
  change: z.array(runSchema).min(1).optional(),
});

export type ComputeLedger = z.output<typeof computeSchema>;
type Run = z.output<typeof runSchema>;

/**
 * FLOP of one run.
 *
 * @throws LightfootError E_HARDWARE_UNKNOWN, E_HARDWARE_DATA for a device without a published peak of that precision
 * @source Kaplan et al. 2020, Scaling Laws (6·N·D and 2·N a token); the Commission's guidelines of 18 July 2025 take both routes
 */
export function flopOfRun(run: Run): number {
  if ("flop" in run) return run.flop;
  if ("parameters" in run) return (run.passes === "training" ? 6 : 2) * run.parameters * run.tokens;
  const device = findHardware(run.hardware);
  const peak = device.peakRate[run.precision];
  if (peak === undefined) {
    const known = Object.keys(device.peakRate).join(", ");
    throw new LightfootError("E_HARDWARE_DATA", `${device.id} has no published peak in ${run.precision}`, {
      hint: `Known are ${known}; or give the run's flop.`,
    });
  }
  return device.count * run.hours * 3600 * peak.value * run.utilization;
}

const routeOf = (run: Run): string =>
  "flop" in run ? "as counted" : "parameters" in run ? "by architecture" : "by hardware";

/**
 * `model.trainFlop`, `base.trainFlop`, `mod.flop`.
 *
 * A changed model's cumulative compute is the original's and the change's together, where it is not given itself.
 */
export function evidenceOfCompute({ model, base, change }: ComputeLedger): Map<string, Evidence> {
  const evidence = new Map<string, Evidence>();
  const add = (field: string, runs: readonly Run[] | undefined): void => {
    if (runs === undefined) return;
    const value = runs.reduce((sum, run) => sum + flopOfRun(run), 0);
    const routes = [...new Set(runs.map(routeOf))].join(", ");
    const method = runs.every((run) => "flop" in run) ? "declared" : "modelled";
    evidence.set(field, { value, method, source: `compute ledger, ${runs.length} runs, ${routes}` });
  };
  add("base.trainFlop", base);
  add("mod.flop", change);
  add("model.trainFlop", model ?? (base !== undefined && change !== undefined ? [...base, ...change] : undefined));
  return evidence;
}
