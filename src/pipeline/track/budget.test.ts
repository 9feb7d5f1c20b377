// Budgets: what is understood, what is refused, when they run out; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseBudget } from "./amount.ts";
import { BudgetWatch } from "./budget.ts";

describe("amounts", () => {
  it.each([
    ["2kWh", 7.2e6, "J"],
    ["0.5 MWh", 1.8e9, "J"],
    ["250J", 250, "J"],
    ["500gCO2e", 500, "gCO2e"],
    ["1.5kgCO2eq", 1500, "gCO2e"],
    ["2tCO2", 2e6, "gCO2e"],
    ["3EUR", 3, "EUR"],
    ["10L", 10, "L"],
    ["1e2mL", 0.1, "L"],
    ["5g", 5, "gCO2e"],
  ])("%s is %d %s", (text, value, unit) => {
    expect(parseBudget(text).value).toBeCloseTo(value, 9);
    expect(parseBudget(text).unit).toBe(unit);
  });

  it.each(["", "2", "kWh", "-1kWh", "0kWh", "NaNkWh", "1,5kWh", "1e999kWh", "3€", "3 eur", "2kWhx", "0x10J", "2 k Wh"])(
    "refuses %j as a budget",
    (text) => expect(() => parseBudget(text)).toThrow(expect.objectContaining({ code: "E_USAGE" }) as Error),
  );
});

describe("a budget under watch", () => {
  const used = (joules: number) => new Map([["J", joules]]);

  it("is exceeded above its limit and not at it", () => {
    const watch = new BudgetWatch([parseBudget("100J")]);
    expect(watch.update(1, used(100))[0]).toMatchObject({ isExceeded: false, usedFraction: 1 });
    expect(watch.update(2, used(100.5))[0]).toMatchObject({ isExceeded: true, secondsLeft: 0 });
  });

  it("forecasts the end exactly at a steady rate, from the second sample on", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 100 }), (watts, stepTenths) => {
        const watch = new BudgetWatch([parseBudget("1MJ")]);
        expect(watch.update(0, used(0))[0].secondsLeft).toBeUndefined();
        for (let step = 1; step <= 5; step++) {
          const seconds = (step * stepTenths) / 10;
          const [state] = watch.update(seconds, used(watts * seconds));
          expect(state.secondsLeft).toBeCloseTo((1e6 - watts * seconds) / watts, 3);
        }
      }),
      { seed: 1 },
    );
  });

  it("follows a change of load, and does not divide by time that stood still", () => {
    const watch = new BudgetWatch([parseBudget("1MJ")]);
    watch.update(0, used(0));
    watch.update(10, used(100));
    watch.update(10, used(100));
    watch.update(200, used(100 + 190 * 50));
    expect(watch.rate("J")).toBeGreaterThan(45);
    expect(watch.rate("J")).toBeLessThan(50.01);
  });
});
