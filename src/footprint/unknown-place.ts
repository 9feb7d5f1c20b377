// The world in place of an unknown place, with an interval that spans nations; may depend on quantity and facts.
import { findPlace, listPlaces, type Place } from "../facts/place.ts";
import type { Figure } from "../quantity/figure.ts";

let range: readonly [low: number, high: number] | undefined;

/** What 95 % of nations' averages lie between, by the data set that comes first for each. */
function nationalRange(): readonly [low: number, high: number] {
  if (range !== undefined) return range;
  const values = listPlaces()
    .filter(({ kind }) => kind === "country")
    .flatMap(({ id }) => findPlace(id).intensities.slice(0, 1))
    .filter(({ scope, kind }) => scope === "life-cycle" && kind === "average")
    .map(({ figure }) => figure.value)
    .sort((left, right) => left - right);
  const at = (share: number): number => values[Math.round(share * (values.length - 1))];
  range = [at(0.025), at(0.975)];
  return range;
}

/** The world's average for energy used nobody said where; its interval holds 95 % of nations. */
export function unknownPlace(): Place {
  const world = findPlace("world");
  const [low, high] = nationalRange();
  const widened = (part: Figure): Figure => ({
    ...part,
    low: Math.min(part.low, low),
    high: Math.max(part.high, high),
    method: "assumed",
    assumptions: [
      ...part.assumptions,
      {
        key: "place.unknown",
        text: `Where the energy was used was not said: the world's average is assumed, and ${Math.round(low)}…${Math.round(high)} gCO2e/kWh, between which 95 % of nations lie (--where).`,
      },
    ],
  });
  return { ...world, intensities: world.intensities.map((entry) => ({ ...entry, figure: widened(entry.figure) })) };
}
