// Holds the intensity that a report implies (carbon over energy) against what any grid has; may depend on its room.
import { failing, holding, type Check } from "./check.ts";

// Cleanest and dirtiest: hydro or nuclear alone is near 5 g/kWh life-cycle, an old lignite plant with network losses near
// 1,300. Outside of them the unit of carbon or of energy is wrong, whatever the place.
const CLEANEST_GRAMS_PER_KWH = 2;
const DIRTIEST_GRAMS_PER_KWH = 1_500;

export interface ImpliedIntensity {
  readonly gramsPerKwh: number;
  readonly where: Check["where"];
}

/** Holds when some grid on earth could have this intensity. */
export function checkIntensity({ gramsPerKwh, where }: ImpliedIntensity): Check[] {
  const stated = `${Number(gramsPerKwh.toPrecision(4))} gCO2e/kWh`;
  const input = {
    code: "intensity" as const,
    where,
    message: `carbon over energy is an intensity that a grid can have (${CLEANEST_GRAMS_PER_KWH} to ${DIRTIEST_GRAMS_PER_KWH} gCO2e/kWh)`,
    stated,
  };
  if (gramsPerKwh >= CLEANEST_GRAMS_PER_KWH && gramsPerKwh <= DIRTIEST_GRAMS_PER_KWH) return [holding(input)];
  const isLow = gramsPerKwh < CLEANEST_GRAMS_PER_KWH;
  // A thousandfold slip puts a usual grid (20 to 1,000 g/kWh) exactly there.
  const shifted = isLow ? gramsPerKwh * 1e3 : gramsPerKwh / 1e3;
  const isSlip = shifted >= 10 && shifted <= 1_200;
  const why = isSlip
    ? `; times ${isLow ? "1,000" : "1/1,000"} it would be ${Number(shifted.toPrecision(4))}: kg and g, or kWh and Wh, were mistaken`
    : "";
  return [
    failing({
      ...input,
      code: isSlip ? "unit-slip" : "intensity",
      message: `no grid has ${stated}${why}`,
      factor: isSlip ? (isLow ? 1e-3 : 1e3) : null,
    }),
  ];
}
