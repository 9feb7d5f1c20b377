// Loops over one block of rows of up to 64 columns of weights, four columns at a time in vector instructions; may depend on vector-code.
import {
  absolute,
  advance,
  bitsAnd,
  bitsOr,
  difference,
  float,
  get,
  integer,
  kernelOf,
  largerOf,
  load,
  loadSplat,
  nearest,
  product,
  quotient,
  repeat,
  set,
  shiftLeft,
  smallerOf,
  splat,
  splatInteger,
  squareRoot,
  store,
  sum,
  toIntegers,
  type Code,
  type KernelFunction,
} from "./vector-code.ts";

/** Columns that are worked on together. */
export const STRIP = 64;
/** Rows of the largest block. */
const MOST_ROWS = 256;
const LANES = 4;
const ROW_BYTES = STRIP * 4;

// Where things lie in the kernel's memory.
const VALUES = 0;
const COUNTS = VALUES + MOST_ROWS * ROW_BYTES;
const MEANS = COUNTS + MOST_ROWS * 4;
const SCALES = MEANS + MOST_ROWS * 4;
const ZEROS = SCALES + ROW_BYTES;
const SUMS = ZEROS + ROW_BYTES;
const WORDS = SUMS + 3 * ROW_BYTES;
const MEMORY_BYTES = WORDS + MOST_ROWS * ROW_BYTES;

// Parameters and locals, the same in every function.
const [COLUMNS, ROWS, TOP, PULL, BITS] = [0, 1, 2, 3, 4];
const [COLUMN_AT, VALUE_AT, ROW_AT, WORD_AT, ROW, WORD, SHIFT] = [5, 6, 7, 8, 9, 10, 11];
const [SCALE, INVERSE, ZERO, LOW, HIGH, VALUE, LEVEL, COUNT, REST] = [12, 13, 14, 15, 16, 17, 18, 19, 20];
const [FIRST, SECOND, THIRD] = [21, 22, 23];
const SIGNATURE = {
  parameters: ["integer", "integer", "float", "float", "integer"],
  locals: [
    ...Array.from({ length: 7 }, () => "integer" as const),
    ...Array.from({ length: 12 }, () => "vector" as const),
  ],
} as const satisfies Omit<KernelFunction, "code">;

const constant = (value: number): Code => splat(float(value));
const add = (local: number, value: Code): Code => set(local, sum(get(local), value));
const sumsTo = (...locals: readonly number[]): Code =>
  locals.flatMap((local, at) => store(get(COLUMN_AT), get(local), SUMS + at * ROW_BYTES));

/** For each four columns: `before`, `body` for each of their rows, `after`. */
const overColumns = (before: Code, rows: Code, after: Code): KernelFunction => {
  const zeros = [FIRST, SECOND, THIRD].flatMap((local) => set(local, constant(0)));
  const starts = [...set(VALUE_AT, get(COLUMN_AT)), ...set(ROW_AT, integer(0)), ...set(WORD_AT, get(COLUMN_AT))];
  return {
    ...SIGNATURE,
    code: repeat(COLUMNS, LANES, [...zeros, ...starts, ...before, ...rows, ...after, ...advance(COLUMN_AT, 16)]),
  };
};
const overRows = (counter: number, count: Code, body: Code): Code => [
  ...set(counter, count),
  ...repeat(counter, 1, [
    ...set(VALUE, load(get(VALUE_AT), VALUES)),
    ...body,
    ...advance(VALUE_AT, ROW_BYTES),
    ...advance(ROW_AT, 4),
  ]),
];

/** The columns' grids: levels, counted from the zero point, go from `LOW` to `HIGH`. */
const GRID: Code = [
  ...set(SCALE, load(get(COLUMN_AT), SCALES)),
  ...set(INVERSE, quotient(constant(1), get(SCALE))),
  ...set(ZERO, load(get(COLUMN_AT), ZEROS)),
  ...set(LOW, difference(constant(0), get(ZERO))),
  ...set(HIGH, difference(splat(get(TOP)), get(ZERO))),
];
const TO_LEVEL: Code = set(LEVEL, smallerOf(get(HIGH), largerOf(get(LOW), nearest(product(get(VALUE), get(INVERSE))))));
const TO_COUNT: Code = set(COUNT, loadSplat(get(ROW_AT), COUNTS));
const ERROR: Code = difference(get(VALUE), product(get(LEVEL), get(SCALE)));

/** For each column the least and the largest of zero and its values. */
const range = overColumns(
  [],
  overRows(ROW, get(ROWS), [
    ...set(FIRST, smallerOf(get(FIRST), get(VALUE))),
    ...set(SECOND, largerOf(get(SECOND), get(VALUE))),
  ]),
  sumsTo(FIRST, SECOND),
);

/** For each column `Σ c·e·l`, `Σ c·l²` and `Σ c·e²` with levels l, errors e and counts c. */
const moments = overColumns(
  GRID,
  overRows(ROW, get(ROWS), [
    ...TO_LEVEL,
    ...TO_COUNT,
    ...set(REST, ERROR),
    ...set(VALUE, product(get(COUNT), get(LEVEL))),
    ...add(FIRST, product(get(VALUE), get(REST))),
    ...add(SECOND, product(get(VALUE), get(LEVEL))),
    ...add(THIRD, product(get(COUNT), product(get(REST), get(REST)))),
  ]),
  sumsTo(FIRST, SECOND, THIRD),
);

/** For each column `Σ c·|e|^(3/4)`. */
const robustLoss = overColumns(
  GRID,
  overRows(ROW, get(ROWS), [
    ...TO_LEVEL,
    ...TO_COUNT,
    ...set(REST, squareRoot(absolute(ERROR))),
    ...add(FIRST, product(get(COUNT), product(get(REST), squareRoot(get(REST))))),
  ]),
  sumsTo(FIRST),
);

const NO_SIGN = splatInteger(integer(0x7fffffff));
const SIGN = splatInteger(integer(-0x80000000));
/** `|e| − 1 / (pull·|e|^(1/4))` with the sign of e, 0 where that is negative: the generalised soft threshold. */
const SHRUNK: Code = bitsOr(
  bitsAnd(get(REST), SIGN),
  largerOf(
    constant(0),
    difference(
      bitsAnd(get(REST), NO_SIGN),
      quotient(constant(1), product(splat(get(PULL)), squareRoot(squareRoot(absolute(get(REST)))))),
    ),
  ),
);

/** With r what the 3/4-norm minds of the errors, in grid steps: `Σ c·r·l`, `Σ c·l²`, `Σ c·r`. */
const alternation = overColumns(
  GRID,
  overRows(ROW, get(ROWS), [
    ...TO_LEVEL,
    ...TO_COUNT,
    ...set(REST, difference(product(get(VALUE), get(INVERSE)), get(LEVEL))),
    ...set(REST, product(get(COUNT), difference(get(REST), SHRUNK))),
    ...add(FIRST, product(get(REST), get(LEVEL))),
    ...add(SECOND, product(get(COUNT), product(get(LEVEL), get(LEVEL)))),
    ...add(THIRD, get(REST)),
  ]),
  sumsTo(FIRST, SECOND, THIRD),
);

/** Words of 32 bits down each column, the first row in the lowest bits; ROWS counts words. Also `Σ mean·e`. */
const round = overColumns(
  GRID,
  [
    ...set(WORD, get(ROWS)),
    ...repeat(WORD, 1, [
      ...set(SECOND, splatInteger(integer(0))),
      ...set(SHIFT, integer(0)),
      // 32 / bits
      ...overRows(
        ROW,
        [...integer(32), ...get(BITS), 0x6d],
        [
          ...TO_LEVEL,
          ...add(FIRST, product(loadSplat(get(ROW_AT), MEANS), ERROR)),
          ...set(SECOND, bitsOr(get(SECOND), shiftLeft(toIntegers(sum(get(LEVEL), get(ZERO))), get(SHIFT)))),
          ...set(SHIFT, [...get(SHIFT), ...get(BITS), 0x6a]),
        ],
      ),
      ...store(get(WORD_AT), get(SECOND), WORDS),
      ...advance(WORD_AT, ROW_BYTES),
    ]),
  ],
  sumsTo(FIRST),
);

const LOOPS = { range, moments, robustLoss, alternation, round };
const blockKernel = kernelOf(LOOPS);

/** Memory for a block of weights, their grids, and the loops over it. Every result is void at the next call. */
export class BlockKernel {
  readonly #run: ReturnType<typeof blockKernel>["run"];
  readonly #rows: number;
  readonly #bits: number;
  /** `[rows, STRIP]`: fill the columns to be worked on, then call a loop with their number. */
  readonly values: Float32Array;
  /** `[rows]`: what an error counts. */
  readonly counts: Float32Array;
  /** `[rows]`: mean of the input that each row meets; zeros unless set. */
  readonly means: Float32Array;
  /** `[STRIP]`: grids to be tried; `weight ≈ (integer − zeroPoint) · scale`. */
  readonly scales: Float32Array;
  readonly zeroPoints: Float32Array;
  readonly #sums: readonly [Float32Array, Float32Array, Float32Array];
  readonly #words: Uint32Array;

  /** @param rows of a block, at most 256 */
  constructor(rows: number, bits: 2 | 4 | 8) {
    const { memory, run } = blockKernel(MEMORY_BYTES);
    const floats = (at: number, length: number) => new Float32Array(memory, at, length);
    this.#run = run;
    this.#rows = rows;
    this.#bits = bits;
    this.values = floats(VALUES, rows * STRIP);
    this.counts = floats(COUNTS, rows);
    this.means = floats(MEANS, rows);
    this.scales = floats(SCALES, STRIP);
    this.zeroPoints = floats(ZEROS, STRIP);
    this.#sums = [floats(SUMS, STRIP), floats(SUMS + ROW_BYTES, STRIP), floats(SUMS + 2 * ROW_BYTES, STRIP)];
    this.#words = new Uint32Array(memory, WORDS, ((rows * bits) / 32) * STRIP);
  }

  #over(loop: keyof typeof LOOPS, columns: number, { rows = this.#rows, pull = 0 } = {}) {
    this.#run[loop](Math.ceil(columns / LANES) * LANES, rows, 2 ** this.#bits - 1, pull, this.#bits);
    return this.#sums;
  }

  /** Least and largest of zero and each column's values. */
  range(columns: number): { readonly low: Float32Array; readonly high: Float32Array } {
    const [low, high] = this.#over("range", columns);
    return { low, high };
  }

  /** `Σ c·e·l`, `Σ c·l²` and `Σ c·e²` with the levels l and errors e of the columns' grids, and counts c. */
  moments(columns: number) {
    const [cross, square, loss] = this.#over("moments", columns);
    return { cross, square, loss };
  }

  /** `Σ c·|e|^(3/4)`. */
  robustLoss(columns: number): Float32Array {
    return this.#over("robustLoss", columns)[0];
  }

  /**
   * `Σ c·r·l`, `Σ c·l²` and `Σ c·r` with r what is left of the errors, in grid steps, when the part that the 3/4-norm does not mind is
   * taken away.
   */
  alternation(columns: number, pull: number) {
    const [cross, square, rest] = this.#over("alternation", columns, { pull });
    return { cross, square, rest };
  }

  /**
   * The columns' integers, packed down each column into words, the earliest row in the lowest bits: `[rows·bits/32, STRIP]`; and
   * `Σ mean·e`, what each column's product loses in the mean.
   */
  round(columns: number): { readonly words: Uint32Array; readonly shift: Float32Array } {
    const [shift] = this.#over("round", columns, { rows: (this.#rows * this.#bits) / 32 });
    return { words: this.#words, shift };
  }
}
