// What a publisher of grid intensity over the web must give, and the checks on its answers; may depend on errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { IntensityKind, IntensityScope } from "./intensity-series.ts";

/** One published value, in gCO2e/kWh whatever unit it came in. */
export interface PublishedPoint {
  readonly startSeconds: number;
  readonly gramsPerKwh: number;
  readonly estimated: boolean;
}

export interface PublishedRange {
  readonly points: readonly PublishedPoint[];
  readonly stepSeconds: number;
  /** The publisher's own word for the state of its data, e.g. a model's date. */
  readonly edition?: string;
}

/** A client for one zone and one signal. It asks the network; keeping answers is `obtainIntensity`'s work. */
export interface IntensityPublisher {
  /** Publisher, data set and licence. */
  readonly source: string;
  readonly kind: IntensityKind;
  readonly scope: IntensityScope;
  readonly zone: string;
  /** Ends of the 95 % interval of its values, as factors. */
  readonly band: readonly [low: number, high: number];
  /** Under which its answers are kept: publisher, zone, signal. */
  readonly cacheKey: readonly string[];
  /** Longest range that one request may ask for. */
  readonly mostDays: number;
  /** Values that start within `[fromSeconds, toSeconds)`. @throws LightfootError E_NETWORK, E_CREDENTIALS */
  range(fromSeconds: number, toSeconds: number, signal?: AbortSignal): Promise<PublishedRange>;
  /** The newest value. */
  latest(signal?: AbortSignal): Promise<PublishedPoint>;
}

/** A part of an answer that should be an object. */
export function asRecord(value: unknown, service: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw unexpected(service, "an object", value);
}

export function asList(value: unknown, service: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw unexpected(service, "a list", value);
}

export function asNumber(value: unknown, service: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw unexpected(service, "a number", value);
}

/** An ISO 8601 time with an offset, as seconds. */
export function asInstant(value: unknown, service: string): number {
  const milliseconds =
    typeof value === "string" && /(z|[+-]\d{2}:?\d{2})$/i.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(milliseconds)) throw unexpected(service, "a time with an offset", value);
  return milliseconds / 1000;
}

/** An answer in a form that this version does not know: the service may have changed. */
export function unexpected(service: string, wanted: string, found: unknown): LightfootError {
  const text = JSON.stringify(found) ?? "nothing";
  return new LightfootError(
    "E_NETWORK",
    `${service} answered in another form: expected ${wanted}, found ${text.slice(0, 60)}`,
    {
      hint: "The service may have changed its interface. Download the data as CSV and give it with --series.",
    },
  );
}
