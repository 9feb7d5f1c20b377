// Time stamps and clocks: what is read, what is refused, and that every instant is found again from what a clock shows of it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { localClock, parseStamp } from "./intensity-time.ts";

const seconds = (iso: string): number => Date.parse(iso) / 1000;

describe("parseStamp", () => {
  it.each([
    ["2026-03-29T01:00:00+01:00", "2026-03-29T00:00:00Z"],
    ["2026-03-29 01:00Z", "2026-03-29T01:00:00Z"],
    ["2026-03-29 01:00:00 UTC", "2026-03-29T01:00:00Z"],
    ["2026-03-29T01:00:00.250-0530", "2026-03-29T06:30:00.250Z"],
    ["2026-01-01T24:00:00Z", "2026-01-02T00:00:00Z"],
    ["1700000000", "2023-11-14T22:13:20Z"],
    ["1700000000123", "2023-11-14T22:13:20.123Z"],
  ])("reads the instant of %j", (text, iso) => {
    expect(parseStamp(text)).toEqual({ kind: "instant", seconds: expect.closeTo(seconds(iso), 6) as number });
  });

  it("reads days and months as local times", () => {
    expect(parseStamp("2026-03")).toEqual({ kind: "local", seconds: seconds("2026-03-01T00:00:00Z") });
    expect(parseStamp("2024-02-29")).toEqual({ kind: "local", seconds: seconds("2024-02-29T00:00:00Z") });
  });

  it.each([
    "",
    "01/02/2026",
    "2026-02-30",
    "2025-02-29",
    "2026-13-01",
    "2026-01-01T25:00",
    "2026-01-01T10:60Z",
    "2026-01-01T10:00 CET",
    "2026-01-01T10:00+25:00",
    "26-01-01",
    "0050-01-01T00:00Z",
    "now",
    "170000000",
  ])("refuses %j", (text) => {
    expect(parseStamp(text)).toBeUndefined();
  });

  it("reads back whatever Date writes", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("1900-01-01"), max: new Date("2200-01-01"), noInvalidDate: true }),
        (date) => {
          expect(parseStamp(date.toISOString())?.seconds).toBeCloseTo(date.getTime() / 1000, 3);
        },
      ),
    );
  });
});

describe("localClock", () => {
  /** What the clock on the wall shows, by another way than the code under test. */
  const shown = (instant: number, timeZone: string): number =>
    Date.parse(`${new Date(instant * 1000).toLocaleString("sv-SE", { timeZone }).replace(" ", "T")}Z`) / 1000;

  it("finds every instant again from what the clock shows", () => {
    const zones = fc.constantFrom(
      "Europe/Berlin",
      "America/New_York",
      "Asia/Kolkata",
      "Australia/Lord_Howe",
      "Pacific/Auckland",
      "UTC",
    );
    fc.assert(
      fc.property(
        zones,
        fc.integer({ min: seconds("2015-01-01T00:00Z"), max: seconds("2030-01-01T00:00Z") }),
        (zone, instant) => {
          const found = localClock(zone).instants(shown(instant, zone));
          expect(found).toContain(instant);
          for (const other of found) expect(shown(other, zone)).toBe(shown(instant, zone));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("gives two instants in the hour of autumn, earlier first, and none in the hour of spring", () => {
    const clock = localClock("Europe/Berlin");
    expect(clock.instants(seconds("2026-10-25T02:30Z"))).toEqual([
      seconds("2026-10-25T00:30Z"),
      seconds("2026-10-25T01:30Z"),
    ]);
    expect(clock.instants(seconds("2026-03-29T02:30Z"))).toEqual([]);
    expect(localClock("-03:30").instants(0)).toEqual([12_600]);
  });
});
