// Every table under data/ is named in DATA_SOURCES.md, has units, sources and unique keys, and copies no share-alike value; depends on Node.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(`${root}DATA_SOURCES.md`, "utf8");
const tables = readdirSync(`${root}data`, { recursive: true, encoding: "utf8" })
  .map((file) => `data/${file.replaceAll("\\", "/")}`)
  // Rules are no tables: their own tests hold them to sources and marks.
  .filter((file) => /\.\w+$/.test(file) && !file.startsWith("data/policies/"));

it("finds tables at all", () => expect(tables.length).toBeGreaterThan(0));

it.each(tables)("%s stands in DATA_SOURCES.md with its rows, and its head has licence, year and interval", (file) => {
  const table = JSON.parse(readFileSync(`${root}${file}`, "utf8")) as Record<string, unknown> & { rows: unknown[] };
  expect(page).toContain(`| \`${file}\` | ${table.rows.length} |`);
  expect(table).toMatchObject({
    licence: expect.any(String),
    compiled: expect.any(Number),
    interval: expect.any(Object),
  });
});

interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly units: Readonly<Record<string, string>>;
  readonly licence: string;
  readonly sources?: Readonly<Record<string, string>>;
  readonly source?: string;
}

const read = (file: string): Table => JSON.parse(readFileSync(`${root}${file}`, "utf8")) as Table;
const cells = (table: Table, column: string): unknown[] => table.rows.map((row) => row[table.columns.indexOf(column)]);

/** Columns that together name a row. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  "data/hardware/accelerators.json": ["id"],
  "data/hardware/cpus.json": ["key"],
  "data/hardware/microarchitectures.json": ["key"],
  "data/places/countries.json": ["iso2"],
  "data/places/grid-water.json": ["iso3"],
  "data/places/egrid.json": ["key"],
  "data/places/china.json": ["name"],
  "data/places/cloud-regions.json": ["provider", "region"],
  "data/places/us-states.json": ["code"],
  "data/places/hourly-shapes.json": ["zone", "month"],
  "data/places/water-by-technology.json": ["technology"],
  "data/embodied/devices.json": ["device", "source"],
  "data/embodied/components.json": ["key"],
  "data/embodied/dies.json": ["device"],
  "data/prices.json": ["kind", "key", "provider", "region", "instance"],
};
const factTables = tables.filter((file) => file in KEYS);

it("knows the key of every table of facts", () => expect(factTables.toSorted()).toEqual(Object.keys(KEYS).sort()));

it.each(factTables)("%s has rows as long as its head, no empty text, no NaN, and each key once", (file) => {
  const table = read(file);
  for (const row of table.rows) {
    expect(row.length).toBe(table.columns.length);
    for (const cell of row) expect(cell === "" || cell === undefined, JSON.stringify(row)).toBe(false);
  }
  const keys = table.rows.map((row) => JSON.stringify(KEYS[file].map((column) => row[table.columns.indexOf(column)])));
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
});

it.each(factTables)("%s names the unit of columns it has, and a source for every row", (file) => {
  const table = read(file);
  for (const column of Object.keys(table.units).flatMap((names) => names.split(/, | … /))) {
    expect([...table.columns, "includes_host"]).toContain(column);
  }
  expect(table.licence).toMatch(/\w{3}/);
  const column = ["source", "watts_source"].find((name) => table.columns.includes(name));
  if (column === undefined) {
    expect(table.source ?? Object.values(table.sources ?? {})[0]).toMatch(/\w{3}/);
    return;
  }
  for (const source of cells(table, column)) {
    const known = table.sources === undefined || column === "watts_source" ? source : table.sources[String(source)];
    expect(known, String(source)).toMatch(/\w{3}/);
  }
});

it.each([
  ["data/places/egrid.json", "g_2023", 50, 1200],
  ["data/places/egrid.json", "g_2022", 50, 1200],
  ["data/places/china.json", "g_2022", 50, 1200],
  ["data/places/grid-water.json", "water_l_per_kwh", 0.1, 60],
  ["data/places/water-by-technology.json", "water_l_per_kwh", 0, 20],
  ["data/places/cloud-regions.json", "pue", 1.01, 2],
  ["data/places/cloud-regions.json", "wue", 0, 5],
  ["data/places/cloud-regions.json", "cfe_share", 0, 1],
  ["data/places/countries.json", "ember_year", 2015, 2026],
  ["data/embodied/devices.json", "kg", 50, 2000],
  ["data/embodied/dies.json", "die_mm2", 50, 2000],
  ["data/prices.json", "value", 0.005, 50_000],
  ["data/prices.json", "year", 2010, 2026],
] as const)("%s: %s lies from %d to %d or is unknown", (file, column, low, high) => {
  const known = cells(read(file), column).filter((cell) => cell !== null);
  expect(known.length).toBeGreaterThan(0);
  for (const cell of known) expect(Number(cell) >= low && Number(cell) <= high, JSON.stringify(cell)).toBe(true);
});

/** Every value that @tgwf/co2 holds, by the key it stands under. */
function shareAlikeValues(): Map<string, Set<number>> {
  const co2 = createRequire(import.meta.url)("@tgwf/co2/data") as {
    averageIntensity: { data: Record<string, number> };
    electricityMaps: Record<string, { data: Record<string, { carbonIntensity: { value: number } }> }>;
  };
  const values = new Map<string, Set<number>>();
  const add = (key: string, value: number) => values.set(key, (values.get(key) ?? new Set()).add(value));
  for (const [iso3, value] of Object.entries(co2.averageIntensity.data)) add(iso3, value);
  for (const [set, { data }] of Object.entries(co2.electricityMaps)) {
    if (!set.startsWith("yearly")) continue;
    for (const [zone, { carbonIntensity }] of Object.entries(data)) add(zone, carbonIntensity.value);
  }
  return values;
}

it("no table copies a value of Ember or Electricity Maps: wherever their key stands, their number does not", () => {
  const values = shareAlikeValues();
  expect(values.get("DEU")?.size).toBe(1);
  expect(values.get("US-CAL-CISO")?.size).toBeGreaterThan(3);
  const copied: string[] = [];
  for (const file of tables) {
    for (const row of read(file).rows) {
      // Mean days are lists of other data, whose rounded hours meet a yearly mean by chance.
      const flat = row.filter((cell) => !Array.isArray(cell));
      const theirs = new Set(
        flat.flatMap((cell) => [...(values.get(String(cell)) ?? [])]).filter((value) => value > 1),
      );
      if (flat.some((cell) => typeof cell === "number" && theirs.has(cell)))
        copied.push(`${file}: ${JSON.stringify(row)}`);
    }
  }
  expect(copied).toEqual([]);
  for (const file of factTables) expect(read(file).columns.join(" ")).not.toMatch(/gco2|intensity/i);
});
