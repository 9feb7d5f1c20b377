// Location-based and market-based emissions side by side, after the GHG Protocol's Scope 2 Guidance; may depend on quantity, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { kwhFromJoules } from "../quantity/convert.ts";
import { figure, multiply, scale, sum, type Assumption, type Figure } from "../quantity/figure.ts";
import type { IntegratedEmissions } from "./intensity-integral.ts";
import { requireIntensity, type IntensityScope } from "./intensity-series.ts";

/** Contractual instruments in the order of precision that the Guidance gives them. */
export const INSTRUMENT_KINDS = ["certificate", "contract", "supplier"] as const;
export type InstrumentKind = (typeof INSTRUMENT_KINDS)[number];

/** What the Guidance asks of an instrument; a criterion that nobody answers is a note, one that fails refuses the claim. */
export interface InstrumentQuality {
  /** Tracked and retired or cancelled on behalf of the reporting company. */
  readonly isRetired?: boolean;
  /** Issued near the time of consumption: its vintage. */
  readonly year?: number;
  /** From the market in which the electricity is consumed. */
  readonly isSameMarket?: boolean;
}

/** A declared claim to a share of the electricity: certificates (GO, REC, I-REC), a contract (PPA), a supplier's rate. */
export interface Instrument {
  readonly kind: InstrumentKind;
  readonly label?: string;
  /** Share of the energy it covers, above 0 and at most 1. */
  readonly fraction: number;
  /** gCO2e/kWh. */
  readonly intensity: Figure;
  /** Left out: taken to count what the location-based intensity counts. */
  readonly scope?: IntensityScope;
  readonly quality?: InstrumentQuality;
}

/** Everything that a market-based figure is made of. */
export interface MarketInput {
  readonly instruments: readonly Instrument[];
  /** gCO2e/kWh of what is left after all claims in the market. */
  readonly residualMix?: Figure;
  /** Year of consumption, against which vintages are held. */
  readonly year?: number;
}

export interface MarketPart {
  readonly kind: InstrumentKind | "residual mix" | "grid average";
  readonly label?: string;
  readonly fraction: number;
  readonly intensity: Figure;
  readonly emissions: Figure;
}

export interface MarketBased {
  readonly emissions: Figure;
  readonly intensity: Figure;
  readonly parts: readonly MarketPart[];
  /** Quality criteria that are not met or not answered, in sentences. */
  readonly notes: readonly string[];
}

/** Both figures, since the Guidance wants both reported wherever instruments exist; neither is subtracted from the other. */
export interface DualReport {
  readonly locationBased: IntegratedEmissions;
  /** Null when nothing was declared. */
  readonly marketBased: MarketBased | null;
}

/**
 * Location-based as integrated; market-based as Σ instruments' share × intensity + the rest × residual mix.
 *
 *     market-based = E · (Σ_k f_k · I_k + (1 − Σ_k f_k) · I_residual)
 *
 * Without a residual mix the rest is counted with the location-based intensity, with the assumption
 * `market-based.no-residual-mix`, as the Guidance allows if it is disclosed.
 *
 * @param energy in J
 * @throws LightfootError E_RANGE when shares exceed 1 together, E_UNIT for other units, E_BASIS when the location-based figure
 *   is marginal or an instrument counts another scope
 */
export function reportBoth(energy: Figure, locationBased: IntegratedEmissions, market?: MarketInput): DualReport {
  if (market === undefined) return { locationBased, marketBased: null };
  if (locationBased.kind !== "average") {
    throw new LightfootError(
      "E_BASIS",
      "a market-based figure stands beside a location-based average, found a marginal intensity",
      {
        hint: "The GHG Protocol counts both with averages; report marginal effects apart.",
      },
    );
  }
  if (energy.unit !== "J") throw new LightfootError("E_UNIT", `energy is in J, found ${energy.unit}`);
  return { locationBased, marketBased: marketBased(energy, locationBased, market) };
}

/** Sums of shares typed as percent may exceed 1 by rounding. */
const FRACTION_TOLERANCE = 1e-9;

function marketBased(energy: Figure, location: IntegratedEmissions, market: MarketInput): MarketBased {
  const claimed = market.instruments.reduce((total, { fraction }) => total + fraction, 0);
  for (const instrument of market.instruments) requireSound(instrument, location.scope);
  if (claimed > 1 + FRACTION_TOLERANCE) {
    throw new LightfootError(
      "E_RANGE",
      `the instruments cover ${claimed * 100} % of the energy, expected at most 100 %`,
      {
        hint: "Certificates beyond the consumption lower nothing.",
      },
    );
  }
  const rest = Math.max(1 - claimed, 0) < FRACTION_TOLERANCE ? 0 : 1 - claimed;
  const shares: Omit<MarketPart, "emissions">[] = market.instruments.map(
    ({ kind, label, fraction, intensity, scope }) => ({
      kind,
      label,
      fraction,
      intensity:
        scope === undefined && location.scope !== "undeclared"
          ? withScopeAssumption(intensity, location.scope)
          : intensity,
    }),
  );
  if (rest > 0) shares.push(restOf(market, location, rest));
  const inKwh = figure({
    ...energy,
    value: kwhFromJoules(energy.value),
    low: kwhFromJoules(energy.low),
    high: kwhFromJoules(energy.high),
    unit: "kWh",
  });
  const parts = shares.map((part) => ({
    ...part,
    emissions: multiply(inKwh, scale(part.intensity, part.fraction), "gCO2e"),
  }));
  const intensity = sum(shares.map((part) => scale(part.intensity, part.fraction)));
  return {
    emissions: multiply(inKwh, intensity, "gCO2e"),
    intensity,
    parts,
    notes: market.instruments.flatMap((instrument) => qualityNotes(instrument, market.year)),
  };
}

function restOf(market: MarketInput, location: IntegratedEmissions, fraction: number): Omit<MarketPart, "emissions"> {
  if (market.residualMix !== undefined) {
    requireIntensity(market.residualMix);
    return { kind: "residual mix", fraction, intensity: market.residualMix };
  }
  const assumption: Assumption = {
    key: "market-based.no-residual-mix",
    text: "no residual mix is known: what no instrument covers is counted with the grid average, which counts claimed energy twice",
  };
  const intensity = { ...location.intensity, assumptions: [...location.intensity.assumptions, assumption] };
  return { kind: "grid average", fraction, intensity };
}

const withScopeAssumption = (intensity: Figure, scope: IntensityScope): Figure => ({
  ...intensity,
  assumptions: [
    ...intensity.assumptions,
    {
      key: "market-based.instrument-scope",
      text: `the instruments' intensities are taken to count ${scope} emissions, as the grid's does`,
    },
  ],
});

function requireSound(
  { fraction, intensity, scope, kind, label, quality }: Instrument,
  locationScope: IntensityScope,
): void {
  requireIntensity(intensity);
  const name = label ?? kind;
  if (!(fraction > 0 && fraction <= 1)) {
    throw new LightfootError(
      "E_RANGE",
      `${name} covers ${fraction * 100} % of the energy, expected above 0 and at most 100 %`,
    );
  }
  if (intensity.low < 0)
    throw new LightfootError("E_RANGE", `${name} has ${intensity.low} gCO2e/kWh, expected 0 or more`);
  if (scope !== undefined && locationScope !== "undeclared" && scope !== locationScope) {
    throw new LightfootError(
      "E_BASIS",
      `${name} counts ${scope} emissions and the grid's intensity ${locationScope} ones`,
    );
  }
  if (quality?.isRetired === false || quality?.isSameMarket === false) {
    const reason = quality.isRetired === false ? "is not retired" : "is from another market";
    throw new LightfootError("E_BASIS", `${name} ${reason}: by the Scope 2 quality criteria it covers no consumption`);
  }
}

/** Vintages may lag: most registries accept the year before and after. */
const VINTAGE_YEARS = 1;

function qualityNotes({ kind, label, quality = {} }: Instrument, year: number | undefined): string[] {
  const name = label ?? kind;
  const notes: string[] = [];
  if (quality.isRetired === undefined) notes.push(`${name}: not said to be retired or cancelled for this consumption`);
  if (quality.isSameMarket === undefined) notes.push(`${name}: not said to come from the market of consumption`);
  if (quality.year === undefined) notes.push(`${name}: vintage not said`);
  else if (year !== undefined && Math.abs(quality.year - year) > VINTAGE_YEARS) {
    notes.push(`${name}: vintage ${quality.year} is far from the consumption in ${year}`);
  }
  return notes;
}
