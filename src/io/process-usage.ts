// What this process has used so far: processor time and memory, as the operating system counts them; may depend on nothing.

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
  // Node gives kibibytes on every platform, whatever the system call says.
  peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
};
