// A place of the catalogue as what `resolveIntensity` wants of it; may depend on facts and its room.
import { hourlyShape } from "../facts/intensity-shape.ts";
import type { Place } from "../facts/place.ts";
import type { PlaceIntensities } from "./intensity-resolve.ts";

/** The place's yearly intensities, best first, and the month × hour shape of its grid zone where there is one. */
export function placeIntensities(place: Place): PlaceIntensities {
  const zone = place.zone ?? place.id;
  const shape = hourlyShape(zone);
  return {
    yearly: place.intensities.map(({ figure, kind, scope, year }) => ({
      figure,
      kind,
      scope,
      zone,
      vintage: String(year),
    })),
    ...(shape === undefined ? {} : { shape }),
  };
}
