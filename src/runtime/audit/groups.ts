// Groups that samples belong to, read from a file beside the data; may depend on errors, io and runtime.
import { basename } from "node:path";
import { LightfootError } from "../../errors/index.ts";
import { readCsv } from "../../io/csv.ts";
import { readNpy } from "../../io/npy.ts";
import { readParquet } from "../../io/parquet.ts";
import type { Table } from "../../io/table.ts";

/** One way to divide the samples. */
export interface Partition {
  /** What the groups are of: the column's or the file's name. */
  readonly name: string;
  readonly groupNames: readonly string[];
  /** Number of each sample's group, `[samples]`. */
  readonly groups: Int32Array;
}

/**
 * Reads `people.csv#column=sex` (also .tsv, .parquet) or `sex.npy` (whole numbers): one row for each sample, in the data's order.
 *
 * @throws LightfootError E_DATA when the rows are not as many as the samples or the column is not there, E_USAGE, E_FILE_NOT_FOUND
 */
export async function readPartition(text: string, sampleCount: number): Promise<Partition> {
  const [file, option] = text.split("#", 2);
  const [, column] = /^column=(.+)$/.exec(option ?? "") ?? [];
  if (option !== undefined && column === undefined) {
    throw new LightfootError("E_USAGE", `'${text}' is no notation for groups`, {
      hint: "Write groups.npy or people.csv#column=sex.",
    });
  }
  const { name, values } = await readValues(file, column);
  if (values.length !== sampleCount) {
    throw new LightfootError("E_DATA", `'${file}' has ${values.length} rows, the data has ${sampleCount} samples`, {
      where: { file },
      hint: "Groups need a row for each sample, in the same order.",
    });
  }
  const groupNames = [...new Set(values)].toSorted((left, right) => left.localeCompare(right, "en", { numeric: true }));
  const numbers = new Map(groupNames.map((group, at) => [group, at]));
  return { name, groupNames, groups: Int32Array.from(values, (value) => numbers.get(value)!) };
}

async function readValues(file: string, column: string | undefined): Promise<{ name: string; values: string[] }> {
  if (file.endsWith(".npy")) {
    const { data } = await readNpy(file);
    return { name: basename(file, ".npy"), values: Array.from(data as ArrayLike<number | bigint>, String) };
  }
  if (!/\.(csv|tsv|parquet)$/i.test(file)) {
    throw new LightfootError("E_FORMAT_UNKNOWN", `'${file}' holds no groups`, {
      where: { file },
      hint: "Known are .npy, .csv, .tsv and .parquet.",
    });
  }
  const table: Table = file.endsWith(".parquet") ? await readParquet(file) : await readCsv(file);
  const only = table.columns.length === 1 ? table.columns[0] : undefined;
  const found = column === undefined ? only : table.columns.find((candidate) => candidate.name === column);
  if (found === undefined || found.kind === "lists") {
    const names = table.columns
      .map((candidate) => candidate.name)
      .slice(0, 20)
      .join(", ");
    throw new LightfootError(
      "E_DATA",
      `there is no column '${column ?? "(not named)"}' of groups; the table has ${names}`,
      {
        where: { file },
        hint: `Name it: ${file}#column=${table.columns[0].name}`,
      },
    );
  }
  return { name: found.name, values: Array.from<number | string, string>(found.values, String) };
}
