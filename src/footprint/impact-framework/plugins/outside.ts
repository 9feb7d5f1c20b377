// Regex, CSVLookup, CSVImport, MockObservations and Shell: what reads text, files, chance or a command; may depend on io, errors and its room.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { parseCsvRows } from "../../../io/csv.ts";
import { cellAt, columnOf, concat, fromRows, withColumns, type Column, type Row } from "../observations.ts";
import { configError, findingPlace, placeOf, rowsOf, textOf, type PluginCall, type PluginKind } from "../plugin.ts";
import { parseTimestamp } from "../timestamp.ts";

const MAX_OBSERVATIONS = 20_000_000;

/** The text that a pattern finds in a parameter; several finds, and a pattern's groups, are joined by spaces. */
export const regex: PluginKind = {
  run(call) {
    const name = textOf(call, "parameter");
    const pattern = textOf(call, "match");
    const output = textOf(call, "output");
    const expression = patternOf(call, pattern);
    const column = call.observations.columns.get(name);
    const known = new Map<string, string>();
    const find = (row: number): string => {
      const value = cellAt(column, row);
      if (typeof value !== "string" || value === "") {
        throw new LightfootError("E_IMPACT", `${call.name}: '${name}' is not text`, {
          where: placeOf(call, row, name),
        });
      }
      const before = known.get(value);
      if (before !== undefined) return before;
      const match = value.match(expression);
      if (match === null) {
        throw new LightfootError("E_IMPACT", `${call.name}: '${value}' does not match ${pattern}`, {
          where: placeOf(call, row, name),
        });
      }
      if (!expression.global && match.length > 1) {
        call.report({
          code: "regex-groups-joined",
          severity: "warning",
          message: "the match and each of its groups are joined by spaces; without the flag g groups repeat the text",
          where: findingPlace(call, row, output),
          says: match.join(" "),
          right: match[0],
        });
      }
      const found = call.arithmetic === "corrected" && !expression.global ? match[0] : match.join(" ");
      known.set(value, found);
      return found;
    };
    const values = Array.from({ length: call.observations.length }, (_, row) => find(row));
    return withColumns(call.observations, [[output, columnOf(values)]]);
  },
};

function patternOf(call: PluginCall, pattern: string): RegExp {
  const parts = /^\/(.*)\/([gimsuy]*)$/s.exec(pattern);
  try {
    return parts === null ? new RegExp(pattern.replace(/^\//, "").replace(/\/$/, "")) : new RegExp(parts[1], parts[2]);
  } catch (error) {
    throw configError(
      call,
      `'match' is no regular expression: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Cells as the framework casts them: what starts like a number and is one is a number, an empty cell is the text `nan`. */
const castCell = (cell: string): unknown => (cell.trim() !== "" && !Number.isNaN(Number(cell)) ? Number(cell) : cell);

interface CsvTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

async function readTable(call: PluginCall): Promise<CsvTable> {
  const path = textOf(call, "filepath");
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ? await download(call, path) : await call.ports.readFile(path);
  const [head, ...rows] = parseCsvRows(text, path, ",");
  if (head === undefined) throw configError(call, `'${path}' has no header line`);
  for (const row of rows) {
    if (row.cells.length !== head.cells.length) {
      throw new LightfootError(
        "E_IMPACT",
        `${call.name}: a row has ${row.cells.length} cells, the header has ${head.cells.length}`,
        {
          where: { file: path, line: row.line },
        },
      );
    }
  }
  return { header: head.cells, rows: rows.map(({ cells }) => cells.map(castCell)) };
}

function download(call: PluginCall, url: string): Promise<string> {
  if (call.ports.fetchText !== undefined && /^https?:/i.test(url)) return call.ports.fetchText(url);
  throw new LightfootError("E_NOT_ALLOWED", `${call.name} wants to download ${url}`, {
    where: { file: call.file, path: `initialize.plugins.${call.name}.config.filepath` },
    hint: "Allow it with --allow-fetch, or download the file and give its path as 'filepath'.",
  });
}

/** `output`: `*`, a name, `[name, new name]`, or a list of such pairs; each as [column, name]. */
function wantedOf(call: PluginCall, table: CsvTable, without: readonly string[]): [number, string][] {
  const output = call.config["output"];
  const pair = (names: readonly unknown[]): [number, string] => {
    const [name, title] = names.map(String);
    const index = table.header.indexOf(name);
    if (index < 0) {
      throw configError(
        call,
        `the table has no column '${name}'`,
        `Its columns: ${table.header.slice(0, 20).join(", ")}.`,
      );
    }
    return [index, title === undefined || title === "" ? name : title];
  };
  if (output === "*") {
    return table.header.flatMap((name, index) => (without.includes(name) ? [] : [[index, name] as [number, string]]));
  }
  if (typeof output === "string") return [pair([output])];
  if (!Array.isArray(output) || output.length === 0) throw configError(call, "'output' names no column");
  return Array.isArray(output[0]) ? output.map((each) => pair(each as unknown[])) : [pair(output)];
}

function valueOf(call: PluginCall, cell: unknown, name: string): unknown {
  if (cell !== "") return cell;
  call.report({
    code: "csv-empty-cell",
    severity: "warning",
    message: "an empty cell becomes the text 'nan', which no arithmetic takes",
    where: { path: `initialize.plugins.${call.name}.config.output.${name}` },
    says: "'nan'",
    right: "unknown",
  });
  return "nan";
}

/** The first row of a table whose cells equal the query's parameters; numbers and their text are equal. */
export const csvLookup: PluginKind = {
  async run(call) {
    const table = await readTable(call);
    const query = call.config["query"];
    if (query === null || typeof query !== "object") throw configError(call, "'query' is missing");
    const keys = Object.entries(query as Record<string, string>);
    const indexes = keys.map(([column]) => table.header.indexOf(column));
    const wanted = wantedOf(
      call,
      table,
      keys.map(([column]) => column),
    );
    const index = new Map<string, number>();
    for (const [row, cells] of table.rows.entries()) {
      const key = JSON.stringify(indexes.map((at) => String(cells[at])));
      if (!index.has(key)) index.set(key, row);
    }
    const columns = keys.map(([, parameter]) => call.observations.columns.get(parameter));
    const found = Array.from({ length: call.observations.length }, (_, row) => {
      const asked = columns.map((column) => cellAt(column, row));
      const at = index.get(JSON.stringify(asked.map(String)));
      if (at !== undefined) return at;
      const what = keys.map(([column], each) => `${column} = ${String(asked[each])}`).join(", ");
      throw new LightfootError("E_IMPACT", `${call.name}: the table has no row with ${what}`, {
        where: placeOf(call, row, keys[0]?.[1]),
      });
    });
    const changes = wanted.map(([column, title]): [string, Column] => [
      title,
      columnOf(found.map((row) => valueOf(call, table.rows[row][column], title))),
    ]);
    return withColumns(call.observations, changes);
  },
};

/** The rows of a table, after the observations that are there. */
export const csvImport: PluginKind = {
  async run(call) {
    const table = await readTable(call);
    const wanted = wantedOf(call, table, []);
    const columns = new Map(
      wanted.map(([column, title]) => [title, columnOf(table.rows.map((row) => valueOf(call, row[column], title)))]),
    );
    return concat(call.observations, { length: table.rows.length, columns });
  },
};

/** Made-up observations on a regular grid; the random ones come from a seed that the result records. */
export const mockObservations: PluginKind = {
  run(call) {
    const from = parseTimestamp(textOf(call, "timestamp-from"));
    const to = parseTimestamp(textOf(call, "timestamp-to"));
    const { duration, components } = call.config;
    if (from === undefined || to === undefined)
      throw configError(call, "'timestamp-from' and 'timestamp-to' must be dates");
    if (typeof duration !== "number" || !(duration > 0)) throw configError(call, "'duration' must be more than 0");
    const parts = (Array.isArray(components) ? components : Object.values(components ?? {})) as Row[];
    const buckets = Math.max(0, Math.ceil((to - from) / (duration * 1000)));
    const length = buckets * parts.length;
    if (length > MAX_OBSERVATIONS)
      throw configError(call, `${length} observations, at most ${MAX_OBSERVATIONS} are made`);
    const generators = (call.config["generators"] ?? {}) as { common?: Row; randint?: Record<string, unknown> };
    const columns = new Map<string, Column>();
    const first = call.observations.length > 0 ? rowsOf({ ...call.observations, length: 1 })[0] : {};
    for (const [key, value] of Object.entries(first)) columns.set(key, { kind: "constant", value });
    const text = Array.from({ length: buckets }, (_, bucket) =>
      new Date(from + bucket * duration * 1000).toISOString(),
    );
    columns.set("timestamp", columnOf(parts.flatMap(() => text)));
    columns.set("duration", { kind: "constant", value: duration });
    const perPart = fromRows(parts);
    for (const [key, column] of perPart.columns) {
      columns.set(key, columnOf(Array.from({ length }, (_, row) => cellAt(column, Math.floor(row / buckets)))));
    }
    for (const [key, value] of Object.entries(generators.common ?? {})) columns.set(key, { kind: "constant", value });
    for (const [key, range] of Object.entries(generators.randint ?? {})) {
      const { min, max } = (range ?? {}) as { min?: unknown; max?: unknown };
      if (typeof min !== "number" || typeof max !== "number" || !(min < max)) {
        throw configError(call, `randint '${key}' needs numbers min < max`);
      }
      const random = call.ports.random(`${call.path} ${call.name} ${key}`);
      const draw = () => Math.trunc(random() * (max - min) + min);
      columns.set(key, { kind: "number", values: Float64Array.from({ length }, draw) });
    }
    return { length, columns };
  },
};

/** Hands the observations to a command as YAML and takes the YAML that it prints; only when the caller allows commands. */
export const shell: PluginKind = {
  async run(call) {
    const command = textOf(call, "command");
    if (call.ports.runCommand === undefined) {
      throw new LightfootError("E_NOT_ALLOWED", `${call.name} wants to run the command: ${command}`, {
        where: { file: call.file, path: `initialize.plugins.${call.name}.config.command` },
        hint: "Read the command, then allow it with --allow-shell.",
      });
    }
    const printed = await call.ports.runCommand(command, `${JSON.stringify(rowsOf(call.observations))}\n`);
    const rows = call.ports.parseYaml(printed).flat();
    if (!rows.every((row) => typeof row === "object" && row !== null && !Array.isArray(row))) {
      throw new LightfootError("E_IMPACT", `${call.name}: the command printed no list of observations`, {
        where: { file: call.file, path: `initialize.plugins.${call.name}.config.command` },
        hint: "It reads a YAML list of observations on its standard input and prints such a list.",
      });
    }
    const outputs = fromRows(rows as Row[]);
    // Keys that the command left out stay as they were in the observation of the same place.
    if (outputs.length !== call.observations.length) return outputs;
    return withColumns(call.observations, outputs.columns);
  },
};
