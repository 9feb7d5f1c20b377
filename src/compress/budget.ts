// How much quality a compressed model may lose: parsing `0.5pt`, `0.5%` and `2matches`, and the drop between two scores; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

/**
 * The largest loss a user accepts. `points`: percentage points of the metric (0.5 = from 98.0 % to 97.5 %).
 * `relative`: percent of the original's score (0.5 = from 98.0 % to 97.51 %). `absolute`: in the metric's own unit, which is named.
 */
export type MaxDrop =
  | { readonly kind: "points" | "relative"; readonly value: number }
  | { readonly kind: "absolute"; readonly value: number; readonly unit: string };

export interface AccuracyBudget {
  readonly metric: string;
  readonly maxDrop: MaxDrop;
  /**
   * The far end of the loss's two-sided interval at this confidence must hold the budget. Left out: the estimate must hold it, and the far
   * end at 95 % twice the budget.
   */
  readonly confidence?: number;
}

const DROP = /^\s*(\d+(?:\.\d+)?)\s*(pt|%|[A-Za-z]+)\s*$/;
/** Words that mean a share, but not clearly which. */
const VAGUE = /^(?:points?|pts?|pp|percent|percentage)$/i;

/**
 * A budget as people write it: `0.5pt` (percentage points), `0.5%` (of the original's score), or `2matches` in the unit of a metric that
 * names one.
 *
 * @throws LightfootError E_USAGE on a bare number: 0.5 of accuracy could be meant three ways, and two of them ruin a model.
 * @example parseMaxDrop("0.5pt") // { kind: "points", value: 0.5 }
 */
export function parseMaxDrop(text: string): MaxDrop {
  const match = DROP.exec(text);
  const unit = match?.[2] ?? "";
  if (match === null || (unit !== "pt" && VAGUE.test(unit))) {
    throw new LightfootError("E_USAGE", `the budget '${text}' has no meaning, expected a number with 'pt' or '%'`, {
      hint:
        "Write 0.5pt for half a percentage point, 0.5% for half a percent of the original's score, " +
        "or the unit that your metric module exports: 2matches.",
    });
  }
  const value = Number(match[1]);
  if (unit !== "pt" && unit !== "%") return { kind: "absolute", value, unit };
  if (value > 100) {
    throw new LightfootError("E_USAGE", `the budget '${text}' allows more than everything to be lost`, {
      hint: "Write a drop between 0 and 100, for example 0.5pt.",
    });
  }
  return { kind: unit === "pt" ? "points" : "relative", value };
}

/** The notation that `parseMaxDrop` reads. */
export function formatMaxDrop(drop: MaxDrop): string {
  if (drop.kind === "absolute") return `${drop.value} ${drop.unit}`;
  return `${drop.value}${drop.kind === "points" ? "pt" : "%"}`;
}

/**
 * The budget in the metric's own unit: what may be lost from `originalScore`.
 *
 * `points` reads the metric as a fraction of 1 (accuracy, F1, character error): 0.5 points are 0.005. `relative` fits every metric.
 */
export function allowedLoss(drop: MaxDrop, originalScore: number): number {
  if (drop.kind === "absolute") return drop.value;
  return drop.kind === "points" ? drop.value / 100 : (drop.value / 100) * Math.abs(originalScore);
}
