// Tests of the path of assignments against trying every assignment; depends on the file beside it.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignmentPath, hull, type Assignment, type LayerSchemes } from "./assignment.ts";

const scheme = fc.record({ cost: fc.integer({ min: 0, max: 50 }), error: fc.integer({ min: 1, max: 50 }) });
const layers = fc
  .array(fc.tuple(fc.integer({ min: 20, max: 60 }), fc.array(scheme, { maxLength: 4 })), { minLength: 1, maxLength: 3 })
  .map((rows) =>
    rows.map(([float, others], at): LayerSchemes => ({
      layer: `l${at}`,
      schemes: [{ id: "float", cost: float, error: 0 }, ...others.map((one, index) => ({ id: `s${index}`, ...one }))],
    })),
  );

const totals = (table: readonly LayerSchemes[], assignment: Assignment) => {
  const chosen = table.map(({ layer, schemes }) => schemes.find(({ id }) => id === assignment.get(layer))!);
  return {
    cost: chosen.reduce((sum, { cost }) => sum + cost, 0),
    error: chosen.reduce((sum, { error }) => sum + error, 0),
  };
};

/** Every assignment there is. */
function all(table: readonly LayerSchemes[]): Assignment[] {
  return table.reduce<Assignment[]>(
    (found, { layer, schemes }) => found.flatMap((one) => schemes.map(({ id }) => new Map([...one, [layer, id]]))),
    [new Map()],
  );
}

describe("assignmentPath", () => {
  it("saves at each step, and no assignment lies below the line between two neighbours", () => {
    fc.assert(
      fc.property(layers, (table) => {
        const path = assignmentPath(table).map((assignment) => totals(table, assignment));
        const others = all(table).map((assignment) => totals(table, assignment));
        expect(path[0].error).toBe(0);
        expect(path.at(-1)!.cost).toBe(Math.min(...others.map(({ cost }) => cost)));
        for (const [at, to] of path.entries()) {
          const from = path[at - 1];
          if (from === undefined) continue;
          expect(to.cost).toBeLessThan(from.cost);
          const price = (to.error - from.error) / (from.cost - to.cost);
          const level = to.error + price * to.cost;
          for (const { cost, error } of others) expect(error + price * cost).toBeGreaterThan(level - 1e-9);
        }
      }),
      { seed: 1 },
    );
  });

  it("does not depend on the order of layers or schemes", () => {
    fc.assert(
      fc.property(layers, (table) => {
        const turned = table.toReversed().map(({ layer, schemes }) => ({ layer, schemes: schemes.toReversed() }));
        const list = (path: readonly Assignment[]) => path.map((one) => [...one].sort(([a], [b]) => (a < b ? -1 : 1)));
        expect(list(assignmentPath(turned))).toEqual(list(assignmentPath(table)));
      }),
      { seed: 2 },
    );
  });

  it("leaves out what costs more and bends more than another", () => {
    const schemes = [
      { id: "float", cost: 100, error: 0 },
      { id: "slow", cost: 120, error: 0.1 },
      { id: "int8", cost: 25, error: 0.001 },
      { id: "bad8", cost: 26, error: 0.01 },
      { id: "int4", cost: 13, error: 0.1 },
    ];
    expect(hull(schemes).map(({ id }) => id)).toEqual(["float", "int8", "int4"]);
  });
});
