// Conversions are exact and undo each other; depends on its room and fast-check.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { joulesFromKwh, kwhFromJoules } from "./convert.ts";

it("converts energy there and back, and one kWh is 3.6 MJ exactly", () => {
  expect(joulesFromKwh(1)).toBe(3_600_000);
  expect(kwhFromJoules(3_600_000)).toBe(1);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (kwh) => kwhFromJoules(joulesFromKwh(kwh)) === kwh),
    { seed: 1 },
  );
});
