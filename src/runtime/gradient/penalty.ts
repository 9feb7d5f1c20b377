// A price on weights that are not zero, added to the gradients; may depend on the emitter and on trainable's name patterns.
import type { Emitter } from "./emitter.ts";
import { matchesPattern } from "./trainable.ts";

/**
 * Adds `strength · Σ log(1 + |w| / epsilon)` over the tensors that a pattern names to what training minimizes.
 *
 * The logarithm stands for the bits of a coded weight: leaving zero is dear, growing further is cheap, so that few weights stay
 * and those keep their size. (Candès, Wakin and Boyd 2008.) With a large `epsilon` it is the L1 norm times `strength / epsilon`.
 */
export interface Penalty {
  /** Names with `*` and `?`. */
  readonly tensors: string;
  readonly strength: number;
  /** Size of a weight from which on the price grows slowly, above 0. */
  readonly epsilon: number;
}

/** Replaces the gradients of the tensors concerned: `g + strength · sign(w) / (epsilon + |w|)`. The reported loss stays the data's. */
export function emitPenalties(emit: Emitter, penalties: readonly Penalty[], gradients: Map<string, string>): void {
  for (const { tensors, strength, epsilon } of penalties) {
    for (const [name, gradient] of gradients) {
      if (!matchesPattern(tensors, name)) continue;
      const size = emit.add(emit.op("Abs", [name]), emit.scalar(epsilon));
      gradients.set(name, emit.add(gradient, emit.div(emit.scale(emit.op("Sign", [name]), strength), size)));
    }
  }
}
