// Quantities as people write them ("6,500 kg CO₂e / 50 billion tokens"), with their dimensions; may depend on quantity.
// Not `quantity/parse-*`: what a user types is one number in one known unit and refused otherwise; other people's prose is read with whatever units it has.
import { GRAMS_PER_KILOGRAM, GRAMS_PER_POUND, GRAMS_PER_TONNE, JOULES_PER_KWH } from "../../quantity/convert.ts";

/** A number with the powers of its base units: g (of CO2e), kWh, L, W, and any noun that is counted (`token`, `week`). */
export interface WrittenQuantity {
  /** In base units: 6,500 kg is 6,500,000. */
  readonly value: number;
  /** Power of each base unit; powers of 0 are left out. */
  readonly units: ReadonlyMap<string, number>;
  /** The first number as it was written, with its power of ten, before any unit or multiple: 0.13 in `0.13 g/million tokens`. */
  readonly printed: number | undefined;
  /** True for an expression of several numbers, powers of ten aside: computed by the reader, not stated by the report. */
  readonly isComposed: boolean;
  /** Half a unit in the last printed digit, relative to the value: 0.13 is good to ±3.8 %. */
  readonly rounding: number;
}

interface UnitMeaning {
  readonly base: string;
  readonly factor: number;
}

const mass = (factor: number): UnitMeaning => ({ base: "g", factor });
const energy = (joules: number): UnitMeaning => ({ base: "kWh", factor: joules / JOULES_PER_KWH });

// Case matters where people rely on it: MWh and mWh are nine orders of magnitude apart.
const UNITS: Readonly<Record<string, UnitMeaning>> = {
  mg: mass(1e-3),
  g: mass(1),
  gram: mass(1),
  kg: mass(GRAMS_PER_KILOGRAM),
  kilogram: mass(GRAMS_PER_KILOGRAM),
  t: mass(GRAMS_PER_TONNE),
  ton: mass(GRAMS_PER_TONNE),
  tonne: mass(GRAMS_PER_TONNE),
  kt: mass(1e3 * GRAMS_PER_TONNE),
  lb: mass(GRAMS_PER_POUND),
  J: energy(1),
  kJ: energy(1e3),
  MJ: energy(1e6),
  GJ: energy(1e9),
  mWh: energy(3.6),
  Wh: energy(3_600),
  kWh: energy(JOULES_PER_KWH),
  MWh: energy(1e3 * JOULES_PER_KWH),
  GWh: energy(1e6 * JOULES_PER_KWH),
  mL: { base: "L", factor: 1e-3 },
  ml: { base: "L", factor: 1e-3 },
  L: { base: "L", factor: 1 },
  l: { base: "L", factor: 1 },
  litre: { base: "L", factor: 1 },
  liter: { base: "L", factor: 1 },
  W: { base: "W", factor: 1 },
  watt: { base: "W", factor: 1 },
  kW: { base: "W", factor: 1e3 },
  h: { base: "hour", factor: 1 },
  hr: { base: "hour", factor: 1 },
  hour: { base: "hour", factor: 1 },
};

const MULTIPLES: Readonly<Record<string, number>> = {
  thousand: 1e3,
  million: 1e6,
  billion: 1e9,
  bn: 1e9,
  trillion: 1e12,
};

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Writes `10²²` as `10^22` and `CO₂` as `CO2`, and drops the words that say what a mass is of. */
function plain(text: string): string {
  return text
    .replaceAll(/[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (run) => {
      const digits = Array.from(run, (sign) => (sign === "⁻" ? "-" : sign === "⁺" ? "" : SUPERSCRIPTS.indexOf(sign)));
      return `^${digits.join("")}`;
    })
    .replaceAll("₂", "2")
    .replaceAll(
      /(?<=^|[\d\s.])(mg|g|kg|t|kt|lb|lbs|tons?|tonnes?)?[\s-]?(?:of )?CO2(?:[\s-]?e(?:q|quiv(?:alents?)?)?)?\b\.?/gi,
      "$1 ",
    )
    .replaceAll(/[*`_~]/g, (sign) => (sign === "*" ? "×" : " "))
    .replaceAll(/[·⋅]/g, "×")
    .replaceAll("÷", "/");
}

const TOKEN = /\s*(?:(\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)|(\^)(-?\d+)|([a-zA-Zµ][a-zA-Z-]*)|([()×/+]))/y;

type Token =
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "power"; readonly exponent: number }
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "sign"; readonly text: string };

function tokens(text: string): Token[] | undefined {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const source = text.trimEnd();
  while (TOKEN.lastIndex < source.length) {
    const match = TOKEN.exec(source);
    if (match === null) return undefined;
    const [, number, caret, exponent, word, sign] = match;
    if (number !== undefined) found.push({ kind: "number", text: number });
    else if (caret !== undefined) found.push({ kind: "power", exponent: Number(exponent) });
    else if (word !== undefined) found.push({ kind: "word", text: word });
    else found.push({ kind: "sign", text: sign });
  }
  return found;
}

const NUMBER_WITHOUT_COMMAS = /^\d{1,3}(,\d{3})*(\.\d+)?([eE][+-]?\d+)?$|^\d*(\.\d+)?([eE][+-]?\d+)?$/;

/** Half a unit of the last digit shown, relative: 0.038 for `0.13`, 0.01 for `50`. */
function roundingOf(text: string): number {
  const [mantissa] = text.replaceAll(",", "").split(/[eE]/);
  const digits = mantissa.replace(".", "").replace(/^0+/, "");
  if (digits === "") return 0;
  return 0.5 / Number(digits);
}

function combine(left: WrittenQuantity, right: WrittenQuantity, power: 1 | -1): WrittenQuantity {
  const units = new Map(left.units);
  for (const [unit, exponent] of right.units) {
    const sum = (units.get(unit) ?? 0) + power * exponent;
    if (sum === 0) units.delete(unit);
    else units.set(unit, sum);
  }
  return {
    value: power === 1 ? left.value * right.value : left.value / right.value,
    units,
    printed: left.printed,
    isComposed: left.isComposed || right.isComposed || (left.rounding > 0 && right.rounding > 0),
    rounding: Math.max(left.rounding, right.rounding),
  };
}

const unitQuantity = (base: string, factor: number): WrittenQuantity => ({
  value: factor,
  units: new Map([[base, 1]]),
  printed: undefined,
  isComposed: false,
  rounding: 0,
});

/** Recursive descent over `sum := product (+ product)*`, `product := factor ((× | / | per) factor)*`. */
class Parser {
  #at = 0;
  readonly #tokens: readonly Token[];

  constructor(list: readonly Token[]) {
    this.#tokens = list;
  }

  whole(): WrittenQuantity | undefined {
    const result = this.#sum();
    return this.#at === this.#tokens.length ? result : undefined;
  }

  #peekSign(...signs: readonly string[]): string | undefined {
    const next = this.#tokens[this.#at];
    if (next?.kind === "sign" && signs.includes(next.text)) return next.text;
    if (next?.kind === "word" && next.text === "per" && signs.includes("/")) return "/";
    if (next?.kind === "word" && next.text === "x" && signs.includes("×")) return "×";
    return undefined;
  }

  #sum(): WrittenQuantity | undefined {
    const first = this.#product();
    if (first === undefined) return undefined;
    let { value } = first;
    let isSum = false;
    for (; this.#peekSign("+") !== undefined; isSum = true) {
      this.#at++;
      const next = this.#product();
      if (next === undefined || !sameUnits(first, next)) return undefined;
      value += next.value;
    }
    return isSum ? { ...first, value, isComposed: true } : first;
  }

  #product(): WrittenQuantity | undefined {
    let result = this.#factor();
    while (result !== undefined) {
      const sign = this.#peekSign("×", "/");
      if (sign === undefined) return result;
      this.#at++;
      const next = this.#factor();
      if (next === undefined) return undefined;
      result = combine(result, next, sign === "×" ? 1 : -1);
    }
    return undefined;
  }

  /** A number with its unit words, a bracket, or, as in `kg/token`, unit words alone. */
  #factor(): WrittenQuantity | undefined {
    const next = this.#tokens[this.#at];
    if (next?.kind === "sign" && next.text === "(") {
      this.#at++;
      const inner = this.#sum();
      if (inner === undefined || this.#peekSign(")") === undefined) return undefined;
      this.#at++;
      return inner;
    }
    if (next?.kind === "number") return this.#number(next.text);
    return next?.kind === "word" ? this.#words() : undefined;
  }

  #number(text: string): WrittenQuantity | undefined {
    if (!NUMBER_WITHOUT_COMMAS.test(text)) return undefined;
    this.#at++;
    let value = Number(text.replaceAll(",", ""));
    let rounding = roundingOf(text);
    const power = this.#tokens[this.#at];
    if (power?.kind === "power") {
      this.#at++;
      value **= power.exponent;
      rounding = 0;
    } else if (this.#isTenToThe(this.#at)) {
      const exponent = this.#tokens[this.#at + 2] as { readonly exponent: number };
      value *= 10 ** exponent.exponent;
      this.#at += 3;
    }
    const number: WrittenQuantity = { value, units: new Map(), printed: value, isComposed: false, rounding };
    const words = this.#words();
    return words === undefined ? number : combine(number, words, 1);
  }

  /** `× 10 ^ n` right after a number belongs to the number: `4 × 10^-18 kg`. */
  #isTenToThe(at: number): boolean {
    const [sign, ten, power] = this.#tokens.slice(at, at + 3);
    const isTimes = (sign?.kind === "sign" && sign.text === "×") || (sign?.kind === "word" && sign.text === "x");
    return isTimes && ten?.kind === "number" && ten.text === "10" && power?.kind === "power";
  }

  /** `billion tokens`: multiples, then one unit or one counted noun (its last word names it: `training tokens`). */
  #words(): WrittenQuantity | undefined {
    let result: WrittenQuantity | undefined;
    let noun: string | undefined;
    for (; ; this.#at++) {
      const next = this.#tokens[this.#at];
      if (next?.kind !== "word" || next.text === "per" || next.text === "x") break;
      const multiple = MULTIPLES[next.text.toLowerCase()];
      const unit = UNITS[next.text] ?? UNITS[singular(next.text)];
      if (multiple !== undefined) {
        result = combine(result ?? ONE, { ...ONE, value: multiple }, 1);
      } else if (unit !== undefined && noun === undefined) {
        result = combine(result ?? ONE, unitQuantity(unit.base, unit.factor), 1);
        noun = "";
      } else {
        noun = noun === "" ? "" : singular(next.text.toLowerCase());
      }
    }
    if (noun !== undefined && noun !== "") result = combine(result ?? ONE, unitQuantity(noun, 1), 1);
    return result;
  }
}

const ONE: WrittenQuantity = { value: 1, units: new Map(), printed: undefined, isComposed: false, rounding: 0 };

const singular = (word: string): string =>
  word.length > 2 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;

/** True when two quantities can be compared at all. */
export function sameUnits(left: WrittenQuantity, right: WrittenQuantity): boolean {
  if (left.units.size !== right.units.size) return false;
  return [...left.units].every(([unit, exponent]) => right.units.get(unit) === exponent);
}

/** The power of one base unit, 0 where it does not occur. */
export const powerOf = (quantity: WrittenQuantity, unit: string): number => quantity.units.get(unit) ?? 0;

/**
 * A quantity, a product, a quotient or a sum of them; undefined for anything else, prose included.
 *
 * @example parseWritten("6,500 kg CO₂e / 50 billion tokens")?.value // 1.3e-4 (g per token)
 */
export function parseWritten(text: string): WrittenQuantity | undefined {
  const list = tokens(plain(text));
  if (list === undefined || !list.some(({ kind }) => kind === "number")) return undefined;
  return new Parser(list).whole();
}
