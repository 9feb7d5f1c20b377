// The curve keeps every joule in a bounded number of stretches; depends on its room and fast-check.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { PowerCurve } from "./power-curve.ts";

it("has all the energy, in order and without holes, and never more than 241 stretches", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(1000)), { minLength: 1, maxLength: 3000 }), (steps) => {
      const curve = new PowerCurve();
      let at = 0;
      let most = 0;
      for (const [length, joules] of steps) {
        curve.add(at, at + length, joules);
        at += length;
        most = Math.max(most, curve.stretches.length);
      }
      const { stretches } = curve;
      expect(most).toBeLessThanOrEqual(241);
      expect(stretches.reduce((sum, { joules }) => sum + joules, 0)).toBe(
        steps.reduce((sum, [, joules]) => sum + joules, 0),
      );
      expect(stretches[0].fromSeconds).toBe(0);
      expect(stretches.at(-1)?.toSeconds).toBe(at);
      for (let index = 1; index < stretches.length; index++) {
        expect(stretches[index].fromSeconds).toBe(stretches[index - 1].toSeconds);
      }
    }),
    { seed: 1, numRuns: 30 },
  );
});
