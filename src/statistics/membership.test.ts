// The threshold attack against every threshold tried, known distributions, and no leak at all; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { membershipAttack, membershipChange, splitForMembership, type MembershipSplit } from "./membership.ts";
import { seededRandom } from "./random.ts";
import { normalCdf } from "./special-functions.ts";

const share = (scores: readonly number[], threshold: number): number =>
  scores.filter((score) => score >= threshold).length / scores.length;

/** Both halves are the whole: then the attack must find the best threshold there is. */
function same(members: number, others: number): MembershipSplit {
  const all = {
    members: Uint32Array.from({ length: members }, (_, at) => at),
    others: Uint32Array.from({ length: others }, (_, at) => at),
  };
  return { choose: all, measure: all };
}

describe("membership attack", () => {
  it("finds the largest TPR − FPR of all thresholds, ties included", () => {
    const scores = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 25 });
    fc.assert(
      fc.property(scores, scores, (members, others) => {
        const { advantage, taken } = membershipAttack({ members, others }, same(members.length, others.length));
        const thresholds = [...members, ...others, Infinity];
        const best = Math.max(...thresholds.map((threshold) => share(members, threshold) - share(others, threshold)));
        expect(advantage.value).toBeCloseTo(best, 12);
        expect(taken.members).toHaveLength(members.length);
      }),
    );
  });

  it("nears 2Φ(d/2) − 1 on two normals d apart, and the rate at few false positives Φ(d − 2.326)", () => {
    const random = seededRandom(11);
    const count = 20_000;
    const members = Float64Array.from({ length: count }, () => random.normal() + 1);
    const others = Float64Array.from({ length: count }, () => random.normal());
    const attack = membershipAttack({ members, others }, splitForMembership(count, count, random));
    expect(attack.threshold).toBeGreaterThan(0.3);
    expect(attack.threshold).toBeLessThan(0.7);
    expect(Math.abs(attack.advantage.value - (2 * normalCdf(0.5) - 1))).toBeLessThan(0.02);
    expect(Math.abs(attack.tprAtLowFpr!.value - normalCdf(1 - 2.3263))).toBeLessThan(0.02);
  });

  it("is within its interval of 0 where members are like others, because the threshold was chosen elsewhere", () => {
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const random = seededRandom(trial);
      const draw = (): Float64Array => Float64Array.from({ length: 120 }, () => random.normal());
      const { advantage } = membershipAttack({ members: draw(), others: draw() }, splitForMembership(120, 120, random));
      if (advantage.low <= 0 && advantage.high >= 0) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(184);
  });

  it("gives no rate at few false positives below a hundred others, and refuses too few or scores that are none", () => {
    const split = splitForMembership(10, 10, seededRandom(1));
    const scores = Float64Array.from({ length: 10 }, (_, at) => at);
    expect(membershipAttack({ members: scores, others: scores }, split).tprAtLowFpr).toBeUndefined();
    expect(() => splitForMembership(1, 10, seededRandom(1))).toThrow(/2 members/);
    expect(() => membershipAttack({ members: scores.fill(NaN), others: scores }, split)).toThrow(/no number/);
  });

  it("changes by nothing against itself, and by the difference of advantages against another", () => {
    const random = seededRandom(3);
    const others = Float64Array.from({ length: 400 }, () => random.normal());
    const members = Float64Array.from({ length: 400 }, () => random.normal() + 0.3);
    const split = splitForMembership(400, 400, random);
    const first = membershipAttack({ members, others }, split);
    const second = membershipAttack({ members: members.map((score) => score + 1), others }, split);
    expect(membershipChange(first, first).value).toBe(0);
    const change = membershipChange(first, second);
    expect(change.value).toBeCloseTo(second.advantage.value - first.advantage.value, 12);
    expect(change.low).toBeGreaterThan(0);
  });
});
