// Holds the intensity that a report implies against what is published for the place it names; may depend on facts, errors and its room.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { findPlace, type Place } from "../../facts/place.ts";
import { failing, holding, impossible, type Check } from "./check.ts";

/** Beyond the widest published interval by this much, the report's grid is of another place or of long ago. */
const MARGIN = 1.25;

const round = (value: number): number => Number(value.toPrecision(3));

/**
 * Holds when carbon over energy lies within the published averages of the place, all methods and their intervals taken
 * together, and a quarter more.
 *
 * @param names of the place, the most exact first; the first that is known is taken
 */
export function checkPlace(gramsPerKwh: number, names: readonly string[], where: Check["where"]): Check[] {
  const place = firstKnown(names);
  if (place === undefined) {
    if (names.length === 0) return [];
    const message = `no place called ${names.map((name) => `'${name}'`).join(" or ")} is in the tables: the intensity cannot be held against its grid`;
    return [impossible({ code: "vintage", where, message })];
  }
  const averages = place.intensities.filter(({ kind }) => kind === "average");
  if (averages.length === 0) return [];
  const low = Math.min(...averages.map(({ figure }) => figure.low)) / MARGIN;
  const high = Math.max(...averages.map(({ figure }) => figure.high)) * MARGIN;
  const known = averages.map(({ figure, year, dataset }) => `${round(figure.value)} (${dataset}, ${year})`).join(", ");
  const input = {
    code: "vintage" as const,
    severity: "warning" as const,
    where,
    message: `the implied intensity is one of ${place.name}: published are ${known}`,
    stated: `${round(gramsPerKwh)} gCO2e/kWh`,
    recomputed: `${round(low)} to ${round(high)} gCO2e/kWh`,
  };
  if (gramsPerKwh >= low && gramsPerKwh <= high) return [holding(input)];
  const message = `the implied intensity is not one of ${place.name} today: published are ${known}; an old year, another place, or a contract`;
  return [failing({ ...input, message, factor: gramsPerKwh / averages[0].figure.value })];
}

function firstKnown(names: readonly string[]): Place | undefined {
  for (const name of names) {
    try {
      return findPlace(name);
    } catch (thrown) {
      // An unknown or ambiguous name: the next one may do.
      if (!(thrown instanceof LightfootError)) throw thrown;
    }
  }
  return undefined;
}
