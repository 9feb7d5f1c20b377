// A catalogue device as the serving model needs it, or the reason why it cannot serve; may depend on facts, errors, quantity.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { HardwareProfile } from "../../facts/hardware.ts";
import type { Assumption } from "../../quantity/figure.ts";
import { SERVING, type ServingConstants } from "./coefficients.ts";

/** Identical devices that serve one model together. */
export interface Accelerators {
  readonly count: number;
  readonly bandwidthBytesPerSecond: number;
  /** Of one device. */
  readonly memoryBytes: number;
  readonly peak16FlopsPerSecond: number;
  /** Undefined where the device has no 8-bit floating-point units: weights are then widened first. */
  readonly peak8FlopsPerSecond: number | undefined;
  readonly boardWatts: number;
  /** Drawn while a model is being served however little is done, as a share of `boardWatts`. */
  readonly floorShare: number;
  readonly linkBytesPerSecond: number;
  /** True for the two devices whose runs the model was fitted to. */
  readonly isSeen: boolean;
  readonly assumptions: readonly Assumption[];
}

/** Devices of the fit; everything else is scaled by its data sheet. */
const SEEN: ReadonlySet<string> = new Set(["nvidia-h100-sxm5-80gb", "nvidia-b200-sxm-180gb"]);

/** One direction of PCIe 4 ×16. */
const SLOW_LINK = 32e9;

/** How many devices share one fast link on common servers. */
const DEVICES_PER_SERVER = 8;

/**
 * @throws LightfootError E_HARDWARE_DATA for a processor, or a device whose memory, bandwidth, 16-bit peak or power nobody published
 * @example asAccelerators(findHardware("nvidia-h100-sxm5-80gb:4")).boardWatts // 700
 */
export function asAccelerators(
  hardware: HardwareProfile,
  { power }: Pick<ServingConstants, "power"> = SERVING,
): Accelerators {
  if (hardware.kind === "cpu") {
    throw new LightfootError(
      "E_HARDWARE_DATA",
      `'${hardware.id}' is a processor; the serving model knows accelerators`,
      {
        hint: "Its power and efficiency constants come from datacenter GPUs and say nothing about a processor. Measure one instead.",
      },
    );
  }
  const peak16 = hardware.peakRate.bfloat16 ?? hardware.peakRate.float16;
  const { memoryBandwidth, memoryCapacity, thermalDesignPower } = hardware;
  if (!peak16 || !memoryBandwidth || !memoryCapacity || !thermalDesignPower) {
    const missing = Object.entries({
      "16-bit peak rate": peak16,
      "memory bandwidth": memoryBandwidth,
      "memory capacity": memoryCapacity,
      "board power": thermalDesignPower,
    }).flatMap(([name, found]) => (found === undefined ? [name] : []));
    throw new LightfootError("E_HARDWARE_DATA", `no published ${missing.join(", ")} of '${hardware.id}'`, {
      hint: "Take a device whose data sheet is complete, e.g. nvidia-h100-sxm5-80gb, nvidia-l40s or amd-mi300x.",
    });
  }
  const { share, assumptions } = busyFloor(hardware, power.floor);
  const isSeen = SEEN.has(hardware.id);
  return {
    count: hardware.count,
    bandwidthBytesPerSecond: memoryBandwidth.value,
    memoryBytes: memoryCapacity.value,
    peak16FlopsPerSecond: peak16.value,
    peak8FlopsPerSecond: hardware.peakRate.float8?.value,
    boardWatts: thermalDesignPower.value,
    floorShare: share,
    linkBytesPerSecond: hardware.linkBandwidth?.value ?? SLOW_LINK,
    isSeen,
    assumptions: [...assumptions, ...(isSeen ? [] : [unseenDevice(hardware.name)]), ...linkAssumptions(hardware)],
  };
}

function busyFloor(
  hardware: HardwareProfile,
  floor: ServingConstants["power"]["floor"],
): { share: number; assumptions: Assumption[] } {
  if (hardware.architecture.startsWith("Hopper")) return { share: floor.Hopper, assumptions: [] };
  if (hardware.architecture.startsWith("Blackwell")) return { share: floor.Blackwell, assumptions: [] };
  return {
    share: floor.other,
    assumptions: [
      {
        key: "power.busy-floor",
        text: `a busy ${hardware.name} draws at least ${percent(floor.other)} of its board power; fitted values exist for Hopper (${percent(floor.Hopper)}) and Blackwell (${percent(floor.Blackwell)}) only`,
      },
    ],
  };
}

const unseenDevice = (name: string): Assumption => ({
  key: "hardware.unseen",
  text: `no measured run on ${name} was in the fit: H100 and B200 constants are scaled by its data sheet, and the interval is widened`,
});

function linkAssumptions(hardware: HardwareProfile): Assumption[] {
  if (hardware.count === 1) return [];
  const split = {
    key: "parallel.split",
    text: `layers (or experts) are split evenly over all ${hardware.count} devices, one model copy`,
  };
  const link =
    hardware.linkBandwidth === undefined
      ? [
          {
            key: "hardware.link",
            text: `the link between devices is not known; PCIe 4 (${SLOW_LINK / 1e9} GB/s each way) is assumed`,
          },
        ]
      : [];
  const servers =
    hardware.count > DEVICES_PER_SERVER
      ? [
          {
            key: "parallel.servers",
            text: `more than ${DEVICES_PER_SERVER} devices are treated as one server; the network between servers makes it slower and dearer`,
          },
        ]
      : [];
  return [split, ...link, ...servers];
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
