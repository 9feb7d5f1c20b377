// Carbon, water, materials and money of one request of a served language model; may depend on quantity and its room.
import type { Figure } from "../quantity/figure.ts";
import { assessFootprint, type FootprintInput } from "./assess.ts";
import type { BoundedEnergy } from "./boundary.ts";
import type { Footprint } from "./footprint-schema.ts";
import { deviceHourPrice, embodiedPartsOf, hardwareUse } from "./hardware-use.ts";

/** Where and by what factors a request is assessed. */
export interface RequestSurroundings extends Pick<
  FootprintInput,
  "place" | "intensity" | "market" | "factors" | "prices" | "thisYear"
> {
  /** s: life of the hardware. */
  readonly lifetime?: Figure;
  /** Share of its life for which the hardware is of use to anyone. */
  readonly useFraction?: Figure;
}

/** What one request takes from the accelerators. */
export interface RequestShare {
  readonly energy: BoundedEnergy;
  /** Catalogue id with its count. */
  readonly hardware: string;
  /** s of all devices together that belong to this request alone: tokensOut · t_step / requests in flight. */
  readonly deviceSeconds: number;
}

/**
 * The footprint of one request: its energy carried to the facility, and its share of the time of the devices for what making
 * them emitted and for what renting them costs.
 *
 * @throws LightfootError what `assessFootprint` throws
 */
export function requestFootprint(share: RequestShare, surroundings: RequestSurroundings): Footprint {
  const { lifetime, useFraction, prices, ...given } = surroundings;
  const use = hardwareUse(share.hardware, share.deviceSeconds);
  const parts = embodiedPartsOf(use);
  return assessFootprint({
    ...given,
    energy: share.energy,
    devices: { count: use.count, seconds: use.seconds },
    embodied: parts === undefined ? undefined : { parts, usedSeconds: use.seconds, lifetime, useFraction },
    unknown:
      parts === undefined
        ? [{ what: "embodied", why: `nobody published what making ${use.device.id} emits, nor its parts` }]
        : [],
    prices: {
      ...prices,
      deviceHour:
        prices?.deviceHour ?? deviceHourPrice(use.device.id, surroundings.place?.provider, surroundings.thisYear),
    },
  });
}
