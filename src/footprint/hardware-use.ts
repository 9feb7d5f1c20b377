// What using catalogue hardware for some hours brings: modelled energy, embodied emissions, a price of its hours; may depend on quantity, errors, facts and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import {
  embodiedIncludesHost,
  embodiedOfDevice,
  embodiedOfMemoryPerGigabyte,
  embodiedOfServer,
  embodiedOfStoragePerGigabyte,
} from "../facts/embodied.ts";
import { findHardware, type HardwareProfile } from "../facts/hardware.ts";
import { gpuHourPrices, priceAsOf, type Price } from "../facts/prices.ts";
import { figure, multiply, scale, type Assumption, type Figure } from "../quantity/figure.ts";
import { bounded, type BoundedEnergy } from "./boundary.ts";
import type { EmbodiedPart } from "./embodied.ts";

/** Devices of one kind, reserved for a time. */
export interface HardwareUse {
  readonly device: HardwareProfile;
  readonly count: number;
  readonly seconds: number;
}

/**
 * Devices of the catalogue for a time.
 *
 * @param id with the number of devices: `nvidia-h100-sxm5-80gb:8`
 * @throws LightfootError E_HARDWARE_UNKNOWN with the nearest ids, E_RANGE for a negative time
 */
export function hardwareUse(id: string, seconds: number): HardwareUse {
  const device = findHardware(id);
  if (!Number.isFinite(seconds) || seconds < 0) {
    throw new LightfootError("E_RANGE", `hardware is used for 0 s or more, found ${seconds} s`);
  }
  return { device, count: device.count, seconds };
}

/**
 * Mean power over board power, by what published runs drew: T5 on TPU v3 0.69 of 450 W, GPT-3 on V100 more than its 300 W
 * (LLMCarbon's table, servers included); decoding leaves an H100 near a third of its 700 W at small batches.
 */
const POWER_SHARE = { value: 0.7, low: 0.3, high: 1 } as const;

/**
 * Energy of accelerator boards when nobody metered it: board power × share of it × count × time; boundary `accelerator`.
 *
 * @throws LightfootError E_HARDWARE_UNKNOWN for processors and for devices without a published board power
 */
export function energyOfHardware({ device, count, seconds }: HardwareUse): BoundedEnergy {
  const { thermalDesignPower: power } = device;
  if (power === undefined || device.kind === "cpu") {
    const why =
      device.kind === "cpu"
        ? "a processor's rated power says little about a server's energy"
        : "its maker publishes no board power";
    throw new LightfootError("E_USAGE", `no energy can be modelled for ${device.id}: ${why}`, {
      hint: "Add --energy with what was metered, e.g. --energy 12.5kWh; lightfoot track meters a run.",
    });
  }
  const { value, low, high } = POWER_SHARE;
  const share = figure({
    value,
    low,
    high,
    unit: "1",
    method: "assumed",
    sources: ["mean power of published training and serving runs over board power"],
    assumptions: [
      {
        key: "hardware.power-share",
        text: `The energy was not metered: the boards are assumed to draw ${value} (${low}…${high}) of their rated ${power.value} W.`,
      },
    ],
  });
  return bounded(scale(multiply(power, share, "W"), count * seconds, "J"), "accelerator");
}

const DEVICES_A_SERVER = 8;
/** GB of server memory for each GB on its accelerators: 1.6 in a DGX A100, 3.2 in a DGX H100. */
const HOST_MEMORY_RATIO = 2;
const HOST_SSDS = 8;

/**
 * What was made for the use: accelerators with their share of the server around them, or a server with the processors named.
 *
 * @param hasServer true where the caller counts the server itself
 * @returns undefined where nobody published what making the device emits, nor its parts
 */
export function embodiedPartsOf({ device, count }: HardwareUse, hasServer = false): EmbodiedPart[] | undefined {
  if (device.kind === "cpu") {
    return hasServer ? [] : [{ name: "server", count: 1, perUnit: embodiedOfServer({ cpus: count }) }];
  }
  const perUnit = embodiedOfDevice(device.id);
  if (perUnit === undefined) return undefined;
  const devices: EmbodiedPart = { name: device.id, count, perUnit };
  if (hasServer || embodiedIncludesHost(device.id)) return [devices];
  const memoryGigabytes = (DEVICES_A_SERVER * HOST_MEMORY_RATIO * (device.memoryCapacity?.value ?? 0)) / 1e9;
  const server = embodiedOfServer({ cpus: 2, memoryGigabytes, ssds: HOST_SSDS, hdds: 0 });
  const shared: Assumption = {
    key: "embodied.server-share",
    text: `Each ${device.id} is taken to have an eighth of a server with 2 processors, ${Math.round(memoryGigabytes)} GB and ${HOST_SSDS} SSDs (--part).`,
  };
  return [
    devices,
    {
      name: "share of a server",
      count,
      perUnit: scale({ ...server, assumptions: [...server.assumptions, shared] }, 1 / DEVICES_A_SERVER),
    },
  ];
}

/** Parts that are counted by hand; amounts of `server` are machines, the others gigabytes. */
export const PART_KINDS = ["server", "memory", "ssd", "hdd"] as const;
export type PartKind = (typeof PART_KINDS)[number];

/**
 * Making a server (one processor and its first 16 GB; what it has more is counted as parts), memory or storage.
 *
 * @param amount servers, or GB of 10⁹ B; a fraction is a share
 * @throws LightfootError E_RANGE unless above 0
 */
export function embodiedPart(kind: PartKind, amount: number): EmbodiedPart {
  if (!Number.isFinite(amount) || amount <= 0) {
    throw new LightfootError("E_RANGE", `an amount of ${kind} is above 0, found ${amount}`);
  }
  if (kind === "server") {
    const perUnit = embodiedOfServer({ cpus: 1, memoryGigabytes: 16, ssds: 0, hdds: 0 });
    return { name: "server", count: amount, perUnit };
  }
  const perGigabyte = kind === "memory" ? embodiedOfMemoryPerGigabyte() : embodiedOfStoragePerGigabyte(kind);
  return {
    name: `GB of ${kind === "memory" ? kind : kind.toUpperCase()}`,
    count: amount,
    perUnit: scale(perGigabyte, 1, "gCO2e"),
  };
}

/**
 * What an hour of the device costs: its provider's own price where the place is that provider's, else the newest and
 * cheapest of the table with an interval over all offers in that currency, each aged to `thisYear`; undefined where no price
 * is known.
 */
export function deviceHourPrice(deviceId: string, provider: string | undefined, thisYear: number): Price | undefined {
  const offers = gpuHourPrices(deviceId).map((offer) => ({
    offer,
    aged: priceAsOf(offer, Math.max(thisYear, offer.year)).figure,
  }));
  const own = offers.find(({ offer }) => provider !== undefined && offer.provider === provider);
  const [first] = own === undefined ? offers : [own];
  if (first === undefined) return undefined;
  if (own !== undefined) return own.offer;
  const alike = offers.filter(({ offer }) => offer.figure.unit === first.offer.figure.unit);
  if (alike.length === 1) return first.offer;
  return {
    ...first.offer,
    figure: spanning(
      first.offer.figure,
      alike.map(({ aged }) => aged),
    ),
  };
}

function spanning(chosen: Figure, all: readonly Figure[]): Figure {
  const assumption: Assumption = {
    key: "price.device-hour.offer",
    text: `Which provider was paid is not known: the newest of ${all.length} published prices is taken, with an interval over all of them.`,
  };
  return {
    ...chosen,
    low: Math.min(...all.map(({ low }) => low)),
    high: Math.max(...all.map(({ high }) => high)),
    sources: [...new Set([...chosen.sources, ...all.flatMap(({ sources }) => sources)])],
    assumptions: [...chosen.assumptions, assumption],
  };
}
