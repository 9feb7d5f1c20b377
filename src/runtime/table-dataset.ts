// Turns a table into a data set: which column holds labels or targets, and how the others become inputs; may depend on
// errors, io, model, quantity and its room.
import { LightfootError } from "../errors/index.ts";
import type { Table, TableColumn } from "../io/table.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/index.ts";
import type { DatasetSpec } from "./dataset-spec.ts";
import type { DatasetParts } from "./sample-set.ts";

type NumberColumn = Exclude<TableColumn, { kind: "text" }>;

/**
 * A table as a data set.
 *
 * `#label=NAME` names the class column (`-` for none), `#target=A,B` the columns to approximate, `#classes=a,b,c` the
 * order of classes in a text column. Left out: a column called `label` or `labels`, else the last column (recorded as an
 * assumption): labels when it holds whole numbers from 0, else targets.
 *
 * Number columns are joined into one float32 array `[N, columns]`; with `#columns=separate`, and for columns of lists,
 * each is an array of its own, `[N, 1]` or `[N, width]`, under the column's name.
 * @throws LightfootError E_DATA, E_USAGE
 */
export function tableDataset(table: Table, spec: DatasetSpec, name: string, unnamedInput: string): DatasetParts {
  const assumptions: Assumption[] = [];
  const roles = chooseColumns(table, spec, assumptions);
  const features = table.columns.filter((column) => column !== roles.label && !roles.targets.includes(column));
  const text = features.find((column) => column.kind === "text");
  if (text !== undefined) {
    throw new LightfootError("E_DATA", `column '${text.name}' holds text and is no label, expected numbers`, {
      where: { file: table.file, path: text.name },
      hint: `Name it with #label=${text.name}, or remove or encode it.`,
    });
  }
  const isJoined = spec.options.columns !== "separate" && features.every((column) => column.kind === "numbers");
  const inputs = isJoined
    ? new Map([[unnamedInput, joined(features as NumberColumn[], table.rowCount)]])
    : new Map((features as NumberColumn[]).map((column) => [column.name, joined([column], table.rowCount)]));
  return {
    name,
    unnamed: isJoined && spec.options.input === undefined,
    inputs,
    assumptions,
    ...(roles.label === undefined ? {} : { labels: labelsOf(roles.label, spec, table) }),
    ...(roles.targets.length === 0
      ? {}
      : {
          targets: joined(
            roles.targets.map((column) => numeric(column, table)),
            table.rowCount,
          ),
        }),
  };
}

interface Roles {
  readonly label?: TableColumn;
  readonly targets: readonly TableColumn[];
}

function chooseColumns(table: Table, spec: DatasetSpec, assumptions: Assumption[]): Roles {
  const { label, target } = spec.options;
  const targets = target?.split(",").map((name) => columnNamed(table, name)) ?? [];
  if (label === "-" || (label === undefined && target !== undefined)) return { targets };
  if (label !== undefined) return { label: columnNamed(table, label), targets };
  const named = table.columns.find((column) => column.name === "label" || column.name === "labels");
  if (named !== undefined) return { label: named, targets };
  const last = table.columns[table.columns.length - 1];
  const isClass =
    last.kind === "text" || (last.kind === "numbers" && last.integral && last.values.every((value) => value >= 0));
  const role = isClass ? "the label" : "the target";
  assumptions.push({
    key: "data.label-column",
    text: `No column is called label, so the last one, '${last.name}', was taken as ${role}; #label= or #target= names another.`,
  });
  return isClass ? { label: last, targets: [] } : { targets: [last] };
}

function columnNamed(table: Table, name: string): TableColumn {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  const names = table.columns.map((candidate) => candidate.name);
  const shown = names.length > 20 ? [...names.slice(0, 20), "…"] : names;
  throw new LightfootError("E_DATA", `there is no column '${name}'; the table has ${shown.join(", ")}`, {
    where: { file: table.file },
  });
}

function labelsOf(column: TableColumn, spec: DatasetSpec, table: Table): TensorValue {
  if (column.kind !== "text") {
    const width = column.kind === "lists" ? [column.width] : [];
    return { dtype: "float64", shape: [table.rowCount, ...width], data: column.values };
  }
  const classes = spec.options.classes?.split(",");
  if (classes === undefined) {
    const found = [...new Set(column.values)].sort().slice(0, 20);
    throw new LightfootError("E_DATA", `column '${column.name}' holds text, expected class numbers`, {
      where: { file: table.file, path: column.name },
      hint: `Give the classes in the order of the model's outputs: #classes=${found.join(",")}.`,
    });
  }
  const data = Int32Array.from(column.values, (value, row) => {
    const index = classes.indexOf(value);
    if (index !== -1) return index;
    throw new LightfootError("E_DATA", `row ${row + 1} is labelled '${value}', the classes are ${classes.join(", ")}`, {
      where: { file: table.file, path: column.name },
    });
  });
  return { dtype: "int32", shape: [table.rowCount], data };
}

function numeric(column: TableColumn, table: Table): NumberColumn {
  if (column.kind !== "text") return column;
  throw new LightfootError("E_DATA", `target column '${column.name}' holds text, expected numbers`, {
    where: { file: table.file, path: column.name },
  });
}

/** Columns beside each other as float32 `[rows, widths summed]`. */
function joined(columns: readonly NumberColumn[], rowCount: number): TensorValue {
  const widths = columns.map((column) => (column.kind === "lists" ? column.width : 1));
  const total = widths.reduce((sum, width) => sum + width, 0);
  const data = new Float32Array(rowCount * total);
  let offset = 0;
  for (const [index, column] of columns.entries()) {
    const width = widths[index];
    for (let row = 0; row < rowCount; row++) {
      for (let inner = 0; inner < width; inner++)
        data[row * total + offset + inner] = column.values[row * width + inner];
    }
    offset += width;
  }
  return { dtype: "float32", shape: [rowCount, total], data };
}
