// One line of /proc/PID/stat as numbers; may depend on nothing.

/**
 * Ticks a second in /proc, whatever the kernel's own timer: `USER_HZ` is part of the kernel's interface and is 100 on every
 * architecture that Node.js runs on.
 */
export const TICKS_PER_SECOND = 100;

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** `R`, `S`, `D`, `Z`, `T` (stopped) … */
  readonly state: string;
  readonly processGroup: number;
  /** Foreground process group of the controlling terminal; −1 without a terminal. */
  readonly terminalGroup: number;
  /** User and system time of the process and its threads. */
  readonly ownTicks: number;
  /** User and system time of children that ended and were waited for, with what they had waited for themselves. */
  readonly waitedTicks: number;
  /** When it started, in ticks since boot: with the pid it names a process for good. */
  readonly startTicks: number;
  readonly threads: number;
  readonly residentPages: number;
}

/**
 * Parses the text of `/proc/PID/stat`; undefined when it is not such a line.
 *
 * The second field is the program's name in parentheses, and a name may hold spaces and parentheses itself: what counts is the
 * last closing one.
 *
 * @source proc_pid_stat(5)
 * @example parseProcessStat("7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 3 1 40 20 20 0 1 0 512 4096 100 …")?.waitedTicks // 60
 */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const number = (position: number): number => Number(fields[position - 3]); // as numbered by proc_pid_stat(5)
  const stat: ProcessStat = {
    pid: Number.parseInt(text, 10),
    state: fields[0] ?? "",
    parent: number(4),
    processGroup: number(5),
    terminalGroup: number(8),
    ownTicks: number(14) + number(15),
    waitedTicks: number(16) + number(17),
    threads: number(20),
    startTicks: number(22),
    residentPages: number(24),
  };
  const isWhole = end > 0 && [stat.pid, stat.parent, stat.ownTicks, stat.waitedTicks, stat.startTicks].every(isCount);
  return isWhole ? stat : undefined;
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
