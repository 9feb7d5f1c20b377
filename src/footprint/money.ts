// Money: electricity, device hours and a price of carbon, each in its own currency, with the age of each price; may depend on quantity, errors and boundary.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, multiply, type Assumption, type Figure } from "../quantity/figure.ts";
import { bounded, type Boundary } from "./boundary.ts";
import type { Cost } from "./footprint-schema.ts";

/** What something costs; no currency is ever turned into another. */
export interface PriceOf {
  /** `EUR/kWh`, `USD/h`, `EUR/tCO2e`. */
  readonly figure: Figure;
  /** Year it was seen; left out for a price given for this very use, which does not age. */
  readonly year?: number;
  /** What it includes: taxes, band, list or spot. */
  readonly basis: string;
}

type Per = "kWh" | "h" | "tCO2e";

/**
 * How far a price may have moved in a year, as factors. Assumed: industrial electricity in the EU moved by up to a half in
 * 2021-2022 and by a tenth in other years; an hour of an H100 fell to less than half within two years of 2023; carbon
 * allowances moved by a third a year.
 */
const DRIFT_PER_YEAR: Readonly<Record<Per, readonly [down: number, up: number]>> = {
  kWh: [0.88, 1.15],
  h: [0.65, 1.1],
  tCO2e: [0.75, 1.35],
};

/** Up to this age a price counts as of today. */
const FRESH_YEARS = 1;
const CURRENCY = /^[A-Z]{3}$/;

/**
 * quantity × price, in the price's currency; a price older than a year becomes a range that widens with each further year.
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
  const age = price.year === undefined ? null : Math.max(0, thisYear - price.year);
  const isStale = age !== null && age > FRESH_YEARS;
  const current = isStale ? aged(price, per, age) : price.figure;
  return {
    ...bounded(multiply(quantity, current, currency), boundary),
    price: current,
    priceYear: price.year ?? null,
    priceAgeYears: age,
    isStale,
    basis: price.basis,
  };
}

const UNIT_OF: Readonly<Record<Per, string>> = { kWh: "kWh", h: "device-h", tCO2e: "tCO2e" };
const isPer = (text: string): text is Per => Object.hasOwn(UNIT_OF, text);
const NAME_OF: Readonly<Record<Per, string>> = { kWh: "electricity", h: "device-hour", tCO2e: "carbon" };

function aged(price: PriceOf, per: Per, age: number): Figure {
  const years = age - FRESH_YEARS;
  const [down, up] = DRIFT_PER_YEAR[per].map((factor) => factor ** years);
  const stale: Assumption = {
    key: `price.stale.${NAME_OF[per]}`,
    text: `The ${NAME_OF[per]} price is of ${price.year}, ${age} years old: a range of ${percent(down)}…${percent(up)} of it is assumed for today.`,
  };
  const { value, low, high, assumptions } = price.figure;
  return figure({ ...price.figure, value, low: low * down, high: high * up, assumptions: [...assumptions, stale] });
}

const percent = (fraction: number): string => `${Math.round(fraction * 100)} %`;
