// How much quality a compressed model may lose: parsing `0.5pt` and `0.5%`, and the drop between two scores; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

/**
 * The largest loss a user accepts. `points`: percentage points of the metric (0.5 = from 98.0 % to 97.5 %).
 * `relative`: percent of the original's score (0.5 = from 98.0 % to 97.51 %).
 */
export interface MaxDrop {
  readonly kind: "points" | "relative";
  readonly value: number;
}

export interface AccuracyBudget {
  readonly metric: string;
  readonly maxDrop: MaxDrop;
}

const DROP = /^\s*(\d+(?:\.\d+)?)\s*(pt|%)\s*$/;

/**
 * A budget as people write it: `0.5pt` (percentage points) or `0.5%` (of the original's score).
 *
 * @throws LightfootError E_USAGE on a bare number: 0.5 of accuracy could be meant three ways, and two of them ruin a model.
 * @example parseMaxDrop("0.5pt") // { kind: "points", value: 0.5 }
 */
export function parseMaxDrop(text: string): MaxDrop {
  const match = DROP.exec(text);
  if (match === null) {
    throw new LightfootError("E_USAGE", `the budget '${text}' has no meaning, expected a number with 'pt' or '%'`, {
      hint: "Write 0.5pt for half a percentage point, or 0.5% for half a percent of the original's score.",
    });
  }
  const value = Number(match[1]);
  if (value > 100) {
    throw new LightfootError("E_USAGE", `the budget '${text}' allows more than everything to be lost`, {
      hint: "Write a drop between 0 and 100, for example 0.5pt.",
    });
  }
  return { kind: match[2] === "pt" ? "points" : "relative", value };
}

export const formatMaxDrop = (drop: MaxDrop): string => `${drop.value}${drop.kind === "points" ? "pt" : "%"}`;

/**
 * The budget in the metric's own unit: what may be lost from `originalScore`.
 *
 * `points` reads the metric as a fraction of 1 (accuracy, F1, cosine): 0.5 points are 0.005. `relative` fits every metric.
 */
export function allowedLoss(drop: MaxDrop, originalScore: number): number {
  return drop.kind === "points" ? drop.value / 100 : (drop.value / 100) * Math.abs(originalScore);
}
