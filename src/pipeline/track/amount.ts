// Budgets as people type them (`2kWh`, `500gCO2e`, `10L`, `3EUR`) in base units; may depend on errors and quantity.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { parseQuantity, type Dimension } from "../../quantity/parse-quantity.ts";

/** A positive amount in the base unit of what it counts. */
export interface Amount {
  readonly value: number;
  /** `J`, `gCO2e`, `L`, or a currency. */
  readonly unit: string;
  /** As it was typed. */
  readonly text: string;
}

/** What a budget may be of, with its base unit. */
const DIMENSIONS: readonly (readonly [Dimension, string])[] = [
  ["energy", "J"],
  ["carbon", "gCO2e"],
  ["volume", "L"],
];

const MONEY = /^(\d[\d_]*(?:\.\d+)?)\s*([A-Z]{3})$/;

/**
 * A budget: energy, carbon, water or money.
 *
 * @throws LightfootError E_USAGE for anything else, also for a bare number and for none at all
 * @example parseBudget("2kWh") // { value: 7_200_000, unit: "J", text: "2kWh" }
 */
export function parseBudget(typed: string): Amount {
  const text = typed.trim();
  const found = moneyOf(text) ?? quantityOf(text);
  if (found !== undefined && found.value > 0) return { ...found, text };
  throw new LightfootError("E_USAGE", `a budget is an amount of energy, carbon, water or money, found '${text}'`, {
    hint: "Write a positive number and its unit: 2kWh, 500gCO2e, 10L, or 3EUR (a currency of three capitals).",
  });
}

function moneyOf(text: string): Pick<Amount, "value" | "unit"> | undefined {
  const match = MONEY.exec(text);
  return match === null ? undefined : { value: Number(match[1].replaceAll("_", "")), unit: match[2] };
}

function quantityOf(text: string): Pick<Amount, "value" | "unit"> | undefined {
  for (const [dimension, unit] of DIMENSIONS) {
    try {
      return { value: parseQuantity(text, dimension, "--budget"), unit };
    } catch {
      // another dimension's unit
    }
  }
  return undefined;
}
