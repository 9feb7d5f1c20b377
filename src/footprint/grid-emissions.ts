// Emissions of an energy by one intensity, constant or changing with time, with what that intensity counts; may depend on quantity, errors, facts and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { GridIntensity } from "../facts/grid-intensity.ts";
import { multiply, type Figure } from "../quantity/figure.ts";
import { bounded, type BoundedEnergy } from "./boundary.ts";
import type { GridEmissions, MarketEmissions } from "./footprint-schema.ts";
import { inKwh, integrateEmissions, type EnergyOverTime, type IntegralOptions } from "./intensity-integral.ts";
import { reportBoth, type MarketInput } from "./intensity-market.ts";
import { MOST_GRAMS_PER_KWH, requireIntensity, type IntensitySeries } from "./intensity-series.ts";

/** A grid's (or a contract's) gCO2e/kWh with everything that must agree before two of them are compared. */
export interface GridFactor extends Pick<
  GridEmissions,
  "kind" | "scope" | "basis" | "vintage" | "dataset" | "licence"
> {
  readonly figure: Figure;
}

/** A published intensity as a factor. */
export function factorOf({ figure, year, kind, scope, basis, dataset, licence }: GridIntensity): GridFactor {
  return { figure, kind, scope, basis, vintage: String(year), dataset, licence };
}

/**
 * C = E · I for an intensity that holds all the time.
 *
 * @param energy of the facility: the meter that the grid feeds
 * @throws LightfootError E_UNIT unless the factor is in gCO2e/kWh, E_RANGE for one that no grid has
 */
export function constantEmissions(energy: BoundedEnergy, factor: GridFactor): GridEmissions {
  const { figure: intensity, ...basis } = factor;
  requireIntensity(intensity);
  if (intensity.low < 0 || intensity.value > MOST_GRAMS_PER_KWH) {
    const message = `a carbon intensity is 0 to ${MOST_GRAMS_PER_KWH} gCO2e/kWh, found ${intensity.value}`;
    throw new LightfootError("E_RANGE", message, { hint: "Check its unit: no grid comes near 2,000 gCO2e/kWh." });
  }
  const emissions = multiply(inKwh(energy), intensity, "gCO2e");
  return { ...bounded(emissions, energy.boundary), intensity, ...basis, coveredFraction: null };
}

/** C = Σ E(t) · I(t). @throws LightfootError what `integrateEmissions` throws */
export function emissionsOverTime(
  energy: BoundedEnergy,
  overTime: EnergyOverTime,
  series: IntensitySeries,
  options: IntegralOptions & Pick<GridFactor, "basis" | "licence">,
): GridEmissions {
  const { basis, licence, ...integral } = options;
  const found = integrateEmissions(overTime, series, integral);
  return {
    ...bounded(found.emissions, energy.boundary),
    intensity: found.intensity,
    kind: found.kind,
    scope: found.scope,
    basis,
    vintage: found.vintage,
    dataset: series.source,
    licence,
    coveredFraction: Math.min(1, found.coverage.coveredFraction),
  };
}

/**
 * What contracts and certificates say of the same energy, beside the location-based figure.
 *
 * @throws LightfootError what `reportBoth` throws
 */
export function marketEmissions(energy: BoundedEnergy, location: GridEmissions, market: MarketInput): MarketEmissions {
  const { kind, scope, vintage, intensity, coveredFraction } = location;
  const integrated = { emissions: location, intensity, kind, scope, vintage };
  const coverage = { coveredFraction: coveredFraction ?? 1 };
  const { marketBased } = reportBoth(energy, { ...integrated, coverage }, market);
  if (marketBased === null) throw new LightfootError("E_INTERNAL", "a market was given and no figure came of it");
  const { emissions, ...rest } = marketBased;
  return { ...bounded(emissions, energy.boundary), ...rest };
}
