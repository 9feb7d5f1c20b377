// Electricity Maps and WattTime through a stubbed fetch: what is sent, what is kept, what happens without network, and what is refused.
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { HttpPort } from "../io/http-json.ts";
import type { JsonCache } from "../io/cache-folder.ts";
import { figure } from "../quantity/figure.ts";
import { electricityMaps } from "./intensity-electricity-maps.ts";
import { latestIntensity, obtainIntensity } from "./intensity-obtain.ts";
import { resolveIntensity } from "./intensity-resolve.ts";
import { wattTime } from "./intensity-watttime.ts";

const DAY = 86_400;
const T0 = Date.UTC(2026, 4, 1) / 1000;
const NOW = T0 + 100 * DAY;

interface Call {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** A service that answers by path; `down` makes the network fail. */
function service(routes: Readonly<Record<string, (url: URL) => unknown>>) {
  const calls: Call[] = [];
  const state = { down: false, now: NOW };
  const http: HttpPort = {
    fetch(address, init) {
      const url = new URL(address);
      calls.push({ url, headers: init.headers as Record<string, string> });
      if (state.down) return Promise.reject(new TypeError("fetch failed"));
      const body = routes[url.pathname]?.(url);
      if (body instanceof Response) return Promise.resolve(body);
      return Promise.resolve(body === undefined ? new Response("", { status: 404 }) : Response.json(body));
    },
    wait: () => Promise.resolve(),
    nowSeconds: () => state.now,
  };
  return { http, calls, state };
}

function memoryCache(): JsonCache & { readonly kept: Map<string, unknown> } {
  const kept = new Map<string, unknown>();
  return {
    kept,
    read: (key) => Promise.resolve(structuredClone(kept.get(key.join("/")))),
    write(key, document) {
      kept.set(key.join("/"), structuredClone(document));
      return Promise.resolve();
    },
  };
}

/** The form of `past-range`, hour by hour. */
const pastRange = (url: URL) => {
  const [start, end] = ["start", "end"].map((name) => Date.parse(url.searchParams.get(name) ?? "") / 1000);
  const hours = Array.from({ length: (end - start) / 3600 }, (_, at) => start + at * 3600);
  return {
    zone: url.searchParams.get("zone"),
    data: hours.map((hour) => ({
      zone: url.searchParams.get("zone"),
      carbonIntensity: 200 + (new Date(hour * 1000).getUTCHours() % 24),
      datetime: new Date(hour * 1000).toISOString(),
      updatedAt: "2026-05-20T08:31:16.411Z",
      createdAt: "2026-05-01T08:31:16.411Z",
      emissionFactorType: "lifecycle",
      isEstimated: false,
      estimationMethod: null,
    })),
  };
};
const latest = {
  zone: "DE",
  carbonIntensity: 302,
  datetime: "2026-08-09T00:00:00.000Z",
  updatedAt: "2026-08-09T00:40:10.000Z",
  emissionFactorType: "lifecycle",
  isEstimated: true,
  estimationMethod: "TIME_SLICER_AVERAGE",
};
const electricity = () =>
  service({ "/v3/carbon-intensity/past-range": pastRange, "/v3/carbon-intensity/latest": () => latest });
const germany = (http: HttpPort) => electricityMaps({ zone: "DE", token: "tok", http });

let cache = memoryCache();
afterEach(() => {
  cache = memoryCache();
});
const period = (days: number) => ({ fromSeconds: T0 + 3600, toSeconds: T0 + days * DAY - 60, cache, nowSeconds: NOW });

describe("Electricity Maps", () => {
  it("is asked for whole days, at most ten at once, with its token in a header and nowhere else", async () => {
    const { http, calls } = electricity();
    const { series, requestCount } = await obtainIntensity(germany(http), period(25));
    expect(requestCount).toBe(3);
    expect(calls.map(({ url }) => [url.searchParams.get("start"), url.searchParams.get("end")])).toEqual([
      ["2026-05-01T00:00:00.000Z", "2026-05-11T00:00:00.000Z"],
      ["2026-05-11T00:00:00.000Z", "2026-05-21T00:00:00.000Z"],
      ["2026-05-21T00:00:00.000Z", "2026-05-26T00:00:00.000Z"],
    ]);
    expect(calls[0].url.origin).toBe("https://api.electricitymaps.com");
    expect(calls[0].headers["auth-token"]).toBe("tok");
    expect(calls.map(({ url }) => url.href).join(" ")).not.toContain("tok");
    expect(series?.gramsPerKwh.length).toBe(25 * 24);
    expect(series).toMatchObject({ kind: "average", scope: "life-cycle", zone: "DE", vintage: "retrieved 2026-08-09" });
    expect([...cache.kept.keys()].join(" ")).not.toContain("tok");
  });

  it("is not asked again for days that are over, whatever part of them is wanted", async () => {
    const { http, calls, state } = electricity();
    await obtainIntensity(germany(http), period(3));
    const before = calls.length;
    const again = await obtainIntensity(germany(http), {
      ...period(3),
      toSeconds: T0 + DAY,
      nowSeconds: NOW + 90 * DAY,
    });
    expect(calls.length).toBe(before);
    expect(again.series?.assumptions).toEqual([]);
    state.down = true;
    expect((await obtainIntensity(germany(http), period(3))).failure).toBeUndefined();
    expect(calls.length).toBe(before);
  });

  it("is asked once an hour for days whose values may still change", async () => {
    const { http, calls } = electricity();
    const today = { ...period(1), nowSeconds: T0 + 12 * 3600 };
    await obtainIntensity(germany(http), today);
    await obtainIntensity(germany(http), { ...today, nowSeconds: today.nowSeconds + 3599 });
    expect(calls.length).toBe(1);
    await obtainIntensity(germany(http), { ...today, nowSeconds: today.nowSeconds + 3601 });
    expect(calls.length).toBe(2);
    // Days to come are not asked for at all.
    await obtainIntensity(germany(http), { ...period(9), nowSeconds: today.nowSeconds + 3601 });
    expect(calls.length).toBe(2);
  });

  it("is replaced by the cache when the network is away, then by nothing; which is said", async () => {
    const { http, state, calls } = electricity();
    const today = { ...period(1), nowSeconds: T0 + 12 * 3600 };
    await obtainIntensity(germany(http), today);
    state.down = true;
    const later = await obtainIntensity(germany(http), { ...today, nowSeconds: NOW });
    expect(later.failure?.code).toBe("E_NETWORK");
    expect(later.series?.assumptions).toEqual([
      {
        key: "intensity-series.offline",
        text: expect.stringMatching(/network was away.*cache \(retrieved 2026-05-01\)/) as string,
      },
    ]);
    const count = calls.length;
    const offline = await obtainIntensity(germany(http), { ...today, nowSeconds: NOW, isOffline: true });
    expect(offline.series?.assumptions[0].text).toContain("offline by request");
    expect(calls.length).toBe(count);
    // A day that cannot change any more is as good from the cache as from the publisher.
    state.down = false;
    await obtainIntensity(germany(http), period(1));
    expect((await obtainIntensity(germany(http), { ...period(1), isOffline: true })).series?.assumptions).toEqual([]);
    state.down = true;
    expect(
      (await obtainIntensity(electricityMaps({ zone: "FR", token: "t", http }), period(1))).series,
    ).toBeUndefined();
  });

  it("hides no refusal behind the cache", async () => {
    const { http } = electricity();
    await obtainIntensity(germany(http), { ...period(1), nowSeconds: T0 + 3600 });
    const refusing = service({
      "/v3/carbon-intensity/past-range": () => Response.json({ message: "Invalid auth-token" }, { status: 401 }),
    });
    const refused = obtainIntensity(germany(refusing.http), period(1));
    await expect(refused).rejects.toMatchObject({
      code: "E_CREDENTIALS",
      hint: expect.stringContaining("zone DE") as string,
    });
    expect(refusing.calls).toHaveLength(1);
  });

  it("gives the last day's hours to plans without ranges, and keeps those that later answers no longer reach", async () => {
    const now = T0 + 30 * 3600;
    let since = now - DAY;
    const history = () => {
      const hours = Array.from({ length: 24 }, (_, at) => since + at * 3600);
      return {
        zone: "DE",
        history: hours.map((hour) => ({
          carbonIntensity: 250,
          datetime: new Date(hour * 1000).toISOString(),
          isEstimated: true,
        })),
      };
    };
    const free = service({
      "/v3/carbon-intensity/past-range": () => Response.json({ message: "not in your plan" }, { status: 403 }),
      "/v3/carbon-intensity/history": history,
    });
    free.state.now = now;
    const ask = (nowSeconds: number) =>
      obtainIntensity(germany(free.http), { fromSeconds: T0, toSeconds: now, cache, nowSeconds });
    expect((await ask(now)).series?.gramsPerKwh.length).toBe(24);
    since += 2 * 3600;
    free.state.now = now + 2 * 3600;
    expect((await ask(now + 2 * 3600)).series?.gramsPerKwh.length).toBe(26);
    free.state.now = now + 10 * DAY;
    await expect(ask(now + 10 * DAY)).rejects.toMatchObject({ code: "E_CREDENTIALS" });
  });

  it("keeps an unknown hour unknown and an estimate marked", async () => {
    const holes = service({
      "/v3/carbon-intensity/past-range": (url) => {
        const answer = pastRange(url);
        return {
          ...answer,
          data: answer.data.map((entry, at) => ({
            ...entry,
            carbonIntensity: at === 3 ? null : 100,
            isEstimated: at < 2,
          })),
        };
      },
    });
    const { series } = await obtainIntensity(germany(holes.http), period(1));
    expect(series?.gramsPerKwh.length).toBe(23);
    expect([...(series?.estimated ?? [])].slice(0, 4)).toEqual([1, 1, 0, 0]);
  });

  it.each([
    [[], "an object"],
    [{ data: {} }, "a list"],
    [{ data: [{ carbonIntensity: "302", datetime: "2026-05-01T00:00:00Z" }] }, "a number"],
    [{ data: [{ carbonIntensity: 302, datetime: "2026-05-01T00:00:00" }] }, "a time with an offset"],
    [{ data: [{ carbonIntensity: -1, datetime: "2026-05-01T00:00:00Z" }] }, "0 to 5000"],
    [{ data: [{ carbonIntensity: 302_000, datetime: "2026-05-01T00:00:00Z" }] }, "0 to 5000"],
    [{ data: [{ carbonIntensity: 302, datetime: "2026-05-01T00:00:00Z", emissionFactorType: "direct" }] }, "lifecycle"],
  ])("with an answer of another form, %j, is said to have changed", async (answer, wanted) => {
    const { http } = service({ "/v3/carbon-intensity/past-range": () => answer });
    const { failure, series } = await obtainIntensity(germany(http), period(1));
    expect(series).toBeUndefined();
    expect(failure?.message).toContain(wanted);
    expect(cache.kept.size).toBe(0);
  });

  it("ends in a series or in an error with a code, whatever it answers", async () => {
    const value = fc.anything({ maxDepth: 1, withDate: false, withBigInt: false });
    const entry = fc.record(
      {
        carbonIntensity: fc.oneof(fc.double(), value),
        datetime: fc.oneof(fc.constant("2026-05-01T00:00:00.000Z"), value),
        isEstimated: value,
      },
      { requiredKeys: [] },
    );
    const answer = fc.oneof(value, fc.record({ data: fc.oneof(fc.array(fc.oneof(entry, value)), value) }));
    await fc.assert(
      fc.asyncProperty(answer, async (body) => {
        const odd = service({ "/v3/carbon-intensity/past-range": () => (body === undefined ? null : body) });
        try {
          await obtainIntensity(germany(odd.http), { ...period(1), cache: memoryCache() });
        } catch (error) {
          expect(error).toBeInstanceOf(LightfootError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("gives its newest value, asked for once an hour", async () => {
    const { http, calls } = electricity();
    const newest = await latestIntensity(germany(http), { cache, nowSeconds: NOW });
    expect(newest).toEqual({ startSeconds: Date.UTC(2026, 7, 9) / 1000, gramsPerKwh: 302, estimated: true });
    for (let sample = 0; sample < 100; sample++)
      await latestIntensity(germany(http), { cache, nowSeconds: NOW + sample });
    expect(calls).toHaveLength(1);
  });

  it("shrugs at a damaged cache", async () => {
    const { http } = electricity();
    const key = "intensity/electricity-maps/DE/lifecycle-hourly/2026-05-01";
    for (const damaged of [
      {},
      { schema: "lightfoot.intensity-day/1", retrievedSeconds: NOW, stepSeconds: 3600, points: [[0, 5, 0]] },
      "x",
      { schema: "lightfoot.intensity-day/1", points: 3 },
    ]) {
      cache.kept.set(key, damaged);
      const { series, requestCount } = await obtainIntensity(germany(http), period(1));
      expect([series?.gramsPerKwh.length, requestCount]).toEqual([24, 1]);
    }
  });

  it("is not asked for a century or for time running backwards", async () => {
    const { http } = electricity();
    const ask = (toSeconds: number) => obtainIntensity(germany(http), { ...period(1), toSeconds });
    await expect(ask(T0 + 1e10)).rejects.toMatchObject({ code: "E_LIMIT" });
    await expect(ask(T0 - DAY)).rejects.toMatchObject({ code: "E_RANGE" });
    await expect(ask(Number.NaN)).rejects.toMatchObject({ code: "E_RANGE" });
  });
});

describe("WattTime", () => {
  const historical = (url: URL) => {
    const start = Date.parse(url.searchParams.get("start") ?? "") / 1000;
    return {
      data: Array.from({ length: 288 }, (_, at) => ({
        point_time: new Date((start + at * 300) * 1000).toISOString().replace(".000Z", "+00:00"),
        value: 1000,
        imputed_data_used: at === 0,
        last_updated: "2026-05-03T00:00:00+00:00",
      })),
      meta: {
        data_point_period_seconds: 300,
        region: "CAISO_NORTH",
        signal_type: "co2_moer",
        units: "lbs_co2_per_mwh",
        warnings: [],
        model: { date: "2026-03-01", type: "binned_regression" },
      },
    };
  };
  const california = (http: HttpPort) => wattTime({ region: "CAISO_NORTH", user: "me", password: "pässword", http });

  it("is logged in to once, then gives marginal grams from its pounds", async () => {
    const { http, calls } = service({ "/login": () => ({ token: "jwt" }), "/v3/historical": historical });
    const { series } = await obtainIntensity(california(http), period(1));
    expect(calls.map(({ url }) => url.pathname)).toEqual(["/login", "/v3/historical"]);
    expect(Buffer.from(calls[0].headers.authorization.slice(6), "base64").toString()).toBe("me:pässword");
    expect(calls[1].headers.authorization).toBe("Bearer jwt");
    expect(Object.fromEntries(calls[1].url.searchParams)).toMatchObject({
      region: "CAISO_NORTH",
      signal_type: "co2_moer",
    });
    expect(series?.gramsPerKwh[7]).toBe(1000 * (453.59237 / 1000));
    expect(series).toMatchObject({
      kind: "marginal",
      scope: "direct CO2 only",
      vintage: "model 2026-03-01, retrieved 2026-08-09",
    });
    expect(series?.gramsPerKwh.length).toBe(288);
  });

  it("reads averages as averages and refuses what is no mass per energy", async () => {
    const { http } = service({ "/login": () => ({ token: "jwt" }), "/v3/historical": historical });
    const average = wattTime({ region: "CAISO_NORTH", user: "me", password: "p", signal: "co2_aoer", http });
    expect((await obtainIntensity(average, period(1))).series?.kind).toBe("average");
    const damage = service({
      "/login": () => ({ token: "jwt" }),
      "/v3/historical": (url) => ({ ...historical(url), meta: { units: "usd_per_mwh" } }),
    });
    await expect(
      obtainIntensity(california(damage.http), { ...period(1), cache: memoryCache() }),
    ).rejects.toMatchObject({ code: "E_UNIT" });
  });

  it("says which region is open to all when the plan covers no other", async () => {
    const { http } = service({
      "/login": () => ({ token: "jwt" }),
      "/v3/historical": () => new Response("", { status: 403 }),
    });
    const refused = obtainIntensity(wattTime({ region: "PJM_DC", user: "me", password: "p", http }), period(1));
    await expect(refused).rejects.toMatchObject({
      code: "E_CREDENTIALS",
      hint: expect.stringContaining("CAISO_NORTH") as string,
    });
  });
});

describe("resolveIntensity", () => {
  const yearly = {
    figure: figure({ value: 300, low: 270, high: 330, unit: "gCO2e/kWh", method: "modelled", sources: ["atlas 2025"] }),
    kind: "average",
    scope: "life-cycle",
    vintage: "2025",
  } as const;
  const shape = {
    year: 2020,
    byMonthHour: Array.from({ length: 12 }, () => Array.from({ length: 24 }, (_, hour) => 100 + hour)),
  };
  const request = { fromSeconds: T0, toSeconds: T0 + 3600 };
  const ports = () => ({ cache, nowSeconds: NOW });

  it("prefers the publisher, then its cache, then the shape, then the year", async () => {
    const { http, state } = electricity();
    const publisher = germany(http);
    const live = await resolveIntensity({ ...request, publisher, place: { yearly: [yearly], shape } }, ports());
    expect(live.series.source).toContain("Electricity Maps");
    expect(live.fallback?.source).toContain("shape of 2020");
    state.down = true;
    cache.kept.clear();
    const shaped = await resolveIntensity({ ...request, publisher, place: { yearly: [yearly], shape } }, ports());
    expect(shaped.series.assumptions.map(({ key }) => key)).toEqual([
      "intensity-series.shape",
      "intensity-series.publisher-away",
    ]);
    const flat = await resolveIntensity(
      { ...request, publisher, place: { yearly: [yearly] }, isOffline: true },
      ports(),
    );
    expect(flat.series.assumptions.map(({ key }) => key)).toEqual([
      "intensity-series.yearly-average",
      "intensity-series.publisher-away",
    ]);
    expect(flat.requestCount).toBe(0);
    await expect(resolveIntensity({ ...request, publisher }, ports())).rejects.toMatchObject({ code: "E_NETWORK" });
  });

  it("never lets an average stand in for a marginal intensity, nor direct for life-cycle", async () => {
    const { http, state } = service({});
    state.down = true;
    const publisher = wattTime({ region: "CAISO_NORTH", user: "me", password: "p", http });
    const asked = {
      ...request,
      publisher,
      place: { yearly: [{ ...yearly, scope: "direct CO2 only" }], shape },
    } as const;
    await expect(resolveIntensity(asked, ports())).rejects.toMatchObject({ code: "E_NETWORK" });
    await expect(resolveIntensity({ ...asked, isOffline: true }, ports())).rejects.toMatchObject({
      code: "E_SERIES",
      hint: expect.stringContaining("No average stands in") as string,
    });
    const direct = { ...yearly, scope: "direct" } as const;
    const live = await resolveIntensity(
      { ...request, publisher: germany(electricity().http), place: { yearly: [direct] } },
      ports(),
    );
    expect(live.fallback).toBeUndefined();
  });

  it("says when there is nothing to count with", async () => {
    await expect(resolveIntensity(request, ports())).rejects.toMatchObject({ code: "E_SERIES" });
  });
});
