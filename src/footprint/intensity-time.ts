// Time stamps of intensity files as instants: ISO 8601 with an offset, local time of a named zone, Unix time; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

/** What a time stamp says: an instant, or a wall clock's reading that needs a zone. */
type Stamp =
  | { readonly kind: "instant"; readonly seconds: number }
  /** Seconds as if the clock stood in UTC. */
  | { readonly kind: "local"; readonly seconds: number };

const ISO = /^(\d{4})-(\d{2})(?:-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?)?\s*(.*)$/i;
const OFFSET = /^(?:(z|utc|gmt)|([+-])(\d{2}):?(\d{2})?)$/i;
// Before 2001 and after 2286 these lengths differ; no grid data is that old.
const UNIX = /^(\d{10})(\d{3})?(?:\.0+)?$/;

/**
 * Reads one time stamp.
 *
 * Taken: `2026-03-29T01:00:00+01:00`, `2026-03-29 01:00Z`, `2026-03-29T01:00` (local), `2026-03-29`, `2026-03` (its first
 * instant, local), Unix seconds and milliseconds. Everything else is refused: `01/02/2026` is a different day to different readers.
 */
export function parseStamp(text: string): Stamp | undefined {
  const unix = UNIX.exec(text);
  if (unix !== null) {
    return { kind: "instant", seconds: Number(unix[1]) + (unix[2] === undefined ? 0 : Number(unix[2]) / 1000) };
  }
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((at) =>
    Number(match[at] ?? (at < 4 ? 1 : 0)),
  );
  const fraction = match[7] === undefined ? 0 : Number(`0.${match[7]}`);
  const milliseconds = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(milliseconds);
  // Date.UTC rolls the 31st of June over into July; 24:00 is the next day's 00:00 by ISO 8601 and is let through.
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24;
  const isMidnight = hour === 24 && minute === 0 && second === 0 && month <= 12 && day <= daysIn(year, month);
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  if (!(isReal || isMidnight) || minute > 59 || second > 59 || year < 1900) return undefined;
  const seconds = milliseconds / 1000 + fraction;
  const tail = match[8] ?? "";
  if (tail === "") return { kind: "local", seconds };
  const offset = offsetSeconds(tail);
  return offset === undefined ? undefined : { kind: "instant", seconds: seconds - offset };
}

const daysIn = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();

/** Seconds east of UTC of `Z`, `UTC`, `+02:00`, `-0530`; undefined for anything else. */
function offsetSeconds(text: string): number | undefined {
  const match = OFFSET.exec(text);
  if (match === null) return undefined;
  if (match[1] !== undefined) return 0;
  const [hours, minutes] = [Number(match[3]), Number(match[4] ?? 0)];
  if (hours > 18 || minutes > 59) return undefined;
  return (match[2] === "-" ? -1 : 1) * (hours * 3600 + minutes * 60);
}

/**
 * A zone's wall clock: `UTC`, `+02:00` or an IANA name such as `Europe/Berlin`.
 *
 * `instants(local)` gives every instant at which the clock shows `local`: one as a rule, two in the hour that comes back
 * in autumn (earlier first), none in the hour that spring leaves out.
 */
export interface LocalClock {
  readonly zone: string;
  instants(localSeconds: number): readonly number[];
}

/** @throws LightfootError E_USAGE for a zone that is neither an offset nor an IANA name */
export function localClock(zone: string): LocalClock {
  const fixed = offsetSeconds(zone);
  if (fixed !== undefined) return { zone, instants: (local) => [local - fixed] };
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch (cause) {
    throw new LightfootError("E_USAGE", `'${zone}' is no time zone`, {
      hint: "Give UTC, an offset such as +02:00, or an IANA name such as Europe/Berlin.",
      cause,
    });
  }
  const offsets = new Map<number, number>();
  // No zone changes its offset within a quarter of an hour, so one look for each is enough.
  const offsetAt = (instant: number): number => {
    const quarter = Math.floor(instant / 900);
    let offset = offsets.get(quarter);
    if (offset === undefined) {
      const parts = Object.fromEntries(
        format.formatToParts(quarter * 900_000).map(({ type, value }) => [type, Number(value)]),
      );
      const { year, month, day, hour, minute, second } = parts;
      offset = Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - quarter * 900;
      offsets.set(quarter, offset);
    }
    return offset;
  };
  return {
    zone,
    instants(local) {
      // The offsets in force a day before and a day after are all that can be in force here.
      const candidates = [...new Set([offsetAt(local - 86_400), offsetAt(local + 86_400)])];
      return candidates
        .map((offset) => local - offset)
        .filter((instant) => offsetAt(instant) === local - instant)
        .toSorted((a, b) => a - b);
    },
  };
}
