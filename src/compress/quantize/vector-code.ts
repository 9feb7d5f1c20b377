// Words of WebAssembly with vector instructions, from which kernels over float32 arrays are put together; may depend on nothing.

/** Instructions in their binary form: what they leave on the stack is the operand of those around them. */
export type Code = readonly number[];

/** LEB128, as the core specification 2.0 wants all whole numbers. */
const unsigned = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
};
const signed = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
};

const instruction =
  (number: number) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), number];
const vector =
  (number: number) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(number)];

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const integer = (value: number): Code => [0x41, ...signed(value)];
/** A float32 constant. */
export const float = (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
export const plus = instruction(0x6a);
export const advance = (local: number, bytes: number): Code => set(local, plus(get(local), integer(bytes)));

/** A vector of four at `address` + `offset` bytes. */
export const load = (address: Code, offset = 0): Code => [...address, 0xfd, 0x00, 0, ...unsigned(offset)];
/** One float four times. */
export const loadSplat = (address: Code, offset = 0): Code => [...address, 0xfd, 0x09, 2, ...unsigned(offset)];
export const store = (address: Code, value: Code, offset = 0): Code => [
  ...address,
  ...value,
  0xfd,
  0x0b,
  0,
  ...unsigned(offset),
];

export const [splat, splatInteger] = [vector(0x13), vector(0x11)];
export const [absolute, squareRoot] = [vector(0xe0), vector(0xe3)];
export const [sum, difference, product, quotient] = [vector(0xe4), vector(0xe5), vector(0xe6), vector(0xe7)];
/** The first, unless the second is smaller (larger): a NaN in the second place never wins. */
export const [smallerOf, largerOf] = [vector(0xea), vector(0xeb)];
/** To whole numbers, halves to the even one. */
export const nearest = vector(0x6a);
/** Floats to integers, saturated; NaN to 0. */
export const toIntegers = vector(0xf8);
export const [bitsAnd, bitsOr, bitsFlipped] = [vector(0x4e), vector(0x50), vector(0x51)];
export const shiftLeft = vector(0xab);
/** Two vectors of 32-bit integers to one of 16-bit ones, and of 16-bit to 8-bit, saturated. */
export const [narrow32, narrow16] = [vector(0x85), vector(0x65)];

/** Repeats `body` and then takes `step` from the local `counter`, until nothing is left of it. */
export const repeat = (counter: number, step: number, body: Code): Code => {
  const countDown = [...get(counter), ...integer(step), 0x6b, 0x22, ...unsigned(counter)];
  return [0x03, 0x40, ...body, ...countDown, 0x0d, 0, 0x0b];
};

const TYPES = { integer: 0x7f, float: 0x7d, vector: 0x7b } as const;
export type ValueType = keyof typeof TYPES;

/** A function without a result: its parameters are the first locals, then come those of `locals`. */
export interface KernelFunction {
  readonly parameters: readonly ValueType[];
  readonly locals?: readonly ValueType[];
  readonly code: Code;
}

const counted = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const sized = (content: Code): Code => [...unsigned(content.length), ...content];
const section = (id: number, items: readonly Code[]): Code => [id, ...sized(counted(items))];
const text = (name: string): Code => sized([...name].map((letter) => letter.charCodeAt(0)));
const PAGE_BYTES = 2 ** 16;
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/** What this file needs of the global that Node has and the compiler's libraries for servers do not describe. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

export interface Kernel<Name extends string> {
  readonly memory: ArrayBuffer;
  readonly run: Readonly<Record<Name, (...parameters: number[]) => void>>;
}

/**
 * Compiles functions when the first kernel is made of them; each kernel has a memory of its own, filled with zeros.
 * @returns makes a kernel with at least `bytes` of memory
 */
export function kernelOf<Name extends string>(
  functions: Readonly<Record<Name, KernelFunction>>,
): (bytes: number) => Kernel<Name> {
  let compiled: object | undefined;
  const { WebAssembly: engine } = globalThis as unknown as { readonly WebAssembly: Engine };
  return (bytes) => {
    compiled ??= new engine.Module(moduleOf(functions));
    const exports = new engine.Instance(compiled).exports as Kernel<Name>["run"] & {
      readonly memory: { readonly buffer: ArrayBuffer; grow: (pages: number) => number };
    };
    exports.memory.grow(Math.ceil(bytes / PAGE_BYTES));
    return { memory: exports.memory.buffer, run: exports };
  };
}

function moduleOf(functions: Readonly<Record<string, KernelFunction>>): Uint8Array {
  const named = Object.entries(functions);
  const types = named.map(([, { parameters }]) => [0x60, ...counted(parameters.map((type) => [TYPES[type]])), 0]);
  const bodies = named.map(([, { locals = [], code }]) =>
    sized([...counted(locals.map((type) => [1, TYPES[type]])), ...code, 0x0b]),
  );
  const exported = named.map(([name], at) => [...text(name), 0, ...unsigned(at)]);
  return Uint8Array.from([
    ...MAGIC,
    ...section(1, types),
    ...section(
      3,
      named.map((_, at) => unsigned(at)),
    ),
    ...section(5, [[0, 0]]),
    ...section(7, [[...text("memory"), 2, 0], ...exported]),
    ...section(10, bodies),
  ]);
}
