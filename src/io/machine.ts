// What this machine is: processor, clock, vector instructions, memory; may depend on node only.
import { readFileSync } from "node:fs";
import { arch, cpus, platform, totalmem } from "node:os";

/** The machine as its operating system describes it; unknown parts are left out. */
export interface MachineDescription {
  readonly platform: string;
  readonly architecture: string;
  readonly cpuName: string;
  /** CPUID display family, model and stepping (x86 on Linux). */
  readonly family?: number;
  readonly model?: number;
  readonly stepping?: number;
  /** Hardware threads the operating system shows; in a virtual machine its vCPUs. */
  readonly logicalCpuCount: number;
  readonly clockHertz?: number;
  /** Instruction-set flags such as `avx2`, `fma`, `avx512_vnni`, in the operating system's spelling. */
  readonly flags: readonly string[];
  /** True when the processor's flags carry the hypervisor bit. */
  readonly isVirtual: boolean;
  readonly memoryBytes: number;
}

/** Describes the machine this runs on; reads `/proc/cpuinfo` where there is one. */
export function describeThisMachine(): MachineDescription {
  const processors = cpus();
  return {
    platform: platform(),
    architecture: arch(),
    memoryBytes: totalmem(),
    ...describeProcessor(readCpuinfo(), {
      cpuName: processors[0]?.model.trim() ?? "",
      logicalCpuCount: Math.max(processors.length, 1),
      clockMegahertz: processors[0]?.speed ?? 0,
    }),
  };
}

function readCpuinfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return ""; // macOS and Windows have none; the name and the count of node:os remain
  }
}

type Processor = Omit<MachineDescription, "platform" | "architecture" | "memoryBytes">;

/** The processor of a `/proc/cpuinfo` text, with what `node:os` knows where the text is silent. */
export function describeProcessor(
  cpuinfo: string,
  known: { readonly cpuName: string; readonly logicalCpuCount: number; readonly clockMegahertz: number },
): Processor {
  const first = cpuinfo.split(/\n\s*\n/, 1)[0] ?? "";
  const fields = new Map(
    first.split("\n").map((line) => {
      const [name = "", ...rest] = line.split(":");
      return [name.trim(), rest.join(":").trim()] as const;
    }),
  );
  const number = (name: string): number | undefined => {
    const value = Number(fields.get(name) || Number.NaN);
    return Number.isFinite(value) ? value : undefined;
  };
  const flags = (fields.get("flags") ?? fields.get("Features") ?? "").split(/\s+/).filter((flag) => flag !== "");
  const clockMegahertz = number("cpu MHz") ?? known.clockMegahertz;
  const identity = { family: number("cpu family"), model: number("model"), stepping: number("stepping") };
  return {
    cpuName: fields.get("model name") ?? known.cpuName,
    logicalCpuCount: known.logicalCpuCount,
    flags,
    isVirtual: flags.includes("hypervisor"),
    ...(clockMegahertz > 0 ? { clockHertz: clockMegahertz * 1e6 } : {}),
    ...(identity.family === undefined ? {} : { family: identity.family }),
    ...(identity.model === undefined ? {} : { model: identity.model }),
    ...(identity.stepping === undefined ? {} : { stepping: identity.stepping }),
  };
}
