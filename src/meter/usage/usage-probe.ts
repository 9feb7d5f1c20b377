// What a command and its machine use of the processor, looked at from outside; may depend on its room and io.
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { readCgroupCpuSeconds } from "./cgroup-cpu.ts";
import { readMachineCpu, type MachineCpu } from "./machine-cpu.ts";
import { ProcessTree, type TreeUsage } from "./process-tree.ts";

export interface Usage {
  /** Undefined where there is no /proc. */
  readonly tree: TreeUsage | undefined;
  readonly machine: MachineCpu | undefined;
  /** CPU time of the control group since it was made, s. */
  readonly cgroupSeconds: number | undefined;
}

export interface UsageProbe {
  /** Names the command's first process. */
  attach(root: number): void;
  observe(): Usage;
  /** The command's living processes, parents first; the first alone where there is no /proc. */
  pids(): readonly number[];
}

export interface UsageProbeOptions {
  readonly procRoot: string;
  /** Folder of a control group that is to be watched as well. */
  readonly cgroup?: string;
  /** `NAME=value` that the command's environment holds. */
  readonly marker?: string;
}

/** Make it before the command starts. */
export function openUsageProbe({ procRoot, cgroup, marker }: UsageProbeOptions): UsageProbe {
  const home = processRoot(procRoot);
  const tree = home === undefined ? undefined : new ProcessTree({ procRoot: home, parentPid: process.pid, marker });
  let root: number | undefined;
  return {
    attach(pid) {
      root = pid;
      tree?.attach(pid);
    },
    observe: () => ({
      tree: tree?.observe(),
      machine: readMachineCpu(procRoot),
      cgroupSeconds: cgroup === undefined ? undefined : readCgroupCpuSeconds(cgroup),
    }),
    pids() {
      tree?.observe();
      return tree?.pids ?? (root === undefined ? [] : [root]);
    },
  };
}

/**
 * Where this process's own children are to be seen.
 *
 * A container may have the host's /proc mounted beside its own. Pids differ there, so that its processes would be mistaken
 * for others: `self` tells whether pids of this process mean the same.
 */
function processRoot(procRoot: string): string | undefined {
  return [procRoot, "/proc"].find((root) => pidSeenIn(root) === process.pid);
}

function pidSeenIn(root: string): number | undefined {
  try {
    return Number(readlinkSync(join(root, "self")));
  } catch {
    return undefined;
  }
}
