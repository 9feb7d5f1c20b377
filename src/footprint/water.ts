// Water of an energy: evaporated on the site and at the power plants, withdrawal apart; may depend on quantity, errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { figure, multiply, sum, type Figure } from "../quantity/figure.ts";
import { bounded, energyAt, type BoundedEnergy } from "./boundary.ts";
import type { WaterUse } from "./footprint-schema.ts";
import { inKwh } from "./intensity-integral.ts";

export interface WaterFactors {
  /** WUE: L of water consumed on the site per kWh of IT energy. */
  readonly waterUsageEffectiveness?: Figure;
  /** L consumed at the power plants per kWh. */
  readonly gridWater?: Figure;
  /** L withdrawn by the power plants per kWh. */
  readonly gridWaterWithdrawal?: Figure;
}

/** Published: 0.02 to 0.6 (cloud regions), 0.36 (mean of data centers in the USA, LBNL 2024), 1.8 (older industry mean). */
const ASSUMED_WUE = figure({
  value: 0.36,
  low: 0,
  high: 1.8,
  unit: "L/kWh",
  method: "assumed",
  sources: ["LBNL 2024, United States data center energy usage report (0.36 L/kWh)"],
  assumptions: [
    {
      key: "wue.unknown",
      text: "No water usage effectiveness is known for this place: 0.36 (0…1.8) L per kWh of IT energy is assumed.",
    },
  ],
});

const ASSUMED_GRID_WATER = figure({
  value: 3.75,
  low: 1.1,
  high: 18.6,
  unit: "L/kWh",
  method: "assumed",
  sources: ["World Resources Institute 2020 factors; 50 national grids lie between 1.1 and 18.6 L/kWh"],
  assumptions: [
    {
      key: "grid-water.unknown",
      text: "The water that power plants consume is not known for this place: 3.75 (1.1…18.6) L/kWh is assumed, the world's mean and the range of nations.",
    },
  ],
});

/**
 * W = E_IT · WUE + E_IT · PUE · gridWater, in L consumed; E_IT · PUE is the facility's energy of the chain.
 *
 * Source: Li et al. 2023, arXiv 2304.03271. WUE is per kWh of IT energy by definition (ISO/IEC 30134-9); multiplying it
 * by the facility's energy counts PUE twice.
 * @throws LightfootError E_UNIT for factors that are not in L/kWh, E_RANGE for those that no site has
 */
export function waterOf(chain: readonly BoundedEnergy[], factors: WaterFactors): WaterUse {
  const effectiveness = requireWater(factors.waterUsageEffectiveness ?? ASSUMED_WUE);
  const gridWater = requireWater(factors.gridWater ?? ASSUMED_GRID_WATER);
  const facility = inKwh(energyAt(chain, "facility"));
  const onSite = multiply(inKwh(energyAt(chain, "IT")), effectiveness, "L");
  const offSite = multiply(facility, gridWater, "L");
  const drawn = factors.gridWaterWithdrawal;
  return {
    consumption: bounded(sum([onSite, offSite]), "facility"),
    onSite: bounded(onSite, "facility"),
    offSite: bounded(offSite, "facility"),
    withdrawal: drawn === undefined ? null : bounded(multiply(facility, requireWater(drawn), "L"), "facility"),
    waterUsageEffectiveness: effectiveness,
    gridWater,
  };
}

/** Reservoirs in deserts and once-through cooling stay below; beyond it a unit is wrong. */
const MOST_LITRES_PER_KWH = 500;

function requireWater(part: Figure): Figure {
  if (part.unit !== "L/kWh") {
    throw new LightfootError("E_UNIT", `water per energy is in L/kWh, found ${part.value} ${part.unit}`);
  }
  if (part.low < 0 || part.value > MOST_LITRES_PER_KWH) {
    const message = `water per energy is 0 to ${MOST_LITRES_PER_KWH} L/kWh, found ${part.value}`;
    throw new LightfootError("E_RANGE", message, { hint: "Check its unit: L/kWh and L/MWh differ by 1,000." });
  }
  return part;
}
