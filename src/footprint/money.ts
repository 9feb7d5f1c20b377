// Money: electricity, device hours and a price of carbon, each in its own currency, with the age of each price; may depend on quantity, errors, facts and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { multiply, type Figure } from "../quantity/figure.ts";
import { priceAsOf, type Price } from "../facts/prices.ts";
import { bounded, type Boundary } from "./boundary.ts";
import type { Cost } from "./footprint-schema.ts";

/** A price of the tables, which ages, or one given for this very use. No currency is ever turned into another. */
export type PriceOf = Price | { readonly figure: Figure; readonly basis: string };

type Per = "kWh" | "h" | "tCO2e";
const CURRENCY = /^[A-Z]{3}$/;

/**
 * quantity × price, in the price's currency; a price of the tables older than a year becomes a range that widens with each
 * further year, as `priceAsOf` says.
 *
 * @param quantity in kWh, device-h or tCO2e
 * @param thisYear the calendar year of the assessment
 * @throws LightfootError E_UNIT when the price is not per the quantity's unit or its currency is no code, E_RANGE when negative
 */
export function costOf(quantity: Figure, price: PriceOf, thisYear: number, boundary: Boundary): Cost {
  const [currency = "", per = ""] = price.figure.unit.split("/");
  if (!CURRENCY.test(currency) || !isPer(per) || UNIT_OF[per] !== quantity.unit) {
    throw new LightfootError("E_UNIT", `a price in ${price.figure.unit} does not fit a quantity in ${quantity.unit}`, {
      hint: "Prices are per kWh, per h (of one device) or per tCO2e, in a currency of three letters: 0.12EUR/kWh.",
    });
  }
  if (price.figure.low < 0) throw new LightfootError("E_RANGE", `a price is 0 or more, found ${price.figure.low}`);
  const table = "year" in price ? price : undefined;
  // A clock that is behind must not make a price of the future.
  const asOf = table === undefined ? undefined : priceAsOf(table, Math.max(thisYear, table.year));
  const current = asOf?.figure ?? price.figure;
  return {
    ...bounded(multiply(quantity, current, currency), boundary),
    price: current,
    priceYear: table?.year ?? null,
    priceAgeYears: asOf?.ageYears ?? null,
    isStale: asOf?.stale ?? false,
    basis: price.basis,
  };
}

const UNIT_OF: Readonly<Record<Per, string>> = { kWh: "kWh", h: "device-h", tCO2e: "tCO2e" };
const isPer = (text: string): text is Per => Object.hasOwn(UNIT_OF, text);
