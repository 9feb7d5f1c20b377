// What the row writer writes is what JavaScript itself would: every double and every moment, property-tested.
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Column } from "../impact-framework/observations.ts";
import { rowChunks } from "./impact-framework-rows.ts";

const write = (column: Column, length: number): string[] =>
  Buffer.concat([...rowChunks({ length, columns: new Map([["a", column]]) }, "")])
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.slice("- a: ".length));

it("writes doubles that read back to the same bits, with their shortest digits", () => {
  const decimal = fc.tuple(fc.integer(), fc.integer({ min: 0, max: 7 })).map(([n, k]) => n / 10 ** k);
  const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), decimal);
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
      const texts = write({ kind: "number", values: Float64Array.from(values) }, values.length);
      for (const [index, text] of texts.entries()) {
        expect(Number(text)).toBe(values[index]);
        if (!text.includes("e") && !Object.is(values[index], -0)) expect(text).toBe(String(values[index]));
      }
    }),
    { numRuns: 2_000, seed: 3 },
  );
});

it("writes moments as toISOString does", () => {
  const time = fc.date({ min: new Date(-1e12), max: new Date(253_402_300_799_999), noInvalidDate: true });
  fc.assert(
    fc.property(fc.array(time, { minLength: 1, maxLength: 20 }), (dates) => {
      const values = Float64Array.from(dates, (date) => date.getTime());
      expect(write({ kind: "date", values }, dates.length)).toEqual(dates.map((date) => date.toISOString()));
    }),
    { numRuns: 1_000, seed: 3 },
  );
});
