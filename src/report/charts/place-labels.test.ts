// Tests of label placement: no label covers another.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { placeLabels } from "./place-labels.ts";

const FRAME = { x: 0, y: 0, width: 1000, height: 600 };

const point = fc.record({
  text: fc.constantFrom("int8", "static int8 (QDQ)", "narrow-50"),
  x: fc.integer({ min: 0, max: 500 }),
  y: fc.integer({ min: 0, max: 400 }),
  first: fc.boolean(),
});

it("keeps up to a dozen labels apart, wherever their points lie", () => {
  fc.assert(
    fc.property(fc.array(point, { maxLength: 12 }), (points) => {
      const placed = placeLabels(points, FRAME);
      expect(placed).toHaveLength(points.length);
      for (const [at, one] of placed.entries()) {
        for (const other of placed.slice(at + 1)) {
          const apartSideways = one.x + one.text.length * 6 <= other.x || other.x + other.text.length * 6 <= one.x;
          expect(apartSideways || Math.abs(one.y - other.y) >= 14).toBe(true);
        }
      }
    }),
    { seed: 3 },
  );
});

it("gives the chosen point's label its own place, even when others stand there too", () => {
  const crowd = Array.from({ length: 4 }, (_, at) => ({ text: `number ${at}`, x: 100, y: 100, first: at === 2 }));
  const alone = placeLabels([{ ...crowd[2], first: false }], FRAME)[0];
  expect(placeLabels(crowd, FRAME).find(({ text }) => text === "number 2")).toMatchObject({ x: alone.x, y: alone.y });
});

it("turns to the left of a point at the frame's right edge", () => {
  const [label] = placeLabels([{ text: "near the edge", x: 990, y: 300, first: false }], FRAME);
  expect(label.x + label.width).toBeLessThan(990);
});
