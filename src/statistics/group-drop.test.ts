// Drops by group against counts by hand and against the whole; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dropByGroup } from "./group-drop.ts";
import { holm, mcnemar, pairedProportionDifference } from "./proportion.ts";

describe("drops by group", () => {
  it("are the paired differences of each group taken alone", () => {
    const first = Uint8Array.of(1, 1, 1, 0, 1, 1);
    const second = Uint8Array.of(1, 0, 1, 1, 0, 0);
    const rows = dropByGroup(first, second, [7, 7, 7, 7, 2, 2]);
    expect(rows.map(({ group, count, onlyFirst, onlySecond }) => [group, count, onlyFirst, onlySecond])).toEqual([
      [2, 2, 2, 0],
      [7, 4, 1, 1],
    ]);
    const { difference, low, high } = pairedProportionDifference(Uint8Array.of(1, 1), Uint8Array.of(0, 0));
    expect(rows[0].drop).toEqual({ value: difference, low, high });
    expect(rows.map(({ adjustedP }) => adjustedP)).toEqual(holm([mcnemar(2, 0).exact, mcnemar(1, 1).exact]));
  });

  it("weighted by their counts give the drop of the whole", () => {
    const bit = fc.integer({ min: 0, max: 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(bit, bit, fc.nat(4)), { minLength: 1, maxLength: 80 }), (samples) => {
        const [first, second] = [0, 1].map((side) => Uint8Array.from(samples, (sample) => sample[side]));
        const rows = dropByGroup(
          first,
          second,
          samples.map((sample) => sample[2]),
        );
        const whole = rows.reduce((sum, { count, drop }) => sum + (count / samples.length) * drop.value, 0);
        expect(whole).toBeCloseTo(pairedProportionDifference(first, second).difference, 12);
        for (const { drop, p, adjustedP } of rows) {
          expect(drop.low).toBeLessThanOrEqual(drop.value);
          expect(drop.high).toBeGreaterThanOrEqual(drop.value);
          expect(adjustedP).toBeGreaterThanOrEqual(p);
        }
      }),
    );
  });

  it("refuses groups that are no numbers from 0 and vectors of other lengths", () => {
    const one = Uint8Array.of(1);
    expect(() => dropByGroup(one, one, [0.5])).toThrow(/group 0\.5/);
    expect(() => dropByGroup(one, one, [])).toThrow(/same samples/);
  });
});
