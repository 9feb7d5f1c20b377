// CPU time of the whole machine from /proc/stat; may depend on its room.
import { readKernelFile } from "./proc-file.ts";
import { TICKS_PER_SECOND } from "./process-stat.ts";

/** CPU time since boot, summed over all hardware threads, s. */
export interface MachineCpu {
  /** Time in which something ran here. */
  readonly busySeconds: number;
  /** All the time there was: busy, idle and waiting for disks. Time that the hypervisor took away is in neither. */
  readonly capacitySeconds: number;
}

/**
 * The first line of `/proc/stat`; undefined when it is none.
 *
 * `guest` time is contained in `user` and not added again; `steal` is time another machine ran.
 *
 * @source proc_stat(5)
 * @example parseMachineCpu("cpu  100 0 50 800 50 0 0 0 0 0\n") // { busySeconds: 1.5, capacitySeconds: 10 }
 */
export function parseMachineCpu(text: string): MachineCpu | undefined {
  const line = /^cpu +([\d ]+)/.exec(text)?.[1];
  if (line === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0] = line
    .trim()
    .split(/ +/)
    .map(Number);
  const busy = user + nice + system + irq + softirq;
  return { busySeconds: busy / TICKS_PER_SECOND, capacitySeconds: (busy + idle + wait) / TICKS_PER_SECOND };
}

/** CPU time of the machine whose /proc is mounted at `procRoot`; undefined where there is none. */
export function readMachineCpu(procRoot: string): MachineCpu | undefined {
  const text = readKernelFile(`${procRoot}/stat`);
  return text === undefined ? undefined : parseMachineCpu(text);
}
