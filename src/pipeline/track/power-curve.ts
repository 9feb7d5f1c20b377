// Energy over time in a bounded number of stretches; may depend on nothing.

export interface Stretch {
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly joules: number;
}

/** Merged in pairs, half of them are left: a curve of a week has as many points as one of a minute. */
const MOST_STRETCHES = 240;

/** Collects energy in stretches of growing length; their sum is exact whatever the length of the run. */
export class PowerCurve {
  #stretches: Stretch[] = [];
  /** Stretches that are merged into one. */
  #every = 1;
  #open: { fromSeconds: number; joules: number; count: number } | undefined;
  #lastSeconds = 0;

  add(fromSeconds: number, toSeconds: number, joules: number): void {
    this.#open ??= { fromSeconds, joules: 0, count: 0 };
    this.#open.joules += joules;
    this.#open.count += 1;
    this.#lastSeconds = toSeconds;
    if (this.#open.count < this.#every) return;
    this.#stretches.push({ fromSeconds: this.#open.fromSeconds, toSeconds, joules: this.#open.joules });
    this.#open = undefined;
    if (this.#stretches.length > MOST_STRETCHES) this.#merge();
  }

  get stretches(): readonly Stretch[] {
    if (this.#open === undefined) return this.#stretches;
    const { fromSeconds, joules } = this.#open;
    return [...this.#stretches, { fromSeconds, toSeconds: this.#lastSeconds, joules }];
  }

  #merge(): void {
    const merged: Stretch[] = [];
    for (let at = 0; at + 1 < this.#stretches.length; at += 2) {
      const [left, right] = [this.#stretches[at], this.#stretches[at + 1]];
      merged.push({ fromSeconds: left.fromSeconds, toSeconds: right.toSeconds, joules: left.joules + right.joules });
    }
    const rest = this.#stretches.length % 2 === 1 ? this.#stretches.at(-1) : undefined;
    this.#every *= 2;
    if (rest !== undefined) this.#open = { fromSeconds: rest.fromSeconds, joules: rest.joules, count: this.#every / 2 };
    this.#stretches = merged;
  }
}
