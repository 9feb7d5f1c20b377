// A list of observations as columns, so that a million of them fit in memory and arithmetic runs over arrays; depends on nothing.

/** Stands in a column where an observation lacks the key. */
export const ABSENT: unique symbol = Symbol("absent");

/**
 * The values of one parameter in all observations.
 *
 * `date` holds milliseconds since 1970 of values that the YAML wrote as timestamps without quotes. `constant` is one value
 * for every observation: what a default gives costs nothing.
 */
export type Column =
  | { readonly kind: "number"; readonly values: Float64Array }
  | { readonly kind: "date"; readonly values: Float64Array }
  | { readonly kind: "any"; readonly values: readonly unknown[] }
  | { readonly kind: "constant"; readonly value: unknown };

/** Observations in order. Columns are never changed in place, so that inputs and outputs share them. */
export interface Observations {
  readonly length: number;
  readonly columns: ReadonlyMap<string, Column>;
  /** 1-based line of the file where an observation starts, where that is known. */
  readonly lineOf?: (row: number) => number | undefined;
  /** The YAML rows that these observations were read from, while they are what was read. */
  readonly source?: { readonly indent: number; readonly rows: () => Iterable<Uint8Array> };
}

export type Row = Readonly<Record<string, unknown>>;

export const NO_OBSERVATIONS: Observations = { length: 0, columns: new Map() };

/** A column from plain values: typed when all are numbers or all are dates. */
export function columnOf(values: readonly unknown[]): Column {
  if (values.every((value) => typeof value === "number")) return { kind: "number", values: Float64Array.from(values) };
  if (values.every((value) => value instanceof Date)) {
    return { kind: "date", values: Float64Array.from(values, (value) => value.getTime()) };
  }
  return { kind: "any", values };
}

export const numberColumn = (values: Float64Array): Column => ({ kind: "number", values });

/** Columns from rows; a key that a row lacks is `ABSENT` there. */
export function fromRows(rows: readonly Row[], lineOf?: Observations["lineOf"]): Observations {
  const gathered = new Map<string, unknown[]>();
  for (const [index, row] of rows.entries()) {
    for (const key of Object.keys(row)) {
      let values = gathered.get(key);
      if (values === undefined) {
        values = Array.from({ length: index }, () => ABSENT);
        gathered.set(key, values);
      }
      values.push(row[key]);
    }
    for (const values of gathered.values()) if (values.length === index) values.push(ABSENT);
  }
  const columns = new Map(Array.from(gathered, ([key, values]) => [key, columnOf(values)]));
  return { length: rows.length, columns, ...(lineOf !== undefined && { lineOf }) };
}

/** The value of one cell; `ABSENT` when the observation has no such key. Dates come as `Date`. */
export function cellAt(column: Column | undefined, row: number): unknown {
  if (column === undefined) return ABSENT;
  switch (column.kind) {
    case "constant":
      return column.value;
    case "date":
      return new Date(column.values[row]);
    default:
      return column.values[row];
  }
}

/** One observation as a plain object; keys in the order of the columns. */
export function rowAt(observations: Observations, row: number): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, column] of observations.columns) {
    const value = cellAt(column, row);
    if (value !== ABSENT) result[key] = value;
  }
  return result;
}

/** The same observations with columns set, replaced or, where `undefined` is given, removed. */
export function withColumns(
  observations: Observations,
  changes: Iterable<readonly [string, Column | undefined]>,
): Observations {
  const columns = new Map(observations.columns);
  for (const [key, column] of changes) {
    if (column === undefined) columns.delete(key);
    else columns.set(key, column);
  }
  const { source: _source, ...rest } = observations;
  return { ...rest, columns };
}

/** The observations at `rows`, in that order. */
export function pick(observations: Observations, rows: readonly number[]): Observations {
  const columns = new Map<string, Column>();
  for (const [key, column] of observations.columns) {
    if (column.kind === "constant") columns.set(key, column);
    else if (column.kind === "any") {
      const values = rows.map((row) => column.values[row]);
      // A key that none of the picked observations has is no key of theirs.
      if (values.some((value) => value !== ABSENT)) columns.set(key, columnOf(values));
    } else columns.set(key, { kind: column.kind, values: Float64Array.from(rows, (row) => column.values[row]) });
  }
  const { lineOf } = observations;
  return {
    length: rows.length,
    columns,
    ...(lineOf !== undefined && { lineOf: (row: number) => lineOf(rows[row]) }),
  };
}

/** Both lists, one after the other. */
export function concat(first: Observations, second: Observations): Observations {
  if (first.length === 0) return second;
  if (second.length === 0) return first;
  const columns = new Map<string, Column>();
  for (const key of new Set([...first.columns.keys(), ...second.columns.keys()])) {
    const values: unknown[] = [];
    for (const part of [first, second]) {
      const column = part.columns.get(key);
      for (let row = 0; row < part.length; row++) values.push(cellAt(column, row));
    }
    columns.set(key, columnOf(values));
  }
  return { length: first.length + second.length, columns };
}

/**
 * Fills what is missing or null with the defaults.
 *
 * A default gives no value to an observation that has one, be it 0 or an empty text.
 */
export function withDefaults(observations: Observations, defaults: Row | undefined): Observations {
  if (defaults === undefined || observations.length === 0) return observations;
  const changes: [string, Column][] = [];
  for (const [key, value] of Object.entries(defaults)) {
    const column = observations.columns.get(key);
    if (column === undefined || (column.kind === "constant" && column.value === null)) {
      changes.push([key, { kind: "constant", value }]);
    } else if (column.kind === "any" && column.values.some((cell) => cell === ABSENT || cell === null)) {
      changes.push([key, columnOf(column.values.map((cell) => (cell === ABSENT || cell === null ? value : cell)))]);
    }
  }
  return withColumns(observations, changes);
}
