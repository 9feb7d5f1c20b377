// Learning-rate schedules at the steps where their formula is known; depends on its room and vitest.
import { expect, test } from "vitest";
import { learningRateAt } from "./train-schedule.ts";

const span = { totalSteps: 1000, stepsPerEpoch: 100 };

test("a warm-up rises in a straight line and ends at the full rate", () => {
  const schedule = { kind: "constant", warmupSteps: 100 } as const;
  expect([1, 50, 100, 101, 1000].map((step) => learningRateAt(schedule, 1, step, span))).toEqual([0.01, 0.5, 1, 1, 1]);
});

test("cosine and linear pass half the rate half way and end at the floor", () => {
  for (const kind of ["cosine", "linear"] as const) {
    expect(learningRateAt({ kind }, 2, 500, span)).toBeCloseTo(1, 12);
    expect(learningRateAt({ kind, floor: 0.1 }, 2, 1000, span)).toBeCloseTo(0.2, 12);
  }
});

test("step drops after whole epochs", () => {
  const schedule = { kind: "step", factor: 0.5, everyEpochs: 2 } as const;
  expect([1, 200, 201, 400, 401].map((step) => learningRateAt(schedule, 1, step, span))).toEqual([
    1, 1, 0.5, 0.5, 0.25,
  ]);
});

test("a warm-up longer than the run is refused", () => {
  expect(() => learningRateAt({ kind: "constant", warmupSteps: 2000 }, 1, 1, span)).toThrow(
    "does not fit into 1000 steps",
  );
});
