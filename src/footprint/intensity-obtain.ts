// Intensity of a period from a publisher, day by day through a cache, and from the cache alone when the network is away; may depend on io, errors, quantity and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { JsonCache } from "../io/cache-folder.ts";
import type { Assumption } from "../quantity/figure.ts";
import { unexpected, type IntensityPublisher, type PublishedPoint } from "./intensity-publisher.ts";
import { intensitySeries, MOST_GRAMS_PER_KWH, type IntensitySeries } from "./intensity-series.ts";
import { makeSteps } from "./intensity-steps.ts";

export interface ObtainOptions {
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly cache: JsonCache;
  readonly nowSeconds: number;
  /** Ask nobody; take what the cache has, however old. */
  readonly isOffline?: boolean;
  readonly signal?: AbortSignal;
}

export interface Obtained {
  /** Undefined when neither publisher nor cache has a value in the period. */
  readonly series?: IntensitySeries;
  /** Why the publisher was not heard, when it was asked; the series then comes from the cache. */
  readonly failure?: LightfootError;
  readonly requestCount: number;
}

const DAY = 86_400;
const MOST_DAYS = 5 * 366;
/** A day's values are final when none is an estimate and the day is over for this long; after the longer time always. */
const SETTLED_AFTER_SECONDS = DAY;
const FINAL_AFTER_SECONDS = 14 * DAY;
/** Values that may still change are asked for again after an hour, never sooner: publishers update hourly. */
const FRESH_SECONDS = 3600;

/** What the cache keeps for one day, UTC. */
interface DayRecord {
  readonly schema: "lightfoot.intensity-day/1";
  readonly retrievedSeconds: number;
  readonly stepSeconds: number;
  readonly edition?: string;
  /** `[start, gCO2e/kWh, 1 where estimated]` */
  readonly points: readonly (readonly [startSeconds: number, gramsPerKwh: number, estimated: 0 | 1])[];
}

/**
 * The publisher's intensity from one instant to another.
 *
 * Whole days (UTC) are asked for, neighbors together, and kept; a day is asked for again while it may still change. When the
 * network fails, or must not be used, the cache answers for those days, with the assumption `intensity-series.offline`.
 *
 * @throws LightfootError E_CREDENTIALS when the publisher refuses (no cache hides that), E_LIMIT beyond five years, E_RANGE
 *   for a period that ends before it starts
 */
export async function obtainIntensity(publisher: IntensityPublisher, options: ObtainOptions): Promise<Obtained> {
  const { nowSeconds, isOffline = false } = options;
  const days = daysOf(options);
  const records = new Map<number, DayRecord>();
  for (const day of days) {
    const record = asDayRecord(await options.cache.read(keyOf(publisher, day)), day);
    if (record !== undefined) records.set(day, record);
  }
  const changing = days.filter((day) => day * DAY < nowSeconds && !isUsable(records.get(day), day, nowSeconds));
  const wanted = isOffline ? [] : changing;
  let requestCount = 0;
  let failure: LightfootError | undefined;
  for (const run of runsOf(wanted, publisher.mostDays)) {
    requestCount++;
    try {
      await fetchDays(publisher, run, records, options);
    } catch (thrown) {
      if (!(thrown instanceof LightfootError) || thrown.code !== "E_NETWORK") throw thrown;
      failure = thrown; // further requests would meet the same
      break;
    }
  }
  const found = days.flatMap((day) => records.get(day) ?? []);
  const points = found.flatMap((record) => record.points);
  if (points.length === 0) return { failure, requestCount };
  return {
    series: seriesOf(publisher, found, changing.length > wanted.length || failure !== undefined ? options : undefined),
    failure,
    requestCount,
  };
}

/**
 * The newest value, asked for once an hour at most; for pausing while the grid is dirty.
 *
 * @throws LightfootError E_NETWORK when the network is away and nothing of this hour is kept, E_CREDENTIALS
 */
export async function latestIntensity(
  publisher: IntensityPublisher,
  options: Pick<ObtainOptions, "cache" | "nowSeconds" | "signal">,
): Promise<PublishedPoint> {
  const key = ["intensity", ...publisher.cacheKey, "latest"];
  const kept = (await options.cache.read(key)) as (PublishedPoint & { readonly retrievedSeconds: number }) | undefined;
  const age = typeof kept?.retrievedSeconds === "number" ? options.nowSeconds - kept.retrievedSeconds : Infinity;
  if (kept !== undefined && age >= 0 && age < FRESH_SECONDS && Number.isFinite(kept.gramsPerKwh)) {
    const { startSeconds, gramsPerKwh, estimated } = kept;
    return { startSeconds, gramsPerKwh, estimated };
  }
  const newest = await publisher.latest(options.signal);
  await options.cache.write(key, { ...newest, retrievedSeconds: options.nowSeconds });
  return newest;
}

/** Numbers of the days, UTC, that a period touches. */
function daysOf({ fromSeconds, toSeconds }: ObtainOptions): number[] {
  if (!(Number.isFinite(fromSeconds) && Number.isFinite(toSeconds) && toSeconds >= fromSeconds)) {
    throw new LightfootError(
      "E_RANGE",
      `the period runs from ${fromSeconds} to ${toSeconds} s, expected an end after its start`,
    );
  }
  const first = Math.floor(fromSeconds / DAY);
  const count = Math.max(Math.ceil(toSeconds / DAY) - first, 1);
  if (count > MOST_DAYS) {
    throw new LightfootError("E_LIMIT", `the period is ${count} days long, expected at most ${MOST_DAYS}`, {
      hint: "Download the years as CSV and give them with --series.",
    });
  }
  return Array.from({ length: count }, (_, at) => first + at);
}

const keyOf = (publisher: IntensityPublisher, day: number): string[] => [
  "intensity",
  ...publisher.cacheKey,
  new Date(day * DAY * 1000).toISOString().slice(0, 10),
];

function isUsable(record: DayRecord | undefined, day: number, nowSeconds: number): boolean {
  if (record === undefined) return false;
  const sinceEnd = record.retrievedSeconds - (day + 1) * DAY;
  const isComplete = record.points.length >= Math.floor(DAY / record.stepSeconds);
  const hasEstimates = record.points.some(([, , estimated]) => estimated === 1);
  if (sinceEnd >= FINAL_AFTER_SECONDS || (sinceEnd >= SETTLED_AFTER_SECONDS && isComplete && !hasEstimates))
    return true;
  const age = nowSeconds - record.retrievedSeconds;
  return age >= 0 && age < FRESH_SECONDS;
}

/** Neighboring days together, as many as one request may cover. */
function runsOf(days: readonly number[], most: number): number[][] {
  const runs: number[][] = [];
  for (const day of days) {
    const run = runs.at(-1);
    if (run !== undefined && run[run.length - 1] === day - 1 && run.length < most) run.push(day);
    else runs.push([day]);
  }
  return runs;
}

async function fetchDays(
  publisher: IntensityPublisher,
  days: readonly number[],
  records: Map<number, DayRecord>,
  { cache, nowSeconds, signal }: ObtainOptions,
): Promise<void> {
  const range = await publisher.range(days[0] * DAY, (days[days.length - 1] + 1) * DAY, signal);
  const impossible = range.points.find(({ gramsPerKwh }) => !(gramsPerKwh >= 0 && gramsPerKwh <= MOST_GRAMS_PER_KWH));
  if (impossible !== undefined) {
    throw unexpected(publisher.source, `intensities of 0 to ${MOST_GRAMS_PER_KWH} gCO2e/kWh`, impossible.gramsPerKwh);
  }
  const answered = range.points.map(
    (point) => [point.startSeconds, point.gramsPerKwh, point.estimated ? 1 : 0] as const,
  );
  for (const day of days) {
    // An answer may reach back less far than an earlier one did: what it does not repeat is kept. Later entries win.
    const known = [
      ...(records.get(day)?.points ?? []),
      ...answered.filter(([start]) => Math.floor(start / DAY) === day),
    ];
    const points = [...new Map(known.map((point) => [point[0], point])).values()];
    const { stepSeconds, edition } = range;
    const record: DayRecord = {
      schema: "lightfoot.intensity-day/1",
      retrievedSeconds: nowSeconds,
      stepSeconds,
      ...(edition === undefined ? {} : { edition }),
      points,
    };
    records.set(day, record);
    await cache.write(keyOf(publisher, day), record);
  }
}

/** A record as written by this version, whole and of this day; anything else is as good as none. */
function asDayRecord(document: unknown, day: number): DayRecord | undefined {
  const record = document as DayRecord | undefined;
  if (record?.schema !== "lightfoot.intensity-day/1" || !Array.isArray(record.points)) return undefined;
  const isSound =
    Number.isFinite(record.retrievedSeconds) &&
    record.stepSeconds > 0 &&
    record.points.every(
      (point) =>
        Array.isArray(point) && Math.floor(point[0] / DAY) === day && point[1] >= 0 && point[1] <= MOST_GRAMS_PER_KWH,
    );
  return isSound ? record : undefined;
}

function seriesOf(
  publisher: IntensityPublisher,
  found: readonly DayRecord[],
  unheard: ObtainOptions | undefined,
): IntensitySeries {
  const { steps } = makeSteps(
    found.flatMap((record) =>
      record.points.map(([startSeconds, gramsPerKwh, estimated]) => ({
        startSeconds,
        gramsPerKwh,
        estimated: estimated === 1,
      })),
    ),
    { stepSeconds: found[0].stepSeconds },
  );
  const vintage = vintageOf(found);
  return intensitySeries({
    ...steps,
    band: publisher.band,
    kind: publisher.kind,
    scope: publisher.scope,
    zone: publisher.zone,
    vintage,
    source: publisher.source,
    method: "modelled",
    assumptions: unheard === undefined ? [] : [offlineAssumption(publisher, vintage, unheard.isOffline === true)],
  });
}

const offlineAssumption = (publisher: IntensityPublisher, vintage: string, wasAsked: boolean): Assumption => ({
  key: "intensity-series.offline",
  text: `${wasAsked ? "offline by request" : "the network was away"}: ${publisher.source} comes from the cache (${vintage})`,
});

/** `model 2023-03-01, retrieved 2026-11-20 to 2026-11-24`. */
function vintageOf(found: readonly DayRecord[]): string {
  const editions = [...new Set(found.flatMap(({ edition }) => edition ?? []))].toSorted();
  const [first, last] = [Math.min, Math.max].map((pick) =>
    new Date(pick(...found.map(({ retrievedSeconds }) => retrievedSeconds)) * 1000).toISOString().slice(0, 10),
  );
  return [...editions, `retrieved ${first === last ? first : `${first} to ${last}`}`].join(", ");
}
