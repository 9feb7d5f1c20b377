// The options of `lightfoot footprint sci` as embodied emissions and intensity; may depend on the room cli, footprint, facts, quantity and errors.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { PlaceIntensities } from "../../../footprint/intensity-resolve.ts";
import type { CountBasis, Persona } from "../../../footprint/sci-ai.ts";
import type { SciRequest } from "../../../footprint/sci-document.ts";
import { figure, type Figure } from "../../../quantity/figure.ts";
import { declaredQuantity, parseQuantity } from "../../../quantity/parse-quantity.ts";
import { parseIntensity } from "../../../quantity/parse-rate.ts";
import type { ActionContext } from "../../action.ts";
import { asksForSeries, intensityPorts, periodOf, sourceOf, type IntensityFlags } from "../../intensity-options.ts";

export interface SciFlags extends IntensityFlags {
  readonly energy: string;
  readonly pue?: number;
  readonly intensity?: string;
  readonly where?: string;
  readonly intensityBasis: "location-based" | "market-based";
  readonly embodied?: string;
  readonly embodiedTotal?: string;
  readonly reserved?: string;
  readonly lifespan?: string;
  readonly resources?: { readonly reserved: number; readonly total: number };
  readonly per: { readonly name: string; readonly count: number };
  readonly ai?: Persona;
  readonly counted?: readonly string[];
  readonly absent?: readonly string[];
  readonly countBasis?: CountBasis;
  readonly reason?: string;
  readonly notes?: string;
  readonly subject?: string;
  readonly period?: string;
  readonly boundary?: string;
}

/** M, as given or as a share of the hardware's total. @throws LightfootError E_USAGE, E_UNIT, E_RANGE */
export async function embodiedOf(flags: SciFlags): Promise<Figure> {
  const { embodied, embodiedTotal, reserved, lifespan, resources } = flags;
  const hint = "Give --embodied 200gCO2e, or --embodied-total 1000kg --reserved 24h --lifespan 4y [--resources 8/64].";
  if (embodied !== undefined && embodiedTotal !== undefined) {
    throw new LightfootError("E_USAGE", "--embodied and --embodied-total were given, expected one of them", { hint });
  }
  if (embodiedTotal === undefined) {
    const stray = Object.entries({ reserved, lifespan, resources }).find(([, value]) => value !== undefined);
    if (stray !== undefined)
      throw new LightfootError("E_USAGE", `--${stray[0]} belongs to --embodied-total, which is missing`, { hint });
    if (embodied !== undefined) return declaredQuantity(embodied, "carbon", "--embodied");
    throw new LightfootError("E_USAGE", "embodied emissions are missing: a score without them is no SCI", { hint });
  }
  if (reserved === undefined || lifespan === undefined) {
    throw new LightfootError(
      "E_USAGE",
      `--embodied-total needs --${reserved === undefined ? "reserved" : "lifespan"}`,
      { hint },
    );
  }
  const { embodiedEmissions } = await import("../../../footprint/sci.ts");
  return embodiedEmissions({
    total: declaredQuantity(embodiedTotal, "carbon", "--embodied-total"),
    reservedSeconds: parseQuantity(reserved, "duration", "--reserved"),
    lifespanSeconds: parseQuantity(lifespan, "duration", "--lifespan"),
    resources,
  });
}

type Intensity = Pick<SciRequest, "intensity" | "intensityKind" | "intensityScope" | "intensityVintage">;

/** I, as given, of a place, or over the time of use. @throws LightfootError E_USAGE and what the source throws */
export async function intensityOf(context: ActionContext, flags: SciFlags, energy: Figure): Promise<Intensity> {
  if (flags.intensity !== undefined) {
    if (asksForSeries(flags) || flags.where !== undefined) {
      throw new LightfootError("E_USAGE", "--intensity and another source of it were given, expected one of them");
    }
    return {
      intensity: declaredIntensity(flags.intensity, flags.kind),
      intensityKind: flags.kind ?? "average",
      intensityScope: flags.scope ?? "undeclared",
    };
  }
  const period = periodOf(flags);
  if (asksForSeries(flags) && period === undefined) {
    throw new LightfootError("E_USAGE", "an intensity over time needs --from and --to: when the energy was used");
  }
  if (!asksForSeries(flags) && flags.where === undefined) {
    throw new LightfootError("E_USAGE", "the grid's intensity is missing", {
      hint: "Give --intensity 400gCO2e/kWh, --where DE, or --series FILE with --from and --to.",
    });
  }
  const place = flags.where === undefined ? undefined : await intensitiesAt(flags.where, flags);
  if (period === undefined) return yearlyIntensity(flags, place);
  const { resolveIntensity } = await import("../../../footprint/intensity-resolve.ts");
  const { evenEnergy, integrateEmissions } = await import("../../../footprint/intensity-integral.ts");
  context.progress.phase("Reading the grid's intensity");
  const source = await sourceOf(flags, place?.zone);
  const request = { ...period, ...source, place: place?.intensities };
  const { series, fallback } = await resolveIntensity(request, await intensityPorts(context.signal));
  const evenly = evenEnergy(energy, period.fromSeconds, period.toSeconds);
  const integrated = integrateEmissions(evenly, series, { fallback });
  const spread = { key: "sci.even-power", text: "the energy is taken to have been used evenly from --from to --to" };
  return {
    intensity: { ...integrated.intensity, assumptions: [...integrated.intensity.assumptions, spread] },
    intensityKind: integrated.kind,
    intensityScope: integrated.scope,
    intensityVintage: integrated.vintage,
  };
}

interface FoundPlace {
  readonly zone?: string;
  readonly intensities: PlaceIntensities;
}

/** The place's intensities of the kind and scope asked for. */
async function intensitiesAt(where: string, flags: SciFlags): Promise<FoundPlace> {
  const { findPlace } = await import("../../../facts/place.ts");
  const { placeIntensities } = await import("../../../footprint/intensity-place.ts");
  const place = findPlace(where);
  const { yearly, shape } = placeIntensities(place);
  const { kind = "average", scope } = flags;
  const fitting = yearly.filter((entry) => entry.kind === kind && (scope === undefined || entry.scope === scope));
  // A series of another kind brings its own; without one the place is all there is.
  if (fitting.length > 0 || asksForSeries(flags)) return { zone: place.zone, intensities: { yearly: fitting, shape } };
  const known = yearly.map((entry) => `${entry.scope} ${entry.kind}`).join(", ");
  throw new LightfootError(
    "E_USAGE",
    `no ${scope === undefined ? "" : `${scope} `}${kind} intensity is known for ${place.name}`,
    {
      hint: `Known: ${known === "" ? "none" : known}.`,
    },
  );
}

function yearlyIntensity(flags: SciFlags, place: FoundPlace | undefined): Intensity {
  const [best] = place?.intensities.yearly ?? [];
  if (best === undefined)
    throw new LightfootError("E_USAGE", `no intensity is known for ${flags.where ?? "the place"}`);
  const assumption = {
    key: "sci.yearly-average",
    text: `the grid is counted with its average of ${best.vintage}; --from and --to count the hours of use`,
  };
  const intensity = { ...best.figure, assumptions: [...best.figure.assumptions, assumption] };
  return { intensity, intensityKind: best.kind, intensityScope: best.scope, intensityVintage: best.vintage };
}

function declaredIntensity(text: string, kind: IntensityFlags["kind"]): Figure {
  const unsaid = { key: "sci.intensity-kind", text: "the intensity is taken as an average; --kind says otherwise" };
  return figure({
    value: parseIntensity(text),
    unit: "gCO2e/kWh",
    method: "declared",
    sources: ["--intensity"],
    assumptions: kind === undefined ? [unsaid] : [],
  });
}
