// Scans data files for direct identifiers: CSV, JSON Lines, plain text and NumPy strings; counts and places, never values. May
// depend on errors, io and its room.
import { createReadStream } from "node:fs";
import { asLightfootError } from "../../errors/lightfoot-error.ts";
import { memoryStream } from "../../io/byte-stream.ts";
import { readCsvRows } from "../../io/csv.ts";
import type { FileRange } from "../../io/file-range.ts";
import { readNpyHeader } from "../../io/npy.ts";
import { openZipEntry, readZipDirectory } from "../../io/zip.ts";
import { findIdentifiers, LONGEST_IDENTIFIER, type IdentifierKind } from "./identifiers.ts";

/** Where an identifier stands, and its shape with letters as x and digits as 9. */
export interface IdentifierPlace {
  readonly kind: IdentifierKind;
  /** 1-based line; null in arrays. */
  readonly line: number | null;
  /** 1-based column of a table, 1-based character of a text, or null. */
  readonly column: number | null;
  /** Element or key: `texts[12]`, `messages[0].content`. */
  readonly path: string | null;
  readonly mask: string;
}

export interface DataScan {
  readonly format: "table" | "JSON lines" | "text" | "arrays";
  readonly counts: Partial<Record<IdentifierKind, number>>;
  /** The first of each kind. */
  readonly places: readonly IdentifierPlace[];
  readonly incomplete: readonly string[];
}

const PLACES_PER_KIND = 10;
const PIECE_CHARACTERS = 1_048_576;
const MAX_ARRAY_BYTES = 512 * 1_048_576;
const MAX_JSON_DEPTH = 64;

class Tally {
  counts: Partial<Record<IdentifierKind, number>> = {};
  places: IdentifierPlace[] = [];
  readonly incomplete: string[] = [];

  add(text: string, place: (start: number) => Omit<IdentifierPlace, "kind" | "mask">): void {
    for (const { kind, start, mask } of findIdentifiers(text)) {
      const count = (this.counts[kind] ?? 0) + 1;
      this.counts[kind] = count;
      if (count <= PLACES_PER_KIND) this.places.push({ kind, mask, ...place(start) });
    }
  }

  /** Forgets what an attempt that failed half-way has counted. */
  reset(): void {
    this.counts = {};
    this.places = [];
  }
}

/** Scans a data file by its name's ending; damage is reported in `incomplete`, and the rest is still scanned as text. */
export async function scanData(range: FileRange): Promise<DataScan> {
  const file = range.path;
  const tally = new Tally();
  let format: DataScan["format"] = "text";
  try {
    const head = range.readSync(0, Math.min(4096, range.size));
    const isArchive = head[0] === 0x50 && head[1] === 0x4b;
    if (isArchive || head[0] === 0x93) {
      format = "arrays";
      await (isArchive ? scanArchive(range, tally) : scanArray(range.readSync(0, range.size), "array", tally));
    } else if (/\.(csv|tsv)$/i.test(file) && !isUtf16(head)) {
      format = "table";
      await scanTable(file, tally);
    } else {
      if (/\.(jsonl|ndjson)$/i.test(file)) format = "JSON lines";
      if (head.includes(0) && !isUtf16(head))
        tally.incomplete.push("holds binary data; only what is text in it is scanned");
      await scanLines(file, isUtf16(head), format === "JSON lines", tally);
    }
  } catch (thrown) {
    tally.incomplete.push(asLightfootError(thrown).message);
  }
  return { format, counts: tally.counts, places: tally.places, incomplete: tally.incomplete };
}

const isUtf16 = (head: Uint8Array): boolean => head[0] === 0xff && head[1] === 0xfe;

async function scanTable(file: string, tally: Tally): Promise<void> {
  try {
    await readCsvRows(file, {}, (cells, line) => {
      cells.forEach((cell, index) => {
        tally.add(cell, () => ({ line, column: index + 1, path: null }));
      });
    });
  } catch (thrown) {
    tally.reset();
    tally.incomplete.push(`not read as a table, but as text: ${asLightfootError(thrown).message}`);
    await scanLines(file, false, false, tally);
  }
}

/** Lines in pieces of at most a million characters, so that a file of one line needs no more memory than another. */
async function scanLines(file: string, utf16: boolean, asJson: boolean, tally: Tally): Promise<void> {
  let line = 1;
  let base = 0;
  let rest = "";
  const take = (text: string, isWhole: boolean): void => {
    if (asJson && isWhole && base === 0 && scanJson(text, line, tally)) return;
    const from = base;
    tally.add(text, (start) => ({ line, column: from + start + 1, path: null }));
  };
  for await (const chunk of createReadStream(file, { encoding: utf16 ? "utf16le" : "utf8" })) {
    rest += chunk as string;
    let start = 0;
    for (let end = rest.indexOf("\n"); end !== -1; end = rest.indexOf("\n", start)) {
      take(rest.slice(start, end), true);
      start = end + 1;
      line++;
      base = 0;
    }
    rest = rest.slice(start);
    while (rest.length > PIECE_CHARACTERS) {
      const cut = quietCut(rest);
      take(rest.slice(0, cut), false);
      base += cut;
      rest = rest.slice(cut);
    }
  }
  if (rest !== "") take(rest, true);
}

/** A place near the end of a piece where no identifier runs across: behind a character that is part of none. */
function quietCut(text: string): number {
  for (let at = PIECE_CHARACTERS; at > PIECE_CHARACTERS - LONGEST_IDENTIFIER; at--) {
    if (/[\n\t"<>{}[\];|=]/.test(text[at - 1])) return at;
  }
  for (let at = PIECE_CHARACTERS; at > PIECE_CHARACTERS - LONGEST_IDENTIFIER; at--) {
    if (/\p{L} \p{L}/u.test(text.slice(at - 2, at + 1))) return at;
  }
  return PIECE_CHARACTERS;
}

/** @returns false when the line is no JSON, which is then text like any other */
function scanJson(line: string, number: number, tally: Tally): boolean {
  // JSON.parse rounds long integers, and with them the last digits of an id: such a line is read as it is written.
  if (/[:[,]\s*\d{16,}/.test(line)) return false;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return false;
  }
  const visit = (at: unknown, path: string, depth: number): void => {
    if (depth > MAX_JSON_DEPTH) {
      tally.add(JSON.stringify(at), () => ({ line: number, column: null, path }));
    } else if (typeof at === "string" || typeof at === "number") {
      tally.add(String(at), () => ({ line: number, column: null, path: path === "" ? null : path }));
    } else if (Array.isArray(at)) {
      at.forEach((item, index) => {
        visit(item, `${path}[${index}]`, depth + 1);
      });
    } else if (typeof at === "object" && at !== null) {
      for (const [key, item] of Object.entries(at)) {
        tally.add(key, () => ({ line: number, column: null, path: path === "" ? null : path }));
        visit(item, `${path}${path === "" ? "" : "."}${nameOf(key)}`, depth + 1);
      }
    }
  };
  visit(value, "", 0);
  return true;
}

/** A key that is data, such as a name or a number, is not shown. */
const nameOf = (key: string): string => (/^[a-z_][A-Za-z0-9_]{0,31}$/.test(key) ? key : "*");

async function scanArchive(range: FileRange, tally: Tally): Promise<void> {
  for (const entry of await readZipDirectory(range)) {
    if (!entry.name.endsWith(".npy")) continue;
    const stream = await openZipEntry(entry, range);
    try {
      if (entry.bytes > MAX_ARRAY_BYTES)
        tally.incomplete.push(`${nameOf(entry.name)}: ${entry.bytes} bytes are too many`);
      else await scanArray(await stream.take(stream.remaining), entry.name.replace(/\.npy$/, ""), tally);
    } finally {
      stream.close();
    }
  }
}

/** Elements of `<U` and `|S` arrays; numbers hold no text, and objects are a pickle, which the other scan reads. */
async function scanArray(bytes: Uint8Array, name: string, tally: Tally): Promise<void> {
  const stream = memoryStream(bytes, name);
  const { type } = await readNpyHeader(stream, { file: name });
  const text = /^[<>=|]?([US])(\d+)$/.exec(type);
  if (text === null) {
    if (type === "a record")
      tally.incomplete.push(`${nameOf(name)}: arrays of records are not scanned for identifiers`);
    return;
  }
  const itemBytes = Number(text[2]) * (text[1] === "U" ? 4 : 1);
  if (itemBytes === 0) return;
  const data = bytes.subarray(bytes.byteLength - stream.remaining);
  for (let index = 0; (index + 1) * itemBytes <= data.byteLength; index++) {
    const item = data.subarray(index * itemBytes, (index + 1) * itemBytes);
    const value = text[1] === "U" ? fromUtf32(item, type.startsWith(">")) : new TextDecoder().decode(item);
    tally.add(value.replace(/\0+$/, ""), () => ({ line: null, column: null, path: `${nameOf(name)}[${index}]` }));
  }
}

function fromUtf32(bytes: Uint8Array, bigEndian: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += 4) {
    const point = view.getUint32(at, !bigEndian);
    text += point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
  }
  return text;
}
