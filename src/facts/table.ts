// Reads one of the project's own tables from `data/`, lazily and once; may depend on errors.
import { readFileSync } from "node:fs";
import { LightfootError } from "../errors/lightfoot-error.ts";

/** What stands at the head of every table. */
export interface TableHead {
  readonly table: string;
  readonly title: string;
  /** Year the table was put together; rows carry their own year where it differs. */
  readonly compiled: number;
  readonly licence: string;
  readonly units: Readonly<Record<string, string>>;
  readonly interval: Readonly<Record<string, number | string>>;
  /** Sources by the key that rows name; tables of one source have `source` instead. */
  readonly sources?: Readonly<Record<string, string>>;
  readonly source?: string;
  readonly bias?: string;
}

export interface Table<Row> extends TableHead {
  readonly rows: readonly Row[];
}

const loaded = new Map<string, Table<unknown>>();

/**
 * A table of `data/`, its compact rows as objects keyed by column; an unknown cell is null, never 0.
 *
 * @param path below `data/`, without the ending: `hardware/cpus`
 * @throws LightfootError E_INTERNAL when the package was installed without its data
 */
export function readTable<Row>(path: string): Table<Row> {
  const known = loaded.get(path);
  if (known !== undefined) return known as Table<Row>;
  // Two folders up from src/facts and from dist/facts alike.
  const file = new URL(`../../data/${path}.json`, import.meta.url);
  try {
    const { columns, rows, ...head } = JSON.parse(readFileSync(file, "utf8")) as TableHead & {
      columns: string[];
      rows: unknown[][];
    };
    const table = {
      ...head,
      rows: rows.map((cells) => rowOf(columns, cells)),
    };
    loaded.set(path, table);
    return table as unknown as Table<Row>;
  } catch (cause) {
    throw new LightfootError("E_INTERNAL", `the table ${path} that belongs to the package cannot be read`, {
      cause,
      hint: "Install the package again; its folder data/ is missing or damaged.",
      where: { file: file.pathname },
    });
  }
}

/** Assigned cell by cell: five times as fast as `Object.fromEntries`, and `track` waits for it. */
function rowOf(columns: readonly string[], cells: readonly unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (let index = 0; index < columns.length; index++) row[columns[index]] = cells[index];
  return row;
}
