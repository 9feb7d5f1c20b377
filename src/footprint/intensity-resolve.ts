// Which intensity a run is counted with: a file, a publisher through its cache, a place's shape or its yearly average; may depend on io, errors, quantity and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { JsonCache } from "../io/cache-folder.ts";
import type { Assumption } from "../quantity/figure.ts";
import { readIntensityCsv, type SeriesFile, type SeriesFileOptions } from "./intensity-csv.ts";
import { shapedSeries, yearlySeries, type MonthHourShape, type Period } from "./intensity-fallback.ts";
import { obtainIntensity } from "./intensity-obtain.ts";
import type { IntensityPublisher } from "./intensity-publisher.ts";
import type { ConstantIntensity, IntensitySeries } from "./intensity-series.ts";

/** What is known of the place where the energy was used. */
export interface PlaceIntensities {
  /** Yearly intensities, best first, of all kinds and scopes. */
  readonly yearly: readonly ConstantIntensity[];
  readonly shape?: MonthHourShape;
}

export interface IntensityRequest extends Period {
  /** Best source first: a file wins over a publisher, a publisher over the place. */
  readonly file?: { readonly path: string } & SeriesFileOptions;
  readonly publisher?: IntensityPublisher;
  readonly place?: PlaceIntensities;
  readonly isOffline?: boolean;
}

export interface IntensityPorts {
  readonly cache: JsonCache;
  readonly nowSeconds: number;
  readonly signal?: AbortSignal;
}

export interface ResolvedIntensity {
  readonly series: IntensitySeries;
  /** Of the same kind and scope, for gaps; undefined when nothing fits. */
  readonly fallback?: IntensitySeries;
  /** What a file's reader saw: step, gaps, unit. */
  readonly file?: SeriesFile["facts"];
  /** Requests sent to a publisher. */
  readonly requestCount: number;
}

/**
 * The series to integrate with, and what fills its gaps.
 *
 * Without file and publisher: the place's month × hour shape, else its yearly average. When a publisher of averages is out of
 * reach and its cache empty, these stand in too, which the assumptions say. What stands in is of the same kind and scope:
 * no average for a marginal intensity, which is a different quantity.
 *
 * @throws LightfootError E_SERIES when there is nothing to count with; E_NETWORK when a publisher's marginal values are out of
 *   reach; and what file and publisher throw
 * @example const { series, fallback } = await resolveIntensity({ fromSeconds, toSeconds, place, publisher }, ports);
 *   integrateEmissions(energy, series, { fallback });
 */
export async function resolveIntensity(request: IntensityRequest, ports: IntensityPorts): Promise<ResolvedIntensity> {
  if (request.file !== undefined) {
    const { path, ...options } = request.file;
    const { series, facts } = await readIntensityCsv(path, options);
    return { series, fallback: standIn(request, series), file: facts, requestCount: 0 };
  }
  if (request.publisher === undefined) return { series: ofPlace(request), requestCount: 0 };
  const { fromSeconds, toSeconds, isOffline, publisher } = request;
  const { series, failure, requestCount } = await obtainIntensity(publisher, {
    fromSeconds,
    toSeconds,
    isOffline,
    ...ports,
  });
  const fallback = standIn(request, publisher);
  if (series !== undefined) return { series, fallback, requestCount };
  if (fallback === undefined) throw failure ?? nothing(publisher, isOffline === true);
  const reason =
    failure === undefined ? (isOffline === true ? "offline by request" : "it has no values") : failure.message;
  const assumption: Assumption = {
    key: "intensity-series.publisher-away",
    text: `${publisher.source} was not to be had (${reason}); ${fallback.source} stands in`,
  };
  return { series: { ...fallback, assumptions: [...fallback.assumptions, assumption] }, requestCount };
}

function ofPlace(request: IntensityRequest): IntensitySeries {
  const [best] = request.place?.yearly ?? [];
  if (best !== undefined) return fromYearly(best, request);
  throw new LightfootError("E_SERIES", "there is no intensity to count with", {
    hint: "Give --where (a country, grid zone or cloud region), --intensity, --series or a publisher.",
  });
}

/** The place's intensity of the same kind and scope. */
function standIn(
  request: IntensityRequest,
  { kind, scope }: Pick<IntensitySeries, "kind" | "scope">,
): IntensitySeries | undefined {
  const same = request.place?.yearly.find((yearly) => yearly.kind === kind && yearly.scope === scope);
  return same === undefined ? undefined : fromYearly(same, request);
}

function fromYearly(yearly: ConstantIntensity, request: IntensityRequest): IntensitySeries {
  const shape = request.place?.shape;
  // A shape of averages says nothing about margins.
  if (shape === undefined || yearly.kind === "marginal") return yearlySeries(yearly, request);
  return shapedSeries(yearly, shape, request);
}

function nothing(publisher: IntensityPublisher, isOffline: boolean): LightfootError {
  const why = isOffline ? "the cache has none and --offline forbids asking" : "the publisher has none";
  return new LightfootError("E_SERIES", `no ${publisher.kind} intensity for ${publisher.zone} in the period: ${why}`, {
    hint:
      publisher.kind === "marginal"
        ? "No average stands in for a marginal intensity. Give --series with marginal values, or count with averages."
        : "Give --where for a yearly average, or --series.",
  });
}
