// What to do about budgets and a dirty grid, decided from one sample to the next; may depend on this room.
import type { BudgetState } from "./budget.ts";

export const EXCEED_ACTIONS = ["warn", "pause", "stop"] as const;
export type ExceedAction = (typeof EXCEED_ACTIONS)[number];

export type Action =
  /** Most of a budget is gone. */
  | { readonly kind: "near"; readonly state: BudgetState }
  /** A budget is gone: said once. */
  | { readonly kind: "exceeded"; readonly state: BudgetState }
  | { readonly kind: "pause"; readonly reason: string }
  | { readonly kind: "resume" }
  | { readonly kind: "stop"; readonly reason: string };

export interface EnforcerOptions {
  readonly onExceed: ExceedAction;
  /** Above this intensity the command waits, gCO2e/kWh. */
  readonly pauseAboveGramsPerKwh?: number;
}

const NEAR_FRACTION = 0.8;

/**
 * Turns states into actions; each action comes once.
 *
 * A command waits as long as there is a reason: a budget that is used up until somebody continues it by hand (`acknowledge`),
 * a dirty grid until it is clean again. An intensity that is not known is no reason to wait.
 */
export class Enforcer {
  readonly #options: EnforcerOptions;
  readonly #near = new Set<string>();
  readonly #exceeded = new Set<string>();
  #waitsForBudget = false;
  #waitsForGrid = false;
  #isPaused = false;

  constructor(options: EnforcerOptions) {
    this.#options = options;
  }

  decide(states: readonly BudgetState[], gramsPerKwh: number | undefined): Action[] {
    const actions: Action[] = [];
    for (const state of states) {
      const key = state.budget.text;
      if (state.isExceeded && !this.#exceeded.has(key)) {
        this.#exceeded.add(key);
        this.#near.add(key);
        actions.push({ kind: "exceeded", state });
        if (this.#options.onExceed === "stop")
          actions.push({ kind: "stop", reason: `the budget of ${key} is used up` });
        if (this.#options.onExceed === "pause") this.#waitsForBudget = true;
      } else if (state.usedFraction >= NEAR_FRACTION && !this.#near.has(key)) {
        this.#near.add(key);
        actions.push({ kind: "near", state });
      }
    }
    const limit = this.#options.pauseAboveGramsPerKwh;
    if (limit !== undefined) this.#waitsForGrid = gramsPerKwh !== undefined && gramsPerKwh > limit;
    return [...actions, ...this.#pauseOrResume(gramsPerKwh)];
  }

  /** Somebody continues the command although its budget is used up. */
  acknowledge(): Action[] {
    this.#waitsForBudget = false;
    return this.#pauseOrResume(undefined);
  }

  #pauseOrResume(gramsPerKwh: number | undefined): Action[] {
    const wants = this.#waitsForBudget || this.#waitsForGrid;
    if (wants === this.#isPaused) return [];
    this.#isPaused = wants;
    if (!wants) return [{ kind: "resume" }];
    const reason = this.#waitsForBudget
      ? `the budget of ${[...this.#exceeded].join(" and ")} is used up`
      : `the grid is at ${gramsPerKwh?.toFixed(0)} gCO2e/kWh, above ${this.#options.pauseAboveGramsPerKwh}`;
    return [{ kind: "pause", reason }];
  }
}
