// Shares of a device's energy: sums done by hand, and what must hold for any load; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IDLE_POLICIES, shareBand, ShareMeter, type UsageInterval } from "./attribution.ts";

const exactly = (value: number) => ({ low: value, value, high: value });
const basis = (joules: number, idleWatts?: number) => ({
  energy: exactly(joules),
  ...(idleWatts === undefined ? {} : { idlePower: exactly(idleWatts) }),
  sources: ["test"],
  assumptions: [],
});

describe("idle policies", () => {
  // 10 s on 4 hardware threads: 40 CPU seconds to have, 20 used, 5 of them by the command; 1000 J, 60 W idle.
  const meter = new ShareMeter();
  meter.add({ seconds: 10, energyJoules: 1000, usedSeconds: 5, busySeconds: 20, capacitySeconds: 40 });
  const { none, proportional, baseline } = meter.figures(basis(1000, 60));

  it("none: the share of capacity, idle is nobody's", () => expect(none?.value).toBeCloseTo((1000 * 5) / 40, 9));
  it("proportional: the share of what ran", () => expect(proportional?.value).toBeCloseTo((1000 * 5) / 20, 9));
  it("baseline: idle power off first, then the share of what ran", () =>
    expect(baseline?.value).toBeCloseTo(((1000 - 600) * 5) / 20, 9));
  it("are modelled, with a band of what a CPU second may differ", () => {
    for (const share of [none, proportional, baseline]) {
      expect(share).toMatchObject({ unit: "J", method: "modelled" });
      expect(share!.low).toBeLessThan(share!.value);
      expect(share!.high).toBeGreaterThan(share!.value);
    }
    expect(proportional!.low).toBeCloseTo((1000 * 0.25) / (0.25 + (43 / 24) * 0.75), 9);
  });
  it("say nothing where idle power is not known", () => expect(meter.figures(basis(1000)).baseline).toBeNull());
});

const intervals = fc.array(
  fc
    .tuple(fc.nat(1000), fc.nat(100_000), fc.nat(400), fc.nat(400), fc.nat(400))
    .map(([seconds, joules, used, others, idle]): UsageInterval => ({
      seconds: seconds / 10,
      energyJoules: joules / 10,
      usedSeconds: used,
      busySeconds: used + others,
      capacitySeconds: used + others + idle,
    })),
  { minLength: 1, maxLength: 12 },
);

describe("any load", () => {
  it("never gives a command more than the device used, and keeps low ≤ value ≤ high", () => {
    fc.assert(
      fc.property(intervals, fc.nat(200), (list, idleWatts) => {
        const meter = new ShareMeter();
        for (const interval of list) meter.add(interval);
        const total = list.reduce((sum, { energyJoules }) => sum + energyJoules, 0);
        const shares = meter.figures(basis(total, idleWatts));
        for (const policy of IDLE_POLICIES) {
          const share = shares[policy]!;
          expect(share.low).toBeGreaterThanOrEqual(0);
          expect(share.high).toBeLessThanOrEqual(total * (1 + 1e-9) + 1e-9);
          expect(meter.joules(policy, idleWatts)).toBeCloseTo(share.value, 6);
        }
        expect(shares.none!.value).toBeLessThanOrEqual(shares.proportional!.value + 1e-9);
        expect(shares.baseline!.value).toBeLessThanOrEqual(shares.proportional!.value + 1e-9);
      }),
      { seed: 1 },
    );
  });

  it("proportional shares of everybody who ran add up to the device", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(500), { minLength: 2, maxLength: 8 }), fc.nat(10_000), (users, joules) => {
        const busy = users.reduce((sum, used) => sum + used, 0);
        fc.pre(busy > 0);
        const shares = users.map((usedSeconds) => {
          const meter = new ShareMeter();
          meter.add({ seconds: 1, energyJoules: joules, usedSeconds, busySeconds: busy, capacitySeconds: busy });
          return meter.figures(basis(joules)).proportional!.value;
        });
        expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(joules, 6);
      }),
      { seed: 2 },
    );
  });

  it("is sure of a command that was alone, and of one that did nothing", () => {
    expect(shareBand(1)).toEqual(exactly(1));
    expect(shareBand(0)).toEqual(exactly(0));
  });
});
