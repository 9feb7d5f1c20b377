// Modelled energy of CPU time where no counter can be read; may depend on quantity, errors, io and facts.
import { performance } from "node:perf_hooks";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { cpuParts, matchCpu, microarchitectures, type CpuMatch, type CpuPart } from "../facts/cpu.ts";
import { describeThisMachine, type MachineDescription } from "../io/machine.ts";
import { figure, scale, sum, type Assumption, type Figure, type Method } from "../quantity/figure.ts";

/** What the watts of a model cover; figures of different boundaries must not be compared. */
export type PowerBoundary = "server at the wall" | "processor package and memory";

/** Watts of one machine for its CPU time; the band is never narrower than ÷2 … ×2. */
export interface CpuEnergyModel {
  /** The processor, family or generation that was matched. */
  readonly name: string;
  readonly boundary: PowerBoundary;
  /** W that one busy hardware thread adds to the idle machine. */
  readonly marginalPower: Figure;
  /** W of the idle machine's share that belongs to these processors (and memory, where the boundary splits them). */
  readonly idlePower: Figure;
  readonly logicalCpuCount: number;
}

// Seen on five machines with a counter (106 points): at equal load power over TDP spreads over ÷2.2 … ×2.2 around its
// middle, whatever the curve. See docs/methodology/energy-model.md.
const BAND = 2.2;

// The same runs: idle 0.08…0.25 of TDP (median 0.11), full load 0.51…1.40 (median 0.72).
const IDLE_SHARE = { low: 0.08, value: 0.11, high: 0.25 };
const MARGINAL_SHARE = { low: 0.51 - 0.25, value: 0.72 - 0.11, high: 1.4 - 0.08 };

/** W/GB: Green Algorithms 0.3725, Cloud Carbon Footprint 0.392, Boavizta 0.284. */
export const MEMORY_WATTS_PER_GB = { low: 0.284, value: 0.3725, high: 0.392 };

const NO_COUNTER: Assumption = {
  key: "power-model.no-counter",
  text: "No energy counter was read: energy is CPU time times a modelled power per busy hardware thread.",
};

interface Range {
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

/**
 * The power model of a machine, by default this one.
 *
 * Server generations have watts per vCPU from SPECpower results; other known parts a share of their thermal design
 * power; an unknown processor the span of all generations, with method `assumed`.
 *
 * @source Cloud Carbon Footprint coefficients 2026; CodeCarbon load profiles (106 points with RAPL)
 * @example cpuEnergyModel().marginalPower // 1.49 (0.67…3.27) W on a virtual machine with a Zen 3 processor
 */
export function cpuEnergyModel(machine: MachineDescription = describeThisMachine()): CpuEnergyModel {
  const match = matchCpu({ modelName: machine.cpuName, ...machine });
  // SPECpower watts are of servers: a laptop's part of the same generation must not get them.
  const isDesktop = (match.part ?? match.family?.[0])?.segment === "desktop";
  if (match.microarchitecture !== undefined && !isDesktop) return generationModel(match, machine);
  if (match.part !== undefined || match.family !== undefined) return designPowerModel(match, machine);
  return spanModel(match, machine);
}

function watts(range: Range, sources: string[], assumptions: readonly Assumption[], method: Method): Figure {
  return figure({ ...range, unit: "W", method, sources, assumptions: [NO_COUNTER, ...assumptions] });
}

const banded = (value: number): Range => ({ low: value / BAND, value, high: value * BAND });

function generationModel(match: CpuMatch, { logicalCpuCount }: MachineDescription): CpuEnergyModel {
  const generation = match.microarchitecture!;
  const source = microarchitectures().sources?.[generation.watts_source] ?? generation.watts_source;
  const power = (perThread: number): Figure =>
    watts(banded(perThread), [`${generation.name}: ${source}`], match.assumptions, "modelled");
  return {
    name: match.name,
    boundary: "server at the wall",
    marginalPower: power(generation.full_w_per_vcpu - generation.idle_w_per_vcpu),
    idlePower: power(generation.idle_w_per_vcpu * logicalCpuCount),
    logicalCpuCount,
  };
}

function designPowerModel(match: CpuMatch, machine: MachineDescription): CpuEnergyModel {
  const parts = match.part === undefined ? (match.family ?? []) : [match.part];
  const perThread = parts.map((part) => part.tdp_w / threadsOf(part, machine).count).sort((a, b) => a - b);
  const middle = perThread[Math.floor(perThread.length / 2)];
  const spread: Range = { low: perThread[0], value: middle, high: perThread.at(-1)! };
  const guesses = parts.flatMap((part) => threadsOf(part, machine).assumption ?? []).slice(0, 1);
  const { sources = {} } = cpuParts();
  const source = `${match.name}: thermal design power, ${sources[parts[0].source] ?? ""}`;
  const assumptions = [...match.assumptions, ...guesses];
  // Guessed hardware threads may be twice too many, so a thread may draw twice as much.
  const share = (of: Range): Range => ({
    low: spread.low * of.low,
    value: spread.value * of.value,
    high: spread.high * of.high * (guesses.length > 0 ? 2 : 1),
  });
  const threads = machine.logicalCpuCount;
  const memoryGigabytes = machine.memoryBytes / 1e9;
  const memory = watts(
    {
      low: MEMORY_WATTS_PER_GB.low * memoryGigabytes,
      value: MEMORY_WATTS_PER_GB.value * memoryGigabytes,
      high: MEMORY_WATTS_PER_GB.high * memoryGigabytes,
    },
    ["memory at 0.284 to 0.392 W/GB (Boavizta, Green Algorithms, Cloud Carbon Footprint)"],
    [],
    "modelled",
  );
  return {
    name: match.name,
    boundary: "processor package and memory",
    marginalPower: watts(share(MARGINAL_SHARE), [source], assumptions, "modelled"),
    idlePower: sum([scale(watts(share(IDLE_SHARE), [source], assumptions, "modelled"), threads), memory]),
    logicalCpuCount: threads,
  };
}

/** Hardware threads of a part: from the table, else from what the machine shows, else two to a core. */
function threadsOf(
  part: CpuPart,
  { isVirtual, logicalCpuCount }: MachineDescription,
): { readonly count: number; readonly assumption?: Assumption } {
  if (part.threads !== null) return { count: part.threads };
  const shown = [part.cores, 2 * part.cores].find((count) => count === logicalCpuCount);
  if (!isVirtual && shown !== undefined) return { count: shown };
  return {
    count: 2 * part.cores,
    assumption: {
      key: "power-model.threads-per-core",
      text: "The table does not say how many hardware threads the processor has; two to a core are assumed.",
    },
  };
}

function spanModel(match: CpuMatch, { logicalCpuCount }: MachineDescription): CpuEnergyModel {
  const rows = microarchitectures().rows;
  const span = (pick: (row: (typeof rows)[number]) => number, factor: number): Figure => {
    const sorted = rows.map(pick).sort((a, b) => a - b);
    const value = sorted[Math.floor(sorted.length / 2)] * factor;
    const range = { low: (sorted[0] * factor) / BAND, value, high: sorted.at(-1)! * factor * BAND };
    const source = `span of ${rows.length} server generations: ${microarchitectures().sources?.["ccf"] ?? ""}`;
    return watts(range, [source], match.assumptions, "assumed");
  };
  return {
    name: match.name,
    boundary: "server at the wall",
    marginalPower: span((row) => row.full_w_per_vcpu - row.idle_w_per_vcpu, 1),
    idlePower: span((row) => row.idle_w_per_vcpu, logicalCpuCount),
    logicalCpuCount,
  };
}

export interface CpuEnergyOptions {
  /** The machine's model; built from this machine when left out. */
  readonly model?: CpuEnergyModel;
  /** Adds the idle machine over the wall time: the energy of having the machine, not only of using it. */
  readonly idle?: boolean;
}

/**
 * Energy of CPU time in J, method `modelled` (or `assumed`), never measured.
 *
 * E = cpuSeconds · marginalPower, and with `idle` also + wallSeconds · idlePower.
 *
 * @param cpuSeconds user and system time over all threads, s
 * @param wallSeconds elapsed time, s
 * @throws LightfootError E_RANGE for negative times, or more CPU time than the machine's threads have in the wall time
 */
export function energyOfCpuSeconds(cpuSeconds: number, wallSeconds: number, options: CpuEnergyOptions = {}): Figure {
  const { model = cpuEnergyModel(), idle = false } = options;
  if (![cpuSeconds, wallSeconds].every((seconds) => Number.isFinite(seconds) && seconds >= 0)) {
    throw new LightfootError("E_RANGE", `times are finite seconds ≥ 0, found ${cpuSeconds} s CPU in ${wallSeconds} s`);
  }
  // Clock ticks are coarse (10 ms on some kernels), so a short run may show a little more than it can have used.
  const mostSeconds = wallSeconds * model.logicalCpuCount * 1.05 + 0.05;
  if (cpuSeconds > mostSeconds) {
    throw new LightfootError(
      "E_RANGE",
      `${cpuSeconds} s of CPU time do not fit into ${wallSeconds} s on ${model.logicalCpuCount} hardware threads`,
      { hint: "Give CPU seconds first and elapsed seconds second, both in seconds." },
    );
  }
  const busy = scale(model.marginalPower, cpuSeconds, "J");
  return idle ? sum([busy, scale(model.idlePower, wallSeconds, "J")]) : busy;
}

export interface CpuUse<T> {
  readonly result: T;
  /** User and system time of this process and its threads, s. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

/** Runs `work` and says how much CPU time this process used meanwhile; other work in the process counts too. */
export async function measureCpu<T>(work: () => T | Promise<T>): Promise<CpuUse<T>> {
  const before = process.cpuUsage();
  const start = performance.now();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - start) / 1e3 };
}
