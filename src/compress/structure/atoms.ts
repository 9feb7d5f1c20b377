// `Atoms`: what is cut together. Every position of a tensor's axis is an atom; operators join those that live and die as
// one, or pin them to the model; depends on nothing.

/** The atoms of an axis, one for each position; undefined: an axis that keeps its size. */
export type Axis = Int32Array | undefined;

/** Disjoint sets of atoms. A set that something cannot do without is pinned, with the first reason given. */
export class Atoms {
  readonly #parents: number[] = [];
  readonly #reasons = new Map<number, string>();

  fresh(count: number): Int32Array {
    const first = this.#parents.length;
    for (let at = 0; at < count; at++) this.#parents.push(first + at);
    return Int32Array.from({ length: count }, (_, at) => first + at);
  }

  /** The set an atom is in, by its representative. */
  find(atom: number): number {
    const parents = this.#parents;
    let root = atom;
    while (parents[root] !== root) root = parents[root];
    for (let at = atom; at !== root;) [parents[at], at] = [root, parents[at]];
    return root;
  }

  join(left: number, right: number): void {
    const [a, b] = [this.find(left), this.find(right)];
    if (a === b) return;
    // The lower number wins, so that the order of joins does not show in any result.
    const [root, other] = a < b ? [a, b] : [b, a];
    this.#parents[other] = root;
    const reason = this.#reasons.get(root) ?? this.#reasons.get(other);
    if (reason !== undefined) this.#reasons.set(root, reason);
  }

  pin(atom: number, reason: string): void {
    const root = this.find(atom);
    if (!this.#reasons.has(root)) this.#reasons.set(root, reason);
  }

  /** Why an atom cannot go; undefined when it can. */
  pinnedBecause(atom: number): string | undefined {
    return this.#reasons.get(this.find(atom));
  }

  /** Position by position the same: where one has none to give, the other is pinned. */
  joinAxes(left: Axis, right: Axis, reason: string): void {
    if (left === undefined || right === undefined || left.length !== right.length) {
      this.pinAxis(left, reason);
      this.pinAxis(right, reason);
      return;
    }
    left.forEach((atom, at) => this.join(atom, right[at]));
  }

  pinAxis(axis: Axis, reason: string): void {
    axis?.forEach((atom) => this.pin(atom, reason));
  }

  isFree(axis: Axis): axis is Int32Array {
    return axis?.some((atom) => this.pinnedBecause(atom) === undefined) ?? false;
  }
}
