// Exact arithmetic on dimensions that may be symbols: integers, names and expressions in one canonical text; may depend
// on graph only.
import type { Dim } from "../graph.ts";

/**
 * A polynomial over atoms: canonical text of a product of atoms ("" for the constant term) to its coefficient. An atom is
 * a symbol, `floor(p/q)`, `max(p, q)` or `min(p, q)`; all atoms stand for integers, symbols for integers of at least 1.
 */
type Polynomial = ReadonlyMap<string, number>;

/** A dimension of which something is known. */
export type Size = number | string;

const SYMBOL = /^[A-Za-z_$][\w.$:]*(?:-[A-Za-z_][\w.$:]*)*(?:\[\d+\])?$/;
const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)|([A-Za-z_$][\w.$:]*(?:-[A-Za-z_][\w.$:]*)*(?:\[\d+\])?)|(`[^`]*`)|(\/\/|[-+*/(),]))/y;
const PRODUCT = "\u00b7";

// Canonical texts repeat endlessly within one model; the bound only keeps a long-lived server from growing.
const CACHE_LIMIT = 20_000;
const parsed = new Map<string, Polynomial>();

const ofNumber = (value: number): Polynomial => new Map(value === 0 ? [] : [["", value]]);
const ofAtom = (atom: string): Polynomial => new Map([[atom, 1]]);

function polynomialOf(size: Size): Polynomial {
  if (typeof size === "number") return ofNumber(size);
  const known = parsed.get(size);
  if (known !== undefined) return known;
  const polynomial = new Parser(size).parse() ?? ofAtom(quoted(size));
  if (parsed.size > CACHE_LIMIT) parsed.clear();
  parsed.set(size, polynomial);
  return polynomial;
}

const quoted = (symbol: string): string => (SYMBOL.test(symbol) ? symbol : `\`${symbol.replaceAll("`", "'")}\``);
const unquoted = (atom: string): string => (atom.startsWith("`") ? atom.slice(1, -1) : atom);

function plus(left: Polynomial, right: Polynomial, factor = 1): Polynomial {
  const result = new Map(left);
  for (const [product, coefficient] of right) {
    const total = (result.get(product) ?? 0) + factor * coefficient;
    if (total === 0) result.delete(product);
    else result.set(product, total);
  }
  return result;
}

const factorsOf = (product: string): string[] => (product === "" ? [] : product.split(PRODUCT));

function times(left: Polynomial, right: Polynomial): Polynomial {
  let result: Polynomial = new Map();
  for (const [a, x] of left) {
    for (const [b, y] of right) {
      const product = [...factorsOf(a), ...factorsOf(b)].sort().join(PRODUCT);
      result = plus(result, new Map([[product, x * y]]));
    }
  }
  return result;
}

const constantOf = (p: Polynomial): number | undefined =>
  p.size === 0 ? 0 : p.size === 1 && p.has("") ? p.get("") : undefined;

function textOf(p: Polynomial): string {
  const terms = [...p].sort(([a], [b]) => factorsOf(b).length - factorsOf(a).length || (a < b ? -1 : 1));
  const text = terms.map(([product, coefficient], i) => {
    const magnitude = Math.abs(coefficient);
    const factors = factorsOf(product).join("*");
    const body = factors === "" ? String(magnitude) : magnitude === 1 ? factors : `${magnitude}*${factors}`;
    return i === 0 ? (coefficient < 0 ? `-${body}` : body) : `${coefficient < 0 ? " - " : " + "}${body}`;
  });
  return text.join("");
}

function sizeOf(p: Polynomial): Size {
  const constant = constantOf(p);
  if (constant !== undefined) return constant;
  const text = textOf(p);
  return text.startsWith("`") && text.indexOf("`", 1) === text.length - 1 ? unquoted(text) : text;
}

const grouped = (p: Polynomial): string => (p.size > 1 ? `(${textOf(p)})` : textOf(p));

function floorQuotient(dividend: Polynomial, divisor: Polynomial): Polynomial {
  const q = constantOf(divisor);
  if (q === undefined) return symbolicQuotient(dividend, divisor);
  if (q < 0) return floorQuotient(times(dividend, ofNumber(-1)), ofNumber(-q));
  if (!Number.isInteger(q)) return floorOf(times(dividend, ofNumber(1 / q)));
  const whole = new Map<string, number>();
  const rest = new Map<string, number>();
  for (const [product, coefficient] of dividend) {
    const quotient = product === "" || coefficient % q === 0 ? Math.floor(coefficient / q) : 0;
    if (quotient !== 0) whole.set(product, quotient);
    if (coefficient - quotient * q !== 0) rest.set(product, coefficient - quotient * q);
  }
  if ((constantOf(rest) ?? q) < q) return whole;
  return plus(whole, ofAtom(`floor(${floorText(rest, q)})`));
}

/** `floor((floor(a/b) + k)/q)` is `floor((a + k·b)/(b·q))`: strided layers in a row stay one division. */
function floorText(rest: Polynomial, q: number): string {
  const atoms = [...rest].filter(([product]) => product !== "");
  const [atom, coefficient] = atoms[0] ?? ["", 0];
  const inner = /^floor\((.*)\/(\d+)\)$/.exec(atom);
  if (atoms.length === 1 && coefficient === 1 && inner !== null && !atom.includes(PRODUCT) && balanced(inner[1])) {
    const b = Number(inner[2]);
    const dividend = plus(polynomialOf(inner[1]), ofNumber((rest.get("") ?? 0) * b));
    return `${grouped(dividend)}/${b * q}`;
  }
  return `${grouped(rest)}/${q}`;
}

function balanced(text: string): boolean {
  let depth = 0;
  for (const character of text) {
    if (character === "(") depth += 1;
    if (character === ")" && --depth < 0) return false;
  }
  return depth === 0;
}

/** Cancels common factors, so that `-1` in a Reshape of `[2·B·S]` to `[B, -1]` becomes `2·S`. */
function symbolicQuotient(dividend: Polynomial, divisor: Polynomial): Polynomial {
  const [first] = divisor;
  if (first !== undefined && divisor.size === 1) {
    const [product, coefficient] = first;
    const cancelled = [...dividend].map(([term, factor]) => {
      const left = factorsOf(term);
      for (const atom of factorsOf(product)) {
        const at = left.indexOf(atom);
        if (at < 0) return undefined;
        left.splice(at, 1);
      }
      return [left.join(PRODUCT), factor] as const;
    });
    if (cancelled.every((term) => term !== undefined)) return floorQuotient(new Map(cancelled), ofNumber(coefficient));
  } else if (first !== undefined) {
    // A divisor of several terms cancels when the dividend is one of its multiples by a single term.
    const [product, coefficient] = first;
    for (const [term, factor] of dividend) {
      const left = factorsOf(term);
      const removable = factorsOf(product).every((atom) => {
        const at = left.indexOf(atom);
        if (at >= 0) left.splice(at, 1);
        return at >= 0;
      });
      if (!removable || factor % coefficient !== 0) continue;
      const candidate = new Map([[left.join(PRODUCT), factor / coefficient]]);
      const remainder = plus(dividend, times(candidate, divisor), -1);
      if (remainder.size === 0) return candidate;
      if (remainder.size < dividend.size) return plus(candidate, symbolicQuotient(remainder, divisor));
    }
  }
  return ofAtom(`floor(${grouped(dividend)}/${grouped(divisor)})`);
}

/** Floor of a polynomial with fractional coefficients, as a float `scales` input of Resize makes. */
function floorOf(p: Polynomial): Polynomial {
  if ([...p.values()].every(Number.isInteger)) return p;
  for (let q = 2; q <= 1024; q += 1) {
    const scaled = new Map([...p].map(([product, coefficient]) => [product, coefficient * q] as const));
    if ([...scaled.values()].every(Number.isInteger)) return floorQuotient(scaled, ofNumber(q));
  }
  return ofAtom(`floor(${grouped(p)}/1)`);
}

/** floor, max and min may be 0, a product of symbols is at least 1. */
const leastOf = (product: string): number => (/(?:^|\u00b7)(?:floor|min|max)\(/.test(product) ? 0 : 1);

/** 1 when a polynomial is surely not below 0, -1 when surely not above, else undefined; symbols are at least 1. */
function signOf(p: Polynomial): 1 | -1 | undefined {
  const bound = [...p].reduce((total, [product, c]) => total + (product === "" ? c : c * leastOf(product)), 0);
  const others = [...p].filter(([product]) => product !== "");
  if (others.every(([, c]) => c > 0) && bound >= 0) return 1;
  return others.every(([, c]) => c < 0) && bound <= 0 ? -1 : undefined;
}

function extreme(kind: "max" | "min", left: Polynomial, right: Polynomial): Polynomial {
  const sign = signOf(plus(left, right, -1));
  if (sign !== undefined) return (sign === 1) === (kind === "max") ? left : right;
  const [a, b] = [textOf(left), textOf(right)].sort();
  return ofAtom(`${kind}(${a}, ${b})`);
}

/** Recursive descent over the canonical text and what exporters write as `dim_param` (`past + 1`, `(s0 - 1)//2`). */
class Parser {
  private readonly tokens: string[] = [];
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  parse(): Polynomial | undefined {
    TOKEN.lastIndex = 0;
    const end = this.text.trimEnd().length;
    while (TOKEN.lastIndex < end) {
      const match = TOKEN.exec(this.text);
      if (match === null) return undefined;
      this.tokens.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? "");
    }
    const result = this.sum();
    return this.at === this.tokens.length ? result : undefined;
  }

  private accept(token: string): boolean {
    const found = this.tokens[this.at] === token;
    if (found) this.at += 1;
    return found;
  }

  private sum(): Polynomial | undefined {
    const negative = this.accept("-");
    let left = this.product();
    if (negative && left !== undefined) left = times(left, ofNumber(-1));
    while (left !== undefined && (this.tokens[this.at] === "+" || this.tokens[this.at] === "-")) {
      const sign = this.tokens[this.at++] === "+" ? 1 : -1;
      const right = this.product();
      left = right && plus(left, right, sign);
    }
    return left;
  }

  private product(): Polynomial | undefined {
    let left = this.factor();
    while (left !== undefined && (this.tokens[this.at] === "*" || this.tokens[this.at] === "//")) {
      const multiply = this.tokens[this.at++] === "*";
      const right = this.factor();
      left = right && (multiply ? times(left, right) : floorQuotient(left, right));
    }
    return left;
  }

  private factor(): Polynomial | undefined {
    const token = this.tokens[this.at++];
    if (token === undefined) return undefined;
    if (token === "(") {
      const inner = this.sum();
      return this.accept(")") ? inner : undefined;
    }
    if (/^\d/.test(token)) return ofNumber(Number(token));
    if (/^(?:floor|max|min|Max|Min)$/.test(token) && this.accept("(")) return this.call(token.toLowerCase());
    if (!/^[A-Za-z_$`]/.test(token)) return undefined;
    return ofAtom(token.startsWith("`") ? quoted(unquoted(token)) : token);
  }

  private call(name: string): Polynomial | undefined {
    const left = this.sum();
    if (left === undefined || !this.accept(name === "floor" ? "/" : ",")) return undefined;
    const right = name === "floor" ? this.factor() : this.sum();
    if (right === undefined || !this.accept(")")) return undefined;
    return name === "floor" ? floorQuotient(left, right) : extreme(name as "max" | "min", left, right);
  }
}

const binary =
  (operation: (left: Polynomial, right: Polynomial) => Polynomial, numeric: (a: number, b: number) => number) =>
  (left: Size, right: Size): Size =>
    typeof left === "number" && typeof right === "number"
      ? numeric(left, right)
      : sizeOf(operation(polynomialOf(left), polynomialOf(right)));

export const add = binary(plus, (a, b) => a + b);
export const subtract = binary(
  (a, b) => plus(a, b, -1),
  (a, b) => a - b,
);
export const multiply = binary(times, (a, b) => a * b);
/** `floor(left / right)`. */
export const floorDivide = binary(floorQuotient, (a, b) => Math.floor(a / b));
export const maximum = binary((a, b) => extreme("max", a, b), Math.max);
export const minimum = binary((a, b) => extreme("min", a, b), Math.min);

export const ceilDivide = (left: Size, right: Size): Size => floorDivide(subtract(add(left, right), 1), right);
/** Floor of a size that a fractional scale made. */
export const floorSize = (size: Size): Size =>
  typeof size === "number" ? Math.floor(size) : sizeOf(floorOf(polynomialOf(size)));
export const productOf = (sizes: readonly Size[]): Size => sizes.reduce(multiply, 1);

/** The canonical form: `canonical("b*2")` is `"2*b"`; what is no expression is a symbol as it stands. */
export const canonical = (size: Size): Size => (typeof size === "number" ? size : sizeOf(polynomialOf(size)));

/** True for a bare symbol, false for a number or an expression. */
export const isSymbol = (size: Size): size is string =>
  typeof size === "string" && symbolsOf(size).length === 1 && symbolsOf(size)[0] === size;

const FUNCTION = /^(floor|max|min)\((.*)\)$/s;

/** The symbols of a dimension, each once. */
export function symbolsOf(size: Dim): string[] {
  if (typeof size !== "string") return [];
  const found = new Set<string>();
  for (const product of polynomialOf(size).keys()) {
    for (const atom of factorsOf(product)) {
      const call = FUNCTION.exec(atom);
      if (call === null) found.add(unquoted(atom));
      else for (const part of argumentsOf(call[1], call[2])) symbolsOf(part).forEach((symbol) => found.add(symbol));
    }
  }
  return [...found];
}

/** The two arguments of an atom: the text around its outermost `,` or last outermost `/`. */
function argumentsOf(name: string, text: string): [string, string] {
  let depth = 0;
  let cut = -1;
  for (let i = 0; i < text.length; i += 1) {
    const character = text[i];
    if (character === "`") i = text.indexOf("`", i + 1);
    else if (character === "(") depth += 1;
    else if (character === ")") depth -= 1;
    else if (depth === 0 && character === (name === "floor" ? "/" : ",")) cut = i;
  }
  return [text.slice(0, cut).trim(), text.slice(cut + 1).trim()];
}

/** A dimension with symbols replaced; what stays free remains symbolic. `substitute("2*b + 1", {b: 4})` is `9`. */
export function substitute(size: Size, bindings: ReadonlyMap<string, Size>): Size {
  if (typeof size === "number" || bindings.size === 0) return size;
  let total: Size = 0;
  for (const [product, coefficient] of polynomialOf(size)) {
    const factors = factorsOf(product).map((atom) => substituteAtom(atom, bindings));
    total = add(total, factors.reduce<Size>(multiply, coefficient));
  }
  return total;
}

function substituteAtom(atom: string, bindings: ReadonlyMap<string, Size>): Size {
  const call = FUNCTION.exec(atom);
  if (call === null) return bindings.get(unquoted(atom)) ?? unquoted(atom);
  const [left, right] = argumentsOf(call[1], call[2]).map((part) => substitute(canonical(numberOr(part)), bindings));
  if (call[1] === "floor") return floorDivide(left, right);
  return call[1] === "max" ? maximum(left, right) : minimum(left, right);
}

/** The sign when it is certain for all symbols of at least 1: 1 above zero, 0 zero, -1 below; else undefined. */
export function certainSign(size: Size): -1 | 0 | 1 | undefined {
  if (typeof size === "number") return Math.sign(size) as -1 | 0 | 1;
  const terms = [...polynomialOf(size)];
  const bound = terms.reduce((total, [product, c]) => total + (product === "" ? c : c * leastOf(product)), 0);
  const others = terms.filter(([product]) => product !== "");
  if (others.every(([, c]) => c > 0) && bound > 0) return 1;
  return others.every(([, c]) => c < 0) && bound < 0 ? -1 : undefined;
}

const numberOr = (text: string): Size => (/^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text);
