// Behaviour of dimension arithmetic: canonical forms, and agreement with plain numbers under substitution.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  add,
  canonical,
  ceilDivide,
  floorDivide,
  isSymbol,
  maximum,
  minimum,
  multiply,
  substitute,
  subtract,
  symbolsOf,
  type Size,
} from "./expression.ts";

test("equal expressions have one text", () => {
  expect(add(multiply(2, "b"), 1)).toBe("2*b + 1");
  expect(add(1, add("b", "b"))).toBe("2*b + 1");
  expect(subtract("b", "b")).toBe(0);
  expect(multiply(add("a", 1), subtract("a", 1))).toBe("a*a - 1");
  expect(canonical("past_length+1")).toBe("past_length + 1");
  expect(canonical("((s0 - 1)//2) + 1")).toBe("floor((s0 + 1)/2)");
});

test("two strided layers in a row stay one division", () => {
  const once = add(floorDivide(subtract("H", 1), 2), 1);
  expect(once).toBe("floor((H + 1)/2)");
  expect(add(floorDivide(subtract(once, 1), 2), 1)).toBe("floor((H + 3)/4)");
});

test("a quotient cancels what the dividend holds", () => {
  expect(floorDivide(multiply(multiply(2, "B"), "S"), "B")).toBe("2*S");
  expect(floorDivide(multiply(add("S", "P"), multiply("B", 64)), add("S", "P"))).toBe("64*B");
  expect(floorDivide(multiply(12, "B"), 4)).toBe("3*B");
});

test("hyphens and odd characters in a name are not arithmetic", () => {
  expect(isSymbol("batch-size")).toBe(true);
  expect(symbolsOf(add("my dim", 1))).toEqual(["my dim"]);
  expect(substitute(add("my dim", 1), new Map([["my dim", 4]]))).toBe(5);
  expect(symbolsOf(floorDivide("/model/NonZero[1]", 2))).toEqual(["/model/NonZero[1]"]);
});

test("extremes that symbols of at least 1 decide are decided", () => {
  expect(maximum("b", 1)).toBe("b");
  expect(minimum(add("b", 3), "b")).toBe("b");
  expect(minimum("b", 5)).toBe("min(5, b)");
});

type Tree = { size: Size; value: (bindings: ReadonlyMap<string, number>) => number };
const operations = [
  ["add", add, (a: number, b: number) => a + b],
  ["subtract", subtract, (a: number, b: number) => a - b],
  ["multiply", multiply, (a: number, b: number) => a * b],
  ["maximum", maximum, Math.max],
  ["minimum", minimum, Math.min],
] as const;

const leaf: fc.Arbitrary<Tree> = fc.oneof(
  fc.integer({ min: 0, max: 9 }).map((n) => ({ size: n, value: () => n })),
  fc
    .constantFrom("a", "b", "odd name")
    .map((name) => ({ size: name, value: (m: ReadonlyMap<string, number>) => m.get(name)! })),
);
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.tuple(fc.constantFrom(...operations), tie("tree"), tie("tree")).map(([[, symbolic, numeric], l, r]) => ({
      size: symbolic(l.size, r.size),
      value: (m: ReadonlyMap<string, number>) => numeric(l.value(m), r.value(m)),
    })),
    fc.tuple(tie("tree"), fc.integer({ min: 1, max: 6 }), fc.boolean()).map(([inner, q, up]) => ({
      size: (up ? ceilDivide : floorDivide)(inner.size, q),
      value: (m: ReadonlyMap<string, number>) => (up ? Math.ceil : Math.floor)(inner.value(m) / q),
    })),
  ),
})).tree;

test("substituting numbers into any expression gives what plain arithmetic gives", () => {
  fc.assert(
    fc.property(
      tree,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 3, maxLength: 3 }),
      (expression, values) => {
        const bindings = new Map([
          ["a", values[0]],
          ["b", values[1]],
          ["odd name", values[2]],
        ]);
        expect(Number(substitute(expression.size, bindings)) + 0).toBe(expression.value(bindings) + 0);
        expect(canonical(expression.size)).toBe(expression.size);
      },
    ),
    { numRuns: 500, seed: 20261124 },
  );
});
