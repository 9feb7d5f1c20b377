// Actions come once, pauses end when their last reason ends; depends on its room.
import { describe, expect, it } from "vitest";
import { parseBudget } from "./amount.ts";
import type { BudgetState } from "./budget.ts";
import { Enforcer, type ExceedAction } from "./enforce.ts";

const state = (used: number): BudgetState => ({
  budget: parseBudget("100J"),
  used,
  usedFraction: used / 100,
  isExceeded: used > 100,
  secondsLeft: undefined,
});

/** Kinds of actions, sample by sample. */
const play = (onExceed: ExceedAction, used: readonly number[]): string[][] => {
  const enforcer = new Enforcer({ onExceed });
  return used.map((joules) => enforcer.decide([state(joules)], undefined).map(({ kind }) => kind));
};

describe("budgets", () => {
  it("are near once, exceeded once", () =>
    expect(play("warn", [10, 85, 90, 101, 150])).toEqual([[], ["near"], [], ["exceeded"], []]));
  it("that are jumped over are exceeded and no longer near", () =>
    expect(play("warn", [10, 200, 90])).toEqual([[], ["exceeded"], []]));
  it("stop once", () => expect(play("stop", [101, 102])).toEqual([["exceeded", "stop"], []]));
  it("pause once, until somebody continues, and then not again", () => {
    const enforcer = new Enforcer({ onExceed: "pause" });
    expect(enforcer.acknowledge()).toEqual([]);
    expect(enforcer.decide([state(101)], undefined).map(({ kind }) => kind)).toEqual(["exceeded", "pause"]);
    expect(enforcer.decide([state(102)], undefined)).toEqual([]);
    expect(enforcer.acknowledge()).toEqual([{ kind: "resume" }]);
    expect(enforcer.decide([state(103)], undefined)).toEqual([]);
  });
});

describe("a dirty grid", () => {
  const kinds = (enforcer: Enforcer, grams: number | undefined) => enforcer.decide([], grams).map(({ kind }) => kind);

  it("pauses above the limit, not at it, and not when nobody knows", () => {
    const enforcer = new Enforcer({ onExceed: "warn", pauseAboveGramsPerKwh: 400 });
    const seen = [400, 401, 500, undefined, 401, 399, 399].map((grams) => kinds(enforcer, grams));
    expect(seen).toEqual([[], ["pause"], [], ["resume"], ["pause"], ["resume"], []]);
  });

  it("and a used-up budget are two reasons: the command waits for both to end", () => {
    const enforcer = new Enforcer({ onExceed: "pause", pauseAboveGramsPerKwh: 400 });
    expect(enforcer.decide([state(101)], 500).map(({ kind }) => kind)).toEqual(["exceeded", "pause"]);
    expect(enforcer.acknowledge()).toEqual([]);
    expect(kinds(enforcer, 300)).toEqual(["resume"]);
  });
});
