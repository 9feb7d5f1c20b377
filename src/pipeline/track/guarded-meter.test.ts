// A meter that fails or hangs leaves the run alone and is told once; depends on its room.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Meter, Sample } from "../../meter/source.ts";
import { guardMeter, noMeter } from "./guarded-meter.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const good: Sample = { atSeconds: 5, domains: [] };
const meterThat = (more: Partial<Meter>): Meter => ({ ...noMeter("test"), ...more });

it("keeps the last good sample when reading fails, and says so once", async () => {
  const told: string[] = [];
  let isBroken = false;
  const sample = async (): Promise<Sample> => {
    if (isBroken) throw new Error("sensor on fire");
    return good;
  };
  const meter = guardMeter(meterThat({ sample }), (trouble) => told.push(trouble));
  expect(await meter.sample()).toBe(good);
  isBroken = true;
  expect(await meter.sample()).toBe(good);
  expect(await meter.sample()).toBe(good);
  expect(told).toEqual(["reading the meter failed: sensor on fire"]);
});

it("gives up what hangs: samples, windows and closing", async () => {
  const told: string[] = [];
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  const hanging = meterThat({ sample: never, close: never, start: async () => ({ stop: never }) });
  const meter = guardMeter(hanging, (trouble) => told.push(trouble));
  const all = Promise.all([meter.sample(), meter.close(), meter.start().then((window) => window.stop())]);
  await vi.advanceTimersByTimeAsync(10_000);
  const [, , use] = await all;
  expect(use).toMatchObject({ coverage: 0, domains: [] });
  expect(use.energy).toBeUndefined();
  expect(told).toHaveLength(3);
});
