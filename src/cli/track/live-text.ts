// What the live line says: power, energy, carbon, money, time, rate and forecast; may depend on pipeline, quantity and this room.
import type { BudgetState } from "../../pipeline/track/budget.ts";
import type { Standing } from "../../pipeline/track/session.ts";
import { SECONDS_PER_HOUR } from "../../quantity/convert.ts";
import { formatNumber } from "../../quantity/format.ts";
import { formatDuration } from "../progress.ts";

/**
 * `34.5 W · 1.2 kJ · 0.12 gCO2e · 0.0001 EUR · 35 s · 124 kJ/h · 2kWh 4 %, 3.2 h left`; what matters most comes first, since a
 * narrow terminal cuts the rest.
 */
export function liveText(
  { powerWatts, used, elapsedSeconds }: Standing,
  joulesPerSecond: number | undefined,
  budgets: readonly BudgetState[],
  pausedBecause: string | undefined,
): string {
  const parts = [
    ...(pausedBecause === undefined ? [] : [`PAUSED: ${pausedBecause}`]),
    powerWatts === undefined ? "no reading" : formatNumber(powerWatts, "W", 3),
    ...[...used].filter(([unit]) => unit !== "L").map(([unit, amount]) => formatNumber(amount, unit, 3)),
    formatDuration(elapsedSeconds),
    ...(joulesPerSecond === undefined ? [] : [`${formatNumber(joulesPerSecond * SECONDS_PER_HOUR, "J", 2)}/h`]),
    ...budgets.map(({ budget, usedFraction, secondsLeft, isExceeded }) => {
      const left = isExceeded
        ? "used up"
        : secondsLeft === undefined
          ? ""
          : `${formatNumber(secondsLeft, "s", 2)} left`;
      return `${budget.text} ${(usedFraction * 100).toFixed(0)} %${left === "" ? "" : `, ${left}`}`;
    }),
  ];
  return ` ${parts.join(" · ")}`;
}
