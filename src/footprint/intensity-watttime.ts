// Client of the WattTime API, version 3: marginal (or average) operating emissions of a grid region in five-minute steps; may depend on io, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { getJson, systemHttp, type HttpPort } from "../io/http-json.ts";
import {
  asInstant,
  asList,
  asNumber,
  asRecord,
  unexpected,
  type IntensityPublisher,
  type PublishedRange,
} from "./intensity-publisher.ts";
import { WATTTIME_BAND } from "./intensity-series.ts";
import { intensityUnit } from "./intensity-unit.ts";

export interface WattTimeOptions {
  readonly region: string;
  readonly user: string;
  readonly password: string;
  /** Marginal operating emissions rate unless told otherwise. */
  readonly signal?: "co2_moer" | "co2_aoer";
  readonly baseUrl?: string;
  readonly http?: HttpPort;
}

const SERVICE = "WattTime";
const BASE_URL = "https://api.watttime.org";
/** Tokens last 30 minutes. */
const TOKEN_SECONDS = 25 * 60;
const USUAL_STEP_SECONDS = 300;

/**
 * `login` (Basic) for a token, then `v3/historical` (32 days a request at most).
 *
 * Values are CO2 at the stack in lb/MWh, as `meta.units` must say; × 453.59237/1000 gives g/kWh. `imputed_data_used` marks
 * estimates, `meta.model.date` is the edition. Source: WattTime API reference v3. Without a subscription only the region
 * CAISO_NORTH is open.
 */
export function wattTime(options: WattTimeOptions): IntensityPublisher {
  const { region, user, password, signal: signalType = "co2_moer", baseUrl = BASE_URL, http = systemHttp } = options;
  let login: { readonly token: string; readonly sinceSeconds: number } | undefined;
  const bearer = async (abort?: AbortSignal): Promise<string> => {
    if (login !== undefined && http.nowSeconds() - login.sinceSeconds < TOKEN_SECONDS) return login.token;
    const basic = Buffer.from(`${user}:${password}`).toString("base64");
    const request = {
      url: `${baseUrl}/login`,
      headers: { authorization: `Basic ${basic}` },
      service: SERVICE,
      credentialsHint: "Check the user name and the password.",
      signal: abort,
    };
    const { token } = asRecord(await getJson(request, http), SERVICE);
    if (typeof token !== "string" || token === "") throw unexpected(SERVICE, "a token", token);
    login = { token, sinceSeconds: http.nowSeconds() };
    return token;
  };
  const range = async (fromSeconds: number, toSeconds: number, abort?: AbortSignal): Promise<PublishedRange> => {
    const [start, end] = [fromSeconds, toSeconds].map((seconds) => new Date(seconds * 1000).toISOString());
    const token = await bearer(abort);
    const parameters = new URLSearchParams({ region, signal_type: signalType, start, end });
    const request = {
      url: `${baseUrl}/v3/historical?${parameters.toString()}`,
      headers: { authorization: `Bearer ${token}` },
      service: SERVICE,
      credentialsHint: `Check that your plan covers ${signalType} in ${region}: without a subscription only CAISO_NORTH is open.`,
      signal: abort,
    };
    const answer = asRecord(await getJson(request, http), SERVICE);
    const meta = asRecord(answer.meta, SERVICE);
    const unit = intensityUnit(String(meta.units));
    if (unit === undefined) {
      throw new LightfootError(
        "E_UNIT",
        `WattTime's values are in '${String(meta.units)}', expected mass per energy such as lbs_co2_per_mwh`,
      );
    }
    const points = asList(answer.data, SERVICE).map((entry) => {
      const { point_time: time, value, imputed_data_used: imputed } = asRecord(entry, SERVICE);
      return {
        startSeconds: asInstant(time, SERVICE),
        gramsPerKwh: asNumber(value, SERVICE) * unit.gramsPerKwh,
        estimated: imputed === true,
      };
    });
    const model = meta.model === undefined || meta.model === null ? {} : asRecord(meta.model, SERVICE);
    const step = meta.data_point_period_seconds;
    return {
      points,
      stepSeconds: step === undefined ? USUAL_STEP_SECONDS : asNumber(step, SERVICE),
      ...(typeof model.date === "string" ? { edition: `model ${model.date}` } : {}),
    };
  };
  return {
    source: `WattTime API v3, ${region}, ${signalType}`,
    kind: signalType === "co2_moer" ? "marginal" : "average",
    scope: "direct CO2 only",
    zone: region,
    band: WATTTIME_BAND,
    cacheKey: ["watttime", region, signalType],
    mostDays: 30,
    range,
    async latest(abort) {
      const now = http.nowSeconds();
      const { points } = await range(now - 2 * 3600, now, abort);
      const newest = points.toSorted((a, b) => b.startSeconds - a.startSeconds)[0];
      if (newest === undefined) throw unexpected(SERVICE, "a value of the last two hours", []);
      return newest;
    },
  };
}
