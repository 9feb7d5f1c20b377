// Budgets of a run: what was used of each, when it runs out at this rate; may depend on this room and quantity.
import type { Amount } from "./amount.ts";

export interface BudgetState {
  readonly budget: Amount;
  /** In the budget's unit. */
  readonly used: number;
  readonly usedFraction: number;
  readonly isExceeded: boolean;
  /** Time from now until it is used up at the present rate; 0 once it is, undefined when nothing is being used. */
  readonly secondsLeft: number | undefined;
}

/** What the run has used, by unit: `J`, `gCO2e`, `L`, `EUR`. */
export type Used = ReadonlyMap<string, number>;

/** Time constant of the rate that forecasts rest on, s: long enough to bridge a data loader's pause. */
const RATE_MEMORY_SECONDS = 30;

/**
 * Watches budgets while a run goes on.
 *
 * The rate is an exponential mean over the last half minute or so, in its unbiased form, so that a forecast is there from the
 * second sample on and follows a change of load.
 */
export class BudgetWatch {
  readonly #budgets: readonly Amount[];
  readonly #rates = new Map<string, { sum: number; weight: number }>();
  #last: { seconds: number; used: Used } | undefined;

  constructor(budgets: readonly Amount[]) {
    this.#budgets = budgets;
  }

  /** Takes what has been used up to `seconds` and says where each budget stands. */
  update(seconds: number, used: Used): BudgetState[] {
    const last = this.#last;
    const elapsed = last === undefined ? 0 : seconds - last.seconds;
    if (last === undefined || elapsed > 0) {
      if (last !== undefined) {
        const keep = Math.exp(-elapsed / RATE_MEMORY_SECONDS);
        for (const [unit, amount] of used) {
          const { sum, weight } = this.#rates.get(unit) ?? { sum: 0, weight: 0 };
          const rate = Math.max(0, amount - (last.used.get(unit) ?? 0)) / elapsed;
          this.#rates.set(unit, { sum: keep * sum + (1 - keep) * rate, weight: keep * weight + (1 - keep) });
        }
      }
      this.#last = { seconds, used };
    }
    return this.#budgets.map((budget) => this.#stateOf(budget, used));
  }

  /** Units a second at present; undefined before there is a second sample. */
  rate(unit: string): number | undefined {
    const known = this.#rates.get(unit);
    return known === undefined || known.weight === 0 ? undefined : known.sum / known.weight;
  }

  #stateOf(budget: Amount, all: Used): BudgetState {
    const used = all.get(budget.unit) ?? 0;
    const isExceeded = used > budget.value;
    const rate = this.rate(budget.unit) ?? 0;
    const secondsLeft = isExceeded ? 0 : rate > 0 ? (budget.value - used) / rate : undefined;
    return { budget, used, usedFraction: used / budget.value, isExceeded, secondsLeft };
  }
}
