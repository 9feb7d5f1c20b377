// Ranges and rounding of the columns of a matrix, sixteen elements at a time: two loops in vector instructions; may depend on
// affine and vector-code.
import type { WeightGrid } from "./affine.ts";
import {
  absolute,
  advance,
  bitsFlipped,
  get,
  kernelOf,
  largerOf,
  load,
  narrow16,
  narrow32,
  nearest,
  quotient,
  repeat,
  set,
  splatInteger,
  store,
  toIntegers,
  type Code,
} from "./vector-code.ts";

/** Elements that one turn of the rounding loop takes: a row must be a multiple of it. */
export const KERNEL_WIDTH = 16;
const LANES = 4;

const rounded = (offset: number) => toIntegers(nearest(quotient(load(get(0), offset), load(get(6), offset))));

/** Flipping the top bit of a signed byte adds 128. */
const FLIPS: Readonly<Record<WeightGrid["dtype"], number>> = { int8: 0, uint8: 0x80808080 | 0 };

/** For each of the rows counted by local `count`: `body` over the columns, with `at` and `left` counting along `from` and `columns`. */
const eachRow = (count: number, from: number, columns: number, at: number, left: number, step: number, body: Code) =>
  repeat(count, 1, [...set(at, get(from)), ...set(left, get(columns)), ...repeat(left, step, body)]);

const columnKernel = kernelOf({
  /** (values, maxima, columns, rows): maxima = larger of maxima and |values| of each row. */
  grow: {
    parameters: ["integer", "integer", "integer", "integer"],
    locals: ["integer", "integer"],
    code: eachRow(3, 1, 2, 4, 5, LANES, [
      ...store(get(4), largerOf(load(get(4)), absolute(load(get(0))))),
      ...advance(0, 16),
      ...advance(4, 16),
    ]),
  },
  /** (values, scales, columns, rows, integers, flips): integers = nearest of values / scales, with the bits `flips` of each four turned. */
  round: {
    parameters: ["integer", "integer", "integer", "integer", "integer", "integer"],
    locals: ["integer", "integer"],
    code: eachRow(3, 1, 2, 6, 7, KERNEL_WIDTH, [
      ...store(
        get(4),
        bitsFlipped(
          narrow16(narrow32(rounded(0), rounded(16)), narrow32(rounded(32), rounded(48))),
          splatInteger(get(5)),
        ),
      ),
      ...advance(0, 64),
      ...advance(6, 64),
      ...advance(4, 16),
    ]),
  },
});

/** Memory for some rows of a matrix, with their columns' maxima and scales, and the two loops over it. */
export class ColumnKernel {
  readonly #run: ReturnType<typeof columnKernel>["run"];
  readonly #columns: number;
  readonly #integersAt: number;
  readonly #statisticsAt: number;
  readonly #flips: number;
  /** float32 rows to work on, `[rows, columns]` as bytes: fill it, then call `grow` or `round`. */
  readonly rows: Uint8Array;
  /** Largest magnitudes after `grow`, scales before `round`: `[columns]`. */
  readonly statistics: Float32Array;
  readonly #integers: Uint8Array;

  /** @param columns a multiple of `KERNEL_WIDTH` */
  constructor(columns: number, bytesAtOnce: number, grid: WeightGrid) {
    this.#columns = columns;
    this.#flips = FLIPS[grid.dtype];
    const rowBytes = columns * Float32Array.BYTES_PER_ELEMENT;
    const rows = Math.max(1, Math.floor(bytesAtOnce / rowBytes));
    this.#integersAt = rows * rowBytes;
    this.#statisticsAt = this.#integersAt + rows * columns;
    const { memory, run } = columnKernel(this.#statisticsAt + rowBytes);
    this.#run = run;
    this.rows = new Uint8Array(memory, 0, rows * rowBytes);
    this.#integers = new Uint8Array(memory, this.#integersAt, rows * columns);
    this.statistics = new Float32Array(memory, this.#statisticsAt, columns);
  }

  /** Takes the first `count` rows into the columns' largest magnitudes. */
  grow(count: number): void {
    this.#run.grow(0, this.#statisticsAt, this.#columns, count);
  }

  /**
   * The first `count` rows divided by their columns' scales and rounded, halves to even, as bytes of the grid's type:
   * `[count, columns]`, void at the next call.
   */
  round(count: number): Uint8Array {
    this.#run.round(0, this.#statisticsAt, this.#columns, count, this.#integersAt, this.#flips);
    return this.#integers.subarray(0, count * this.#columns);
  }
}
