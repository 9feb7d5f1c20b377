// Adaptive bit prediction: counters per context, joined by logistic mixing with learned weights; may depend on arithmetic-coder.
//
// Everything is built from + − × ÷ on doubles and integers, without Math.exp or Math.log, whose last bits differ between
// engines: a container written on one machine decodes on every other.
import type { BitCoder } from "./arithmetic-coder.ts";

const STRETCH_STEPS = 4096;
const SQUASH_STEPS_PER_UNIT = 64;
const SQUASH_LIMIT = 12;

/** e^x by its series after halving x four times: the same bits on every machine. */
function exponential(x: number): number {
  const reduced = x / 16;
  let term = 1;
  let sum = 1;
  for (let n = 1; n < 20; n++) sum += term *= reduced / n;
  for (let i = 0; i < 4; i++) sum *= sum;
  return sum;
}

/** 1 / (1 + e^−x) at steps of 1/64 from −12 to 12. */
const SQUASH = Float64Array.from(
  { length: 2 * SQUASH_LIMIT * SQUASH_STEPS_PER_UNIT + 1 },
  (_, at) => 1 / (1 + exponential(SQUASH_LIMIT - at / SQUASH_STEPS_PER_UNIT)),
);

export function squash(x: number): number {
  if (x >= SQUASH_LIMIT) return SQUASH[SQUASH.length - 1];
  if (x <= -SQUASH_LIMIT) return SQUASH[0];
  const place = (x + SQUASH_LIMIT) * SQUASH_STEPS_PER_UNIT;
  const index = Math.floor(place);
  return SQUASH[index] + (SQUASH[index + 1] - SQUASH[index]) * (place - index);
}

/** ln(p / (1 − p)) at the middle of each of 4096 steps, found by bisection of `squash`. */
const STRETCH = Float64Array.from({ length: STRETCH_STEPS }, (_, at) => {
  const p = (at + 0.5) / STRETCH_STEPS;
  let low = -SQUASH_LIMIT;
  let high = SQUASH_LIMIT;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (squash(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
});

/** Chances of a one and how often each was seen, by slot. */
export class Counters {
  readonly chance: Float32Array;
  readonly seen: Uint16Array;

  /**
   * @param start chance before anything was seen
   * @param prior observations that `start` counts as
   */
  constructor(size: number, start = 0.5, prior = 0) {
    this.chance = new Float32Array(size).fill(start);
    this.seen = new Uint16Array(size).fill(prior);
  }

  /** Takes over what counters of the same size learned. */
  learnFrom({ chance, seen }: Counters): void {
    this.chance.set(chance);
    this.seen.set(seen);
  }
}

/** The first observations move a chance fast, later ones ever less, down to this share. */
const SLOWEST = 1 / 1000;
const STEPS = Float64Array.from({ length: 1024 }, (_, seen) => Math.max(1 / (seen + 1.6), SLOWEST));
/** A chance from few observations says little: its stretch counts by this share. */
const TRUST = Float64Array.from({ length: 1024 }, (_, seen) => (seen + 0.4) / (seen + 1.5));

const LOWEST = 1 / 65_536;

/** Codes a bit under one counter. */
export function codeBit(coder: BitCoder, counters: Counters, slot: number, bit: number): number {
  const { chance, seen } = counters;
  const p = Math.min(65_535, Math.max(1, Math.round(chance[slot] * 65_536)));
  const found = coder.code(bit, p);
  const count = seen[slot];
  chance[slot] += (found - chance[slot]) * STEPS[count];
  if (count < 1023) seen[slot] = count + 1;
  return found;
}

/**
 * Joins the chances of several contexts: `p = squash(Σ wᵢ·stretch(pᵢ))`, the weights moved down the gradient of the code length.
 * Which weights are used depends on a small context of its own.
 */
export class Mixer {
  readonly #tables: readonly Counters[];
  readonly #weights: Float64Array;
  readonly #inputs: Float64Array;
  readonly #rate: number;
  readonly #isRelative: boolean;
  readonly slots: Int32Array;

  /** @param isRelative the first table says what is usual, the others count by how far they stray from it */
  constructor(tables: readonly Counters[], sets: number, rate: number, startWeight: number, isRelative = false) {
    this.#tables = tables;
    this.#weights = new Float64Array(tables.length * sets).fill(startWeight);
    this.#isRelative = isRelative;
    if (isRelative) for (let set = 0; set < sets; set++) this.#weights[set * tables.length] = 1;
    this.#inputs = new Float64Array(tables.length);
    this.#rate = rate;
    this.slots = new Int32Array(tables.length);
  }

  /** Takes over what a mixer of the same shape learned. */
  learnFrom(other: Mixer): void {
    this.#tables.forEach((table, at) => table.learnFrom(other.#tables[at]));
    this.#weights.set(other.#weights);
  }

  /** Codes a bit in the contexts whose slots stand in `slots`. */
  code(coder: BitCoder, bit: number, set: number): number {
    const tables = this.#tables;
    const inputs = this.#inputs;
    const weights = this.#weights;
    const { slots } = this;
    const from = set * tables.length;
    let sum = 0;
    let usual = 0;
    for (let i = 0; i < tables.length; i++) {
      const { chance, seen } = tables[i];
      const slot = slots[i];
      const step = Math.min(STRETCH_STEPS - 1, Math.floor(chance[slot] * STRETCH_STEPS));
      inputs[i] = (STRETCH[step] - usual) * TRUST[seen[slot]];
      if (i === 0 && this.#isRelative) usual = inputs[0];
      sum += inputs[i] * weights[from + i];
    }
    const p = squash(sum);
    const found = coder.code(bit, Math.min(65_535, Math.max(1, Math.round(p * 65_536))));
    const error = (found - Math.max(p, LOWEST)) * this.#rate;
    for (let i = 0; i < tables.length; i++) {
      weights[from + i] += error * inputs[i];
      const { chance, seen } = tables[i];
      const slot = slots[i];
      const count = seen[slot];
      chance[slot] += (found - chance[slot]) * STEPS[count];
      if (count < 1023) seen[slot] = count + 1;
    }
    return found;
  }
}
