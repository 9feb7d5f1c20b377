// Reads CSV and TSV tables (RFC 4180) into columns, with the line and column of every mistake; may depend on errors and
// its room.
import { createReadStream } from "node:fs";
import { LightfootError } from "../errors/index.ts";
import { fileError } from "./file-range.ts";
import type { Table, TableColumn } from "./table.ts";

export interface CsvOptions {
  /** Left out: a tab in `.tsv` files, else whichever of comma, semicolon and tab the first line has most of. */
  readonly separator?: string;
}

const MAX_COLUMNS = 100_000;

/**
 * Reads a table. The first row is a header unless all its cells are numbers; then columns are called `column1` ….
 *
 * A column is text when any of its cells is no number. Memory: 8 bytes for each number cell.
 * @throws LightfootError E_DATA with line and column for rows of unequal width, missing numbers and open quotes
 */
export async function readCsv(file: string, options: CsvOptions = {}): Promise<Table> {
  const columns: ColumnBuilder[] = [];
  let rowCount = 0;
  let isFirst = true;
  await readCsvRows(file, options, (cells, line) => {
    if (isFirst) {
      isFirst = false;
      if (cells.length > MAX_COLUMNS) {
        throw new LightfootError("E_LIMIT", `${cells.length} columns, expected at most ${MAX_COLUMNS}`, {
          where: { file, line },
        });
      }
      const isHeader = !cells.every((cell) => isNumber(cell));
      columns.push(...cells.map((cell, index) => new ColumnBuilder(isHeader ? cell.trim() : `column${index + 1}`)));
      if (isHeader) return;
    }
    if (cells.length !== columns.length) {
      throw new LightfootError("E_DATA", `the row has ${cells.length} cells, the first row has ${columns.length}`, {
        where: { file, line },
      });
    }
    for (let index = 0; index < cells.length; index++) columns[index].add(cells[index], file, line, index + 1);
    rowCount++;
  });
  if (rowCount === 0) throw new LightfootError("E_DATA", "the table has no rows", { where: { file } });
  return { file, rowCount, columns: columns.map((column) => column.finish(file)) };
}

/**
 * Hands each row that is not blank to `onRow`, with the 1-based line it starts on; cells are raw text without their quotes.
 *
 * @throws LightfootError E_DATA for an open quote, E_FILE_NOT_FOUND, E_FILE_READ; and whatever `onRow` throws
 */
export async function readCsvRows(
  file: string,
  options: CsvOptions,
  onRow: (cells: readonly string[], line: number) => void,
): Promise<void> {
  let separator = options.separator ?? (file.toLowerCase().endsWith(".tsv") ? "\t" : undefined);
  const parser = new RowParser(file, onRow);
  try {
    for await (const chunk of createReadStream(file, { encoding: "utf8" })) {
      separator ??= guessSeparator(chunk as string);
      parser.feed(chunk as string, separator);
    }
  } catch (thrown) {
    throw fileError(thrown, file);
  }
  parser.end();
}

/** One row of cells as they were written, with the 1-based line it starts on. */
export interface CsvRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * The rows of a text, header included, every cell as text; for formats whose cells may be empty.
 *
 * @param file for errors only
 * @throws LightfootError E_DATA when a quote never closes
 */
export function parseCsvRows(text: string, file: string, separator = guessSeparator(text)): CsvRow[] {
  const rows: CsvRow[] = [];
  const parser = new RowParser(file, (cells, line) => rows.push({ line, cells }));
  parser.feed(text, separator);
  parser.end();
  return rows;
}

const isNumber = (cell: string): boolean => cell.trim() !== "" && !Number.isNaN(Number(cell));

function guessSeparator(start: string): string {
  const [line = ""] = start.split(/\r?\n/, 1);
  const counts = [",", ";", "\t"].map((separator) => ({ separator, count: line.split(separator).length }));
  return counts.reduce((best, entry) => (entry.count > best.count ? entry : best)).separator;
}

/** Splits text into rows of cells, over chunk borders. */
class RowParser {
  readonly #file: string;
  readonly #onRow: (cells: readonly string[], line: number) => void;
  #cells: string[] = [];
  #cell = "";
  #quoted = false;
  #wasQuoted = false;
  #line = 1;
  #rowLine = 1;
  #pendingQuote = false;
  #atStart = true;

  constructor(file: string, onRow: (cells: readonly string[], line: number) => void) {
    this.#file = file;
    this.#onRow = onRow;
  }

  feed(chunk: string, separator: string): void {
    const text = this.#atStart && chunk.startsWith("\uFEFF") ? chunk.slice(1) : chunk;
    this.#atStart = false;
    for (let index = 0; index < text.length; index++) {
      const char = text[index];
      if (this.#pendingQuote) {
        this.#pendingQuote = false;
        if (char === '"') {
          this.#cell += '"'; // a doubled quote inside quotes is one quote
          continue;
        }
        this.#quoted = false;
      }
      if (this.#quoted) {
        if (char === '"') this.#pendingQuote = true;
        else this.#cell += char;
        if (char === "\n") this.#line++;
      } else if (char === '"' && this.#cell.trim() === "" && !this.#wasQuoted) {
        this.#quoted = true;
        this.#wasQuoted = true;
        this.#cell = "";
      } else if (char === separator) this.#endCell();
      else if (char === "\n") {
        this.#endRow();
        this.#line++;
        this.#rowLine = this.#line;
      } else this.#cell += char;
    }
  }

  end(): void {
    if (this.#quoted && !this.#pendingQuote) {
      throw new LightfootError("E_DATA", "a quote opens and never closes", {
        where: { file: this.#file, line: this.#rowLine },
      });
    }
    this.#endRow();
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = "";
    this.#wasQuoted = false;
  }

  #endRow(): void {
    if (this.#cell.endsWith("\r")) this.#cell = this.#cell.slice(0, -1);
    const isBlank = this.#cells.length === 0 && this.#cell.trim() === "" && !this.#wasQuoted;
    if (isBlank) {
      this.#cell = "";
      return;
    }
    this.#endCell();
    const cells = this.#cells;
    this.#cells = [];
    this.#onRow(cells, this.#rowLine);
  }
}

/** Grows a column of numbers, and turns to text at the first cell that is none. */
class ColumnBuilder {
  readonly name: string;
  #numbers = new Float64Array(1024);
  #count = 0;
  #texts: string[] | undefined;
  #integral = true;
  #missingLine: number | undefined;
  #column = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(cell: string, file: string, line: number, column: number): void {
    this.#column = column;
    const trimmed = cell.trim();
    if (this.#texts !== undefined) {
      this.#texts.push(trimmed);
      return;
    }
    const value = trimmed === "" ? Number.NaN : Number(trimmed);
    if (trimmed === "") this.#missingLine ??= line;
    else if (Number.isNaN(value)) {
      if (this.#count > 0 && this.#missingLine === undefined && !this.#isTextFromStart()) {
        throw new LightfootError("E_DATA", `'${trimmed.slice(0, 40)}' is no number, unlike the cells above it`, {
          where: { file, line, column },
        });
      }
      this.#texts = [...Array.from({ length: this.#count }, () => ""), trimmed];
      return;
    }
    if (this.#count === this.#numbers.length) {
      const grown = new Float64Array(this.#numbers.length * 2);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#integral &&= Number.isInteger(value);
    this.#numbers[this.#count++] = value;
  }

  finish(file: string): TableColumn {
    if (this.#texts !== undefined) return { kind: "text", name: this.name, values: this.#texts };
    if (this.#missingLine !== undefined) {
      throw new LightfootError("E_DATA", `column '${this.name}' has an empty cell, expected a number`, {
        where: { file, line: this.#missingLine, column: this.#column },
      });
    }
    return { kind: "numbers", name: this.name, values: this.#numbers.slice(0, this.#count), integral: this.#integral };
  }

  /** True while only empty cells were seen: they say nothing about the column's kind. */
  #isTextFromStart(): boolean {
    return this.#numbers.subarray(0, this.#count).every(Number.isNaN);
  }
}
