// What sources touch the outside world through: mounted trees, a clock, commands, fetch; may depend on its room, io and facts.
import { cpus } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { describeProcessor, describeThisMachine, type MachineDescription } from "../io/machine.ts";
import { spawnCommands, type Commands } from "./command.ts";
import { realFiles, textOf, type SmallFiles } from "./small-files.ts";
import type { Source, SourceProblem } from "./source.ts";

export interface MeterEnvironment {
  readonly files: SmallFiles;
  /** Where /sys is mounted; containers and replays name another place. */
  readonly sysRoot: string;
  /** Where /proc is mounted. */
  readonly procRoot: string;
  /** Where /dev is; only looked at, to start no tool that has nothing to ask. */
  readonly devRoot: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly commands: Commands;
  readonly fetch: typeof globalThis.fetch;
  readonly machine: MachineDescription;
  /** The NVIDIA driver's library, when it is not where the system looks. */
  readonly nvmlLibrary?: string;
  /** A meter of the whole machine: a file, an HTTP address, or `prometheus:` and an address with a query. */
  readonly rackMeter?: string;
}

/** What an opener found: a source, or why there is none and what would help. */
export interface Opened {
  readonly source?: Source;
  readonly problems: readonly SourceProblem[];
}

/** One kind of source. It must not throw and must not outlive a few hundred milliseconds. */
export type SourceOpener = (environment: MeterEnvironment) => Promise<Opened>;

export type EnvironmentOptions = Partial<Omit<MeterEnvironment, "machine">>;

/** The real world, or as much of it as the options do not replace. */
export function createEnvironment(options: EnvironmentOptions = {}): MeterEnvironment {
  const files = options.files ?? realFiles;
  const procRoot = options.procRoot ?? "/proc";
  return {
    files,
    sysRoot: options.sysRoot ?? "/sys",
    procRoot,
    devRoot: options.devRoot ?? "/dev",
    clock: options.clock ?? (() => performance.now() / 1e3),
    commands: options.commands ?? spawnCommands,
    fetch: options.fetch ?? globalThis.fetch,
    machine: machineAt(files, procRoot),
    ...(options.nvmlLibrary === undefined ? {} : { nvmlLibrary: options.nvmlLibrary }),
    ...(options.rackMeter === undefined ? {} : { rackMeter: options.rackMeter }),
  };
}

/** The machine whose /proc is mounted there; this machine where it cannot be read. */
function machineAt(files: SmallFiles, procRoot: string): MachineDescription {
  const cpuinfo = textOf(files, join(procRoot, "cpuinfo"));
  if (procRoot === "/proc" || cpuinfo === undefined) return describeThisMachine();
  const threads = cpuinfo.match(/^processor\s*:/gm)?.length ?? cpus().length;
  const memory = /^MemTotal:\s+(\d+) kB$/m.exec(textOf(files, join(procRoot, "meminfo")) ?? "");
  const here = describeThisMachine();
  return {
    platform: here.platform,
    architecture: here.architecture,
    memoryBytes: memory === null ? here.memoryBytes : Number(memory[1]) * 1024,
    ...describeProcessor(cpuinfo, { cpuName: "", logicalCpuCount: Math.max(1, threads), clockMegahertz: 0 }),
  };
}
