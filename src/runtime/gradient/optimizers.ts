// Optimizers as graphs over flattened parameters, with the few numbers that change from step to step as inputs; may
// depend on the emitter.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Emitter } from "./emitter.ts";

export type OptimizerOptions =
  | {
      readonly kind: "sgd";
      readonly momentum?: number;
      readonly nesterov?: boolean;
      /** Added to the gradient as `weightDecay·w` (L2). */
      readonly weightDecay?: number;
    }
  | {
      readonly kind: "adam" | "adamw";
      readonly beta1?: number;
      readonly beta2?: number;
      readonly epsilon?: number;
      /** `adam`: added to the gradient (L2). `adamw`: taken off the weights directly, times the learning rate. */
      readonly weightDecay?: number;
    };

/** One optimizer, ready to emit its update. */
export interface Optimizer {
  /** State tensors beside the weights, each of the weights' shape and zero at the start. */
  readonly slots: readonly string[];
  /** Names of the numbers that change each step, in the order of `scalars`. */
  readonly scalarNames: readonly string[];
  /** Their values at a step, counted from 1. */
  scalars(step: number, learningRate: number): number[];
  /** Emits the update; gives the new weights and the new slots. */
  update(emit: Emitter, input: UpdateInput): { weights: string; slots: string[] };
}

export interface UpdateInput {
  readonly weights: string;
  readonly gradient: string;
  readonly slots: readonly string[];
  /** Each `[1]`. */
  readonly scalars: readonly string[];
}

/** @throws LightfootError E_RANGE for a factor outside the range it is defined on */
export function optimizerOf(options: OptimizerOptions): Optimizer {
  return options.kind === "sgd" ? sgd(options) : adam(options);
}

function checked(name: string, value: number, low: number, high: number): number {
  if (value >= low && value < high) return value;
  throw new LightfootError("E_RANGE", `${name} is ${value}, expected ${low} ≤ ${name} < ${high}`);
}

/** velocity = momentum·velocity + g; w −= lr·velocity, with Nesterov lr·(g + momentum·velocity). (Sutskever et al. 2013, in PyTorch's form.) */
function sgd(options: Extract<OptimizerOptions, { kind: "sgd" }>): Optimizer {
  const momentum = checked("momentum", options.momentum ?? 0, 0, 1);
  const weightDecay = checked("weightDecay", options.weightDecay ?? 0, 0, Infinity);
  return {
    slots: momentum === 0 ? [] : ["velocity"],
    scalarNames: ["learningRate"],
    scalars: (_, learningRate) => [learningRate],
    update(emit, { weights, gradient, slots, scalars }) {
      const decayed = weightDecay === 0 ? gradient : emit.add(gradient, emit.scale(weights, weightDecay));
      const [rate] = scalars as [string];
      if (momentum === 0) return { weights: emit.sub(weights, emit.mul(decayed, rate)), slots: [] };
      const velocity = emit.add(emit.scale(slots[0], momentum), decayed);
      const direction = options.nesterov ? emit.add(decayed, emit.scale(velocity, momentum)) : velocity;
      return { weights: emit.sub(weights, emit.mul(direction, rate)), slots: [velocity] };
    },
  };
}

/**
 * Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) with bias correction.
 *
 * w −= lr·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ). The slots hold M = m/(1 − β₁) and V = v/(1 − β₂), which saves a
 * pass over the weights each: M ← β₁M + g, V ← β₂V + g². With c = √((1 − β₂)/(1 − β₂ᵗ)) the same update reads
 * w −= s·M/(√V + ε/c), s = lr·(1 − β₁)/((1 − β₁ᵗ)·c): two numbers per step.
 */
function adam(options: Extract<OptimizerOptions, { kind: "adam" | "adamw" }>): Optimizer {
  const beta1 = checked("beta1", options.beta1 ?? 0.9, 0, 1);
  const beta2 = checked("beta2", options.beta2 ?? 0.999, 0, 1);
  const epsilon = checked("epsilon", options.epsilon ?? 1e-8, 0, Infinity);
  const decay = checked("weightDecay", options.weightDecay ?? (options.kind === "adamw" ? 0.01 : 0), 0, Infinity);
  const isDecoupled = options.kind === "adamw" && decay > 0;
  const isCoupled = options.kind === "adam" && decay > 0;
  return {
    slots: ["firstMoment", "secondMoment"],
    scalarNames: ["stepSize", "epsilon", ...(isDecoupled ? ["keep"] : [])],
    scalars(step, learningRate) {
      const correction = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
      const stepSize = (learningRate * (1 - beta1)) / ((1 - beta1 ** step) * correction);
      return [stepSize, epsilon / correction, ...(isDecoupled ? [1 - learningRate * decay] : [])];
    },
    update(emit, { weights, gradient, slots, scalars }) {
      const [stepSize, damping, keep] = scalars as [string, string, string | undefined];
      const decayed = isCoupled ? emit.add(gradient, emit.scale(weights, decay)) : gradient;
      const first = emit.add(emit.scale(slots[0], beta1), decayed);
      const second = emit.add(emit.scale(slots[1], beta2), emit.mul(decayed, decayed));
      const ratio = emit.div(first, emit.add(emit.op("Sqrt", [second]), damping));
      const kept = keep === undefined ? weights : emit.mul(weights, keep);
      return { weights: emit.sub(kept, emit.mul(ratio, stepSize)), slots: [first, second] };
    },
  };
}
