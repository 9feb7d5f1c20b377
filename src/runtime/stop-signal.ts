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
