// What this process has used so far: processor time and memory, as the operating system counts them; may depend on Node alone.
import { readFileSync } from "node:fs";

const BYTES_PER_KIB = 1024;

function highWaterMark(): number | undefined {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    return found === null ? undefined : Number(found[1]) * BYTES_PER_KIB;
  } catch {
    return undefined; // no /proc: not Linux
  }
}

/** Readings of a process; a port, so that rooms above take it as a parameter and tests can replay one. */
export interface ProcessUsage {
  /** User and system time of all threads, since the process began. */
  cpuSeconds(): number;
  /** Largest resident set so far. */
  peakMemoryBytes(): number;
}

export const processUsage: ProcessUsage = {
  cpuSeconds() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  // Linux hands ru_maxrss down through fork and exec: a child of a large process would report its parent's peak as its own.
  // The kernel's VmHWM belongs to the address space and starts anew.
  peakMemoryBytes: () => highWaterMark() ?? process.resourceUsage().maxRSS * BYTES_PER_KIB,
};
