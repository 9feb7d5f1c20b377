// Which scheme each layer gets: a path of assignments from all float to all cheapest, each step the least error for what it saves; a pure
// function of the measured table; depends on nothing.

/** What one scheme does to one layer. */
export interface Scheme {
  /** Name of the scheme; `float` leaves the layer as it is. */
  readonly id: string;
  /** In the goal's unit: bytes or seconds. */
  readonly cost: number;
  /** What it adds to the relative error at the end of the model; 0 for `float`. */
  readonly error: number;
}

export interface LayerSchemes {
  /** The layer's output. */
  readonly layer: string;
  /** In any order, `float` among them. */
  readonly schemes: readonly Scheme[];
}

/** Scheme by layer. */
export type Assignment = ReadonlyMap<string, string>;

/** The schemes on the lower convex hull of error against cost, dearest first: those a Lagrangian could choose. */
export function hull(schemes: readonly Scheme[]): Scheme[] {
  const sorted = schemes.toSorted(
    (left, right) => left.error - right.error || left.cost - right.cost || (left.id < right.id ? -1 : 1),
  );
  const kept: Scheme[] = [];
  for (const scheme of sorted) {
    const last = kept.at(-1);
    if (last !== undefined && scheme.cost >= last.cost) continue;
    while (kept.length >= 2 && slope(kept[kept.length - 2], scheme) <= slope(kept[kept.length - 2], kept.at(-1)!)) {
      kept.pop();
    }
    kept.push(scheme);
  }
  return kept;
}

/** Error taken on for each unit of cost saved. */
const slope = (from: Scheme, to: Scheme): number => (to.error - from.error) / (from.cost - to.cost);

/**
 * All assignments that are optimal for some price of error, from least error to least cost.
 *
 * Errors of different layers are taken to add up, and costs do; then lowering the price of error step by step moves one layer at a time
 * to the next scheme on its hull, the one with the least error per unit saved first.
 */
export function assignmentPath(layers: readonly LayerSchemes[]): Assignment[] {
  const moves = layers.flatMap(({ layer, schemes }) => {
    const kept = hull(schemes);
    return kept.slice(1).map((to, at) => ({ layer, to: to.id, price: slope(kept[at], to), rank: at }));
  });
  // Slopes rise along a hull, so sorting keeps each layer's own order; equal prices go by name, so that equal tables give equal paths.
  moves.sort(
    (left, right) =>
      left.price - right.price ||
      (left.layer < right.layer ? -1 : left.layer > right.layer ? 1 : left.rank - right.rank),
  );
  const current = new Map(layers.map(({ layer, schemes }) => [layer, hull(schemes)[0].id]));
  const path: Assignment[] = [new Map(current)];
  for (const { layer, to } of moves) {
    current.set(layer, to);
    path.push(new Map(current));
  }
  return path;
}
