// Coefficient, Divide, Exponent, Multiply, Subtract, Sum and Copy; may depend on errors and its room.
import {
  findingPlace,
  at,
  namesOf,
  numbersOf,
  operandOf,
  placeOf,
  textOf,
  writeNumbers,
  configError,
} from "../plugin.ts";
import type { PluginCall, PluginKind } from "../plugin.ts";
import { ABSENT, cellAt, columnOf, withColumns, type Column, type Observations } from "../observations.ts";
import { LightfootError } from "../../../errors/lightfoot-error.ts";

/** Folds the named parameters from left to right; the first starts unless `start` is given. */
function fold(combine: (left: number, right: number) => number, start?: number) {
  return (call: PluginCall): Observations => {
    const parts = namesOf(call, "input-parameters").map((name) => numbersOf(call, name));
    const result = new Float64Array(call.observations.length);
    if (parts.length === 0 && start === undefined) throw configError(call, "'input-parameters' is empty");
    if (start !== undefined) result.fill(start);
    for (const [index, part] of parts.entries()) {
      const first = index === 0 && start === undefined;
      for (let row = 0; row < result.length; row++) result[row] = first ? part[row] : combine(result[row], part[row]);
    }
    return writeFinite(call, textOf(call, "output-parameter"), result);
  };
}

/** Writes, and says where a result is no number: the framework writes NaN and Infinity on without a word. */
export function writeFinite(call: PluginCall, target: string, values: Float64Array): Observations {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    call.report({
      code: "not-finite",
      severity: "error",
      message: `${call.name} gives ${values[bad]} for '${target}'`,
      where: findingPlace(call, bad, target),
      says: String(values[bad]),
      right: "undefined",
      count: values.reduce((sum, value) => sum + (Number.isFinite(value) ? 0 : 1), 0),
    });
  }
  return writeNumbers(call, target, values);
}

export const sum: PluginKind = { expressions: [], run: fold((left, right) => left + right, 0) };
export const multiply: PluginKind = { expressions: [], run: fold((left, right) => left * right, 1) };
export const subtract: PluginKind = { expressions: [], run: fold((left, right) => left - right) };

export const coefficient: PluginKind = {
  expressions: ["input-parameter", "coefficient"],
  run(call) {
    const input = operandOf(call, "input-parameter");
    const factor = operandOf(call, "coefficient");
    const values = fill(call, (row) => at(input, row) * at(factor, row));
    return writeFinite(call, textOf(call, "output-parameter"), values);
  },
};

export const exponent: PluginKind = {
  expressions: ["input-parameter", "exponent"],
  run(call) {
    const base = operandOf(call, "input-parameter");
    const power = operandOf(call, "exponent");
    return writeFinite(
      call,
      textOf(call, "output-parameter"),
      fill(call, (row) => at(base, row) ** at(power, row)),
    );
  },
};

/**
 * numerator / denominator.
 *
 * A parameter that is 0 as denominator is refused; the number 0 in the config gives the numerator unchanged.
 */
export const divide: PluginKind = {
  expressions: ["numerator", "denominator"],
  run(call) {
    const over = operandOf(call, "numerator");
    const under = operandOf(call, "denominator");
    const isNamed = typeof under !== "number";
    const values = fill(call, (row) => {
      const divisor = at(under, row);
      if (divisor !== 0) return at(over, row) / divisor;
      if (isNamed) {
        throw new LightfootError(
          "E_IMPACT",
          `${call.name}: the denominator '${String(call.config["denominator"])}' is 0`,
          {
            where: placeOf(call, row, String(call.config["denominator"])),
            hint: "A share of nothing is undefined: leave the observation out, or give what it is divided by.",
          },
        );
      }
      call.report({
        code: "divide-by-zero",
        severity: "error",
        message: `${call.name} divides by 0 and gives the numerator unchanged`,
        where: { path: `initialize.plugins.${call.name}.config.denominator` },
        says: String(at(over, row)),
        right: "undefined",
      });
      return call.arithmetic === "corrected" ? Number.NaN : at(over, row);
    });
    return writeFinite(call, textOf(call, "output"), values);
  },
};

function fill(call: PluginCall, valueOf: (row: number) => number): Float64Array {
  const values = new Float64Array(call.observations.length);
  for (let row = 0; row < values.length; row++) values[row] = valueOf(row);
  return values;
}

/** Copies a parameter; `keep-existing: false` makes it a move. */
export const copy: PluginKind = {
  expressions: ["from"],
  run(call) {
    const to = textOf(call, "to");
    const from = call.config["from"];
    const keep = call.config["keep-existing"];
    if (typeof keep !== "boolean") throw configError(call, "'keep-existing' must be true or false");
    if (typeof from === "number" || (typeof from === "string" && from.includes("="))) {
      const value = operandOf(call, "from");
      return withColumns(call.observations, [[to, columnOf(Array.from(fill(call, (row) => at(value, row))))]]);
    }
    const name = textOf(call, "from");
    const column = call.observations.columns.get(name);
    for (let row = 0; row < call.observations.length; row++) {
      const value = cellAt(column, row);
      if (typeof value === "string" || (typeof value === "number" && !Number.isNaN(value))) continue;
      const found = value === ABSENT ? "is missing" : `is ${JSON.stringify(value) ?? String(value)}`;
      throw new LightfootError("E_IMPACT", `${call.name}: '${name}' ${found}, expected text or a number`, {
        where: placeOf(call, row, name),
      });
    }
    if (column === undefined) return call.observations;
    const changes: [string, Column | undefined][] = [];
    if (!keep) changes.push([name, undefined]);
    changes.push([to, column]);
    return withColumns(call.observations, changes);
  },
};
