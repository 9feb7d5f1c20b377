// Client of the Electricity Maps API, version 3: hourly average intensity of the electricity consumed in a zone; may depend on io, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { getJson, systemHttp, type HttpPort } from "../io/http-json.ts";
import {
  asInstant,
  asList,
  asNumber,
  asRecord,
  unexpected,
  type IntensityPublisher,
  type PublishedPoint,
} from "./intensity-publisher.ts";
import { ELECTRICITY_MAPS_BAND } from "./intensity-series.ts";

export interface ElectricityMapsOptions {
  readonly zone: string;
  readonly token: string;
  /** Life-cycle emission factors unless told otherwise. */
  readonly scope?: "life-cycle" | "direct";
  readonly baseUrl?: string;
  readonly http?: HttpPort;
}

const SERVICE = "Electricity Maps";
/** What `history` reaches back. */
const HISTORY_SECONDS = 86_400;
const BASE_URL = "https://api.electricitymaps.com/v3";

/**
 * `carbon-intensity/past-range` (10 days a request at most) and `carbon-intensity/latest`; header `auth-token`. Where the plan
 * does not cover ranges, `carbon-intensity/history` gives the last 24 hours.
 *
 * Flow-traced, so consumption-based; unit gCO2eq/kWh; `isEstimated` marks what will be replaced once measured.
 * Source: Electricity Maps API reference v3. Data: ODbL 1.0 or the plan's terms.
 */
export function electricityMaps(options: ElectricityMapsOptions): IntensityPublisher {
  const { zone, token, scope = "life-cycle", baseUrl = BASE_URL, http = systemHttp } = options;
  const factorType = scope === "direct" ? "direct" : "lifecycle";
  const ask = (path: string, parameters: Record<string, string>, signal?: AbortSignal): Promise<unknown> =>
    getJson(
      {
        url: `${baseUrl}/carbon-intensity/${path}?${new URLSearchParams({ zone, emissionFactorType: factorType, ...parameters }).toString()}`,
        headers: { "auth-token": token },
        service: SERVICE,
        credentialsHint: `Check the token, and that its plan covers zone ${zone}: free plans cover one zone.`,
        signal,
      },
      http,
    );
  const point = (entry: unknown): PublishedPoint | undefined => {
    const { carbonIntensity, datetime, isEstimated, emissionFactorType } = asRecord(entry, SERVICE);
    if (carbonIntensity === null || carbonIntensity === undefined) return undefined; // not known, and not 0
    if (emissionFactorType !== undefined && emissionFactorType !== factorType) {
      throw unexpected(SERVICE, `${factorType} emission factors`, emissionFactorType);
    }
    return {
      startSeconds: asInstant(datetime, SERVICE),
      gramsPerKwh: asNumber(carbonIntensity, SERVICE),
      estimated: isEstimated === true,
    };
  };
  return {
    source: `Electricity Maps API v3, ${zone}, ${scope}, consumption-based`,
    kind: "average",
    scope,
    zone,
    band: ELECTRICITY_MAPS_BAND,
    cacheKey: ["electricity-maps", zone, `${factorType}-hourly`],
    mostDays: 10,
    async range(fromSeconds, toSeconds, signal) {
      const [start, end] = [fromSeconds, toSeconds].map((seconds) => new Date(seconds * 1000).toISOString());
      const points = (list: unknown): PublishedPoint[] => asList(list, SERVICE).flatMap((entry) => point(entry) ?? []);
      try {
        const { data } = asRecord(await ask("past-range", { start, end }, signal), SERVICE);
        return { points: points(data), stepSeconds: 3600 };
      } catch (refusal) {
        const isRefused = refusal instanceof LightfootError && refusal.code === "E_CREDENTIALS";
        if (!isRefused || toSeconds <= http.nowSeconds() - HISTORY_SECONDS) throw refusal;
        const { history } = asRecord(await ask("history", {}, signal), SERVICE);
        const recent = points(history).filter(
          ({ startSeconds }) => startSeconds >= fromSeconds && startSeconds < toSeconds,
        );
        if (recent.length === 0) throw refusal;
        return { points: recent, stepSeconds: 3600 };
      }
    },
    async latest(signal) {
      const answer = await ask("latest", {}, signal);
      const newest = point(answer);
      if (newest === undefined) throw unexpected(SERVICE, "an intensity", answer);
      return newest;
    },
  };
}
