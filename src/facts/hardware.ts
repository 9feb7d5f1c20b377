// The device catalogue: accelerators from data sheets, processors with modelled peaks; may depend on errors, quantity, io and its room.
import { suggestNames } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { describeThisMachine, type MachineDescription } from "../io/machine.ts";
import { figure, type Assumption, type Figure, type Method } from "../quantity/figure.ts";
import { accelerators, type AcceleratorRow } from "./accelerator-table.ts";
import { cpuParts, matchCpu, type CpuPart, type Microarchitecture } from "./cpu.ts";

/** Number types a device has a peak rate for. `tf32` multiplies float32 operands with 10-bit mantissas. */
export type PeakType = "float32" | "tf32" | "float16" | "bfloat16" | "float8" | "float4" | "int8" | "int4";

/** One device as the roofline and the planner need it. Figures are per device; `count` says how many were asked for. */
export interface HardwareProfile {
  readonly id: string;
  readonly name: string;
  readonly vendor: string;
  readonly kind: string;
  readonly architecture: string;
  readonly year?: number;
  readonly count: number;
  /** Dense peak per number type, FLOP/s with multiply-add = 2 (integer operations count the same way). */
  readonly peakRate: Readonly<Partial<Record<PeakType, Figure>>>;
  /** B/s. */
  readonly memoryBandwidth?: Figure;
  /** B. */
  readonly memoryCapacity?: Figure;
  /** W: thermal design or board power; unknown where makers publish none. */
  readonly thermalDesignPower?: Figure;
  /** B/s to other devices, one direction. */
  readonly linkBandwidth?: Figure;
  readonly note?: string;
}

/** The machine that runs this program, as a device. */
const THIS_MACHINE = "cpu:this";

export interface HardwareListing {
  readonly id: string;
  readonly name: string;
  readonly vendor: string;
  readonly kind: string;
}

/** Every id that `findHardware` knows, in the tables' order: accelerators, this machine, processors. */
export function listHardware(): HardwareListing[] {
  return [
    ...accelerators().rows.map(({ id, name, vendor, kind }) => ({ id, name, vendor, kind })),
    { id: THIS_MACHINE, name: "this machine", vendor: "", kind: "cpu" },
    ...cpuParts().rows.map((part) => ({ id: cpuId(part), name: part.name, vendor: part.vendor, kind: "cpu" })),
  ];
}

const cpuId = (part: CpuPart): string => `cpu:${part.key.replaceAll(/[^a-z0-9]+/g, "-")}`;

/**
 * The device of an id, with `:N` for N of them.
 *
 * @param id `nvidia-h100-sxm5-80gb`, `nvidia-h100-sxm5-80gb:8`, `cpu:epyc-7763`, `cpu:epyc-7763:2`, `cpu:this`
 * @throws LightfootError E_HARDWARE_UNKNOWN with the nearest ids, E_USAGE for a count of 0
 * @example findHardware("nvidia-l4").peakRate.float16?.value // 121e12 FLOP/s
 */
export function findHardware(id: string): HardwareProfile {
  const { name, count } = parseHardwareId(id);
  const accelerator = accelerators().rows.find((row) => row.id === name);
  if (accelerator !== undefined) return acceleratorProfile(accelerator, count);
  if (name === THIS_MACHINE) return machineProfile(describeThisMachine(), count);
  const part = cpuParts().rows.find((row) => cpuId(row) === name);
  if (part !== undefined) return cpuProfile(part, count);
  const near = suggestNames(
    name,
    listHardware().map((entry) => entry.id),
  );
  throw new LightfootError("E_HARDWARE_UNKNOWN", `no device '${name}' in the catalogue of ${listHardware().length}`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.join(", ")}?`
        : `Ids look like nvidia-h100-sxm5-80gb, google-tpu-v5e, cpu:epyc-7763, or ${THIS_MACHINE}.`,
  });
}

/** Splits `id:N`; without a count it is 1. */
export function parseHardwareId(id: string): { readonly name: string; readonly count: number } {
  const wanted = id.trim().toLowerCase();
  const counted = /^(.+):(\d+)$/.exec(wanted);
  const count = counted === null ? 1 : Number(counted[2]);
  if (count < 1 || count > 1_000_000) {
    throw new LightfootError("E_USAGE", `'${id}' asks for ${count} devices; a count is 1 to 1,000,000`);
  }
  return { name: counted?.[1] ?? wanted, count };
}

function acceleratorProfile(row: AcceleratorRow, count: number): HardwareProfile {
  const { interval, compiled } = accelerators();
  const source = `${row.source}${row.year === null ? "" : ` (device of ${row.year})`}, table of ${compiled}`;
  const cell = (column: string, value: number | null, factor: number, unit: string): Figure | undefined => {
    if (value === null) return undefined;
    const spread = Number(row.agrees.includes(column) ? interval["agreeing"] : interval["unchecked"]);
    const other = row.differs[column] ?? value;
    return figure({
      value: value * factor,
      low: Math.min(value * (1 - spread), other) * factor,
      high: Math.max(value * (1 + spread), other) * factor,
      unit,
      method: "declared",
      sources: [source],
    });
  };
  const peaks: [PeakType, number | null][] = [
    ["float32", row.float32_tflops],
    ["tf32", row.tf32_tflops],
    ["float16", row.float16_tflops],
    ["bfloat16", row.bfloat16_tflops],
    ["float8", row.float8_tflops],
    ["float4", row.float4_tflops],
    ["int8", row.int8_tops],
    ["int4", row.int4_tops],
  ];
  return withoutUnknown({
    id: row.id,
    name: row.name,
    vendor: row.vendor,
    kind: row.kind,
    architecture: row.architecture,
    year: row.year ?? undefined,
    count,
    peakRate: withoutUnknown(
      Object.fromEntries(peaks.map(([type, value]) => [type, cell(type, value, 1e12, "FLOP/s")])),
    ),
    memoryBandwidth: cell("bandwidth", row.bandwidth_gbs, 1e9, "B/s"),
    memoryCapacity: capacity(row.memory_gb, source),
    thermalDesignPower: cell("power", row.power_w, 1, "W"),
    linkBandwidth: cell("link", row.link_gbs_bidirectional, 0.5e9, "B/s"),
    note: row.note ?? undefined,
  });
}

/** Makers write GB for 10^9 and for 2^30 bytes alike: the smaller reading is the value, the larger the upper end. */
function capacity(gigabytes: number | null, source: string): Figure | undefined {
  if (gigabytes === null) return undefined;
  const value = gigabytes * 1e9;
  return figure({ value, high: gigabytes * 2 ** 30, unit: "B", method: "declared", sources: [source] });
}

function withoutUnknown<T extends object>(entries: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as T;
}

function cpuProfile(part: CpuPart, count: number): HardwareProfile {
  const { microarchitecture } = matchCpu({ modelName: part.name });
  const { sources = {}, compiled } = cpuParts();
  return withoutUnknown<HardwareProfile>({
    id: cpuId(part),
    name: part.name,
    vendor: part.vendor,
    kind: "cpu",
    architecture: microarchitecture?.name ?? part.family,
    year: part.launch_year ?? undefined,
    count,
    peakRate:
      part.base_ghz === null
        ? {}
        : cpuPeaks(microarchitecture, {
            cores: [part.cores, part.cores, part.cores],
            gigahertz: [0.7 * part.base_ghz, part.base_ghz, Math.max(part.boost_ghz ?? part.base_ghz, part.base_ghz)],
            assumptions: [],
          }),
    memoryBandwidth: cpuBandwidth(microarchitecture, []),
    thermalDesignPower: figure({
      value: part.tdp_w,
      unit: "W",
      method: "declared",
      sources: [`${sources[part.source] ?? part.source}, table of ${compiled}`],
    }),
    memoryCapacity: undefined,
    linkBandwidth: undefined,
    note: undefined,
  });
}

/**
 * This machine, or any description of one, as a device; peaks are modelled from clock, cores and vector width.
 *
 * A virtual machine's bandwidth is not modelled: how much of a shared socket it gets is unknown.
 */
export function machineProfile(machine: MachineDescription, count = 1): HardwareProfile {
  const match = matchCpu({ modelName: machine.cpuName, ...machine });
  const gigahertz = (machine.clockHertz ?? 0) / 1e9;
  const shared: Assumption = {
    key: "cpu.threads-per-core",
    text: `The ${machine.logicalCpuCount} processors the system shows may be hardware threads, two to a core: the low end counts half as many cores.`,
  };
  return withoutUnknown<HardwareProfile>({
    id: THIS_MACHINE,
    name: `this machine (${machine.cpuName || "unnamed processor"}, ${machine.logicalCpuCount} logical CPUs)`,
    vendor: match.microarchitecture?.vendor ?? match.part?.vendor ?? "",
    kind: "cpu",
    architecture: match.microarchitecture?.name ?? machine.architecture,
    year: undefined,
    count,
    peakRate:
      gigahertz === 0
        ? {}
        : cpuPeaks(match.microarchitecture, {
            cores: [machine.logicalCpuCount / 2, machine.logicalCpuCount, machine.logicalCpuCount],
            gigahertz: [0.7 * gigahertz, gigahertz, 1.5 * gigahertz],
            assumptions: [...match.assumptions, shared],
          }),
    memoryBandwidth: machine.isVirtual ? undefined : cpuBandwidth(match.microarchitecture, match.assumptions),
    memoryCapacity: figure({
      value: machine.memoryBytes,
      unit: "B",
      method: "measured",
      sources: ["the operating system"],
    }),
    thermalDesignPower: undefined,
    linkBandwidth: undefined,
    note: undefined,
  });
}

type Ends = readonly [low: number, value: number, high: number];

/** cores × Hz × FLOP per cycle; the clock under vector load reaches from 0.7 × base to boost. */
function cpuPeaks(
  generation: Microarchitecture | undefined,
  size: { readonly cores: Ends; readonly gigahertz: Ends; readonly assumptions: readonly Assumption[] },
): HardwareProfile["peakRate"] {
  if (generation === undefined) return {};
  const rate = (perCycle: number): Figure => {
    const [low, value, high] = [0, 1, 2].map((end) => size.cores[end] * size.gigahertz[end] * 1e9 * perCycle);
    return figure({
      value: value,
      low: low,
      high: high,
      unit: "FLOP/s",
      method: "modelled",
      sources: [`cores × clock × ${perCycle} per cycle (${generation.name}; makers' optimization manuals)`],
      assumptions: [
        ...size.assumptions,
        {
          key: "cpu.vector-clock",
          text: "The clock under full vector load is not published: from 0.7 × base clock to boost clock is assumed.",
        },
      ],
    });
  };
  const { float32_flop_per_cycle: float32, int8_op_per_cycle: int8 } = generation;
  return { float32: rate(float32), ...(int8 === null ? {} : { int8: rate(int8) }) };
}

function cpuBandwidth(
  generation: Microarchitecture | undefined,
  assumptions: readonly Assumption[],
  method: Method = "modelled",
): Figure | undefined {
  if (generation === undefined) return undefined;
  const ceiling = generation.bandwidth_gbs * 1e9;
  return figure({
    value: ceiling,
    low: ceiling / 2,
    high: ceiling,
    unit: "B/s",
    method,
    sources: [`one socket of ${generation.name}, all channels at the fastest rated memory (makers' data sheets)`],
    assumptions: [
      ...assumptions,
      {
        key: "cpu.memory-channels",
        text: "All memory channels filled at the fastest rated speed is assumed; the low end has half.",
      },
    ],
  });
}
