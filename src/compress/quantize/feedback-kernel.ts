// Loops of rounding with feedback over 64 columns at a time: products of tiles, and rounding of a row, in vector instructions; may
// depend on vector-code and block-kernel.
import { STRIP } from "./block-kernel.ts";
import {
  advance,
  difference,
  float,
  get,
  integer,
  kernelOf,
  largerOf,
  load,
  loadSplat,
  nearest,
  plus,
  product,
  quotient,
  repeat,
  set,
  shiftLeft,
  smallerOf,
  splat,
  store,
  sum,
  bitsOr,
  toIntegers,
  type Code,
  type ValueType,
} from "./vector-code.ts";

/** Bytes of a row of `STRIP` floats, as all tiles have them. */
export const ROW_BYTES = STRIP * 4;
const VECTOR_BYTES = 16;

const several = (count: number, type: ValueType): ValueType[] => Array.from({ length: count }, () => type);
const four = (code: (at: number) => Code): Code => [0, 1, 2, 3].flatMap(code);
const zero = splat(float(0));

/** Two rows and four vectors of columns at once: as many sums as the processor has registers for. */
const multiply = (() => {
  const [ROWS, STEPS, LEFT, LEFT_ROW, LEFT_STEP, RIGHT, INTO] = [0, 1, 2, 3, 4, 5, 6];
  const [PART, ROW, STEP, ROW_AT, LEFT_AT, RIGHT_AT, INTO_AT] = [7, 8, 9, 10, 11, 12, 13];
  const [UPPER, LOWER, VALUE, SUMS] = [14, 15, 16, 17];
  const upper = (at: number) => SUMS + at;
  const lower = (at: number) => SUMS + 4 + at;
  const added = (at: number, value: Code) => set(at, sum(get(at), value));
  const grow = (local: number, by: Code) => set(local, plus(get(local), by));
  const onto = (local: number, offset: number) =>
    store(get(INTO_AT), sum(load(get(INTO_AT), offset), get(local)), offset);
  return {
    parameters: several(7, "integer"),
    locals: [...several(7, "integer"), ...several(11, "vector")],
    code: [
      ...set(PART, integer(ROW_BYTES / (4 * VECTOR_BYTES))),
      ...repeat(PART, 1, [
        ...set(ROW_AT, get(LEFT)),
        ...set(INTO_AT, get(INTO)),
        ...set(ROW, get(ROWS)),
        ...repeat(ROW, 2, [
          ...four((at) => [...set(upper(at), zero), ...set(lower(at), zero)]),
          ...set(LEFT_AT, get(ROW_AT)),
          ...set(RIGHT_AT, get(RIGHT)),
          ...set(STEP, get(STEPS)),
          ...repeat(STEP, 1, [
            ...set(UPPER, loadSplat(get(LEFT_AT))),
            ...set(LOWER, loadSplat(plus(get(LEFT_AT), get(LEFT_ROW)))),
            ...four((at) => [
              ...set(VALUE, load(get(RIGHT_AT), at * VECTOR_BYTES)),
              ...added(upper(at), product(get(UPPER), get(VALUE))),
              ...added(lower(at), product(get(LOWER), get(VALUE))),
            ]),
            ...grow(LEFT_AT, get(LEFT_STEP)),
            ...advance(RIGHT_AT, ROW_BYTES),
          ]),
          ...four((at) => [...onto(upper(at), at * VECTOR_BYTES), ...onto(lower(at), ROW_BYTES + at * VECTOR_BYTES)]),
          ...grow(ROW_AT, plus(get(LEFT_ROW), get(LEFT_ROW))),
          ...advance(INTO_AT, 2 * ROW_BYTES),
        ]),
        ...advance(RIGHT, 4 * VECTOR_BYTES),
        ...advance(INTO, 4 * VECTOR_BYTES),
      ]),
    ],
  };
})();

const roundRow = (() => {
  const [STEPS, FACTORS, RIGHT, SUMS, VALUES, ERRORS, SCALES, ZEROS, WORDS, SHIFT, TOP] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ];
  const [COLUMNS, STEP, FACTOR_AT, RIGHT_AT] = [11, 12, 13, 14];
  const [TARGET, SCALE, ZERO, LEVEL] = [15, 16, 17, 18];
  const level = smallerOf(
    difference(splat(get(TOP)), get(ZERO)),
    largerOf(difference(zero, get(ZERO)), nearest(quotient(get(TARGET), get(SCALE)))),
  );
  const word = shiftLeft(toIntegers(sum(get(LEVEL), get(ZERO))), get(SHIFT));
  return {
    parameters: [...several(10, "integer"), "float" as const],
    locals: [...several(4, "integer"), ...several(4, "vector")],
    code: [
      ...set(COLUMNS, integer(ROW_BYTES / VECTOR_BYTES)),
      ...repeat(COLUMNS, 1, [
        ...set(TARGET, sum(load(get(SUMS)), load(get(VALUES)))),
        ...set(FACTOR_AT, get(FACTORS)),
        ...set(RIGHT_AT, get(RIGHT)),
        ...set(STEP, get(STEPS)),
        ...repeat(STEP, 1, [
          ...set(TARGET, sum(get(TARGET), product(loadSplat(get(FACTOR_AT)), load(get(RIGHT_AT))))),
          ...advance(FACTOR_AT, 4),
          ...advance(RIGHT_AT, ROW_BYTES),
        ]),
        ...set(SCALE, load(get(SCALES))),
        ...set(ZERO, load(get(ZEROS))),
        ...set(LEVEL, level),
        ...store(get(ERRORS), difference(load(get(VALUES)), product(get(LEVEL), get(SCALE)))),
        ...store(get(WORDS), bitsOr(load(get(WORDS)), word)),
        ...[RIGHT, SUMS, VALUES, ERRORS, SCALES, ZEROS, WORDS].flatMap((local) => advance(local, VECTOR_BYTES)),
      ]),
    ],
  };
})();

/**
 * Two loops over rows of `STRIP` float32 columns; all places are bytes in the kernel's memory.
 *
 * `multiply(rows, steps, left, leftRow, leftStep, right, into)`: `into[r] += Σ_s left[r·leftRow + s·leftStep] · right[s]` for an even
 * number of rows and at least one step.
 *
 * `roundRow(steps, factors, right, sums, values, errors, scales, zeros, words, shift, top)`: rounds `values + sums + Σ_s factors[s] ·
 * right[s]` to the grids of scales and zeros, leaves `values − rounded` in `errors` and puts the integers, shifted, into `words`; at least
 * one step.
 */
export const feedbackKernel = kernelOf({ multiply, roundRow });
