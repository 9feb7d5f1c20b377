// Interval arithmetic keeps every value that the inputs allow, and what is known about it; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { divide, exact, figure, METHODS, multiply, scale, subtract, sum, worstMethod, type Figure } from "./figure.ts";
import { figureSchema } from "./figure-schema.ts";

// Thousandths, so that no quotient overflows; ends often coincide and often touch zero.
const sizes = fc.integer({ min: -1e9, max: 1e9 }).map((thousandths) => thousandths / 1000);
const figures = fc
  .tuple(sizes, sizes, sizes, fc.constantFrom(...METHODS), fc.constantFrom("a", "b", "c"))
  .map(([one, two, three, method, tag]): Figure => {
    const [low, value, high] = [one, two, three].sort((left, right) => left - right) as [number, number, number];
    return figure({ value, low, high, unit: "J", method, sources: [tag], assumptions: [{ key: tag, text: tag }] });
  });
const inside = fc.double({ min: 0, max: 1, noNaN: true });
/** Some true value that the figure allows. */
const truthOf = ({ low, high }: Figure, where: number): number => low + (high - low) * where;
const holds = ({ low, high }: Figure, truth: number): boolean => {
  const slack = 1e-9 * Math.max(1, Math.abs(low), Math.abs(high));
  return truth >= low - slack && truth <= high + slack;
};

/** Code of what `run` throws. */
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof LightfootError ? error.code : "foreign";
  }
  return "none";
};

describe("interval arithmetic", () => {
  it("contains the result of every pair of true values, for sum, difference, product and scaling", () => {
    fc.assert(
      fc.property(figures, figures, inside, inside, sizes, (left, right, here, there, factor) => {
        const [a, b] = [truthOf(left, here), truthOf(right, there)];
        expect(holds(sum([left, right]), a + b)).toBe(true);
        expect(holds(subtract(left, right), a - b)).toBe(true);
        expect(holds(multiply(left, right, "J²"), a * b)).toBe(true);
        expect(holds(scale(left, factor), a * factor)).toBe(true);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("contains every quotient, and refuses a divisor that may be zero", () => {
    fc.assert(
      fc.property(figures, figures, inside, inside, (left, right, here, there) => {
        if (right.low <= 0 && right.high >= 0) {
          expect(() => divide(left, right, "1")).toThrow(/contains zero/);
          return;
        }
        const exactQuotient = truthOf(left, here) / truthOf(right, there);
        const found = divide(left, right, "1");
        const slack = 1e-9 * Math.max(1, Math.abs(found.low), Math.abs(found.high));
        expect(exactQuotient >= found.low - slack && exactQuotient <= found.high + slack).toBe(true);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it("does not depend on the order of a sum, and a factor of −1 swaps the ends", () => {
    fc.assert(
      fc.property(fc.array(figures, { minLength: 1, maxLength: 6 }), (parts) => {
        const forth = sum(parts);
        const back = sum([...parts].reverse());
        expect(back.low).toBeCloseTo(forth.low, 3);
        expect(back.high).toBeCloseTo(forth.high, 3);
        expect(scale(forth, -1).low).toBe(0 - forth.high);
      }),
      { seed: 3 },
    );
  });

  it("inherits the worst method, every source, and each assumption once", () => {
    fc.assert(
      fc.property(fc.array(figures, { minLength: 1, maxLength: 6 }), (parts) => {
        const total = sum(parts);
        const worst = Math.max(...parts.map(({ method }) => METHODS.indexOf(method)));
        expect(METHODS.indexOf(total.method)).toBe(worst);
        expect(new Set(total.sources)).toEqual(new Set(parts.flatMap(({ sources }) => sources)));
        const keys = total.assumptions.map(({ key }) => key);
        expect(new Set(keys).size).toBe(keys.length);
        expect(new Set(keys)).toEqual(new Set(parts.flatMap((part) => part.assumptions.map(({ key }) => key))));
      }),
      { seed: 4 },
    );
    expect(worstMethod(["measured", "declared", "modelled"])).toBe("declared");
  });

  it("refuses mixed units, nothing at all, and numbers that are not finite", () => {
    const joules = exact(1, "J", "counter");
    expect(code(() => sum([joules, exact(1, "s", "clock")]))).toBe("E_UNIT");
    expect(code(() => subtract(joules, exact(1, "s", "clock")))).toBe("E_UNIT");
    expect(code(() => sum([]))).toBe("E_RANGE");
    expect(code(() => figure({ value: Number.NaN, unit: "J", method: "measured" }))).toBe("E_RANGE");
    expect(code(() => figure({ value: 2, low: 3, high: 4, unit: "J", method: "measured" }))).toBe("E_RANGE");
    expect(code(() => scale(joules, Number.POSITIVE_INFINITY))).toBe("E_RANGE");
    expect(code(() => multiply(exact(1e200, "J", "x"), exact(1e200, "J", "x"), "J²"))).toBe("E_RANGE");
  });
});

describe("figure schema", () => {
  it("accepts every figure after a trip through JSON, unchanged", () => {
    fc.assert(
      fc.property(figures, (part) => {
        const read = JSON.parse(JSON.stringify(part)) as unknown;
        expect(figureSchema.parse(read)).toEqual(read);
      }),
      { seed: 5 },
    );
  });

  it("refuses a value outside its interval, an unknown method and a bare number", () => {
    const sound = { value: 2, unit: "J", low: 1, high: 3, method: "measured", sources: [], assumptions: [] };
    expect(figureSchema.safeParse(sound).success).toBe(true);
    expect(figureSchema.safeParse({ ...sound, low: 2.5 }).success).toBe(false);
    expect(figureSchema.safeParse({ ...sound, method: "guessed" }).success).toBe(false);
    expect(figureSchema.safeParse({ ...sound, high: Number.POSITIVE_INFINITY }).success).toBe(false);
    expect(figureSchema.safeParse(2).success).toBe(false);
  });
});
