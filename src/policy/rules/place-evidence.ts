// One answer to where everything is: a place fills the country fields that nothing else says; may depend on facts, quantity and its room.
import { findPlace } from "../../facts/place.ts";
import type { Assumption } from "../../quantity/figure.ts";
import type { Evidence } from "./judge.ts";

/** ISO 3166-1 codes of the members of the European Union. */
const EU = new Set("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split(" "));

const COUNTRY_FIELDS = ["dc.country", "service.country", "site.country", "research.country"] as const;

/** By field, whether it holds in a country. */
const TRUTHS: Readonly<Record<string, (country: string) => boolean>> = {
  "dc.inEu": (country) => EU.has(country),
  "site.inEu": (country) => EU.has(country),
  "project.inUs": (country) => country === "US",
};

export interface PlaceEvidence {
  /** What the place adds; nothing that is in `known`. */
  readonly evidence: ReadonlyMap<string, Evidence>;
  readonly assumptions: readonly Assumption[];
}

/**
 * The fields that a place answers and `known` does not, as assumed: that data center, service, workload and research are all
 * there is convenient and need not be so.
 *
 * @param where country, grid zone or cloud region, as everywhere; one without a country answers nothing
 * @throws LightfootError E_PLACE_UNKNOWN
 */
export function evidenceOfPlace(where: string, known: ReadonlyMap<string, Evidence>): PlaceEvidence {
  const { countryCode } = findPlace(where);
  if (countryCode === undefined) return { evidence: new Map(), assumptions: [] };
  const values: [string, string | boolean][] = [
    ...COUNTRY_FIELDS.map((field): [string, string] => [field, countryCode]),
    ...Object.entries(TRUTHS).map(([field, holds]): [string, boolean] => [field, holds(countryCode)]),
  ];
  const open = values.filter(([field]) => !known.has(field));
  if (open.length === 0) return { evidence: new Map(), assumptions: [] };
  const fields = open.map(([field]) => field).join(", ");
  return {
    evidence: new Map(
      open.map(([field, value]) => [field, { value, method: "assumed", source: `the place ${where}` }]),
    ),
    assumptions: [
      { key: "check.place", text: `Everything is taken to be in ${countryCode} (${where}), for ${fields}.` },
    ],
  };
}
