// Reads the regular lists of observations of a manifest straight from bytes into columns, as the general reader would; may depend on impact-framework.
import { ABSENT, type Column, type Observations } from "../impact-framework/observations.ts";

/** A manifest whose regular lists are taken out: `text` has a marker in the place of each. */
export interface SplicedManifest {
  readonly text: string;
  readonly lists: readonly Observations[];
  /** The 1-based line of the file for a 1-based line of `text`. */
  readonly lineOf: (line: number) => number;
}

const MARKER = "lightfoot-list-";

/** The list that a value stands for, when it is a marker. */
export function listOfMarker({ lists }: Pick<SplicedManifest, "lists">, value: unknown): Observations | undefined {
  if (typeof value !== "string" || !value.startsWith(MARKER)) return undefined;
  return lists[Number(value.slice(MARKER.length))];
}

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const HASH = 35;
const QUOTE = 34;
const APOSTROPHE = 39;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
const BACKSLASH = 92;

// Letters, digits and the few signs that mean nothing in YAML wherever they stand inside of plain text.
const PLAIN = new Uint8Array(256);
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@+()%- ")
  PLAIN[char.charCodeAt(0)] = 1;
const KEY = new Uint8Array(256);
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") KEY[char.charCodeAt(0)] = 1;
const isLetter = (byte: number): boolean => (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90);
const isDigit = (byte: number): boolean => byte >= ZERO && byte <= NINE;
/** Words that YAML's core schema does not take as text. */
const NOT_TEXT = /^(?:true|false|null)$/i;

/**
 * Takes every `inputs:` and `outputs:` out whose list is regular: block style, one `key: value` a line, plain keys, values
 * that are decimal numbers, timestamps, plain or simply quoted text. Any other list stays in the text for the general reader.
 *
 * @returns undefined when the text holds a marker of its own
 */
export function spliceLists(bytes: Buffer): SplicedManifest | undefined {
  if (bytes.includes(MARKER)) return undefined;
  const pieces: string[] = [];
  const lists: Observations[] = [];
  const removed: { after: number; lines: number }[] = [];
  let kept = 0;
  let at = 0;
  let line = 1;
  let outLine = 1;
  while (at < bytes.length) {
    const end = endOfLine(bytes, at);
    const indent = listKeyIndent(bytes, at, end);
    const next = end + 1;
    if (indent >= 0 && next < bytes.length) {
      const list = new ListReader(bytes, indent).read(next, line + 1);
      if (list !== undefined) {
        let keyEnd = end;
        while (bytes[keyEnd - 1] === SPACE || bytes[keyEnd - 1] === CARRIAGE_RETURN) keyEnd--;
        pieces.push(bytes.toString("utf8", kept, keyEnd), ` "${MARKER}${lists.length}"\n`);
        lists.push(list.observations);
        removed.push({ after: outLine, lines: list.lines });
        kept = list.end;
        at = list.end;
        line += 1 + list.lines;
        outLine++;
        continue;
      }
    }
    at = next;
    line++;
    outLine++;
  }
  pieces.push(bytes.toString("utf8", kept));
  const lineOf = (wanted: number): number =>
    removed.reduce((sum, { after, lines }) => (wanted > after ? sum + lines : sum), wanted);
  return { text: pieces.join(""), lists, lineOf };
}

function endOfLine(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(NEWLINE, from);
  return end < 0 ? bytes.length : end;
}

const INPUTS = Buffer.from("inputs:");
const OUTPUTS = Buffer.from("outputs:");

/** Columns before `inputs:` or `outputs:` when the line holds nothing else; −1 otherwise. */
function listKeyIndent(bytes: Buffer, start: number, end: number): number {
  let first = start;
  while (first < end && bytes[first] === SPACE) first++;
  const key = bytes[first] === INPUTS[0] ? INPUTS : bytes[first] === OUTPUTS[0] ? OUTPUTS : undefined;
  if (key === undefined || end - first < key.length) return -1;
  for (let index = 0; index < key.length; index++) if (bytes[first + index] !== key[index]) return -1;
  for (let rest = first + key.length; rest < end; rest++) {
    if (bytes[rest] !== SPACE && bytes[rest] !== CARRIAGE_RETURN) return -1;
  }
  return first - start;
}

/** Reads one list; gives up (undefined) at the first thing that is not regular. */
class ListReader {
  readonly #bytes: Buffer;
  readonly #parentIndent: number;
  readonly #columns: ColumnReader[] = [];
  readonly #byName = new Map<string, ColumnReader>();
  #rows = 0;
  #lines = new Int32Array(64);

  constructor(bytes: Buffer, parentIndent: number) {
    this.#bytes = bytes;
    this.#parentIndent = parentIndent;
  }

  read(start: number, firstLine: number): { observations: Observations; end: number; lines: number } | undefined {
    const bytes = this.#bytes;
    let at = start;
    let lines = 0;
    let dashIndent = -1;
    let keyIndent = -1;
    let pair = 0;
    while (at < bytes.length) {
      const end = endOfLine(bytes, at);
      let first = at;
      while (first < end && bytes[first] === SPACE) first++;
      const byte = first === end ? CARRIAGE_RETURN : bytes[first];
      if (byte === HASH || (byte === CARRIAGE_RETURN && first >= end - 1)) {
        at = end + 1;
        lines++;
        continue;
      }
      const indent = first - at;
      const isDash = byte === MINUS && (bytes[first + 1] === SPACE || first + 1 === end);
      if (isDash && (indent === dashIndent || (dashIndent < 0 && indent >= this.#parentIndent))) {
        dashIndent = indent;
        let key = first + 1;
        while (key < end && bytes[key] === SPACE) key++;
        if (keyIndent < 0) keyIndent = key - at;
        if (key - at !== keyIndent) return undefined;
        this.#startRow(firstLine + lines);
        pair = 0;
        if (!this.#readPair(key, end, pair++)) return undefined;
      } else if (dashIndent >= 0 && indent === keyIndent && !isDash) {
        if (!this.#readPair(first, end, pair++)) return undefined;
      } else if (dashIndent >= 0 && indent <= this.#parentIndent && !(isDash && indent === dashIndent)) break;
      else return undefined;
      at = end + 1;
      lines++;
    }
    if (this.#rows === 0) return undefined;
    const end = Math.min(at, bytes.length);
    const rows = bytes.subarray(start, end);
    const source = {
      indent: dashIndent,
      rows: () => (bytes[end - 1] === NEWLINE ? [rows] : [rows, Buffer.from("\n")]),
    };
    return { observations: { ...this.#finish(), source }, end, lines };
  }

  #startRow(line: number): void {
    if (this.#rows === this.#lines.length) {
      const more = new Int32Array(this.#rows * 2);
      more.set(this.#lines);
      this.#lines = more;
    }
    this.#lines[this.#rows++] = line;
  }

  #readPair(start: number, lineEnd: number, pair: number): boolean {
    const bytes = this.#bytes;
    const column = this.#columnAt(start, lineEnd, pair);
    if (column === undefined) return false;
    let from = start + column.keyLength + 1;
    while (from < lineEnd && bytes[from] === SPACE) from++;
    let to = lineEnd;
    if (bytes[to - 1] === CARRIAGE_RETURN) to--;
    while (to > from && bytes[to - 1] === SPACE) to--;
    return from < to && column.add(bytes, from, to, this.#rows - 1);
  }

  /** The column of the key at `start`; in regular files the keys come in one order, which saves the look-up. */
  #columnAt(start: number, end: number, pair: number): ColumnReader | undefined {
    const bytes = this.#bytes;
    const expected = this.#columns[pair];
    if (expected !== undefined && expected.isAt(bytes, start)) return expected;
    if (!isLetter(bytes[start])) return undefined;
    let stop = start;
    while (stop < end && KEY[bytes[stop]] === 1) stop++;
    if (bytes[stop] !== COLON || (stop + 1 < end && bytes[stop + 1] !== SPACE)) return undefined;
    const name = bytes.toString("latin1", start, stop);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    // Words that are no text are written in another way as keys, too.
    if (NOT_TEXT.test(name) || name === "__proto__") return undefined;
    const fresh = new ColumnReader(name);
    this.#columns.push(fresh);
    this.#byName.set(name, fresh);
    return fresh;
  }

  #finish(): Observations {
    const lines = this.#lines;
    return {
      length: this.#rows,
      columns: new Map(this.#columns.map((column) => [column.name, column.finish(this.#rows)])),
      lineOf: (row) => lines[row],
    };
  }
}

/** Grows one column: numbers or dates as long as all values are such, else values of any kind. */
class ColumnReader {
  readonly name: string;
  readonly keyLength: number;
  readonly #key: Buffer;
  #kind: "number" | "date" | "any" | undefined;
  #numbers = new Float64Array(64);
  #any: unknown[] = [];
  #count = 0;
  #lastText = "";
  #day = Number.NaN;
  #dayText = -1;

  constructor(name: string) {
    this.name = name;
    this.keyLength = name.length;
    this.#key = Buffer.from(`${name}:`, "latin1");
  }

  isAt(bytes: Buffer, start: number): boolean {
    const key = this.#key;
    for (let index = 0; index < key.length; index++) if (bytes[start + index] !== key[index]) return false;
    return bytes[start + key.length] === SPACE;
  }

  /** False when the value is not regular, or the key stands twice in one observation. */
  add(bytes: Buffer, from: number, to: number, row: number): boolean {
    if (this.#count > row) return false;
    if (this.#count < row) this.#padTo(row);
    const first = bytes[from];
    if (isDigit(first) || first === MINUS) {
      const number = readNumber(bytes, from, to);
      if (number === number) return this.#pushNumber(number, "number");
      const time = this.#readTime(bytes, from, to);
      if (time === time) return this.#pushNumber(time, "date");
      return isMinuteStamp(bytes, from, to) && this.#pushText(bytes, from, to);
    }
    if (first === QUOTE || first === APOSTROPHE) {
      if (to - from < 2 || bytes[to - 1] !== first) return false;
      for (let index = from + 1; index < to - 1; index++) {
        const byte = bytes[index];
        if (byte === first || byte === BACKSLASH || byte < SPACE || byte > 126) return false;
      }
      return this.#pushText(bytes, from + 1, to - 1);
    }
    if (!isLetter(first)) return false;
    for (let index = from; index < to; index++) if (PLAIN[bytes[index]] !== 1) return false;
    return this.#pushText(bytes, from, to) && !NOT_TEXT.test(this.#lastText);
  }

  #padTo(row: number): void {
    this.#toAny();
    while (this.#count < row) {
      this.#any.push(ABSENT);
      this.#count++;
    }
  }

  #pushNumber(value: number, kind: "number" | "date"): boolean {
    this.#kind ??= kind;
    if (this.#kind !== kind) {
      this.#toAny();
      this.#any.push(kind === "date" ? new Date(value) : value);
    } else {
      if (this.#count === this.#numbers.length) {
        const more = new Float64Array(this.#count * 2);
        more.set(this.#numbers);
        this.#numbers = more;
      }
      this.#numbers[this.#count] = value;
    }
    this.#count++;
    return true;
  }

  #pushText(bytes: Buffer, from: number, to: number): boolean {
    if (this.#kind !== "any") this.#toAny();
    if (!this.#isLastText(bytes, from, to)) this.#lastText = bytes.toString("latin1", from, to);
    this.#any.push(this.#lastText);
    this.#count++;
    return true;
  }

  #isLastText(bytes: Buffer, from: number, to: number): boolean {
    const text = this.#lastText;
    if (text.length !== to - from) return false;
    for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) !== bytes[from + index]) return false;
    return true;
  }

  #toAny(): void {
    if (this.#kind === "any") return;
    const isDate = this.#kind === "date";
    this.#any = Array.from(this.#numbers.subarray(0, this.#count), (value) => (isDate ? new Date(value) : value));
    this.#kind = "any";
  }

  /** `YYYY-MM-DD`, or that with `THH:MM:SS`, an optional fraction and an optional Z; NaN for anything else. */
  #readTime(bytes: Buffer, from: number, to: number): number {
    const length = to - from;
    if (length !== 10 && length < 19) return Number.NaN;
    const year = digits(bytes, from, 4);
    const month = digits(bytes, from + 5, 2);
    const date = digits(bytes, from + 8, 2);
    if (bytes[from + 4] !== MINUS || bytes[from + 7] !== MINUS) return Number.NaN;
    if (!(year >= 1000 && month >= 1 && month <= 12 && date >= 1 && date <= 28 + (date <= 31 ? 3 : 0)))
      return Number.NaN;
    const day = (year * 100 + month) * 100 + date;
    if (day !== this.#dayText) {
      this.#dayText = day;
      this.#day = Date.UTC(year, month - 1, date);
    }
    if (length === 10) return this.#day;
    const separator = bytes[from + 10];
    if (separator !== 84 && separator !== SPACE) return Number.NaN;
    const hour = digits(bytes, from + 11, 2);
    const minute = digits(bytes, from + 14, 2);
    const second = digits(bytes, from + 17, 2);
    if (bytes[from + 13] !== COLON || bytes[from + 16] !== COLON) return Number.NaN;
    if (!(hour < 24 && minute < 60 && second < 60)) return Number.NaN;
    let rest = from + 19;
    let fraction = 0;
    if (bytes[rest] === POINT && rest < to) {
      rest++;
      const start = rest;
      while (rest < to && isDigit(bytes[rest])) rest++;
      if (rest === start) return Number.NaN;
      for (let place = 0; place < 3; place++)
        fraction = fraction * 10 + (start + place < rest ? bytes[start + place] - ZERO : 0);
    }
    if (rest < to && bytes[rest] === 90) rest++;
    if (rest !== to) return Number.NaN;
    return this.#day + ((hour * 60 + minute) * 60 + second) * 1000 + fraction;
  }

  finish(rows: number): Column {
    if (this.#count < rows) this.#padTo(rows);
    if (this.#kind === "any") return { kind: "any", values: this.#any };
    return { kind: this.#kind ?? "number", values: this.#numbers.slice(0, this.#count) };
  }
}

function digits(bytes: Buffer, from: number, count: number): number {
  let value = 0;
  for (let index = from; index < from + count; index++) {
    if (!isDigit(bytes[index])) return Number.NaN;
    value = value * 10 + bytes[index] - ZERO;
  }
  return value;
}

/** `YYYY-MM-DDTHH:MM`: no timestamp for YAML, which wants seconds, and so text. */
function isMinuteStamp(bytes: Buffer, from: number, to: number): boolean {
  return (
    to - from === 16 &&
    bytes[from + 4] === MINUS &&
    bytes[from + 7] === MINUS &&
    bytes[from + 10] === 84 &&
    bytes[from + 13] === COLON &&
    [digits(bytes, from, 4), digits(bytes, from + 5, 2), digits(bytes, from + 8, 2)].every(
      (value) => value === value,
    ) &&
    [digits(bytes, from + 11, 2), digits(bytes, from + 14, 2)].every((value) => value === value)
  );
}

const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
const EXACT_DIGITS = 15;

/** A decimal number; NaN for anything that is none. Up to 15 digits the quotient of two exact doubles is correctly rounded. */
function readNumber(bytes: Buffer, from: number, to: number): number {
  let at = from;
  const isNegative = bytes[at] === MINUS;
  if (isNegative) at++;
  const start = at;
  let mantissa = 0;
  let count = 0;
  while (at < to && isDigit(bytes[at])) {
    mantissa = mantissa * 10 + bytes[at++] - ZERO;
    count++;
  }
  // YAML readers differ on leading zeros; the general reader decides.
  if (count === 0 || (count > 1 && bytes[start] === ZERO)) return Number.NaN;
  let decimals = 0;
  if (at < to && bytes[at] === POINT) {
    at++;
    while (at < to && isDigit(bytes[at])) {
      mantissa = mantissa * 10 + bytes[at++] - ZERO;
      decimals++;
    }
    if (decimals === 0) return Number.NaN;
  }
  if (at === to && count + decimals <= EXACT_DIGITS) {
    const value = decimals === 0 ? mantissa : mantissa / POWERS_OF_TEN[decimals];
    return isNegative ? -value : value;
  }
  if (at < to) {
    if (bytes[at] !== 101 && bytes[at] !== 69) return Number.NaN;
    at++;
    if (bytes[at] === MINUS || bytes[at] === 43) at++;
    const exponent = at;
    while (at < to && isDigit(bytes[at])) at++;
    if (at === exponent || at !== to) return Number.NaN;
  }
  return Number(bytes.toString("latin1", from, to));
}
