// Tests of results that are made when a part is asked for, and of how many are under way; depends on its file.
import { describe, expect, it } from "vitest";
import { LazyParts, Turnstile } from "./lazy-parts.ts";

describe("LazyParts", () => {
  it.each([
    [false, 2],
    [true, 1],
  ])("makes one result for all parts, and another for whoever asks again unless it keeps (%s)", async (keep, times) => {
    let made = 0;
    const parts = new LazyParts(async () => ++made, { parts: 2, keep });
    expect(await Promise.all([parts.take("left"), parts.take("right")])).toEqual([1, 1]);
    expect(await parts.take("left")).toBe(times);
  });
});

describe("Turnstile", () => {
  it("never has more under way than it lets in, and lets one in however large", async () => {
    const turnstile = new Turnstile(10);
    let [inside, most] = [0, 0];
    const enter = (bytes: number) =>
      turnstile.pass(bytes, async () => {
        inside += bytes;
        most = Math.max(most, inside);
        await Promise.resolve();
        inside -= bytes;
      });
    await Promise.all([4, 4, 4, 4, 4].map(enter));
    expect(most).toBe(8);
    await Promise.all([25, 4].map(enter));
    expect(most).toBe(25);
  });
});
