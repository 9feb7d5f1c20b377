// Sources that take time to answer (a tool, an HTTP address): asked now and then, held in between; may depend on the room's types.
import type { Domain, Reading, Source } from "./source.ts";

export type Polled = { readonly watts: number } | { readonly microjoules: bigint } | { readonly error: string };

export interface PolledOptions {
  readonly name: string;
  readonly domain: Domain;
  readonly poll: () => Promise<Polled>;
  /** Asked at most this often, s. */
  readonly everySeconds: number;
  readonly clock: () => number;
}

/**
 * A source of one domain.
 *
 * Between two polls a power is held: such sensors average over seconds anyway, and windows end where they end. A counter
 * is not repeated: an old value at a new time would look like standing still.
 */
export function polledSource({ name, domain, poll, everySeconds, clock }: PolledOptions): Source {
  let last: { readonly polled: Polled; readonly atSeconds: number } | undefined;
  const toReading = (polled: Polled, atSeconds: number): Reading => {
    if ("error" in polled) return { domain: domain.id, atSeconds, error: polled.error };
    if ("watts" in polled) return { domain: domain.id, atSeconds, powerWatts: polled.watts };
    return { domain: domain.id, atSeconds, energyMicrojoules: polled.microjoules };
  };
  return {
    name,
    domains: () => [domain],
    async read() {
      const now = clock();
      if (last !== undefined && now - last.atSeconds < everySeconds) {
        return "microjoules" in last.polled ? [] : [toReading(last.polled, now)];
      }
      const polled = await poll();
      // The answer is about some moment between question and answer.
      const answered = clock();
      last = { polled, atSeconds: answered };
      return [toReading(polled, answered)];
    },
    close: () => undefined,
  };
}
