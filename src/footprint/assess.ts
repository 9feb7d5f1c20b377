// The footprint of an energy: carbon, water, embodied emissions and money at one place, each with its boundary; may depend on quantity, errors, facts and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Place } from "../facts/place.ts";
import { GRAMS_PER_TONNE, SECONDS_PER_HOUR } from "../quantity/convert.ts";
import { figure, scale, sum, type Assumption, type Figure } from "../quantity/figure.ts";
import { amortizedEmbodied, type EmbodiedInput } from "./embodied.ts";
import {
  ASSUMED_FACTORS,
  bounded,
  energyAt,
  raiseEnergy,
  type BoundaryFactors,
  type BoundedEnergy,
} from "./boundary.ts";
import { constantEmissions, emissionsOverTime, factorOf, marketEmissions, type GridFactor } from "./grid-emissions.ts";
import type { Footprint, GridEmissions } from "./footprint-schema.ts";
import { evenEnergy, inKwh, type EnergyOverTime } from "./intensity-integral.ts";
import type { MarketInput } from "./intensity-market.ts";
import type { ResolvedIntensity } from "./intensity-resolve.ts";
import { formatInstant } from "./intensity-series.ts";
import { costOf, type PriceOf } from "./money.ts";
import { unknownPlace } from "./unknown-place.ts";
import { waterOf, type WaterFactors } from "./water.ts";

export interface FootprintInput {
  /** J, at the boundary where it was metered or modelled. */
  readonly energy: BoundedEnergy;
  /** Left out, and no intensity given: the world's average, with the range of nations. */
  readonly place?: Place;
  /** Takes the place of the place's own. */
  readonly intensity?: GridFactor;
  /** Contracts and certificates, for the market-based figure. */
  readonly market?: MarketInput;
  /** Intensity over time, as `resolveIntensity` gives it; needs `period` or `energyOverTime`. */
  readonly over?: Pick<ResolvedIntensity, "series" | "fallback"> & Partial<Pick<GridFactor, "basis" | "licence">>;
  /** When the energy was used, seconds since 1970 UTC: spread evenly, or as `energyOverTime` says. */
  readonly period?: { readonly fromSeconds: number; readonly toSeconds: number };
  /** The energy of `energy`, spread as it was used. */
  readonly energyOverTime?: EnergyOverTime;
  readonly factors?: Partial<BoundaryFactors> & WaterFactors;
  readonly embodied?: EmbodiedInput;
  /** Devices and for how long, s: what device-hour prices are multiplied with. */
  readonly devices?: { readonly count: number; readonly seconds: number };
  readonly prices?: { readonly electricity?: PriceOf; readonly deviceHour?: PriceOf; readonly carbon?: PriceOf };
  /** Why something is missing, where the caller knows better than "not given". */
  readonly unknown?: Footprint["unknown"];
  /** Calendar year of the assessment, for the age of prices. */
  readonly thisYear: number;
}

/**
 * The footprint of an energy.
 *
 *     C = Σ E_facility(t) · I(t),  E_facility = E_IT · PUE       (PUE once)
 *     W = E_IT · WUE + E_facility · gridWater
 *     M = Σ count · TE · time used / life
 *
 * Money: electricity = E_facility · price; device hours = devices · hours · price; carbon price on location-based emissions.
 * What is missing is filled by a stated assumption, or listed under `unknown` where no number would be honest.
 * @throws LightfootError E_RANGE, E_UNIT, E_BASIS, E_SERIES for inputs that break a formula's domain; E_USAGE for a series without a time
 * @example assessFootprint({ energy: bounded(joules, "IT"), place: findPlace("DE"), thisYear: 2026 }).emissions.locationBased
 */
export function assessFootprint(input: FootprintInput): Footprint {
  const { energy, period, prices = {} } = input;
  const place = input.place ?? (hasIntensity(input) ? undefined : unknownPlace());
  requirePeriod(period);
  const factors: BoundaryFactors = {
    nodePerAccelerator: input.factors?.nodePerAccelerator ?? ASSUMED_FACTORS.nodePerAccelerator,
    itPerNode: input.factors?.itPerNode ?? ASSUMED_FACTORS.itPerNode,
    powerUsageEffectiveness:
      input.factors?.powerUsageEffectiveness ??
      place?.powerUsageEffectiveness ??
      ASSUMED_FACTORS.powerUsageEffectiveness,
  };
  const chain = raiseEnergy(energy, factors);
  const facility = energyAt(chain, "facility");
  const { locationBased, otherMethods } = locationEmissions({ ...input, place }, facility);
  const water = waterOf(chain, {
    waterUsageEffectiveness: input.factors?.waterUsageEffectiveness ?? place?.waterUsageEffectiveness,
    gridWater: input.factors?.gridWater ?? place?.gridWater,
    gridWaterWithdrawal: input.factors?.gridWaterWithdrawal ?? place?.gridWaterWithdrawal,
  });
  const embodied = input.embodied === undefined ? null : amortizedEmbodied(input.embodied);
  const hours = input.devices === undefined ? null : deviceHours(input.devices);
  const electricityPrice = prices.electricity ?? place?.electricityPrice;
  const cost = (quantity: Figure | null, price: PriceOf | undefined) =>
    quantity === null || price === undefined ? null : costOf(quantity, price, input.thisYear, "facility");
  const draft: Omit<Footprint, "assumptions"> = {
    schema: "lightfoot.footprint/1",
    place: place === undefined ? null : { id: place.id, name: place.name, kind: place.kind },
    period:
      period === undefined ? null : { from: formatInstant(period.fromSeconds), to: formatInstant(period.toSeconds) },
    boundary: embodied === null ? "facility" : "facility+embodied",
    energy: facility,
    energyByBoundary: chain,
    energyKnownAt: energy.boundary,
    powerUsageEffectiveness: factors.powerUsageEffectiveness,
    emissions: {
      locationBased,
      marketBased: input.market === undefined ? null : marketEmissions(facility, locationBased, input.market),
      otherMethods,
      withEmbodied: embodied === null ? null : bounded(sum([locationBased, embodied]), "facility+embodied"),
    },
    water,
    embodied,
    money: {
      electricity: cost(inKwh(facility), electricityPrice),
      deviceHours: cost(hours, prices.deviceHour),
      carbon: cost(scale(locationBased, 1 / GRAMS_PER_TONNE, "tCO2e"), prices.carbon),
    },
    deviceHours: hours,
    unknown: unknownParts(input, electricityPrice),
  };
  return { ...draft, assumptions: assumptionsIn(draft) };
}

const hasIntensity = ({ intensity, over }: FootprintInput): boolean => intensity !== undefined || over !== undefined;

function requirePeriod(period: FootprintInput["period"]): void {
  if (period === undefined || period.fromSeconds <= period.toSeconds) return;
  const [from, to] = [period.fromSeconds, period.toSeconds].map(formatInstant);
  throw new LightfootError("E_RANGE", `the period runs from ${from} to ${to}, expected an end not before its start`);
}

/** By the series where there is one; by the place's first data set otherwise, the others beside it. */
function locationEmissions(
  input: FootprintInput,
  facility: BoundedEnergy,
): { locationBased: GridEmissions; otherMethods: GridEmissions[] } {
  const known = [
    ...(input.intensity === undefined ? [] : [input.intensity]),
    ...(input.place?.intensities ?? []).map(factorOf),
  ];
  const { over, period } = input;
  if (over === undefined) {
    const [first, ...others] = known;
    if (first === undefined) {
      throw new LightfootError("E_USAGE", `no carbon intensity is known for ${input.place?.name ?? "this place"}`, {
        hint: "Add --intensity 350gCO2e/kWh.",
      });
    }
    return {
      locationBased: constantEmissions(facility, first),
      otherMethods: others.map((factor) => constantEmissions(facility, factor)),
    };
  }
  if (input.energyOverTime === undefined && period === undefined) {
    throw new LightfootError("E_USAGE", "an intensity series needs the time when the energy was used", {
      hint: "Add --from 2026-11-24T08:00Z --to 2026-11-24T20:00Z.",
    });
  }
  const overTime = facilityOverTime(input, facility);
  return {
    locationBased: emissionsOverTime(facility, overTime, over.series, {
      fallback: over.fallback,
      basis: over.basis ?? "undeclared",
      licence: over.licence ?? null,
    }),
    otherMethods: known.map((factor) => constantEmissions(facility, factor)),
  };
}

function facilityOverTime({ energy, energyOverTime, period }: FootprintInput, facility: BoundedEnergy): EnergyOverTime {
  if (energyOverTime === undefined) return evenEnergy(facility, period?.fromSeconds ?? 0, period?.toSeconds ?? 0);
  const ratio = energy.value === 0 ? 0 : facility.value / energy.value;
  return {
    ...energyOverTime,
    energyJoules: Array.from(energyOverTime.energyJoules, (joules) => joules * ratio),
    total: facility,
  };
}

/** Devices times hours, in device-h. */
function deviceHours({ count, seconds }: { readonly count: number; readonly seconds: number }): Figure {
  if (!(count > 0 && Number.isFinite(count) && seconds >= 0 && Number.isFinite(seconds))) {
    throw new LightfootError(
      "E_RANGE",
      `device hours need devices and a time, found ${count} devices for ${seconds} s`,
    );
  }
  return figure({
    value: (count * seconds) / SECONDS_PER_HOUR,
    unit: "device-h",
    method: "declared",
    sources: ["devices × time, as given"],
  });
}

function unknownParts(input: FootprintInput, electricityPrice: PriceOf | undefined): Footprint["unknown"] {
  const missing: Footprint["unknown"] = [];
  if (input.embodied === undefined) {
    missing.push({ what: "embodied", why: "no hardware with its hours of use was given" });
  }
  if (input.market === undefined) {
    missing.push({ what: "market-based emissions", why: "no contract's intensity was given" });
  }
  if (electricityPrice === undefined) {
    missing.push({ what: "electricity cost", why: "no electricity price is known for this place" });
  }
  const known = new Map((input.unknown ?? []).map(({ what, why }) => [what, why]));
  return missing.map(({ what, why }) => ({ what, why: known.get(what) ?? why }));
}

function assumptionsIn(draft: Omit<Footprint, "assumptions">): Assumption[] {
  const { emissions, water, embodied, money } = draft;
  const figures: (Figure | null)[] = [
    draft.energy,
    ...draft.energyByBoundary,
    emissions.locationBased,
    emissions.marketBased,
    water.consumption,
    water.withdrawal,
    embodied,
    money.electricity,
    money.deviceHours,
    money.carbon,
  ];
  const all = figures.flatMap((part) => part?.assumptions ?? []);
  return [...new Map(all.map((entry) => [entry.key, entry])).values()];
}
