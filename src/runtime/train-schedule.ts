// Learning-rate schedules: from the step to the rate; may depend on errors.
import { LightfootError } from "../errors/index.ts";

/** How the learning rate moves over the run; a linear warm-up may come before any of them. */
export interface ScheduleOptions {
  /**
   * `constant`; `step`: times `factor` after every `everyEpochs`; `cosine`: half a cosine from the full rate to
   * `floor` times it (Loshchilov and Hutter 2017, one cycle); `linear`: straight down to `floor` times it.
   */
  readonly kind: "constant" | "step" | "cosine" | "linear";
  /** Steps over which the rate rises linearly from 0; default 0. */
  readonly warmupSteps?: number;
  /** For `step`; default 0.1. */
  readonly factor?: number;
  /** For `step`; default 1. */
  readonly everyEpochs?: number;
  /** For `cosine` and `linear`, as a fraction of the full rate; default 0. */
  readonly floor?: number;
}

export interface ScheduleSpan {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
}

/**
 * The learning rate at a step, counted from 1.
 *
 * @throws LightfootError E_RANGE when the warm-up is longer than the run
 * @example learningRateAt({ kind: "cosine", warmupSteps: 100 }, 1e-3, 550, { totalSteps: 1000, stepsPerEpoch: 100 }) // 5e-4
 */
export function learningRateAt(schedule: ScheduleOptions, base: number, step: number, span: ScheduleSpan): number {
  const warmup = schedule.warmupSteps ?? 0;
  if (warmup > span.totalSteps) {
    throw new LightfootError("E_RANGE", `a warm-up of ${warmup} steps does not fit into ${span.totalSteps} steps`);
  }
  if (step <= warmup) return (base * step) / warmup;
  if (schedule.kind === "constant") return base;
  if (schedule.kind === "step") {
    const drops = Math.floor((step - 1) / (span.stepsPerEpoch * (schedule.everyEpochs ?? 1)));
    return base * (schedule.factor ?? 0.1) ** drops;
  }
  const done = (step - warmup) / Math.max(1, span.totalSteps - warmup);
  const floor = schedule.floor ?? 0;
  const height = schedule.kind === "cosine" ? (1 + Math.cos(Math.PI * done)) / 2 : 1 - done;
  return base * (floor + (1 - floor) * height);
}
