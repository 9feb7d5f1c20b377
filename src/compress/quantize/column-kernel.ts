// Ranges and rounding of the columns of a matrix, sixteen elements at a time: two loops as WebAssembly with vector instructions; may depend on nothing.

/** Elements that one turn of the rounding loop takes: a row must be a multiple of it. */
export const KERNEL_WIDTH = 16;
const LANES = 4;
const PAGE_BYTES = 2 ** 16;

// Instructions, by their names and numbers in the WebAssembly core specification 2.0.
const get = (local: number) => [0x20, local];
const add = (local: number, bytes: number) => [...get(local), 0x41, bytes, 0x6a, 0x21, local];
const vector = (number: number) => (number < 0x80 ? [0xfd, number] : [0xfd, (number & 0x7f) | 0x80, number >> 7]);
const load = (local: number, offset = 0) => [...get(local), ...vector(0x00), 0, offset];
const store = [...vector(0x0b), 0, 0];
const absolute = vector(0xe0);
const divide = vector(0xe7);
const largerOf = vector(0xeb); // f32x4.pmax: the first unless the second is greater, so that NaN never wins
const nearest = vector(0x6a); // f32x4.nearest: halves to even
const toIntegers = vector(0xf8); // i32x4.trunc_sat_f32x4_s: NaN to 0
const narrow32 = vector(0x85); // i16x8.narrow_i32x4_s
const narrow16 = vector(0x65); // i8x16.narrow_i16x8_s
/** Repeats `body` and then takes `step` from `counter` until nothing is left of it. */
const repeat = (counter: number, step: number, body: readonly number[]) => {
  const countDown = [...get(counter), 0x41, step, 0x6b, 0x22, counter];
  return [0x03, 0x40, ...body, ...countDown, 0x0d, 0, 0x0b];
};

const bytes = (content: readonly number[]) => {
  const { length } = content;
  return [...(length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7]), ...content];
};
const section = (id: number, content: readonly number[]) => [id, ...bytes(content)];
const text = (name: string) => bytes([...name].map((letter) => letter.charCodeAt(0)));
const INTEGER = 0x7f;
const functionType = (parameters: number) => [0x60, ...bytes(Array.from({ length: parameters }, () => INTEGER)), 0];
const body = (code: readonly number[]) => bytes([0, ...code, 0x0b]);

/** grow(values, maxima, count): maxima = larger of maxima and |values|. */
const GROW = repeat(2, LANES, [
  ...get(1),
  ...load(1),
  ...load(0),
  ...absolute,
  ...largerOf,
  ...store,
  ...add(0, 16),
  ...add(1, 16),
]);

const roundedLanes = (offset: number) => [...load(0, offset), ...load(1, offset), ...divide, ...nearest, ...toIntegers];

// The signed LEB128 of 64 takes two bytes.
const SIXTY_FOUR = [0xc0, 0x00];
const addSixtyFour = (local: number) => [...get(local), 0x41, ...SIXTY_FOUR, 0x6a, 0x21, local];

/** round(values, scales, integers, count): integers = nearest of values / scales. */
const ROUND = repeat(3, KERNEL_WIDTH, [
  ...get(2),
  ...roundedLanes(0),
  ...roundedLanes(16),
  ...narrow32,
  ...roundedLanes(32),
  ...roundedLanes(48),
  ...narrow32,
  ...narrow16,
  ...store,
  ...addSixtyFour(0),
  ...addSixtyFour(1),
  ...add(2, 16),
]);

const MODULE = Uint8Array.from([
  0x00,
  0x61,
  0x73,
  0x6d,
  1,
  0,
  0,
  0,
  ...section(1, [2, ...functionType(3), ...functionType(4)]),
  ...section(3, [2, 0, 1]),
  ...section(5, [1, 0, 1]),
  ...section(7, [3, ...text("memory"), 2, 0, ...text("grow"), 0, 0, ...text("round"), 0, 1]),
  ...section(10, [2, ...body(GROW), ...body(ROUND)]),
]);

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow: (pages: number) => number };
  readonly grow: (values: number, maxima: number, count: number) => void;
  readonly round: (values: number, scales: number, integers: number, count: number) => void;
}

/** What this file needs of the global that Node has and the compiler's libraries for servers do not describe. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

let compiled: object | undefined;

/** Memory for some rows of a matrix, with their columns' maxima and scales, and the two loops over it. */
export class ColumnKernel {
  readonly #exports: Exports;
  readonly #columns: number;
  readonly #integersAt: number;
  readonly #statisticsAt: number;
  /** float32 rows to work on, `[rows, columns]` as bytes: fill it, then call `grow` or `round`. */
  readonly rows: Uint8Array;
  /** Largest magnitudes after `grow`, scales before `round`: `[columns]`. */
  readonly statistics: Float32Array;
  readonly #integers: Int8Array;

  /** @param columns a multiple of `KERNEL_WIDTH` */
  constructor(columns: number, bytesAtOnce: number) {
    const { WebAssembly: engine } = globalThis as unknown as { readonly WebAssembly: Engine };
    compiled ??= new engine.Module(MODULE);
    this.#exports = new engine.Instance(compiled).exports as Exports;
    this.#columns = columns;
    const rowBytes = columns * Float32Array.BYTES_PER_ELEMENT;
    const rows = Math.max(1, Math.floor(bytesAtOnce / rowBytes));
    this.#integersAt = rows * rowBytes;
    this.#statisticsAt = this.#integersAt + rows * columns;
    this.#exports.memory.grow(Math.ceil((this.#statisticsAt + rowBytes) / PAGE_BYTES));
    const { buffer } = this.#exports.memory;
    this.rows = new Uint8Array(buffer, 0, rows * rowBytes);
    this.#integers = new Int8Array(buffer, this.#integersAt, rows * columns);
    this.statistics = new Float32Array(buffer, this.#statisticsAt, columns);
  }

  /** Takes the first `count` rows into the columns' largest magnitudes. */
  grow(count: number): void {
    const { grow } = this.#exports;
    for (let row = 0; row < count; row++) grow(row * this.#columns * 4, this.#statisticsAt, this.#columns);
  }

  /** The first `count` rows divided by their columns' scales and rounded, halves to even: `[count, columns]`, void at the next call. */
  round(count: number): Int8Array {
    const { round } = this.#exports;
    for (let row = 0; row < count; row++) {
      const first = row * this.#columns;
      round(first * 4, this.#statisticsAt, this.#integersAt + first, this.#columns);
    }
    return this.#integers.subarray(0, count * this.#columns);
  }
}
