// Numbers of a scenario: a quantity with its unit, or one with the range it may lie in; may depend on zod and footprint's reader of quantities.
import { z } from "zod";
import { parseWritten } from "../../footprint/exchange/written-quantity.ts";

/** A number of a scenario in its base unit, with the ends of its range; all equal when it is taken as certain. */
export interface Amount {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export const certain = (value: number): Amount => ({ value, low: value, high: value });

/** Reads one end of an amount; a string is the complaint. */
type Reader = (raw: string | number) => number | string;

const PERCENT = /^\s*([+-]?\d+(?:\.\d+)?)\s*%\s*(?:\/\s*(?:yr|year))?\s*$/;

/** A share or a yearly change: `0.4`, `40 %`, `-3 %/yr`. */
const readShare: Reader = (raw) => {
  const value = typeof raw === "number" ? raw : Number(PERCENT.exec(raw)?.[1] ?? Number.NaN) / 100;
  return Number.isFinite(value) ? value : `found '${raw}', expected a share such as 0.4 or 40 %`;
};

/** A bare number: an elasticity, a PUE. */
const readPlain: Reader = (raw) =>
  typeof raw === "number" && Number.isFinite(raw) ? raw : `found '${raw}', expected a number without unit`;

/** A quantity in the given units; a bare number is refused, because nobody can tell MWh from kWh in it. */
const readQuantity =
  (units: Readonly<Record<string, number>>, example: string): Reader =>
  (raw) => {
    const complaint = `found '${raw}', expected a quantity such as ${example}`;
    if (typeof raw === "number") return raw === 0 ? 0 : `${complaint}: a bare number has no unit`;
    const isNegative = raw.trim().startsWith("-");
    const written = parseWritten(raw.trim().replace(/^-/, ""));
    if (written === undefined) return complaint;
    const fits =
      written.units.size === Object.keys(units).length &&
      Object.entries(units).every(([unit, power]) => written.units.get(unit) === power);
    return fits ? (isNegative ? -written.value : written.value) : complaint;
  };

interface Limits {
  readonly least?: number;
  readonly most?: number;
}

/** An amount as a zod schema: one number, or `{ value, low, high }` with low ≤ value ≤ high. */
function amountSchema(read: Reader, { least = -Infinity, most = Infinity }: Limits = {}) {
  const raw = z.union([z.string(), z.number()]);
  return z.union([raw, z.strictObject({ value: raw, low: raw, high: raw })]).transform((input, context): Amount => {
    const parts = typeof input === "object" ? [input.value, input.low, input.high] : [input, input, input];
    const numbers: number[] = [];
    for (const part of parts) {
      const number = read(part);
      if (typeof number === "string" || number < least || number > most) {
        const range = `expected ${least === -Infinity ? "" : `at least ${least}`}${most === Infinity ? "" : ` and at most ${most}`}`;
        context.addIssue({
          code: "custom",
          message: typeof number === "string" ? number : `found '${part}', ${range}`,
        });
        return z.NEVER;
      }
      numbers.push(number);
    }
    const [value, low, high] = numbers;
    if (low <= value && value <= high) return { value, low, high };
    context.addIssue({ code: "custom", message: `found ${low} … ${value} … ${high}, expected low ≤ value ≤ high` });
    return z.NEVER;
  });
}

/** The amounts of a scenario whose money is in `currency`. */
export function amounts(currency: string) {
  const money = currency.toLowerCase();
  return {
    share: amountSchema(readShare, { least: 0, most: 1 }),
    change: amountSchema(readShare, { least: -1 }),
    plain: (limits?: Limits) => amountSchema(readPlain, limits),
    /** kWh */
    energy: amountSchema(readQuantity({ kWh: 1 }, "10 GWh"), { least: 0 }),
    /** g/kWh */
    intensity: amountSchema(readQuantity({ g: 1, kWh: -1 }, "200 g/kWh"), { least: 0 }),
    /** L/kWh */
    water: amountSchema(readQuantity({ L: 1, kWh: -1 }, "0.4 L/kWh"), { least: 0 }),
    /** currency/kWh */
    energyPrice: amountSchema(readQuantity({ [money]: 1, kWh: -1 }, `110 ${currency}/MWh`), { least: 0 }),
    /** currency/g */
    carbonPrice: amountSchema(readQuantity({ [money]: 1, g: -1 }, `73 ${currency}/t`), { least: 0 }),
    /** currency */
    money: amountSchema(readQuantity({ [money]: 1 }, `2,000,000 ${currency}`), { least: 0 }),
    /** currency per tonne of coal equivalent */
    perCoalTonne: amountSchema(readQuantity({ [money]: 1, tce: -1 }, `1,200 ${currency}/tce`), { least: 0 }),
  };
}
