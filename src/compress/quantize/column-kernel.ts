// Ranges and rounding of the columns of a matrix, sixteen elements at a time: two loops in vector instructions; may depend on
// vector-code.
import {
  absolute,
  advance,
  get,
  kernelOf,
  largerOf,
  load,
  narrow16,
  narrow32,
  nearest,
  quotient,
  repeat,
  store,
  toIntegers,
} from "./vector-code.ts";

/** Elements that one turn of the rounding loop takes: a row must be a multiple of it. */
export const KERNEL_WIDTH = 16;
const LANES = 4;

const rounded = (offset: number) => toIntegers(nearest(quotient(load(get(0), offset), load(get(1), offset))));

const columnKernel = kernelOf({
  /** (values, maxima, count): maxima = larger of maxima and |values|. */
  grow: {
    parameters: ["integer", "integer", "integer"],
    code: repeat(2, LANES, [
      ...store(get(1), largerOf(load(get(1)), absolute(load(get(0))))),
      ...advance(0, 16),
      ...advance(1, 16),
    ]),
  },
  /** (values, scales, integers, count): integers = nearest of values / scales. */
  round: {
    parameters: ["integer", "integer", "integer", "integer"],
    code: repeat(3, KERNEL_WIDTH, [
      ...store(get(2), narrow16(narrow32(rounded(0), rounded(16)), narrow32(rounded(32), rounded(48)))),
      ...advance(0, 64),
      ...advance(1, 64),
      ...advance(2, 16),
    ]),
  },
});

/** Memory for some rows of a matrix, with their columns' maxima and scales, and the two loops over it. */
export class ColumnKernel {
  readonly #run: ReturnType<typeof columnKernel>["run"];
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
    this.#columns = columns;
    const rowBytes = columns * Float32Array.BYTES_PER_ELEMENT;
    const rows = Math.max(1, Math.floor(bytesAtOnce / rowBytes));
    this.#integersAt = rows * rowBytes;
    this.#statisticsAt = this.#integersAt + rows * columns;
    const { memory, run } = columnKernel(this.#statisticsAt + rowBytes);
    this.#run = run;
    this.rows = new Uint8Array(memory, 0, rows * rowBytes);
    this.#integers = new Int8Array(memory, this.#integersAt, rows * columns);
    this.statistics = new Float32Array(memory, this.#statisticsAt, columns);
  }

  /** Takes the first `count` rows into the columns' largest magnitudes. */
  grow(count: number): void {
    for (let row = 0; row < count; row++) this.#run.grow(row * this.#columns * 4, this.#statisticsAt, this.#columns);
  }

  /** The first `count` rows divided by their columns' scales and rounded, halves to even: `[count, columns]`, void at the next call. */
  round(count: number): Int8Array {
    for (let row = 0; row < count; row++) {
      const first = row * this.#columns;
      this.#run.round(first * 4, this.#statisticsAt, this.#integersAt + first, this.#columns);
    }
    return this.#integers.subarray(0, count * this.#columns);
  }
}
