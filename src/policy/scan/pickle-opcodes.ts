// Python's pickle opcodes, protocols 0 to 5, as a table, and a walk over them that executes nothing; depends on byte-window.
import type { Bytes } from "./byte-window.ts";

/** What follows an opcode: nothing, n bytes little-endian, lines of text, or a length of n bytes and as many bytes. */
type Operand =
  | { readonly form: "none" }
  | { readonly form: "number"; readonly width: 1 | 2 | 4 | 8 }
  | { readonly form: "lines"; readonly count: 1 | 2 }
  | { readonly form: "counted"; readonly width: 1 | 4 | 8 };

const NONE: Operand = { form: "none" };
const number = (width: 1 | 2 | 4 | 8): Operand => ({ form: "number", width });
const lines = (count: 1 | 2): Operand => ({ form: "lines", count });
const counted = (width: 1 | 4 | 8): Operand => ({ form: "counted", width });

// Lib/pickletools.py of CPython 3.8 and later lists all 68.
const TABLE: readonly (readonly [code: number | string, name: string, operand: Operand])[] = [
  ["I", "INT", lines(1)],
  ["J", "BININT", number(4)],
  ["K", "BININT1", number(1)],
  ["M", "BININT2", number(2)],
  ["L", "LONG", lines(1)],
  [0x8a, "LONG1", counted(1)],
  [0x8b, "LONG4", counted(4)],
  ["S", "STRING", lines(1)],
  ["T", "BINSTRING", counted(4)],
  ["U", "SHORT_BINSTRING", counted(1)],
  ["B", "BINBYTES", counted(4)],
  ["C", "SHORT_BINBYTES", counted(1)],
  [0x8e, "BINBYTES8", counted(8)],
  [0x96, "BYTEARRAY8", counted(8)],
  [0x97, "NEXT_BUFFER", NONE],
  [0x98, "READONLY_BUFFER", NONE],
  ["N", "NONE", NONE],
  [0x88, "NEWTRUE", NONE],
  [0x89, "NEWFALSE", NONE],
  ["V", "UNICODE", lines(1)],
  [0x8c, "SHORT_BINUNICODE", counted(1)],
  ["X", "BINUNICODE", counted(4)],
  [0x8d, "BINUNICODE8", counted(8)],
  ["F", "FLOAT", lines(1)],
  ["G", "BINFLOAT", number(8)],
  ["]", "EMPTY_LIST", NONE],
  ["a", "APPEND", NONE],
  ["e", "APPENDS", NONE],
  ["l", "LIST", NONE],
  [")", "EMPTY_TUPLE", NONE],
  ["t", "TUPLE", NONE],
  [0x85, "TUPLE1", NONE],
  [0x86, "TUPLE2", NONE],
  [0x87, "TUPLE3", NONE],
  ["}", "EMPTY_DICT", NONE],
  ["d", "DICT", NONE],
  ["s", "SETITEM", NONE],
  ["u", "SETITEMS", NONE],
  [0x8f, "EMPTY_SET", NONE],
  [0x90, "ADDITEMS", NONE],
  [0x91, "FROZENSET", NONE],
  ["0", "POP", NONE],
  ["2", "DUP", NONE],
  ["(", "MARK", NONE],
  ["1", "POP_MARK", NONE],
  ["g", "GET", lines(1)],
  ["h", "BINGET", number(1)],
  ["j", "LONG_BINGET", number(4)],
  ["p", "PUT", lines(1)],
  ["q", "BINPUT", number(1)],
  ["r", "LONG_BINPUT", number(4)],
  [0x94, "MEMOIZE", NONE],
  [0x82, "EXT1", number(1)],
  [0x83, "EXT2", number(2)],
  [0x84, "EXT4", number(4)],
  ["c", "GLOBAL", lines(2)],
  [0x93, "STACK_GLOBAL", NONE],
  ["R", "REDUCE", NONE],
  ["b", "BUILD", NONE],
  ["i", "INST", lines(2)],
  ["o", "OBJ", NONE],
  [0x81, "NEWOBJ", NONE],
  [0x92, "NEWOBJ_EX", NONE],
  [0x80, "PROTO", number(1)],
  [".", "STOP", NONE],
  [0x95, "FRAME", number(8)],
  ["P", "PERSID", lines(1)],
  ["Q", "BINPERSID", NONE],
];

interface Opcode {
  readonly name: string;
  readonly operand: Operand;
}

const BY_CODE: readonly (Opcode | undefined)[] = Array.from({ length: 256 }, (_, code) => {
  const row = TABLE.find(([key]) => (typeof key === "string" ? key.charCodeAt(0) : key) === code);
  return row && { name: row[1], operand: row[2] };
});

/** One opcode with its operand. Long byte strings are not copied: they are a place in the source. */
export interface Step {
  readonly name: string;
  readonly offset: number;
  /** Offset behind the operand. */
  readonly end: number;
  /** Text lines of the operand, without their ends. */
  readonly lines: readonly string[];
  /** Operand as a number; NaN where there is none. */
  readonly number: number;
  /** Where the bytes of a counted operand lie. */
  readonly start: number;
  readonly length: number;
}

/** Why the walk cannot go on. */
export interface Defect {
  readonly offset: number;
  readonly message: string;
}

/** A line in a pickle is a number or a name; a longer one is hostile. */
const MAX_LINE_BYTES = 65_536;
const latin1 = new TextDecoder("latin1");

/** The opcode at `offset`, or why there is none. */
export function stepAt(bytes: Bytes, offset: number): Step | Defect {
  if (offset >= bytes.size) return { offset, message: "the pickle ends without STOP: it is cut short" };
  const code = bytes.at(offset);
  const opcode = BY_CODE[code];
  if (opcode === undefined) return { offset, message: `byte 0x${code.toString(16).padStart(2, "0")} is no opcode` };
  const { name, operand } = opcode;
  const none = { name, offset, end: offset + 1, lines: [], number: Number.NaN, start: 0, length: 0 };
  if (operand.form === "none") return none;
  if (operand.form === "lines") return withLines(bytes, none, operand.count);
  const start = offset + 1 + operand.width;
  if (start > bytes.size) return cutShort(name, offset);
  const value = unsigned(bytes, offset + 1, operand.width);
  if (operand.form === "number") {
    const signed = name === "BININT" || name === "EXT4" ? value | 0 : value;
    return { ...none, end: start, number: signed };
  }
  // Lengths of four bytes of the old string opcodes are signed in Python; above 2 GiB they are errors there, too.
  if (value > bytes.size - start) return cutShort(name, offset);
  return { ...none, end: start + value, start, length: value };
}

const cutShort = (name: string, offset: number): Defect => ({
  offset,
  message: `the operand of ${name} reaches past the end`,
});

function unsigned(bytes: Bytes, at: number, width: number): number {
  let value = 0;
  for (let index = width - 1; index >= 0; index--) value = value * 256 + bytes.at(at + index);
  return value;
}

function withLines(bytes: Bytes, step: Step, count: number): Step | Defect {
  const texts: string[] = [];
  let at = step.offset + 1;
  for (let index = 0; index < count; index++) {
    const start = at;
    while (at < bytes.size && at - start <= MAX_LINE_BYTES && bytes.at(at) !== 0x0a) at++;
    if (at >= bytes.size) return cutShort(step.name, step.offset);
    if (at - start > MAX_LINE_BYTES) {
      return { offset: step.offset, message: `the line after ${step.name} is longer than ${MAX_LINE_BYTES} bytes` };
    }
    texts.push(latin1.decode(bytes.slice(start, at - start)));
    at++;
  }
  return { ...step, end: at, lines: texts };
}
