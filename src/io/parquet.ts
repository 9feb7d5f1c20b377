// Reads Parquet tables into columns, through DuckDB, which is loaded when the first one is read; may depend on errors and
// its room.
import { existsSync } from "node:fs";
import { LightfootError } from "../errors/index.ts";
import { loadDuckDb } from "./duckdb.ts";
import type { Table, TableColumn } from "./table.ts";

/**
 * Reads all columns of a Parquet file: numbers and booleans, lists of numbers of one length, and text.
 *
 * Integers beyond 2^53 are refused rather than rounded.
 * @throws LightfootError E_DATA with the column for missing values, ragged lists and other types; E_DEPENDENCY
 */
export async function readParquet(file: string): Promise<Table> {
  if (!existsSync(file)) throw new LightfootError("E_FILE_NOT_FOUND", `there is no file ${file}`, { where: { file } });
  const { DuckDBInstance } = await loadDuckDb();
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    // The path goes in as a parameter: a quote in a file's name must not become SQL.
    const reader = await connection.runAndReadAll("SELECT * FROM read_parquet($1)", [file]).catch((cause: Error) => {
      throw new LightfootError("E_DATA", `the Parquet file cannot be read: ${cause.message.split("\n")[0]}`, {
        where: { file },
        cause,
      });
    });
    const names = reader.columnNames();
    const columns = reader.getColumnsJS().map((values, index) => toColumn(names[index], values, file));
    if (reader.currentRowCount === 0) throw new LightfootError("E_DATA", "the table has no rows", { where: { file } });
    return { file, rowCount: reader.currentRowCount, columns };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function toColumn(name: string, values: readonly unknown[], file: string): TableColumn {
  const [first] = values;
  if (typeof first === "string") {
    const wrong = values.findIndex((value) => typeof value !== "string");
    if (wrong !== -1) throw cellError(name, wrong, values[wrong], "text", file);
    return { kind: "text", name, values: values as string[] };
  }
  if (Array.isArray(first)) {
    const width = first.length;
    const wrong = values.findIndex((value) => !Array.isArray(value) || value.length !== width);
    if (wrong !== -1) throw cellError(name, wrong, values[wrong], `a list of ${width} numbers`, file);
    const flat = (values as unknown[][]).flat();
    return { kind: "lists", name, width, ...toNumbers(name, flat, file, width) };
  }
  return { kind: "numbers", name, ...toNumbers(name, values, file, 1) };
}

function toNumbers(
  name: string,
  cells: readonly unknown[],
  file: string,
  width: number,
): { readonly values: Float64Array; readonly integral: boolean } {
  const values = new Float64Array(cells.length);
  let integral = true;
  for (let index = 0; index < cells.length; index++) {
    const cell = cells[index];
    const isNumeric = typeof cell === "number" || typeof cell === "bigint" || typeof cell === "boolean";
    const value = isNumeric ? Number(cell) : Number.NaN;
    if (!isNumeric || (typeof cell === "bigint" && !Number.isSafeInteger(value))) {
      throw cellError(name, Math.floor(index / width), cell, "a number below 2^53", file);
    }
    integral &&= Number.isInteger(value);
    values[index] = value;
  }
  return { values, integral };
}

function cellError(name: string, row: number, found: unknown, expected: string, file: string): LightfootError {
  const shown =
    found === null
      ? "nothing"
      : JSON.stringify(found, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value)).slice(
          0,
          60,
        );
  return new LightfootError("E_DATA", `row ${row + 1} of column '${name}' holds ${shown}, expected ${expected}`, {
    where: { file, path: name },
  });
}
