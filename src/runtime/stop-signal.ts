// A request to stop, polled between runs of the engine; may depend on errors.
import { LightfootError } from "../errors/index.ts";

/** An `AbortSignal` is one; in a worker it is a flag in shared memory, which shows even while no event is handled. */
export interface StopSignal {
  readonly aborted: boolean;
}

/** @throws LightfootError E_INTERRUPTED once the signal was given */
export function throwIfStopped(signal: StopSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw new LightfootError("E_INTERRUPTED", `${what} was stopped`);
}

const POLL_MILLISECONDS = 20;

/**
 * An `AbortSignal` for a worker's stop flag, for what listens instead of asking (a child process). Looks at the flag between the
 * runs of the engine; `release` ends the looking.
 */
export function abortSignalOf(stop: StopSignal): { readonly signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const look = (): void => {
    if (stop.aborted) controller.abort();
  };
  look();
  const timer = setInterval(look, POLL_MILLISECONDS);
  timer.unref();
  return { signal: controller.signal, release: () => clearInterval(timer) };
}
