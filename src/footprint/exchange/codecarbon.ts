// CodeCarbon's `emissions.csv`, read and written with its columns of version 3; may depend on errors and io.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { parseCsvRows } from "../../io/csv.ts";

/** Columns in CodeCarbon's order (3.3). Energies are kWh and include PUE, emissions kg, powers W, water L. */
export const CODECARBON_COLUMNS = [
  "timestamp",
  "project_name",
  "run_id",
  "experiment_id",
  "duration",
  "emissions",
  "emissions_rate",
  "cpu_power",
  "gpu_power",
  "ram_power",
  "cpu_energy",
  "gpu_energy",
  "ram_energy",
  "energy_consumed",
  "water_consumed",
  "country_name",
  "country_iso_code",
  "region",
  "cloud_provider",
  "cloud_region",
  "os",
  "python_version",
  "codecarbon_version",
  "cpu_count",
  "cpu_model",
  "gpu_count",
  "gpu_model",
  "longitude",
  "latitude",
  "ram_total_size",
  "tracking_mode",
  "cpu_utilization_percent",
  "gpu_utilization_percent",
  "ram_utilization_percent",
  "ram_used_gb",
  "on_cloud",
  "pue",
  "wue",
] as const;
export type CodeCarbonColumn = (typeof CODECARBON_COLUMNS)[number];

/** One run; a cell that is empty or that an older version does not have is undefined. */
export type CodeCarbonRow = Readonly<Partial<Record<CodeCarbonColumn, string>>> & { readonly line: number };

// What a file must have to be recognized: three columns that every version since 1.0 wrote.
const REQUIRED: readonly CodeCarbonColumn[] = ["duration", "emissions", "energy_consumed"];

/** True when a text starts with the header of an `emissions.csv`. */
export function isCodeCarbon(text: string): boolean {
  const [header = ""] = text.replace(/^\uFEFF/, "").split(/\r?\n/, 1);
  const names = new Set(header.split(",").map((name) => name.trim()));
  return REQUIRED.every((name) => names.has(name));
}

/**
 * The rows of an `emissions.csv` of any version: cells are found by the header's names.
 *
 * @param file for errors only
 * @throws LightfootError E_DATA when the header is another, or a row has another width
 */
export function parseCodeCarbon(text: string, file: string): CodeCarbonRow[] {
  const [header, ...rows] = parseCsvRows(text, file, ",");
  const names = header?.cells.map((cell) => cell.trim()) ?? [];
  const missing = REQUIRED.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new LightfootError("E_DATA", `no emissions.csv of CodeCarbon: columns ${missing.join(", ")} are missing`, {
      where: { file, line: 1 },
    });
  }
  return rows.map(({ line, cells }) => {
    if (cells.length !== names.length) {
      throw new LightfootError("E_DATA", `the row has ${cells.length} cells, the header ${names.length}`, {
        where: { file, line },
      });
    }
    const known = names.map((name, index) => [name, cells[index].trim()] as const);
    return { line, ...Object.fromEntries(known.filter(([, cell]) => cell !== "")) };
  });
}

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** An `emissions.csv`: header and rows; what is not known stays an empty cell. */
export function formatCodeCarbon(rows: readonly Partial<Record<CodeCarbonColumn, string | number>>[]): string {
  const lines = rows.map((row) => CODECARBON_COLUMNS.map((column) => quoted(String(row[column] ?? ""))).join(","));
  return `${[CODECARBON_COLUMNS.join(","), ...lines].join("\n")}\n`;
}
