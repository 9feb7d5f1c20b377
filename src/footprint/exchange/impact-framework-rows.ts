// Writes observations as YAML rows straight into bytes: ten million values in seconds; may depend on impact-framework.
import { ABSENT, cellAt, type Column, type Observations } from "../impact-framework/observations.ts";

const CHUNK_BYTES = 1 << 20;
/** No key or number is longer; texts are measured. */
const ROOM = 4_096;
const NEWLINE = 10;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;

/** The rows of a block list, each line indented; chunks are handed out as they fill. */
export function* rowChunks(list: Observations, indent: string): Generator<Uint8Array> {
  const writer = new ByteWriter();
  const columns = Array.from(list.columns, ([name, column]) => ({
    key: Buffer.from(`${keyText(name)}: `),
    write: cellWriter(column, writer),
  }));
  const first = Buffer.from(`${indent}- `);
  const next = Buffer.from(`${indent}  `);
  for (let row = 0; row < list.length; row++) {
    let isFirst = true;
    for (const { key, write } of columns) {
      const start = writer.length;
      writer.bytes(isFirst ? first : next);
      writer.bytes(key);
      if (!write(row)) {
        writer.length = start;
        continue;
      }
      writer.byte(NEWLINE);
      isFirst = false;
    }
    if (isFirst) {
      writer.bytes(first);
      writer.ascii("{}\n");
    }
    if (writer.length > CHUNK_BYTES) yield writer.take();
  }
  yield writer.take();
}

const DAY = 86_400_000;
/** Milliseconds in hours, minutes, seconds and themselves; their digits; what follows them. */
const CLOCK = [
  [3_600_000, 2, 58],
  [60_000, 2, 58],
  [1_000, 2, POINT],
  [1, 3, 90],
] as const;

class ByteWriter {
  length = 0;
  #day = Number.NaN;
  #dayText = "";
  #buffer = Buffer.allocUnsafe(2 * CHUNK_BYTES);

  /** Everything so far, as bytes of its own. */
  take(): Uint8Array {
    const taken = this.#buffer.subarray(0, this.length);
    this.#buffer = Buffer.allocUnsafe(2 * CHUNK_BYTES);
    this.length = 0;
    return taken;
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.length + more));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }

  byte(value: number): void {
    this.#buffer[this.length++] = value;
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length + ROOM);
    const buffer = this.#buffer;
    let at = this.length;
    for (let index = 0; index < bytes.length; index++) buffer[at++] = bytes[index];
    this.length = at;
  }

  ascii(text: string): void {
    const buffer = this.#buffer;
    let at = this.length;
    for (let index = 0; index < text.length; index++) buffer[at++] = text.charCodeAt(index);
    this.length = at;
  }

  text(text: string): void {
    this.#reserve(text.length * 3 + ROOM);
    this.length += this.#buffer.write(text, this.length);
  }

  /** `2024-01-31T00:00:00.000Z`. */
  time(milliseconds: number): void {
    const day = Math.floor(milliseconds / DAY);
    if (day !== this.#day) {
      this.#day = day;
      this.#dayText = new Date(day * DAY).toISOString().slice(0, 11);
    }
    this.ascii(this.#dayText);
    let rest = milliseconds - day * DAY;
    for (const [unit, size, sign] of CLOCK) {
      const count = Math.floor(rest / unit);
      rest -= count * unit;
      for (let power = 10 ** (size - 1); power >= 1; power /= 10) this.byte(ZERO + (Math.floor(count / power) % 10));
      this.byte(sign);
    }
  }

  /** A whole number from 0 to 2^53, with a point `decimals` digits from its end. */
  digits(value: number, decimals: number): void {
    const buffer = this.#buffer;
    let count = 1;
    for (let power = 10; power <= value; power *= 10) count++;
    const size = Math.max(count, decimals + 1) + (decimals > 0 ? 1 : 0);
    let rest = value;
    let at = this.length + size - 1;
    for (let index = 0; index < size; index++) {
      if (decimals > 0 && index === decimals) buffer[at--] = POINT;
      else {
        const shorter = Math.floor(rest / 10);
        buffer[at--] = ZERO + rest - shorter * 10;
        rest = shorter;
      }
    }
    this.length += size;
  }

  number(value: number): void {
    const size = Math.abs(value);
    // Up to 15 digits a decimal that gives the number back is its shortest text.
    if (size < 1e9 && size >= 1e-3) {
      for (let decimals = 0, power = 1; decimals <= 2; decimals++, power *= 10) {
        const whole = Math.round(size * power);
        if (whole / power !== size) continue;
        if (value < 0) this.byte(MINUS);
        this.digits(whole, decimals);
        return;
      }
    }
    // Between these bounds JavaScript writes no exponent, which YAML 1.1 would want a point in.
    this.ascii(size < 1e21 && size >= 1e-6 ? String(value) : numberText(value));
  }
}

/** Writes the cell of a row; false where the observation lacks the key. */
function cellWriter(column: Column, writer: ByteWriter): (row: number) => boolean {
  if (column.kind === "number") {
    const { values } = column;
    return (row) => {
      writer.number(values[row]);
      return true;
    };
  }
  if (column.kind === "date" && column.values.every((time) => time >= 0 && time < 253_402_300_800_000)) {
    const { values } = column;
    return (row) => {
      writer.time(values[row]);
      return true;
    };
  }
  if (column.kind === "constant") {
    const text = Buffer.from(cellText(column.value));
    return () => {
      writer.bytes(text);
      return true;
    };
  }
  let last: unknown = ABSENT;
  let lastText = Buffer.alloc(0);
  return (row) => {
    const value = cellAt(column, row);
    if (value === ABSENT) return false;
    if (typeof value === "string" && isQuotedStamp(value)) {
      writer.ascii(`"${value}"`);
      return true;
    }
    if (value !== last || typeof value === "object") {
      last = value;
      lastText = Buffer.from(cellText(value));
    }
    writer.bytes(lastText);
    return true;
  };
}

/** Text of digits and the signs of a timestamp: it needs quotes, and nothing in it needs escaping. */
const isQuotedStamp = (text: string): boolean => text.length < 40 && /^\d{4}-[-\d:TZ.+]+$/.test(text);

const WORDS = /^(true|false|null|y|n|yes|no|on|off)$/i;

const keyText = (name: string): string =>
  /^[A-Za-z][\w/.-]*$/.test(name) && !WORDS.test(name) ? name : JSON.stringify(name);

/** Readers of YAML 1.1 want a point in a number with an exponent. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value > 0 ? ".inf" : "-.inf";
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return text.includes("e") && !text.includes(".") ? text.replace("e", ".0e") : text;
}

/** One value as a YAML flow scalar or flow collection. */
export function cellText(value: unknown): string {
  if (typeof value === "number") return numberText(value);
  if (value === null || value === undefined) return "null";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "null" : value.toISOString();
  if (typeof value === "string") {
    const isPlain = /^[A-Za-z][A-Za-z0-9_./@()% -]*$/.test(value) && !WORDS.test(value) && !value.endsWith(" ");
    return isPlain ? value : JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(cellText).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${cellText(each)}`);
  return `{${pairs.join(", ")}}`;
}
