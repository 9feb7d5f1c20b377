// A place by any of its names, with all that is known of its electricity; may depend on errors, quantity and its room.
import { suggestNames } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Assumption, Figure } from "../quantity/figure.ts";
import { carbonFree, powerUsage, waterUsage, type CarbonFreeShare } from "./cloud-region.ts";
import {
  electricityMapsYears,
  emberAverage,
  marginalFactor,
  spread,
  zoneCarbonFreeShare,
  type GridIntensity,
} from "./grid-intensity.ts";
import { nameKey, placeIndex, type PlaceEntry, type PlaceKind } from "./place-index.ts";
import { chinaAreas, cloudRegions, countries, egridSubregions, gridWater, usStates } from "./place-tables.ts";
import { electricityPrice, type Price } from "./prices.ts";

export type { GridIntensity } from "./grid-intensity.ts";
export type { PlaceKind } from "./place-index.ts";

export interface Place {
  /** `DE`, `US-CAL-CISO`, `aws:eu-central-1`, `egrid:CAMX`, `cn:Beijing`, `world`. */
  readonly id: string;
  readonly name: string;
  readonly kind: PlaceKind;
  /** ISO 3166-1 alpha-2. */
  readonly countryCode?: string;
  /** Key of an Electricity Maps zone. */
  readonly zone?: string;
  readonly provider?: string;
  readonly region?: string;
  /** Best first; of different methods, so never to be mixed or ranked against each other. */
  readonly intensities: readonly GridIntensity[];
  /** 1; only cloud regions have one, and not all. */
  readonly powerUsageEffectiveness?: Figure;
  /** L/kWh of IT energy, on site. */
  readonly waterUsageEffectiveness?: Figure;
  /** L/kWh consumed off site, in making the electricity. */
  readonly gridWater?: Figure;
  /** L/kWh withdrawn off site. No source that may be passed on gives it by place, so it is never set today. */
  readonly gridWaterWithdrawal?: Figure;
  readonly electricityPrice?: Price;
  /** A cloud region: the provider's own claim. Elsewhere: the grid's. */
  readonly carbonFreeShare?: CarbonFreeShare;
}

export interface PlaceListing {
  readonly id: string;
  readonly name: string;
  readonly kind: PlaceKind;
  readonly countryCode?: string;
}

/** Every place, in the order world, countries, zones, subregions, cloud regions. */
export function listPlaces(): PlaceListing[] {
  return placeIndex().entries.map(({ id, name, kind, countryCode }) =>
    countryCode === undefined ? { id, name, kind } : { id, name, kind, countryCode },
  );
}

const known = new Map<string, Place>();

/**
 * The place of an id or exact name, letters' case and accents ignored.
 *
 * Ids go before names, names of countries and grids before those of cloud regions. A region name that several providers use
 * is the one of AWS when all of them lie on one grid zone, which the figures then record as the assumption `place.provider`.
 *
 * @param where `DE`, `DEU`, `Germany`, `US-CAL-CISO`, `aws:eu-central-1`, `eu-central-1`, `egrid:CAMX`, `cn:Beijing`, `world`
 * @throws LightfootError E_PLACE_UNKNOWN with the nearest names, or with the choices when several places have the name
 * @example findPlace("DE").intensities[0].figure.value // gCO2e/kWh, life-cycle, consumption-based
 */
export function findPlace(where: string): Place {
  const { byId, byName, byCloudName } = placeIndex();
  const wanted = where.trim();
  const direct = byId.get(wanted.toLowerCase());
  if (direct !== undefined) return placeOf(direct);
  const key = nameKey(wanted);
  const state = usStates().rows.find(
    (row) => nameKey(row.name) === key || row.code.toLowerCase() === wanted.toLowerCase(),
  );
  const named = byName.get(key) ?? [];
  if (state !== undefined)
    throw ambiguous(wanted, [...named.map(({ id }) => id), ...gridsOfState(state.code)], state.name);
  const [place, another] = named.length > 0 ? named : (byCloudName.get(key) ?? []);
  if (place === undefined) throw unknownPlace(wanted);
  if (another === undefined) return placeOf(place);
  const choices = named.length > 0 ? named : (byCloudName.get(key) ?? []);
  const assumed = providerAssumed(wanted, choices);
  if (assumed !== undefined) return assumed;
  throw ambiguous(
    wanted,
    choices.map(({ id }) => id),
  );
}

/** The place of an id of `listPlaces`, without any guessing. @throws LightfootError E_PLACE_UNKNOWN */
export function placeById(id: string): Place {
  const entry = placeIndex().byId.get(id.toLowerCase());
  if (entry === undefined) throw unknownPlace(id);
  return placeOf(entry);
}

/** A state has no grid of its own: the subregions that serve it, and the cloud regions in it. */
function gridsOfState(code: string): string[] {
  const state = usStates().rows.find((row) => row.code === code);
  const clouds = cloudRegions().rows.filter((row) => row.state === code);
  return [
    ...(state?.zones ?? []),
    ...(state?.egrid ?? []).map((key) => `egrid:${key}`),
    ...clouds.map(({ provider, region }) => `${provider}:${region}`),
  ];
}

function ambiguous(where: string, ids: readonly string[], state?: string): LightfootError {
  const found =
    state === undefined
      ? `'${where}' names ${ids.length} places`
      : `'${where}' names a US state, which several grids may serve`;
  return new LightfootError("E_PLACE_UNKNOWN", found, {
    hint: `Choose ${ids.slice(0, 12).join(", ")}${ids.length > 12 ? ", …" : ""}.`,
  });
}

function unknownPlace(where: string): LightfootError {
  const { entries } = placeIndex();
  const near = where.length > 80 ? [] : nearPlaces(where, entries);
  return new LightfootError("E_PLACE_UNKNOWN", `no place '${where.slice(0, 80)}' among ${entries.length}`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.join(", ")}?`
        : "Places look like DE, Germany, US-CAL-CISO, aws:eu-central-1, egrid:CAMX, cn:Beijing, world.",
  });
}

function nearPlaces(where: string, entries: readonly PlaceEntry[]): string[] {
  const byTitle = new Map<string, PlaceEntry>();
  for (const entry of entries) {
    for (const title of [entry.id.toLowerCase(), ...[entry.name, ...entry.aliases].map(nameKey)]) {
      if (!byTitle.has(title)) byTitle.set(title, entry);
    }
  }
  const near = suggestNames(nameKey(where), [...byTitle.keys()]).map((title) => byTitle.get(title));
  return [...new Set(near)].flatMap((entry) => (entry === undefined ? [] : [`${entry.id} (${entry.name})`]));
}

/** AWS's region, when every provider with a region of this name has it on the same grid zone. */
function providerAssumed(where: string, choices: readonly PlaceEntry[]): Place | undefined {
  const places = choices.map(placeOf);
  const aws = places.find(({ provider, region }) => provider === "aws" && region === where.toLowerCase());
  if (aws === undefined || !places.every(({ zone }) => zone === aws.zone)) return undefined;
  const others = places.filter((place) => place !== aws).map(({ id }) => id);
  const assumption: Assumption = {
    key: "place.provider",
    text: `'${where}' is a region of ${[aws.id, ...others].join(" and ")}, all on the grid zone ${aws.zone}; the one of AWS is taken.`,
  };
  const noted = (part: Figure): Figure => ({ ...part, assumptions: [...part.assumptions, assumption] });
  return {
    ...aws,
    intensities: aws.intensities.map((entry) => ({ ...entry, figure: noted(entry.figure) })),
    ...(aws.powerUsageEffectiveness && { powerUsageEffectiveness: noted(aws.powerUsageEffectiveness) }),
    ...(aws.waterUsageEffectiveness && { waterUsageEffectiveness: noted(aws.waterUsageEffectiveness) }),
  };
}

function placeOf(entry: PlaceEntry): Place {
  const ready = known.get(entry.id) ?? buildPlace(entry);
  known.set(entry.id, ready);
  return ready;
}

function buildPlace(entry: PlaceEntry): Place {
  const { id, name, kind, countryCode } = entry;
  const base = countryCode === undefined ? { id, name, kind } : { id, name, kind, countryCode };
  if (kind === "world") {
    return { ...base, intensities: compact([emberAverage("WORLD", 2024)]), ...water("WORLD", kind) };
  }
  const iso3 = countries().rows.find((row) => row.iso2 === countryCode)?.iso3;
  const national =
    iso3 === undefined ? {} : { ...water(iso3, kind), ...price(iso3, kind === "country" ? undefined : name) };
  if (id.startsWith("egrid:")) return { ...base, intensities: [egrid(id)], ...national };
  if (id.startsWith("cn:")) return { ...base, intensities: [china(entry)], ...national };
  if (kind === "cloud-region") return { ...base, ...national, ...cloud(id) };
  const share = zoneCarbonFreeShare(id);
  // A zone that is the grid of one state has that state's price, which is nearer than the country's.
  const state = usStates().rows.find(({ zones }) => zones.includes(id));
  const local = state === undefined ? undefined : electricityPrice(state.code);
  const years = electricityMapsYears(id);
  return {
    ...base,
    ...(years.length === 0 ? {} : { zone: id }),
    intensities: compact([years[0], ...(kind === "country" ? nationalAverages(id) : [])]),
    ...national,
    ...(local === undefined ? {} : { electricityPrice: local }),
    ...(share === undefined ? {} : { carbonFreeShare: { ...share, kind: "grid" as const } }),
  };
}

const compact = <T>(parts: readonly (T | undefined)[]): T[] => parts.filter((part) => part !== undefined);

function nationalAverages(iso2: string): (GridIntensity | undefined)[] {
  const country = countries().rows.find((row) => row.iso2 === iso2);
  if (country === undefined) return [];
  const ember = country.ember_year === null ? undefined : emberAverage(country.iso3, country.ember_year);
  return [ember, ...(iso2 === "US" ? [egrid("egrid:US")] : []), marginalFactor(country.iso3)];
}

function egrid(id: string): GridIntensity {
  const { rows, interval, licence, source = "" } = egridSubregions();
  const row = rows.find(({ key }) => `egrid:${key}` === id);
  if (row === undefined) throw new LightfootError("E_INTERNAL", `the index names ${id}, which no row has`);
  const factor = Math.max(Number(interval["factor"]), ownChange(row.g_2023, row.g_2022));
  return {
    figure: spread(row.g_2023, factor, `${source}: ${row.key}, 2023`),
    year: 2023,
    scope: "direct",
    basis: "generation",
    kind: "average",
    dataset: "US EPA eGRID",
    licence,
  };
}

function china({ id }: Pick<PlaceEntry, "id">): GridIntensity {
  const { rows, interval, licence, source = "" } = chinaAreas();
  const row = rows.find(({ name }) => `cn:${name}` === id);
  if (row === undefined) throw new LightfootError("E_INTERNAL", `the index names ${id}, which no row has`);
  const factor = Math.max(Number(interval["factor"]), ownChange(row.g_2022, row.g_2021));
  return {
    figure: spread(row.g_2022, factor, `${source}: ${row.name}, 2022`),
    year: 2022,
    scope: "direct CO2 only",
    basis: "consumption",
    kind: "average",
    dataset: "China MEE/NBS",
    licence,
  };
}

const ownChange = (now: number, before: number | null): number =>
  before === null ? 1 : Math.max(now / before, before / now);

function water(iso3: string, kind: PlaceKind): Pick<Place, "gridWater"> {
  const { rows, interval, source = "" } = gridWater();
  const row = rows.find((entry) => entry.iso3 === iso3);
  if (row === undefined) return {};
  const perKwh = spread(row.water_l_per_kwh, Number(interval["water_factor"]), `${source}: ${iso3}`, "L/kWh");
  if (kind === "country" || kind === "world") return { gridWater: perKwh };
  const assumption = {
    key: "place.national-water",
    text: "The whole country's water per kWh stands in for the region's.",
  };
  return { gridWater: { ...perKwh, assumptions: [assumption] } };
}

function price(key: string, regional: string | undefined): Pick<Place, "electricityPrice"> {
  const found = electricityPrice(key);
  if (found === undefined || regional === undefined) return found === undefined ? {} : { electricityPrice: found };
  const assumption = {
    key: "place.national-price",
    text: `The whole country's electricity price stands in for ${regional}.`,
  };
  return {
    electricityPrice: { ...found, figure: { ...found.figure, assumptions: [...found.figure.assumptions, assumption] } },
  };
}

function cloud(id: string): Omit<Place, "id" | "name" | "kind" | "countryCode"> {
  const row = cloudRegions().rows.find(({ provider, region }) => `${provider}:${region}` === id);
  if (row === undefined) throw new LightfootError("E_INTERNAL", `the index names ${id}, which no row has`);
  const stateName = row.state === null ? undefined : chinaAreas().rows.find(({ code }) => code === row.state)?.name;
  const state = row.state === null ? undefined : usStates().rows.find(({ code }) => code === row.state);
  const intensities = compact([
    electricityMapsYears(row.zone)[0],
    // A region on a national zone has the national averages too; on a part of one they would be another area.
    ...(row.zone === row.country && stateName === undefined ? nationalAverages(row.zone) : []),
    stateName === undefined ? undefined : china({ id: `cn:${stateName}` }),
    state?.egrid.length === 1 ? egrid(`egrid:${state.egrid[0]}`) : undefined,
  ]);
  const local = row.state === null ? undefined : electricityPrice(row.state);
  const pue = powerUsage(row);
  const wue = waterUsage(row);
  return {
    zone: row.zone,
    provider: row.provider,
    region: row.region,
    intensities,
    ...(pue === undefined ? {} : { powerUsageEffectiveness: pue }),
    ...(wue === undefined ? {} : { waterUsageEffectiveness: wue }),
    ...(local === undefined ? {} : { electricityPrice: local }),
    ...carbonFree(row),
  };
}
