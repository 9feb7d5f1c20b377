// Modelled energy where nothing can be read: CPU time times a power with a band, memory and disks by size; may depend on its room, io and quantity.
import { cpus } from "node:os";
import { join } from "node:path";
import type { MachineDescription } from "../io/machine.ts";
import { cpuEnergyModel, MEMORY_WATTS_PER_GB, type CpuEnergyModel } from "./cpu-energy.ts";
import type { MeterEnvironment, Opened } from "./environment.ts";
import { namesIn, numberOf, textOf, type SmallFileReader } from "./small-files.ts";
import type { Domain, Reading, Source } from "./source.ts";

/** Ticks of /proc/stat a second; 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const BYTES_PER_SECTOR = 512n;

interface Range {
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

/** W per TB; Cloud Carbon Footprint 1.2 (SSD) and 0.65 (disk), with the project's ÷2 … ×2 band. */
const DISK_WATTS_PER_TB: Readonly<Record<"ssd" | "hdd", Range>> = {
  ssd: { low: 0.6, value: 1.2, high: 2.4 },
  hdd: { low: 0.325, value: 0.65, high: 1.3 },
};

/** Busy time of all processors since start-up, s. */
type BusyClock = () => number;

function busyClock(file: SmallFileReader): BusyClock {
  return () => {
    const text = file.read();
    const found = /^cpu\s+([\d ]+)/m.exec(text);
    if (found === null) throw new Error("no line of all processors in stat");
    // user nice system idle iowait irq softirq steal …: waiting and what the host took away are not use.
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = found[1].trim().split(/\s+/).map(Number);
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
  };
}

const busyOfNode: BusyClock = () =>
  cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1e3;

/** Sums of busy and elapsed time that leave out what cannot be. */
class LoadSum {
  busySeconds = 0;
  wallSeconds = 0;
  readonly #read: BusyClock;
  readonly #threads: number;
  #last: { readonly busy: number; readonly at: number } | undefined;

  constructor(read: BusyClock, threads: number) {
    this.#read = read;
    this.#threads = threads;
  }

  /** @throws Error when the time cannot be read or is impossible; the sums stay as they were */
  advance(atSeconds: number): void {
    const busy = this.#read();
    const last = this.#last;
    this.#last = { busy, at: atSeconds };
    if (last === undefined) return;
    const wall = Math.max(0, atSeconds - last.at);
    const used = busy - last.busy;
    // Ticks are coarse, and processors report theirs one after the other.
    if (!(used >= 0) || used > wall * this.#threads * 1.05 + 0.05 + this.#threads / TICKS_PER_SECOND) {
      throw new Error(`busy time changed by ${used.toFixed(2)} s in ${wall.toFixed(2)} s on ${this.#threads} threads`);
    }
    this.busySeconds += used;
    this.wallSeconds += wall;
  }
}

const micro = (joules: number): bigint => BigInt(Math.max(0, Math.round(joules * 1e6)));

/** A modelled counter's value and the ends of its band. */
function reading(domain: string, atSeconds: number, joules: Range): Reading {
  const bandMicrojoules = { low: micro(joules.low), high: micro(joules.high) };
  return { domain, atSeconds, energyMicrojoules: micro(joules.value), bandMicrojoules };
}

const constantPower = (watts: Range, seconds: number): Range => ({
  low: watts.low * seconds,
  value: watts.value * seconds,
  high: watts.high * seconds,
});

/** Opens the models of this machine: always there, never called measured. */
export function openModels(environment: MeterEnvironment): Opened {
  const { files, procRoot, machine, clock } = environment;
  const model = cpuEnergyModel(machine);
  const stat = files.reader(join(procRoot, "stat"));
  const hasStat = textOf(files, join(procRoot, "stat")) !== undefined;
  const load = new LoadSum(hasStat || procRoot !== "/proc" ? busyClock(stat) : busyOfNode, machine.logicalCpuCount);
  const began = clock();
  const parts = [memoryPart(machine), ...diskPart(environment)];
  const domains = [cpuDomain(model), ...parts.map(({ domain }) => domain)];
  const source: Source = {
    name: "model",
    domains: () => domains,
    read() {
      const atSeconds = clock();
      return [
        readCpu(load, model, atSeconds),
        ...parts.map(({ domain, watts }) => reading(domain.id, atSeconds, constantPower(watts, atSeconds - began))),
      ];
    },
    close: () => stat.close(),
  };
  return { source, problems: [] };
}

function readCpu(load: LoadSum, model: CpuEnergyModel, atSeconds: number): Reading {
  const domain = "model:cpu";
  try {
    load.advance(atSeconds);
  } catch (error) {
    return { domain, atSeconds, error: error instanceof Error ? error.message : String(error) };
  }
  const joules = (end: keyof Range): number =>
    load.busySeconds * model.marginalPower[end] + load.wallSeconds * model.idlePower[end];
  return reading(domain, atSeconds, { low: joules("low"), value: joules("value"), high: joules("high") });
}

function cpuDomain(model: CpuEnergyModel): Domain {
  const { marginalPower, idlePower } = model;
  const method = marginalPower.method === "assumed" || idlePower.method === "assumed" ? "assumed" : "modelled";
  const assumptions = new Map([...marginalPower.assumptions, ...idlePower.assumptions].map((each) => [each.key, each]));
  return {
    id: "model:cpu",
    label: `${model.name}, modelled`,
    kind: "cpu-model",
    device: model.boundary,
    method,
    countsTowardsTotal: true,
    why: `watts of the ${model.boundary}`,
    counter: { mostWatts: marginalPower.high * model.logicalCpuCount + idlePower.high },
    sources: [...new Set([...marginalPower.sources, ...idlePower.sources])],
    assumptions: [...assumptions.values()],
  };
}

interface ConstantPart {
  readonly domain: Domain;
  readonly watts: Range;
}

function constantPart(domain: Pick<Domain, "id" | "label" | "kind" | "sources">, watts: Range): ConstantPart {
  return {
    watts,
    domain: {
      ...domain,
      method: "modelled",
      countsTowardsTotal: true,
      counter: { mostWatts: watts.high },
      assumptions: [
        {
          key: `${domain.kind}.by-size`,
          text: `${domain.label}: its power was taken from its size; nothing was read.`,
        },
      ],
    },
  };
}

function memoryPart({ memoryBytes }: MachineDescription): ConstantPart {
  const gigabytes = memoryBytes / 1e9;
  return constantPart(
    {
      id: "model:memory",
      label: `memory of ${gigabytes.toFixed(0)} GB, modelled`,
      kind: "memory-model",
      sources: ["0.284 to 0.392 W/GB (Boavizta, Green Algorithms 0.3725, Cloud Carbon Footprint)"],
    },
    constantPower(MEMORY_WATTS_PER_GB, gigabytes),
  );
}

/** Whole disks of `/sys/block`; loop, ram and mapped devices are views of others. */
function diskPart({ files, sysRoot }: MeterEnvironment): ConstantPart[] {
  const root = join(sysRoot, "block");
  const disks = namesIn(files, root)
    .filter((name) => /^(sd|vd|xvd|nvme|mmcblk|hd)/.test(name))
    .slice(0, 256)
    .map((name) => ({
      bytes: (numberOf(files, join(root, name, "size")) ?? 0n) * BYTES_PER_SECTOR,
      type: textOf(files, join(root, name, "queue/rotational")) === "1" ? ("hdd" as const) : ("ssd" as const),
    }))
    // An exabyte in one disk is a broken file, not a disk.
    .filter(({ bytes }) => bytes > 0n && bytes < 10n ** 18n);
  if (disks.length === 0) return [];
  const watts = (end: keyof Range): number =>
    disks.reduce((sum, { bytes, type }) => sum + (Number(bytes) / 1e12) * DISK_WATTS_PER_TB[type][end], 0);
  const label = `${disks.length} disk${disks.length === 1 ? "" : "s"}, modelled`;
  const sources = ["1.2 W/TB solid state, 0.65 W/TB rotating (Cloud Carbon Footprint), ÷2 to ×2"];
  return [
    constantPart(
      { id: "model:disk", label, kind: "disk-model", sources },
      { low: watts("low"), value: watts("value"), high: watts("high") },
    ),
  ];
}
