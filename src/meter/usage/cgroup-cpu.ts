// CPU time of a control group (version 2) from its cpu.stat; may depend on errors and its room.
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { readKernelFile } from "./proc-file.ts";

/**
 * The folder of a control group, from a path as people write it: absolute, or below the mount of the hierarchy.
 *
 * Hosts with both versions mount version 2 in `unified`.
 *
 * @throws LightfootError E_FILE_NOT_FOUND when none of the candidates holds a `cpu.stat` with `usage_usec`
 * @example findCgroup("system.slice/train.service", "/sys") // "/sys/fs/cgroup/system.slice/train.service"
 */
export function findCgroup(path: string, sysRoot: string): string {
  const below = path.replace(/^(\/sys)?\/fs\/cgroup\//, "").replace(/^\/+/, "");
  const candidates = [
    join(sysRoot, "fs/cgroup", below),
    join(sysRoot, "fs/cgroup/unified", below),
    ...(isAbsolute(path) ? [path] : []),
  ];
  const found = candidates.find((folder) => readCgroupCpuSeconds(folder) !== undefined);
  if (found !== undefined) return found;
  const there = candidates.find((folder) => existsSync(folder));
  throw new LightfootError(
    "E_FILE_NOT_FOUND",
    there === undefined
      ? `there is no control group ${path}`
      : `${there} has no cpu.stat with usage_usec: it is no control group of version 2`,
    {
      hint: "Name a folder below /sys/fs/cgroup; `cat /proc/PID/cgroup` shows a process's group after 0::",
      where: { file: path },
    },
  );
}

/** The control group that this process is in, as a path below the hierarchy; undefined without version 2. */
export function ownCgroup(procRoot: string): string | undefined {
  return /^0::(.+)$/m.exec(readKernelFile(join(procRoot, "self/cgroup")) ?? "")?.[1];
}

/** User and system time of all processes that are or were in the group, s; undefined when it cannot be read. */
export function readCgroupCpuSeconds(folder: string): number | undefined {
  const match = /^usage_usec (\d+)$/m.exec(readKernelFile(join(folder, "cpu.stat")) ?? "");
  return match === null ? undefined : Number(match[1]) / 1e6;
}
