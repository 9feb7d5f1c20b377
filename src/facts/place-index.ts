// Every place under every name it goes by; may depend on its room.
import { cloudRegions, countries, egridSubregions, chinaAreas } from "./place-tables.ts";
import { electricityMapsZones } from "./grid-intensity.ts";

export type PlaceKind = "country" | "grid-zone" | "cloud-region" | "grid-subregion" | "world";

export interface PlaceEntry {
  readonly id: string;
  readonly name: string;
  readonly kind: PlaceKind;
  readonly countryCode?: string;
  /** Other ways to write it, ids first. */
  readonly aliases: readonly string[];
}

/** Letters and digits, without accents and case: `São Paulo` and `sao-paulo` are one name. */
export const nameKey = (text: string): string =>
  text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();

/** Names in daily use that neither the tables nor Unicode's list of regions has. */
const DAILY_NAMES: Readonly<Record<string, readonly string[]>> = {
  US: ["USA", "America"],
  GB: ["UK", "Great Britain", "Britain"],
  KR: ["Korea"],
  CZ: ["Czech Republic"],
  AE: ["UAE", "Emirates"],
  NL: ["Holland", "The Netherlands"],
  TR: ["Turkey"],
  RU: ["Russian Federation"],
  CI: ["Ivory Coast"],
};

const REGION_NAMES = ["en", "zh"].map((language) => new Intl.DisplayNames(language, { type: "region" }));

/** A country as English and Chinese call it: the tables' own spelling is one of several. */
const countryAliases = (iso2: string): string[] => [
  ...REGION_NAMES.flatMap((names) => names.of(iso2) ?? []),
  ...(DAILY_NAMES[iso2] ?? []),
];

function build(): PlaceEntry[] {
  const countryNames = new Map(countries().rows.map((row) => [row.iso2, row]));
  const zones = new Map(electricityMapsZones().map(({ zone, name }) => [zone, name]));
  const entries: PlaceEntry[] = [{ id: "world", name: "World", kind: "world", aliases: ["WORLD", "global"] }];
  for (const { iso2, iso3, name } of countries().rows) {
    const zoneName = zones.get(iso2);
    const aliases = [iso3, ...(zoneName === undefined ? [] : [zoneName]), ...countryAliases(iso2)];
    entries.push({ id: iso2, name, kind: "country", countryCode: iso2, aliases });
  }
  for (const [zone, name] of zones) {
    if (countryNames.has(zone)) continue;
    const countryCode = zone.slice(0, 2);
    const kind = zone.includes("-") ? "grid-zone" : "country";
    entries.push({ id: zone, name, kind, countryCode, aliases: kind === "country" ? countryAliases(zone) : [] });
  }
  for (const { key, name } of egridSubregions().rows) {
    entries.push({ id: `egrid:${key}`, name, kind: "grid-subregion", countryCode: "US", aliases: [] });
  }
  for (const { code, name, level } of chinaAreas().rows) {
    const full = level === "region" ? `${name} grid region` : name;
    const aliases = code === null ? [] : [code, `cn:${code}`, `cn:${code.slice(3)}`];
    entries.push({ id: `cn:${name}`, name: full, kind: "grid-subregion", countryCode: "CN", aliases });
  }
  for (const { provider, region, location, country } of cloudRegions().rows) {
    const short = /\(([^)]+)\)/.exec(location)?.[1];
    const name = `${provider} ${region}, ${location}`;
    const aliases = [region, location, ...(short === undefined ? [] : [short])];
    entries.push({ id: `${provider}:${region}`, name, kind: "cloud-region", countryCode: country, aliases });
  }
  return entries;
}

export interface PlaceIndex {
  readonly entries: readonly PlaceEntry[];
  /** By id, letters' case ignored. */
  readonly byId: ReadonlyMap<string, PlaceEntry>;
  /** By name or alias of countries, zones and subregions. */
  readonly byName: ReadonlyMap<string, readonly PlaceEntry[]>;
  /** By region name or location of clouds: a country's or zone's own name comes first. */
  readonly byCloudName: ReadonlyMap<string, readonly PlaceEntry[]>;
}

let index: PlaceIndex | undefined;

/** The index, built when first asked for. */
export function placeIndex(): PlaceIndex {
  if (index !== undefined) return index;
  const entries = build();
  const byName = new Map<string, PlaceEntry[]>();
  const byCloudName = new Map<string, PlaceEntry[]>();
  for (const entry of entries) {
    const names = entry.kind === "cloud-region" ? byCloudName : byName;
    for (const key of new Set([entry.name, ...entry.aliases].map(nameKey))) {
      const known = names.get(key);
      if (known === undefined) names.set(key, [entry]);
      else known.push(entry);
    }
  }
  const byId = new Map(entries.map((entry) => [entry.id.toLowerCase(), entry]));
  return (index = { entries, byId, byName, byCloudName });
}
