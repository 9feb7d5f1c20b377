// The seeded stream against published vectors and its promises; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { randomFromState, seededRandom, splitMix64 } from "./random.ts";

const seeds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe("seeded random stream", () => {
  it("gives the reference outputs of xoshiro128** from the state 1, 2, 3, 4", () => {
    const random = randomFromState({ key: "0000000000000000", words: [1, 2, 3, 4] });
    // Authors' C reference (prng.di.unimi.it), also the vector of the Rust crate rand_xoshiro.
    expect(Array.from({ length: 10 }, () => random.nextUint32())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it("seeds with SplitMix64's reference outputs for 1234567", () => {
    expect(splitMix64(1234567n, 5)).toEqual([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
      4593380528125082431n,
      16408922859458223821n,
    ]);
  });

  it("goes on from a saved state as if nothing had happened, forks included", () => {
    fc.assert(
      fc.property(seeds, fc.nat(50), (seed, drawn) => {
        const original = seededRandom(seed);
        for (let index = 0; index < drawn; index++) original.next();
        const copy = randomFromState(JSON.parse(JSON.stringify(original.state())));
        const take = (random: typeof original) => [random.next(), random.normal(), random.fork("x").next()];
        expect(take(copy)).toEqual(take(original));
      }),
      { seed: 1 },
    );
  });

  it("forks by label and not by position: drawing more does not change a fork", () => {
    const early = seededRandom(5).fork("data").next();
    const late = seededRandom(5);
    late.normal();
    late.shuffle([1, 2, 3, 4]);
    expect(late.fork("data").next()).toBe(early);
    expect(late.fork("weights").next()).not.toBe(early);
    expect(late.fork("data").fork("data").next()).not.toBe(early);
  });

  it("gives forks that are not correlated with each other", () => {
    const left = seededRandom(1).fork("a");
    const right = seededRandom(1).fork("b");
    const count = 20_000;
    let product = 0;
    for (let index = 0; index < count; index++) product += left.normal() * right.normal();
    expect(Math.abs(product / count)).toBeLessThan(4 / Math.sqrt(count));
  });

  it("spreads evenly: chi-square of 64 cells stays inside its middle 99.99 %", () => {
    const random = seededRandom(11);
    const cells = new Float64Array(64);
    for (let index = 0; index < 64_000; index++) cells[Math.floor(random.next() * 64)] += 1;
    const chi = cells.reduce((sum, seen) => sum + (seen - 1000) ** 2 / 1000, 0);
    expect(chi).toBeGreaterThan(26); // scipy.stats.chi2.ppf(0.00001, 63) = 26.02
    expect(chi).toBeLessThan(115); // scipy.stats.chi2.ppf(0.9999, 63) = 113.5
  });

  it("draws integers without modulo bias below their bound", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 2 ** 32 }), (seed, bound) => {
        const drawn = seededRandom(seed).integer(bound);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < bound).toBe(true);
      }),
      { seed: 2 },
    );
    // 3·2^30 is the worst case: a plain remainder would give the first third twice as often.
    const random = seededRandom(3);
    let low = 0;
    for (let index = 0; index < 30_000; index++) if (random.integer(3 * 2 ** 30) < 2 ** 30) low++;
    expect(Math.abs(low / 30_000 - 1 / 3)).toBeLessThan(0.012);
  });

  it("draws normals with mean 0, variance 1, skew 0 and kurtosis 3", () => {
    const random = seededRandom(4);
    const count = 100_000;
    const moments = [0, 0, 0, 0];
    for (let index = 0; index < count; index++) {
      const drawn = random.normal();
      for (let power = 0; power < 4; power++) moments[power] += drawn ** (power + 1) / count;
    }
    // Tolerances are about four standard errors of each moment.
    expect(moments[0]).toBeCloseTo(0, 1);
    expect(Math.abs(moments[1] - 1)).toBeLessThan(0.018);
    expect(Math.abs(moments[2])).toBeLessThan(0.05);
    expect(Math.abs(moments[3] - 3)).toBeLessThan(0.125);
  });

  it("shuffles in place into every order equally often and loses nothing", () => {
    const random = seededRandom(6);
    const seen = new Map<string, number>();
    for (let index = 0; index < 12_000; index++) {
      const order = random.shuffle(["a", "b", "c"]).join("");
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const times of seen.values()) expect(Math.abs(times - 2000)).toBeLessThan(200);
    expect(Array.from(random.permutation(100)).sort((left, right) => left - right)).toEqual([...Array(100).keys()]);
  });

  it("refuses seeds and states that cannot be reproduced", () => {
    expect(() => seededRandom(1.5)).toThrow(LightfootError);
    expect(() => seededRandom(-1)).toThrow(/seed/);
    expect(() => seededRandom(2 ** 53)).toThrow(/seed/);
    expect(() => randomFromState({ key: "0", words: [1, 2, 3, 4] })).toThrow(/state/);
    expect(() => randomFromState({ key: "0000000000000000", words: [0, 0, 0, 0] })).toThrow(/state/);
    expect(() => seededRandom(1).integer(0)).toThrow(/bound/);
  });
});
