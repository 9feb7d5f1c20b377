// Prices with their year and basis, and how an old one widens; may depend on errors, quantity and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, type Assumption, type Figure } from "../quantity/figure.ts";
import { readTable } from "./table.ts";

export interface Price {
  /** In the currency it was published in: `EUR/kWh`, `USD/h`, `USD/device`, `EUR/tCO2e`. No currency is converted. */
  readonly figure: Figure;
  readonly kind: PriceKind;
  readonly year: number;
  readonly basis: string;
  readonly licence: string;
  readonly provider?: string;
  readonly region?: string;
  readonly instance?: string;
}

export type PriceKind = "electricity" | "gpu-hour" | "launch" | "carbon";

export interface PriceRow {
  readonly kind: PriceKind;
  readonly key: string;
  readonly provider: string | null;
  readonly region: string | null;
  readonly instance: string | null;
  readonly value: number;
  readonly currency: string;
  readonly per: string;
  readonly year: number;
  readonly confidence: "statistics" | "desk" | "list" | "launch" | "single";
  readonly basis: string;
  readonly source: string;
  readonly licence: string;
}

export const priceTable = () => readTable<PriceRow>("prices");

const DESK: Assumption = {
  key: "price.desk-research",
  text: "The price is one author's desk research, not official statistics.",
};

/** A row of the table as a price. */
export function priceOf(row: PriceRow): Price {
  const { interval, sources = {} } = priceTable();
  const half = Number(interval[row.confidence]);
  return {
    figure: figure({
      value: row.value,
      low: row.value * (1 - half),
      high: row.value * (1 + half),
      unit: `${row.currency}/${row.per}`,
      method: "declared",
      sources: [`${sources[row.source] ?? row.source}: ${row.key}, ${row.year}`],
      assumptions: row.confidence === "desk" ? [DESK] : [],
    }),
    kind: row.kind,
    year: row.year,
    basis: row.basis,
    licence: row.licence,
    ...(row.provider === null ? {} : { provider: row.provider }),
    ...(row.region === null ? {} : { region: row.region }),
    ...(row.instance === null ? {} : { instance: row.instance }),
  };
}

const pricesOf = (kind: PriceKind, key: string): Price[] =>
  priceTable()
    .rows.filter((row) => row.kind === kind && row.key === key)
    .map(priceOf);

/** Industrial electricity of a country (`DEU`) or US state (`US-VA`); undefined where no price is known. */
export const electricityPrice = (key: string): Price | undefined => pricesOf("electricity", key)[0];

/** An hour of one device, host included, by provider; newest first, then cheapest. */
export const gpuHourPrices = (hardwareId: string): Price[] =>
  pricesOf("gpu-hour", hardwareId).sort((a, b) => b.year - a.year || a.figure.value - b.figure.value);

/** What a device cost when it came out. */
export const launchPrice = (hardwareId: string): Price | undefined => pricesOf("launch", hardwareId)[0];

/** The one carbon price that is free to pass on: an EU auction of November 2024. Give your own where it matters. */
export const carbonPrice = (): Price | undefined => pricesOf("carbon", "EU-ETS")[0];

/** Yearly factors by which a price may have fallen and risen since; why these stands in docs/methodology/facts.md. */
const DRIFT: Readonly<Record<PriceKind, { readonly down: number; readonly up: number }>> = {
  electricity: { down: 0.9, up: 1.15 },
  "gpu-hour": { down: 0.7, up: 1.05 },
  launch: { down: 0.75, up: 1.05 },
  carbon: { down: 0.75, up: 1.35 },
};

/** Younger than this a price is taken as it stands: statistics of a year come out in the next. */
const FRESH_YEARS = 1;

/**
 * A price as of a later year: past one year of age its interval widens by kind, and it says how old it is.
 *
 * For `extra = max(0, age − 1)`: `low = low × down^extra`, `high = high × up^extra`. The value itself stays as published.
 * @throws LightfootError E_RANGE when the year is no whole number from 1990 to 2200, or lies before the price's own
 * @example priceAsOf(gpuHourPrices("nvidia-t4")[0], 2026).figure.low
 */
export function priceAsOf(price: Price, year: number): Price & { readonly ageYears: number; readonly stale: boolean } {
  if (!Number.isInteger(year) || year < 1990 || year > 2200 || year < price.year) {
    throw new LightfootError("E_RANGE", `a price of ${price.year} cannot be brought to the year ${year}`);
  }
  const ageYears = year - price.year;
  const extra = Math.max(0, ageYears - FRESH_YEARS);
  if (extra === 0) return { ...price, ageYears, stale: false };
  const { down, up } = DRIFT[price.kind];
  const assumption: Assumption = {
    key: "price.stale",
    text: `The price is of ${price.year}, ${ageYears} years old: it is a range, ${down} to ${up} a year past the first.`,
  };
  const { value, low, high, ...rest } = price.figure;
  return {
    ...price,
    ageYears,
    stale: true,
    figure: {
      ...rest,
      value,
      low: low * down ** extra,
      high: high * up ** extra,
      assumptions: [...rest.assumptions, assumption],
    },
  };
}
