// Which axes of a reshaped tensor hold the positions of which axes before: the finest split into groups of equal product;
// may depend on the shapes of model.
import { productOf, type Size } from "../../model/shapes/expression.ts";

/** Axes before and after that together hold the same positions in the same order. */
export interface ReshapeGroup {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** The first axes of both sides whose sizes have one product; undefined when symbols hide where that is. */
function firstGroup(from: readonly Size[], to: readonly Size[]): { from: number; to: number } | undefined {
  if (from.length === 0 || to.length === 0) return undefined;
  let [taken, given] = [1, 1];
  for (;;) {
    const [left, right] = [productOf(from.slice(0, taken)), productOf(to.slice(0, given))];
    if (left === right) return { from: taken, to: given };
    if (typeof left !== "number" || typeof right !== "number") return undefined;
    if (left < right ? taken === from.length : given === to.length) return undefined;
    if (left < right) taken += 1;
    else given += 1;
  }
}

/**
 * Groups of axes that a reshape turns into each other. Axes of size 1 belong to no group; axes between which no equality can
 * be shown make one group together.
 *
 * @example reshapeGroups(["batch", 8, 5, 5], ["batch", 200]) // batch → batch, (8, 5, 5) → 200
 */
export function reshapeGroups(before: readonly Size[], after: readonly Size[]): ReshapeGroup[] {
  const wide = (sizes: readonly Size[]) => [...sizes.keys()].filter((axis) => sizes[axis] !== 1);
  let [from, to]: (readonly number[])[] = [wide(before), wide(after)];
  const groups: ReshapeGroup[] = [];
  // From the end first: there stand numbers, at the start symbols.
  for (const backwards of [true, false]) {
    for (;;) {
      const order = (axes: readonly number[]) => (backwards ? axes.toReversed() : axes);
      const sizes = (axes: readonly number[], all: readonly Size[]) => order(axes).map((axis) => all[axis]);
      const found = firstGroup(sizes(from, before), sizes(to, after));
      if (found === undefined) break;
      const cut = (axes: readonly number[], count: number) => {
        const [head, rest] = [order(axes).slice(0, count), order(axes).slice(count)];
        return { head: order(head), rest: order(rest) };
      };
      const [left, right] = [cut(from, found.from), cut(to, found.to)];
      groups.push({ from: left.head, to: right.head });
      [from, to] = [left.rest, right.rest];
    }
  }
  if (from.length > 0 || to.length > 0) groups.push({ from, to });
  return groups;
}
