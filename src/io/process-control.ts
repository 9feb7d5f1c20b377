// Stops, continues and ends all processes of a tree, and sees to it that nobody stays stopped when this process dies; may depend on its room and Node.
import { spawn, type ChildProcess } from "node:child_process";
import { isProcessAlive } from "./writer-identity.ts";

/** A tree of processes that can be stopped as one. */
export interface TreeControl {
  readonly isPaused: boolean;
  /** SIGSTOP to every process; new ones that appear meanwhile included. */
  pause(): void;
  /** SIGCONT to every process that `pause` stopped. */
  resume(): void;
  /** A signal to every process. */
  send(signal: NodeJS.Signals): void;
  /** True when no process of the tree lives. */
  isEmpty(): boolean;
}

// A process may fork while its siblings are being stopped; once all are stopped none can.
const MAX_ROUNDS = 8;

/**
 * Control over the processes that `list` names, parents first.
 *
 * A signal to the process group would stop this process too: a terminal's job control needs them in one group.
 *
 * While the tree is stopped a shell stands guard: it waits on a pipe that closes when this process ends, however it ends, and
 * then lets the tree go on. A `kill -9` of the meter therefore never leaves a job stopped that nobody knows of.
 */
export function controlTree(list: () => readonly number[]): TreeControl {
  const stopped = new Set<number>();
  let guard: ChildProcess | undefined;
  const control = {
    isPaused: false,
    pause() {
      if (control.isPaused) return;
      control.isPaused = true;
      guard = startGuard();
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const fresh = list().filter((pid) => !stopped.has(pid));
        if (fresh.length === 0) break;
        for (const pid of fresh) {
          // The guard learns of it first.
          guard.stdin?.write(`${pid}\n`);
          if (sendSignal(pid, "SIGSTOP")) stopped.add(pid);
        }
      }
    },
    resume() {
      if (!control.isPaused) return;
      control.isPaused = false;
      for (const pid of stopped) sendSignal(pid, "SIGCONT");
      stopped.clear();
      guard?.stdin?.end("done\n");
      guard = undefined;
    },
    send(signal: NodeJS.Signals) {
      for (const pid of list()) sendSignal(pid, signal);
    },
    isEmpty: () => !list().some(isProcessAlive),
  };
  return control;
}

/** True when the process was there. */
function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // it ended by itself, or became another user's
  }
}

const GUARD = `pids=
while read -r line; do
  [ "$line" = done ] && exit 0
  pids="$pids $line"
done
kill -CONT $pids 2>/dev/null
echo "lightfoot: the meter died while the command was paused; the command goes on, unmeasured" >&2`;

/** In a session of its own, so that neither Ctrl-C nor Ctrl-Z reaches it. */
function startGuard(): ChildProcess {
  const guard = spawn("/bin/sh", ["-c", GUARD], { detached: true, stdio: ["pipe", "ignore", "inherit"] });
  guard.on("error", () => undefined); // no shell: the tree is stopped all the same
  guard.stdin?.on("error", () => undefined);
  guard.unref();
  return guard;
}
