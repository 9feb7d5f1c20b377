// Timestamps as the framework's manifests write them, read as UTC; depends on nothing.
// Not `intensity-time`: the framework takes a missing zone as UTC, where an intensity file's is asked for.

// Date, then an optional time with optional seconds, fraction and zone.
const PATTERN =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([Zz])|([-+])(\d{1,2})(?::?(\d{2}))?)?)?$/;

/**
 * Milliseconds since 1970 of ISO 8601 text; UTC when it names no zone. Undefined when it is no date.
 *
 * @example parseTimestamp("2023-08-06T00:00") // 1691280000000
 */
export function parseTimestamp(text: string): number | undefined {
  const parts = PATTERN.exec(text);
  if (parts === null) return undefined;
  const [
    ,
    year,
    month,
    day,
    hour = "0",
    minute = "0",
    second = "0",
    fraction = "",
    ,
    sign,
    zoneHour,
    zoneMinute = "0",
  ] = parts;
  const [m, d, h, min, s] = [month, day, hour, minute, second].map(Number);
  if (m < 1 || m > 12 || d < 1 || h > 24 || min > 59 || s > 60) return undefined;
  const milliseconds = fraction === "" ? 0 : Math.trunc(Number(`0.${fraction}`) * 1000 + 1e-6);
  const utc = Date.UTC(Number(year), m - 1, d, h, min, s, milliseconds);
  if (new Date(Date.UTC(Number(year), m - 1, d)).getUTCDate() !== d) return undefined;
  const offset = sign === undefined ? 0 : (Number(zoneHour) * 60 + Number(zoneMinute)) * 60_000;
  return sign === "-" ? utc + offset : utc - offset;
}

/** The time of an observation's timestamp cell: text or a date. */
export function timeOf(value: unknown): number | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.getTime();
  return typeof value === "string" ? parseTimestamp(value) : undefined;
}
