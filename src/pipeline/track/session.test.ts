// A tracked run on a clock that the test moves: how often processes are looked at; depends on the room.
import { describe, expect, it } from "vitest";
import type { Usage } from "../../meter/usage/usage-probe.ts";
import { noMeter } from "./guarded-meter.ts";
import { TrackSession } from "./session.ts";

const USAGE: Usage = { tree: undefined, machine: undefined, cgroupSeconds: undefined };

/** Times of the looks at processes when each takes `lookSeconds` and samples come every 0.1 s. */
async function looks(firstSeconds: number, laterSeconds: number, seconds: number): Promise<number[]> {
  let now = 0;
  const times: number[] = [];
  const observe = (): Usage => {
    times.push(now);
    now += times.length === 1 ? firstSeconds : laterSeconds;
    return USAGE;
  };
  const ports = { meter: noMeter("none"), firstUsage: USAGE, observe, now: () => now };
  const session = await TrackSession.begin({ scope: "machine", idle: "proportional", role: "meter" }, ports);
  for (let at = 1; at <= seconds * 10; at++) {
    now = Math.max(now, at / 10);
    await session.sample();
  }
  return times;
}

describe("looking at processes", () => {
  it("goes on after a first look that took ten times as long, so that a daemon of a second is seen", async () => {
    const times = await looks(0.0075, 0.0007, 2);
    expect(times).toHaveLength(20);
  });

  it("takes no more than its share of one core, where a look takes long", async () => {
    const times = await looks(0.1, 0.05, 100);
    expect(times.length * 0.05).toBeLessThanOrEqual(0.05 + 0.1 + 100 * 0.002);
    expect(times.length).toBeGreaterThan(2);
  });
});
