// When a search ends: complete, at its time limit, or because somebody asked; may depend on this room's schema.
import type { SearchResult } from "./candidate-schema.ts";
import type { SearchOptions } from "./search-options.ts";

export type Ending = SearchResult["ended"];

type Limits = Pick<SearchOptions, "signal" | "timeLimitSeconds" | "clock">;

/** How often the clock is looked at while a worker is busy. */
const LOOK_MILLISECONDS = 200;

/** Ends a search from outside (a signal) or by the clock; what runs meanwhile sees one signal for both. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #limits: Limits;
  readonly #startSeconds: number;
  readonly #timer: NodeJS.Timeout;
  #reason: Ending = "complete";

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#startSeconds = limits.clock();
    limits.signal?.addEventListener("abort", () => this.check(), { once: true });
    this.#timer = setInterval(() => this.check(), LOOK_MILLISECONDS);
    this.#timer.unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True when it is time to end. */
  check(): boolean {
    const { signal, timeLimitSeconds = Infinity, clock } = this.#limits;
    if (this.#reason === "complete") {
      if (signal?.aborted) this.#reason = "interrupted";
      else if (clock() - this.#startSeconds > timeLimitSeconds) this.#reason = "time-limit";
      if (this.#reason !== "complete") this.#controller.abort();
    }
    return this.#reason !== "complete";
  }

  get reason(): Ending {
    return this.#reason;
  }

  /** No more looking at the clock: the search is over. */
  release(): void {
    clearInterval(this.#timer);
  }
}
