// The sheet of a data center's key figures (CSV): meters and the figures that follow from them, written and read back; may depend on errors, quantity and the crosswalk.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { JOULES_PER_KWH } from "../../quantity/convert.ts";
import { CROSSWALK, fromBase, toBase } from "./crosswalk.ts";

/** What meters and accounts say of a site over a period; what is undefined was not given. */
export interface SiteMeters {
  readonly siteEnergyJoules: number;
  readonly itEnergyJoules: number;
  readonly renewableEnergyJoules?: number;
  readonly reusedEnergyJoules?: number;
  readonly waterLitres?: number;
  readonly emissionsGrams?: number;
  readonly months?: number;
  /** Where the IT energy is metered: 1, 2 or 3. */
  readonly pueCategory?: number;
}

const GRAMS_PER_KILOGRAM = 1000;

const METERS = Object.entries(CROSSWALK["kpi-sheet"] satisfies Record<keyof SiteMeters, unknown>).map(
  ([key, { field, unit }]) => {
    return { key: key as keyof SiteMeters, name: field, unit };
  },
);

export const KPI_NAMES = ["PUE", "WUE", "REF", "ERF", "CUE"] as const;
export type SiteKpis = Partial<Record<(typeof KPI_NAMES)[number], number>>;

const KPIS: readonly {
  readonly key: (typeof KPI_NAMES)[number];
  readonly name: string;
  readonly unit: string;
  readonly formula: string;
}[] = [
  { key: "PUE", name: "Power usage effectiveness", unit: "1", formula: "site energy / IT energy (ISO/IEC 30134-2)" },
  { key: "WUE", name: "Water usage effectiveness", unit: "L/kWh", formula: "water / IT energy (ISO/IEC 30134-9)" },
  { key: "REF", name: "Renewable energy factor", unit: "1", formula: "renewable / site energy (ISO/IEC 30134-3)" },
  { key: "ERF", name: "Energy reuse factor", unit: "1", formula: "reused / site energy (ISO/IEC 30134-6)" },
  {
    key: "CUE",
    name: "Carbon usage effectiveness",
    unit: "kgCO2e/kWh",
    formula: "emissions / IT energy (ISO/IEC 30134-8)",
  },
];

/**
 * The key figures that the meters give: PUE and, where their meters are there, WUE (L/kWh), REF, ERF, CUE (kgCO2e/kWh).
 *
 * @throws LightfootError E_DATA when the IT uses nothing or more than the site, or a part is more than the whole
 * @source ISO/IEC 30134-2, -3, -6, -8, -9
 */
export function siteKpis(meters: SiteMeters): SiteKpis {
  const { siteEnergyJoules: site, itEnergyJoules: it, renewableEnergyJoules, reusedEnergyJoules } = meters;
  if (!(it > 0 && it <= site)) {
    throw new LightfootError("E_DATA", "the IT equipment has to use some energy, and no more than the site");
  }
  const share = (part: number, name: string): number => {
    if (part >= 0 && part <= site) return part / site;
    throw new LightfootError("E_DATA", `${name} lies between nothing and the site's energy`);
  };
  const itKwh = it / JOULES_PER_KWH;
  const { waterLitres, emissionsGrams } = meters;
  return {
    PUE: site / it,
    ...(waterLitres === undefined ? {} : { WUE: waterLitres / itKwh }),
    ...(renewableEnergyJoules === undefined ? {} : { REF: share(renewableEnergyJoules, "renewable energy") }),
    ...(reusedEnergyJoules === undefined ? {} : { ERF: share(reusedEnergyJoules, "reused energy") }),
    ...(emissionsGrams === undefined ? {} : { CUE: emissionsGrams / GRAMS_PER_KILOGRAM / itKwh }),
  };
}

const HEAD = "item,value,unit,meaning";

/** The sheet: a row for each meter that is there, then one for each figure. @throws LightfootError as `siteKpis` */
export function writeKpiSheet(meters: SiteMeters): string {
  const kpis = siteKpis(meters);
  const rows = [
    ...METERS.flatMap(({ key, name, unit }) =>
      meters[key] === undefined
        ? []
        : [
            `${name},${fromBase(meters[key], unit)},${unit},${key === "emissionsGrams" ? "site energy × the grid's average intensity: modelled" : "as given"}`,
          ],
    ),
    ...KPIS.flatMap(({ key, unit, formula }) =>
      kpis[key] === undefined ? [] : [`${key},${kpis[key]},${unit},${formula}`],
    ),
  ];
  return `${[HEAD, ...rows.map((row) => quoted(row))].join("\n")}\n`;
}

/** The name of an item may hold a comma; value and unit never do. */
function quoted(row: string): string {
  const [, item, rest] = /^(.*?)(,-?[\d.e+-]+,.*)$/.exec(row)!;
  return (item.includes(",") ? `"${item}"` : item) + rest;
}

/** Sheets that people round are still told from sheets that are wrong. */
const TOLERANCE = 0.005;

export const isKpiSheet = (text: string): boolean => text.startsWith(HEAD);

/**
 * The meters of a sheet.
 *
 * @throws LightfootError E_DATA for rows that are none, other units, missing energies, or figures that do not follow from the meters
 */
export function readKpiSheet(text: string, file: string): SiteMeters {
  const meters: { -readonly [Key in keyof SiteMeters]?: number } = {};
  const stated = new Map<string, number>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (index === 0 || line.trim() === "") continue;
    const where = { file, line: index + 1 };
    const [, quotedName, bareName, number, unit] = /^(?:"([^"]*)"|([^,]*)),([^,]*),([^,]*)/.exec(line) ?? [];
    const item = quotedName ?? bareName;
    const value = number === undefined || number.trim() === "" ? Number.NaN : Number(number);
    const meter = METERS.find(({ name }) => name === item);
    const row = meter ?? KPIS.find(({ key }) => key === item);
    if (row === undefined || !(value >= 0 && value < Infinity)) {
      throw new LightfootError("E_DATA", `'${line}' is no row of the sheet`, { where });
    }
    if (unit !== row.unit) {
      throw new LightfootError("E_DATA", `${item} is in ${unit}, expected ${row.unit}`, { where });
    }
    if (meter === undefined) stated.set(row.key, value);
    else meters[meter.key] = toBase(value, meter.unit);
  }
  const { siteEnergyJoules, itEnergyJoules } = meters;
  if (siteEnergyJoules === undefined || itEnergyJoules === undefined) {
    throw new LightfootError("E_DATA", "the sheet lacks the energy of the site or of the IT equipment", {
      where: { file },
    });
  }
  const found = { ...meters, siteEnergyJoules, itEnergyJoules };
  const kpis: Record<string, number | undefined> = siteKpis(found);
  for (const [key, value] of stated) {
    const right = kpis[key];
    if (right === undefined || Math.abs(value - right) > TOLERANCE * Math.max(right, TOLERANCE)) {
      throw new LightfootError("E_DATA", `${key} is ${value} in the sheet, its meters give ${right ?? "none"}`, {
        where: { file },
      });
    }
  }
  return found;
}
