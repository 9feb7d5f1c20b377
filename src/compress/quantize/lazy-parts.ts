// A result that is made when the first of its parts is asked for, and how much such work is under way at once; depends on nothing.

/** Lets work on matrices begin as long as what is under way takes no more than `bytes`; one is always let in. */
export class Turnstile {
  readonly #bytes: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  async pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    while (this.#inside > 0 && this.#inside + bytes > this.#bytes) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inside += bytes;
    try {
      return await work();
    } finally {
      this.#inside -= bytes;
      for (const resume of this.#waiting.splice(0)) resume();
    }
  }
}

export interface LazyPartsOptions {
  /** How many parts are taken of one result. */
  readonly parts: number;
  /** True: the result is remembered, for small matrices and for what is dear to find. */
  readonly keep: boolean;
}

/**
 * Parts of one result, made when the first of them is asked for. Without `keep` the result is forgotten once each of `parts` was taken,
 * so that a written model need not fit into memory, and made anew for whoever asks again.
 */
export class LazyParts<T> {
  readonly #make: () => Promise<T>;
  readonly #options: LazyPartsOptions;
  readonly #taken = new Set<string>();
  #result: Promise<T> | undefined;

  constructor(make: () => Promise<T>, options: LazyPartsOptions) {
    this.#make = make;
    this.#options = options;
  }

  /** The whole result, for somebody who takes no part of it. */
  async look(): Promise<T> {
    if (!this.#options.keep) return this.#make();
    this.#result ??= this.#make();
    return this.#result;
  }

  /** The whole result, for this part of it. */
  async take(part: string): Promise<T> {
    this.#result ??= this.#make();
    const result = this.#result;
    this.#taken.add(part);
    if (this.#taken.size === this.#options.parts && !this.#options.keep) {
      this.#taken.clear();
      this.#result = undefined;
    }
    return result;
  }
}
