// Ctrl-C: the first asks the running action to stop and clean up, the second ends the process; may depend on errors and io.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { removeUnfinishedFiles } from "../io/atomic-write.ts";

const controller = new AbortController();

/** Aborts, with `E_INTERRUPTED` as its reason, when the user or the system asks the process to end. */
export const interruption: AbortSignal = controller.signal;

/** Starts listening; call once, before the first action. */
export function listenForInterrupts(): void {
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) dieBy(name);
      else controller.abort(new LightfootError("E_INTERRUPTED", `stopped by ${name}`));
    });
  }
}

/**
 * Ends the process by the signal's default action.
 *
 * `process.exit` would run native destructors, and those abort (134, core dump) while a worker is inside the inference
 * engine. The kernel's own action does not run them, and a shell sees 130 as it should.
 */
function dieBy(name: NodeJS.Signals): void {
  removeUnfinishedFiles();
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}
