// What the scan knows of values on a pickle's stack: texts, small numbers, tuples, imports; depends on byte-window and pickle-opcodes.
import type { Bytes } from "./byte-window.ts";
import type { Step } from "./pickle-opcodes.ts";

/** A value as far as it matters to imports, calls, and the length of array data; everything else is `other`. */
export type Value =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "tuple"; readonly items: readonly Value[] }
  | { readonly kind: "dict"; readonly entries: Map<string, Value> }
  | { readonly kind: "import"; readonly module: string; readonly name: string }
  | { readonly kind: "made"; readonly by: Value; readonly with: Value }
  | { readonly kind: "mark" }
  | { readonly kind: "other" };

export const OTHER: Value = { kind: "other" };
export const MARK: Value = { kind: "mark" };

/** No module, attribute, key or type name is longer. */
const MAX_TEXT_BYTES = 4096;
const utf8 = new TextDecoder();

/** The value a push opcode leaves on the stack. */
export function pushed(step: Step, bytes: Bytes): Value {
  switch (step.name) {
    case "BININT":
    case "BININT1":
    case "BININT2":
      return { kind: "number", value: step.number };
    case "INT":
    case "LONG":
      return { kind: "number", value: Number(step.lines[0].trim().replace(/L$/, "")) };
    case "LONG1":
    case "LONG4":
      return step.length > 6 ? OTHER : { kind: "number", value: signedInteger(bytes.slice(step.start, step.length)) };
    case "NEWTRUE":
    case "NEWFALSE":
      return { kind: "number", value: step.name === "NEWTRUE" ? 1 : 0 };
    case "SHORT_BINUNICODE":
    case "BINUNICODE":
    case "BINUNICODE8":
    case "BINSTRING":
    case "SHORT_BINSTRING":
      if (step.length > MAX_TEXT_BYTES) return OTHER;
      return { kind: "text", text: utf8.decode(bytes.slice(step.start, step.length)) };
    case "UNICODE":
      return { kind: "text", text: unescaped(step.lines[0]) };
    case "STRING":
      return { kind: "text", text: unescaped(step.lines[0].trim().replace(/^(['"])([\s\S]*)\1$/, "$2")) };
    case "EMPTY_DICT":
      return { kind: "dict", entries: new Map() };
    case "EMPTY_TUPLE":
      return { kind: "tuple", items: [] };
    default:
      return OTHER;
  }
}

/** Little-endian two's complement. */
function signedInteger(bytes: Uint8Array): number {
  let value = 0;
  for (let index = bytes.byteLength - 1; index >= 0; index--) value = value * 256 + bytes[index];
  const top = bytes.at(-1) ?? 0;
  return top >= 0x80 ? value - 2 ** (8 * bytes.byteLength) : value;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\u0007", b: "\b", f: "\f", v: "\v" };

/** Python's escapes resolved, so that `o\x73` is seen to be `os`. */
function unescaped(text: string): string {
  const pattern = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g;
  return text.replaceAll(
    pattern,
    (all: string, x?: string, u?: string, wide?: string, octal?: string, one?: string) => {
      const hex = x ?? u ?? wide;
      if (hex !== undefined) {
        const point = Number.parseInt(hex, 16);
        return point <= 0x10ffff ? String.fromCodePoint(point) : all;
      }
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      return one === undefined ? all : (ESCAPES[one] ?? one);
    },
  );
}

/** Bytes of the array behind a joblib `NumpyArrayWrapper` with this state; "objects" when a pickle follows instead; else undefined. */
export function arrayBytesBehind(state: Value): number | "objects" | undefined {
  if (state.kind !== "dict") return undefined;
  const shape = state.entries.get("shape");
  const dtype = state.entries.get("dtype");
  const made = dtype?.kind === "made" ? dtype : undefined;
  const type = made?.with.kind === "tuple" ? made.with.items[0] : undefined;
  if (shape?.kind !== "tuple" || type?.kind !== "text") return undefined;
  if (type.text.startsWith("O")) return "objects";
  const match = /^([biufcSVmM])(\d+)$/.exec(type.text);
  if (match === null) return undefined;
  let count = 1;
  for (const item of shape.items) {
    if (item.kind !== "number") return undefined;
    count *= item.value;
  }
  // The length of a text type is in characters, of which NumPy stores each in four bytes.
  const bytes = count * Number(match[2]) * (match[1] === "U" ? 4 : 1);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}
