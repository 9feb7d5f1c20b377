// Energy from power: hand sums, faults, and a property against the exact integral.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { finishIntegral, integratePower, NEW_INTEGRAL, type PowerReading, type PowerState } from "./power-integral.ts";

const spec = { mostWatts: 400, longestStepSeconds: 5 };

function run(readings: readonly PowerReading[], of = spec) {
  let state: PowerState = NEW_INTEGRAL;
  const gaps = [];
  for (const reading of readings) {
    const step = integratePower(of, state, reading);
    state = step.state;
    gaps.push(...step.gaps);
  }
  return { joules: state.joules, gaps: [...gaps, ...finishIntegral(of, state, readings.at(-1)?.atSeconds ?? 0)] };
}

const at = (atSeconds: number, watts?: number): PowerReading => ({
  atSeconds,
  ...(watts === undefined ? {} : { watts }),
});

describe("power over time", () => {
  it("is the trapezoid on the actual times: 10→20 W over 2 s and 20→20 W over 0.5 s are 40 J", () => {
    expect(run([at(0, 10), at(2, 20), at(2.5, 20)])).toEqual({ joules: 40, gaps: [] });
  });

  it("spans a failed, negative, absurd or late reading while its neighbors are near", () => {
    for (const bad of [at(1), at(1, -5), at(1, 1e9), at(1, Number.NaN), at(-1, 10)]) {
      expect(run([at(0, 10), bad, at(2, 10)]), JSON.stringify(bad)).toEqual({ joules: 20, gaps: [] });
    }
  });

  it("makes no energy of readings far apart, and tells why they were", () => {
    expect(run([at(0, 10), at(9, 10), at(10, 10)])).toEqual({
      joules: 10,
      gaps: [{ fromSeconds: 0, toSeconds: 9, reason: "too-far-apart", mostJoules: 3600 }],
    });
    expect(run([at(0, 10), at(3), at(9, 10)]).gaps).toMatchObject([{ reason: "failed-read" }]);
    expect(run([at(0, 10), at(3, 10), at(4)]).gaps).toMatchObject([{ fromSeconds: 3, toSeconds: 4 }]);
  });

  it("integrates any line exactly, however it is cut", () => {
    const cuts = fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(cuts, fc.double({ min: 0, max: 40, noNaN: true }), (times, slope) => {
        const sorted = [0, ...times.toSorted((a, b) => a - b), 5];
        const readings = sorted.map((seconds) => at(seconds, 100 + slope * seconds));
        expect(run(readings).joules).toBeCloseTo(500 + slope * 12.5, 6);
      }),
      { seed: 1 },
    );
  });
});
