// Greenhouse gases from making devices, memory, storage and servers; may depend on errors, quantity and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, type Assumption, type Figure } from "../quantity/figure.ts";
import { accelerators, type AcceleratorRow } from "./accelerator-table.ts";
import { readTable } from "./table.ts";

export interface EmbodiedDeviceRow {
  readonly device: string;
  readonly kg: number;
  readonly kind: "maker" | "inventory" | "study";
  readonly boundary: string;
  readonly year: number;
  readonly source: string;
  readonly note: string | null;
}

export interface ComponentRow {
  readonly key: string;
  readonly value: number;
  readonly unit: string;
  readonly boundary: string | null;
  readonly year: number;
  readonly source: string;
  readonly licence: string;
  readonly note: string | null;
}

export const embodiedDevices = () => readTable<EmbodiedDeviceRow>("embodied/devices");
export const embodiedComponents = () => readTable<ComponentRow>("embodied/components");
const dies = () => readTable<{ readonly device: string; readonly die_mm2: number }>("embodied/dies");

const GRAMS_PER_KG = 1000;
const UNIT = "gCO2e";

const factor = (key: string): ComponentRow => {
  const row = embodiedComponents().rows.find((entry) => entry.key === key);
  if (row === undefined) throw new LightfootError("E_INTERNAL", `no factor ${key} in the table of components`);
  return row;
};

/**
 * Making one accelerator, cradle to gate: published figures where there are any, else modelled from die and memory.
 *
 * Several publications: the maker's (else the first) is the value and the interval spans them all, so an H100 reaches
 * from NVIDIA's 164 kg to the 278 kg of another inventory. Modelled: `27 kg + 1.97 kg/cm² × die + 1.39 kg/GB × memory`.
 * TPU figures carry their share of host and rack and say so: add no server to them.
 *
 * @returns gCO2e per device; undefined for processors, unknown ids, and devices whose die or memory is not published
 * @example embodiedOfDevice("nvidia-h100-sxm5-80gb") // 164,000 (139,400…319,700) gCO2e
 */
export function embodiedOfDevice(hardwareId: string): Figure | undefined {
  const { rows, interval, sources = {} } = embodiedDevices();
  const published = rows.filter(({ device }) => device === hardwareId);
  const main = published.find(({ kind }) => kind === "maker") ?? published[0];
  if (main === undefined) return modelledDevice(hardwareId);
  const own = Number(interval["own"]);
  const single = Number(interval["single_factor"]);
  const values = published.map(({ kg }) => kg);
  return grams({
    value: main.kg,
    low: published.length > 1 ? Math.min(...values) * (1 - own) : main.kg / single,
    high: published.length > 1 ? Math.max(...values) * (1 + own) : main.kg * single,
    method: "declared",
    sources: published.map((row) => `${sources[row.source] ?? row.source}: ${row.kg} kg, ${row.boundary}`),
    assumptions: embodiedIncludesHost(hardwareId) ? [INCLUDES_HOST] : [],
  });
}

const INCLUDES_HOST: Assumption = {
  key: "embodied.includes-host",
  text: "The published figure carries the device's share of host and rack: no server is to be added.",
};

/** Whether a device's published figure already has its host's share in it. */
export const embodiedIncludesHost = (hardwareId: string): boolean =>
  embodiedDevices().rows.some(({ device, boundary }) => device === hardwareId && boundary.includes("host"));

interface Kilograms {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly method: Figure["method"];
  readonly sources: readonly string[];
  readonly assumptions?: readonly Assumption[];
}

const grams = (part: Kilograms, unit = UNIT): Figure =>
  figure({
    ...part,
    unit,
    value: part.value * GRAMS_PER_KG,
    low: part.low * GRAMS_PER_KG,
    high: part.high * GRAMS_PER_KG,
  });

function modelledDevice(hardwareId: string): Figure | undefined {
  const device: AcceleratorRow | undefined = accelerators().rows.find(({ id }) => id === hardwareId);
  const die = dies().rows.find((row) => row.device === hardwareId);
  if (die === undefined || device?.memory_gb == null) return undefined;
  const [fixed, area, memory] = [factor("ga-gpu-fixed"), factor("ga-gpu-die"), factor("ccf-dram-per-gb")];
  const value = fixed.value + (area.value * die.die_mm2) / 100 + memory.value * device.memory_gb;
  const spread = Number(embodiedComponents().interval["model_factor"]);
  return grams({
    value,
    low: value / spread,
    high: value * spread,
    method: "modelled",
    sources: [...new Set([fixed.source, area.source, memory.source])],
    assumptions: [
      {
        key: "embodied.modelled",
        text: `Nobody published what making ${hardwareId} emits: its ${die.die_mm2} mm² of silicon and ${device.memory_gb} GB of memory stand in.`,
      },
    ],
  });
}

const range = (keys: readonly ComponentRow[], value: number): Figure =>
  grams(
    {
      value,
      low: Math.min(value, ...keys.map((row) => row.value)),
      high: Math.max(value, ...keys.map((row) => row.value)),
      method: "declared",
      sources: [...new Set(keys.map(({ source }) => source))],
    },
    "gCO2e/GB",
  );

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * Server memory, gCO2e per GB (10⁹ B): the module as a life-cycle study of a server has it, 1.39 kg/GB.
 *
 * The lower end is the die alone of a late DDR4 generation (0.065 kg/GB).
 */
export function embodiedOfMemoryPerGigabyte(): Figure {
  return range([factor("dram-ddr4-10nm"), factor("ccf-dram-per-gb")], factor("ccf-dram-per-gb").value);
}

/** Storage, gCO2e per GB: the median of the table's makers' drives; the interval spans all factors of the kind. */
export function embodiedOfStoragePerGigabyte(kind: "ssd" | "hdd"): Figure {
  const all = embodiedComponents().rows.filter((row) => row.key.startsWith(`${kind}-`) && row.unit.endsWith("/GB"));
  const drives = all.filter(({ key }) => !key.startsWith("ssd-nand"));
  return range(all, median(drives.map(({ value }) => value)));
}

export interface ServerParts {
  /** Processors; 1 when not given. */
  readonly cpus?: number;
  /** 10⁹ B of memory; 16 when not given. */
  readonly memoryGigabytes?: number;
  readonly ssds?: number;
  readonly hdds?: number;
}

/**
 * Making a server without accelerators: `1000 kg + 100 × (cpus − 1) + 1.39 × max(0, GB − 16) + 100 × ssds + 50 × hdds`.
 *
 * Parts that are not given count as the model's smallest server and are recorded. Accelerators are added by
 * `embodiedOfDevice`, except those of `embodiedIncludesHost`.
 * @throws LightfootError E_RANGE for a negative or non-finite part
 * Source: Teads / Cloud Carbon Footprint; interval from 48 makers' product sheets.
 */
export function embodiedOfServer(parts: ServerParts): Figure {
  const { cpus = 1, memoryGigabytes = 16, ssds = 0, hdds = 0 } = parts;
  if (![cpus, memoryGigabytes, ssds, hdds].every((count) => Number.isFinite(count) && count >= 0)) {
    throw new LightfootError("E_RANGE", "a server's parts are numbers from 0");
  }
  const per = (key: string): number => factor(key).value;
  const value =
    per("ccf-server-base") +
    per("ccf-extra-cpu") * Math.max(0, cpus - 1) +
    per("ccf-dram-per-gb") * Math.max(0, memoryGigabytes - 16) +
    per("ccf-extra-ssd") * ssds +
    per("ccf-extra-hdd") * hdds;
  const { interval } = embodiedComponents();
  const missing = (["cpus", "memoryGigabytes", "ssds", "hdds"] as const).filter((part) => parts[part] === undefined);
  return grams({
    value,
    low: value * Number(interval["server_low"]),
    high: value * Number(interval["server_high"]),
    method: "modelled",
    sources: [factor("ccf-server-base").source],
    assumptions:
      missing.length === 0
        ? []
        : [
            {
              key: "embodied.server-parts",
              text: `Not given for the server, so the smallest: ${missing.map((part) => SMALLEST[part]).join(", ")}.`,
            },
          ],
  });
}

const SMALLEST: Readonly<Record<keyof ServerParts, string>> = {
  cpus: "one processor",
  memoryGigabytes: "16 GB of memory",
  ssds: "no SSD",
  hdds: "no hard disk",
};
