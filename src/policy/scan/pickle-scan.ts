// Follows a pickle opcode by opcode on a stack of known texts and imports, and reports what it would import and call; nothing
// is executed. May depend on its room.
import { judgeImport } from "./allowed-imports.ts";
import { partOf, type Bytes } from "./byte-window.ts";
import { stepAt, type Defect, type Step } from "./pickle-opcodes.ts";
import { arrayBytesBehind, MARK, OTHER, pushed, type Value } from "./pickle-value.ts";

/** Something in a pickle that may run code. */
export interface PickleFinding {
  readonly opcode: string;
  /** Byte in the file, archive entry or nested pickle. */
  readonly offset: number;
  /** `module.name`; null where it cannot be told. */
  readonly target: string | null;
  readonly reason: string;
  /** Offset of the byte string that holds the pickle, when it lies in another pickle. */
  readonly within: number | null;
}

export interface PickleScan {
  readonly findings: PickleFinding[];
  /** Imports that were seen and are on the list, each once. */
  readonly imports: Set<string>;
  /** Why the scan does not cover everything; never clean when there is one. */
  readonly defects: Defect[];
  pickles: number;
  opcodes: number;
}

export interface PickleOptions {
  /** `module.name` the user vouches for. */
  readonly allow?: ReadonlySet<string>;
  readonly limits?: Partial<Limits>;
}

/** Bounds against hostile input; what lies beyond is reported as not scanned. */
export interface Limits {
  readonly opcodes: number;
  readonly stack: number;
  readonly findings: number;
  readonly depth: number;
  readonly streams: number;
}

export const PICKLE_LIMITS: Limits = {
  opcodes: 50_000_000,
  stack: 4_000_000,
  findings: 1000,
  depth: 4,
  streams: 10_000,
};

const MAX_SHOWN = 200;
/** Values of the stack that a trial of the bytes behind an array sees. */
const MAX_COPIED = 10_000;
const PROTO = 0x80;

/**
 * Scans one pickle after the other until the bytes are no pickle any more, as torch's and joblib's loaders do.
 *
 * @returns what was found; bytes behind the last pickle (tensor data of old PyTorch files) are no defect
 */
export function scanPickles(bytes: Bytes, options: PickleOptions = {}): PickleScan {
  const scan = emptyScan();
  const limits = { ...PICKLE_LIMITS, ...options.limits };
  let at = 0;
  for (let stream = 0; at < bytes.size; stream++) {
    if (stream === limits.streams) {
      scan.defects.push({ offset: at, message: `more than ${limits.streams} pickles in one file` });
      break;
    }
    const first = stream === 0;
    const isMarked = at + 1 < bytes.size && bytes.at(at) === PROTO && bytes.at(at + 1) <= 5;
    if (first || isMarked) {
      const end = new Machine(bytes, scan, options, limits, 0, null).run(at);
      if (end === undefined) break;
      at = end;
      continue;
    }
    // Behind a STOP without PROTO lies either data or a pickle of protocol 0 or 1: only what acts like one is one.
    const trial = emptyScan();
    const end = new Machine(bytes, trial, options, limits, 0, null).run(at);
    if (!actsLikePickle(trial, end)) break;
    merge(scan, trial);
    if (end === undefined) break;
    at = end;
  }
  if (bytes.size === 0) scan.defects.push({ offset: 0, message: "the pickle is empty" });
  return scan;
}

const emptyScan = (): PickleScan => ({ findings: [], imports: new Set(), defects: [], pickles: 0, opcodes: 0 });

/** Data read as opcodes ends in nonsense at once; a pickle ends in STOP, or has called an import before it broke. */
function actsLikePickle(trial: PickleScan, end: number | undefined): boolean {
  if (end !== undefined && trial.defects.length === 0) return trial.findings.length > 0 || trial.imports.size > 0;
  const broken = trial.defects.at(0)?.offset ?? Number.POSITIVE_INFINITY;
  return trial.findings.some(({ offset, opcode, target }) => offset < broken && CALLS.has(opcode) && target !== null);
}

const CALLS: ReadonlySet<string> = new Set(["REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "BUILD"]);

/** Opcodes that import or call. */
const ACTS: ReadonlySet<string> = new Set([...CALLS, "GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"]);

function merge(into: PickleScan, from: PickleScan): void {
  into.findings.push(...from.findings);
  into.defects.push(...from.defects);
  for (const name of from.imports) into.imports.add(name);
  into.pickles += from.pickles;
  into.opcodes += from.opcodes;
}

class Machine {
  readonly #bytes: Bytes;
  readonly #scan: PickleScan;
  readonly #options: PickleOptions;
  readonly #limits: Limits;
  readonly #depth: number;
  readonly #within: number | null;
  readonly #stack: Value[] = [];
  readonly #memo = new Map<number, Value>();
  #broken = false;

  constructor(
    bytes: Bytes,
    scan: PickleScan,
    options: PickleOptions,
    limits: Limits,
    depth: number,
    within: number | null,
  ) {
    this.#bytes = bytes;
    this.#scan = scan;
    this.#options = options;
    this.#limits = limits;
    this.#depth = depth;
    this.#within = within;
  }

  /** @returns the offset behind STOP, or undefined when there was none */
  run(start: number): number | undefined {
    this.#scan.pickles++;
    for (let at = start; ;) {
      if (++this.#scan.opcodes > this.#limits.opcodes) {
        return this.#stop(at, `more than ${this.#limits.opcodes} opcodes: the rest is not scanned`);
      }
      if (this.#stack.length > this.#limits.stack || this.#memo.size > this.#limits.stack) {
        return this.#stop(at, `more than ${this.#limits.stack} values at once: the rest is not scanned`);
      }
      const step = stepAt(this.#bytes, at);
      if ("message" in step) return this.#stop(step.offset, step.message);
      if (step.name === "STOP") {
        this.#pop(step);
        return step.end;
      }
      const end = this.#apply(step);
      if (end === undefined) return undefined;
      at = end;
    }
  }

  #stop(offset: number, message: string): undefined {
    this.#scan.defects.push({ offset, message });
    return undefined;
  }

  /** The first break is told once; the walk goes on, because it can only find more. */
  #break(step: Step, message: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#scan.defects.push({ offset: step.offset, message: `${step.name}: ${message}` });
  }

  #pop(step: Step): Value {
    const value = this.#stack.pop();
    if (value !== undefined && value.kind !== "mark") return value;
    this.#break(step, "the stack is empty");
    return OTHER;
  }

  #popToMark(step: Step): Value[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark === -1) this.#break(step, "there is no mark on the stack");
    return mark === -1 ? this.#stack.splice(0) : this.#stack.splice(mark).slice(1);
  }

  #report(step: Step, target: string | null, reason: string): void {
    const { findings, defects } = this.#scan;
    if (findings.length < this.#limits.findings) {
      findings.push({ opcode: step.name, offset: step.offset, target, reason, within: this.#within });
    } else if (!defects.some(({ message }) => message.startsWith("more findings"))) {
      defects.push({
        offset: step.offset,
        message: `more findings than ${this.#limits.findings}: the rest is not listed`,
      });
    }
  }

  #import(step: Step, module: string, name: string): Value {
    const target = shown(`${module}.${name}`);
    const verdict = judgeImport(module, name, this.#options.allow ?? new Set());
    if (verdict === "allowed") this.#scan.imports.add(target);
    else if (verdict === "runs code") this.#report(step, target, "imports from a module whose functions run code");
    else this.#report(step, target, "imports what is not on the list of harmless imports");
    return { kind: "import", module, name };
  }

  /** A call: of an import, already judged, or of something the scan cannot tell. */
  #call(step: Step, callee: Value, given: Value): Value {
    if (callee.kind !== "import") this.#report(step, null, "calls something whose import the scan cannot tell");
    else if (judgeImport(callee.module, callee.name, this.#options.allow ?? new Set()) !== "allowed") {
      this.#report(step, shown(`${callee.module}.${callee.name}`), "calls that import");
    }
    return { kind: "made", by: callee, with: given };
  }

  /** @returns where the next opcode lies; undefined when that cannot be told */
  #apply(step: Step): number | undefined {
    const stack = this.#stack;
    switch (step.name) {
      case "PROTO":
        if (step.number > 5) this.#break(step, `protocol ${step.number} is unknown`);
        break;
      case "FRAME":
        break;
      case "MARK":
        stack.push(MARK);
        break;
      case "POP":
        if (stack.pop() === undefined) this.#break(step, "the stack is empty");
        break;
      case "POP_MARK":
        this.#popToMark(step);
        break;
      case "DUP":
        stack.push(stack.at(-1) ?? this.#pop(step));
        break;
      case "GLOBAL":
        stack.push(this.#import(step, utf8Of(step.lines[0]), utf8Of(step.lines[1])));
        break;
      case "STACK_GLOBAL":
        this.#stackGlobal(step);
        break;
      case "INST": {
        // One opcode imports and calls: it is reported once.
        const given = this.#popToMark(step);
        const by = this.#import(step, utf8Of(step.lines[0]), utf8Of(step.lines[1]));
        stack.push({ kind: "made", by, with: { kind: "tuple", items: given } });
        break;
      }
      case "OBJ": {
        const [callee = OTHER, ...given] = this.#popToMark(step);
        stack.push(this.#call(step, callee, { kind: "tuple", items: given }));
        break;
      }
      case "REDUCE":
      case "NEWOBJ":
      case "NEWOBJ_EX": {
        if (step.name === "NEWOBJ_EX") this.#pop(step);
        const given = this.#pop(step);
        stack.push(this.#call(step, this.#pop(step), given));
        break;
      }
      case "EXT1":
      case "EXT2":
      case "EXT4":
        this.#report(
          step,
          null,
          `imports by extension code ${step.number}, which the loading program's registry resolves`,
        );
        stack.push(OTHER);
        break;
      case "BUILD":
        return this.#build(step);
      case "GET":
      case "BINGET":
      case "LONG_BINGET":
        this.#get(step);
        break;
      case "PUT":
      case "BINPUT":
      case "LONG_BINPUT":
      case "MEMOIZE":
        this.#put(step);
        break;
      default:
        this.#container(step);
    }
    return step.end;
  }

  #stackGlobal(step: Step): void {
    const name = this.#pop(step);
    const module = this.#pop(step);
    if (module.kind === "text" && name.kind === "text") {
      this.#stack.push(this.#import(step, module.text, name.text));
      return;
    }
    this.#report(step, null, "imports a name that the scan cannot tell");
    this.#stack.push(OTHER);
  }

  #get(step: Step): void {
    const key = step.lines.length > 0 ? Number(step.lines[0]) : step.number;
    const value = this.#memo.get(key);
    if (value === undefined) this.#break(step, `nothing is remembered under ${key}`);
    this.#stack.push(value ?? OTHER);
  }

  #put(step: Step): void {
    const value = this.#stack.at(-1);
    if (value === undefined || value.kind === "mark") {
      this.#break(step, "the stack is empty");
      return;
    }
    const given = step.lines.length > 0 ? Number(step.lines[0]) : step.number;
    this.#memo.set(step.name === "MEMOIZE" ? this.#memo.size : given, value);
  }

  /** Calls `__setstate__` or sets attributes. On an import itself, it changes a class or function for the whole program. */
  #build(step: Step): number | undefined {
    const state = this.#pop(step);
    const target = this.#stack.at(-1) ?? this.#pop(step);
    if (target.kind === "import") {
      this.#report(step, shown(`${target.module}.${target.name}`), "sets attributes of the import itself");
      return step.end;
    }
    if (target.kind !== "made" || target.by.kind !== "import") return step.end;
    if (target.by.name !== "NumpyArrayWrapper") return step.end;
    // joblib reads the array from the file as soon as its wrapper is built; the pickle goes on behind it.
    const length = arrayBytesBehind(state);
    if (length === undefined) {
      return this.#stop(step.offset, "an array follows whose length cannot be told: the rest is not scanned");
    }
    if (length === "objects") {
      this.#withoutSkip(step.end);
      const inner = new Machine(this.#bytes, this.#scan, this.#options, this.#limits, this.#depth + 1, this.#within);
      if (this.#depth >= this.#limits.depth) return this.#stop(step.offset, "pickles are nested too deeply");
      return inner.run(step.end);
    }
    const aligned = state.kind === "dict" && state.entries.get("numpy_array_alignment_bytes")?.kind === "number";
    const padding = aligned && step.end < this.#bytes.size ? 1 + this.#bytes.at(step.end) : 0;
    const end = step.end + padding + length;
    if (end > this.#bytes.size) return this.#stop(step.offset, "an array reaches past the end: cut short");
    this.#readAsOpcodes(step.end, end);
    return end;
  }

  /** Loaders other than joblib's skip no array: to them its bytes are opcodes, in which a forger can hide some. */
  #readAsOpcodes(start: number, end: number): void {
    for (let at = start; at < end;) {
      const step = stepAt(this.#bytes, at);
      this.#scan.opcodes++;
      // Where nothing was imported or called before they end or break, nothing can have happened.
      if ("message" in step || step.name === "STOP") return;
      if (ACTS.has(step.name)) {
        this.#withoutSkip(start);
        return;
      }
      at = step.end;
    }
    const message = "the bytes of an array are opcodes: loaders disagree what follows";
    const isTold = this.#scan.defects.some((defect) => defect.message === message);
    if (end > start && !isTold) this.#scan.defects.push({ offset: start, message });
  }

  /** The rest as a loader that does not know joblib's arrays takes it. */
  #withoutSkip(at: number): void {
    if (this.#depth >= this.#limits.depth) {
      this.#scan.defects.push({ offset: at, message: "pickles are nested too deeply" });
      return;
    }
    // Copying counts as work, so that many arrays in a large pickle stay within the bound.
    const trial = { ...emptyScan(), opcodes: this.#scan.opcodes + this.#memo.size };
    const other = new Machine(this.#bytes, trial, this.#options, this.#limits, this.#depth + 1, this.#within);
    other.#stack.push(...this.#stack.slice(-MAX_COPIED));
    for (const [key, value] of this.#memo) other.#memo.set(key, value);
    const end = other.run(at);
    this.#scan.opcodes = trial.opcodes;
    if (!actsLikePickle(trial, end)) return;
    this.#scan.findings.push(...trial.findings);
    this.#scan.pickles += trial.pickles;
  }

  #container(step: Step): void {
    const stack = this.#stack;
    switch (step.name) {
      case "TUPLE":
        stack.push({ kind: "tuple", items: this.#popToMark(step) });
        return;
      case "TUPLE1":
      case "TUPLE2":
      case "TUPLE3": {
        const items = Array.from({ length: Number(step.name.at(-1)) }, () => this.#pop(step)).toReversed();
        stack.push({ kind: "tuple", items });
        return;
      }
      case "LIST":
      case "FROZENSET":
        this.#popToMark(step);
        stack.push(OTHER);
        return;
      case "DICT": {
        const pairs = this.#popToMark(step);
        stack.push({ kind: "dict", entries: new Map() });
        this.#setItems(pairs);
        return;
      }
      case "APPEND":
        this.#pop(step);
        return;
      case "APPENDS":
      case "ADDITEMS":
        this.#popToMark(step);
        return;
      case "SETITEM": {
        const value = this.#pop(step);
        this.#setItems([this.#pop(step), value]);
        return;
      }
      case "SETITEMS":
        this.#setItems(this.#popToMark(step));
        return;
      case "BINPERSID":
        this.#pop(step);
        stack.push(OTHER);
        return;
      case "READONLY_BUFFER":
        return;
      default:
        if (step.length >= 4) this.#nested(step);
        stack.push(pushed(step, this.#bytes));
    }
  }

  /** Only the few text keys of a wrapper's state matter; a dict of a million weights is not kept. */
  #setItems(pairs: readonly Value[]): void {
    const dict = this.#stack.at(-1);
    if (dict?.kind !== "dict") return;
    for (let index = 0; index + 1 < pairs.length; index += 2) {
      const key = pairs[index];
      if (key.kind === "text" && (dict.entries.size < 64 || dict.entries.has(key.text))) {
        dict.entries.set(key.text, pairs[index + 1]);
      }
    }
  }

  /** Bytes and texts may hold a pickle that an import unpickles later. */
  #nested(step: Step): void {
    if (step.name.startsWith("LONG")) return;
    const part = partOf(this.#bytes, step.start, step.length);
    const marked = part.at(0) === PROTO && part.at(1) <= 5;
    const trial = { ...emptyScan(), opcodes: this.#scan.opcodes };
    const isDeep = this.#depth >= this.#limits.depth;
    const end = isDeep
      ? undefined
      : new Machine(part, trial, this.#options, this.#limits, this.#depth + 1, step.start).run(0);
    const opcodes = trial.opcodes - this.#scan.opcodes;
    this.#scan.opcodes += isDeep ? 0 : opcodes;
    if (isDeep && marked) this.#scan.defects.push({ offset: step.offset, message: "pickles are nested too deeply" });
    if (isDeep || !(actsLikePickle(trial, end) || (marked && end !== undefined))) return;
    merge(this.#scan, { ...trial, opcodes: 0 });
  }
}

/** Lines were read byte for byte; Python decodes module and name as UTF-8. */
const utf8Of = (line: string): string => Buffer.from(line, "latin1").toString("utf8");

/** A hostile name must not reach the terminal as it is: control characters escaped, bounded. */
export function shown(text: string): string {
  // eslint-disable-next-line no-control-regex
  const safe = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return safe.length > MAX_SHOWN ? `${safe.slice(0, MAX_SHOWN)}…` : safe;
}
