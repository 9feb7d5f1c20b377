// Quantities as people type them (`12.5kWh`, `4y`, `40 kgCO2e`) in base units; may depend on errors and its room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { GRAMS_PER_POUND, JOULES_PER_KWH } from "./convert.ts";
import { figure, type Figure } from "./figure.ts";

/** What can be typed, with the base unit it is read into: the words of a unit and its factor. Case counts: mWh is no MWh. */
const DIMENSIONS = {
  energy: {
    base: "J",
    units: {
      J: 1,
      kJ: 1e3,
      MJ: 1e6,
      GJ: 1e9,
      Wh: JOULES_PER_KWH / 1e3,
      kWh: JOULES_PER_KWH,
      MWh: JOULES_PER_KWH * 1e3,
      GWh: JOULES_PER_KWH * 1e6,
      TWh: JOULES_PER_KWH * 1e9,
    },
  },
  /** Mass of CO2 equivalents; `kg`, `kgCO2e` and `kg CO2eq` are one. */
  carbon: { base: "gCO2e", units: { mg: 1e-3, g: 1, kg: 1e3, t: 1e6, kt: 1e9, lb: GRAMS_PER_POUND } },
  /** A year has 365 days, as in the worked example of ISO/IEC 21031. */
  duration: {
    base: "s",
    units: { ms: 1e-3, s: 1, min: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 },
  },
  volume: { base: "L", units: { mL: 1e-3, L: 1, m3: 1e3 } },
  data: {
    base: "B",
    units: { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
  },
  power: { base: "W", units: { mW: 1e-3, W: 1, kW: 1e3, MW: 1e6 } },
} as const satisfies Record<string, { base: string; units: Record<string, number> }>;

export type Dimension = keyof typeof DIMENSIONS;

const NUMBER = /^([+-]?(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)$/;
const OF_CARBON = /\s*CO2-?(e|eq|equiv)?$/i;

/**
 * A quantity of 0 or more in its dimension's base unit: J, gCO2e, s, L, W.
 *
 * @param name what it is, for the errors: `--energy`
 * @throws LightfootError E_UNIT when the unit is missing or another one, E_RANGE when it is negative or no number
 * @example parseQuantity("12.5kWh", "energy", "--energy") // 45000000
 */
export function parseQuantity(text: string, dimension: Dimension, name: string): number {
  const units: Readonly<Record<string, number>> = DIMENSIONS[dimension].units;
  const expected = `a number and a unit of ${Object.keys(units).join(", ")}`;
  const match = NUMBER.exec(text.trim());
  if (match === null) throw new LightfootError("E_RANGE", `${name} is '${text}', expected ${expected}`);
  const value = Number((match[1] ?? "").replaceAll("_", ""));
  const written = dimension === "carbon" ? (match[2] ?? "").replace(OF_CARBON, "") : (match[2] ?? "");
  const factor = Object.hasOwn(units, written) ? units[written] : undefined;
  if (factor === undefined) {
    const found = written === "" ? `has no unit ('${text}')` : `is in '${written}'`;
    const near = Object.keys(units).find((unit) => unit.toLowerCase() === written.toLowerCase());
    throw new LightfootError("E_UNIT", `${name} ${found}, expected ${expected}`, {
      hint: near === undefined ? undefined : `Did you mean '${near}'?`,
    });
  }
  const base = value * factor;
  if (!(base >= 0 && Number.isFinite(base))) {
    const expectedRange = base > 0 ? "a number that fits into 64 bits" : "0 or more";
    throw new LightfootError("E_RANGE", `${name} is ${text}, expected ${expectedRange}`);
  }
  return base;
}

/** The same as a figure that its author declares. */
export function declaredQuantity(text: string, dimension: Dimension, name: string): Figure {
  const value = parseQuantity(text, dimension, name);
  return figure({ value, unit: DIMENSIONS[dimension].base, method: "declared", sources: [name] });
}
