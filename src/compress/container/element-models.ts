// Numbers of a tensor: few distinct values as a mask and a codebook, many as byte planes; may depend on mixing.
import type { BitCoder } from "./arithmetic-coder.ts";
import { codeBit, Counters, Mixer } from "./mixing.ts";

/** A run of elements in memory: bit patterns, and how they lie in rows. When decoding, `values` is filled. */
export interface Elements {
  readonly values: Uint32Array;
  /** Bytes an element takes: 1, 2, 4. */
  readonly width: number;
  /** Elements of one row of the tensor; neighbors one row up are told from it. */
  readonly rowLength: number;
  /** Rows of the whole tensor, of which these elements may be a part. */
  readonly rows: number;
  /** True for sign, exponent and fraction: the exponent then becomes the highest byte. */
  readonly isFloat: boolean;
}

const BOOK_LIMIT = 256;

/** Distinct patterns ascending with their counts, or undefined when a codebook does not pay. */
function codebookOf(values: Uint32Array): Map<number, number> | undefined {
  const limit = Math.min(BOOK_LIMIT, Math.floor(values.length / 2));
  const counts = new Map<number, number>();
  for (const value of values) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size > limit) return undefined;
  }
  return new Map([...counts].toSorted((left, right) => left[0] - right[0]));
}

/** Codes elements of every kind. One object serves a whole chunk, so that what one tensor taught helps the next. */
export class ElementModel {
  readonly #coder: BitCoder;
  readonly #isEncoder: boolean;
  readonly #flags = new Counters(16);
  readonly #bookBytes = new Counters(4 * 256);
  #book: readonly number[] = [];

  constructor(coder: BitCoder, isEncoder: boolean) {
    this.#coder = coder;
    this.#isEncoder = isEncoder;
  }

  code(elements: Elements): void {
    if (elements.values.length === 0) return;
    const counts = this.#isEncoder ? codebookOf(elements.values) : undefined;
    if (this.#flag(0, counts !== undefined)) this.#shared(elements, counts);
    else this.#planes(elements);
  }

  #flag(slot: number, value: boolean): boolean {
    return codeBit(this.#coder, this.#flags, slot, value ? 1 : 0) === 1;
  }

  #byte(counters: Counters, base: number, byte: number): number {
    let node = 1;
    for (let at = 7; at >= 0; at--) {
      node = node * 2 + codeBit(this.#coder, counters, base + node, (byte >> at) & 1);
    }
    return node & 255;
  }

  /** The codebook: that of the tensor before, or its values ascending, byte by byte. */
  #codebook(counts: ReadonlyMap<number, number> | undefined, width: number): readonly number[] {
    const known = this.#book;
    const isKnown = counts !== undefined && [...counts.keys()].every((value) => known.includes(value));
    if (this.#flag(1, isKnown)) return known;
    const given = counts === undefined ? [] : [...counts.keys()];
    const size = this.#plainByte(given.length - 1) + 1;
    const book: number[] = [];
    for (let at = 0; at < size; at++) {
      let value = 0;
      for (let plane = width - 1; plane >= 0; plane--) {
        const byte = ((given[at] ?? 0) >>> (8 * plane)) & 255;
        value = value * 256 + this.#byte(this.#bookBytes, plane * 256, byte);
      }
      book.push(value);
    }
    this.#book = book;
    return book;
  }

  #plainByte(byte: number): number {
    return this.#coder.plain(byte, 8);
  }

  #shared(elements: Elements, counts: ReadonlyMap<number, number> | undefined): void {
    const { values } = elements;
    const book = this.#codebook(counts, elements.width);
    const common = counts === undefined ? 0 : mostFrequent(book, counts);
    const commonIndex = this.#plainByte(common) % book.length;
    const share = counts === undefined ? 0 : 1 - (counts.get(book[common]) ?? 0) / values.length;
    // Fine where it matters: a density of 5 % is told to within a twentieth of itself.
    const density = ((this.#plainByte(Math.min(255, Math.round(Math.sqrt(share) * 255))) + 0.5) / 256) ** 2;
    const others = book.filter((_, index) => index !== commonIndex);
    const mask = new MaskModel(this.#coder, elements, density);
    const which = new IndexModel(this.#coder, others.length, elements.rowLength);
    const indexOf = new Map(others.map((value, index) => [value, index]));
    for (let at = 0; at < values.length; at++) {
      const isOther = values[at] !== book[commonIndex];
      if (!mask.code(at, isOther && this.#isEncoder)) values[at] = book[commonIndex];
      else if (others.length > 0) {
        const index = which.code(at, this.#isEncoder ? indexOf.get(values[at])! : 0);
        values[at] = others[Math.min(index, others.length - 1)];
      }
    }
  }

  /** Byte planes, the highest first: one that is not random is coded in the context of its own bits, the others stay as they are. */
  #planes(elements: Elements): void {
    const { values, width, isFloat } = elements;
    const bits = 8 * width;
    const rotated = isFloat ? (value: number) => rotateLeft(value, bits) : (value: number) => value;
    const isModelled: boolean[] = [];
    for (let plane = 0; plane < width; plane++) {
      const bends = this.#isEncoder && planeEntropy(values, plane, rotated) < PLAIN_ENTROPY;
      isModelled.push(this.#flag(8 + plane, bends));
    }
    const counters = Array.from({ length: width }, () => new Counters(256));
    for (let at = 0; at < values.length; at++) {
      const value = this.#isEncoder ? rotated(values[at]) : 0;
      let found = 0;
      for (let plane = width - 1; plane >= 0; plane--) {
        const byte = (value >>> (8 * plane)) & 255;
        found = found * 256 + (isModelled[plane] ? this.#byte(counters[plane], 0, byte) : this.#plainByte(byte));
      }
      if (!this.#isEncoder) values[at] = isFloat ? rotateRight(found, bits) : found;
    }
  }
}

/** Bits a byte below which modelling a plane saves more than it costs in time. */
const PLAIN_ENTROPY = 7.9;

const rotateLeft = (value: number, bits: number): number =>
  bits === 32 ? ((value << 1) | (value >>> 31)) >>> 0 : ((value << 1) | (value >>> (bits - 1))) & (2 ** bits - 1);
const rotateRight = (value: number, bits: number): number =>
  bits === 32 ? ((value >>> 1) | (value << 31)) >>> 0 : (value >>> 1) | ((value & 1) << (bits - 1));

function planeEntropy(values: Uint32Array, plane: number, rotated: (value: number) => number): number {
  const counts = new Uint32Array(256);
  for (const value of values) counts[(rotated(value) >>> (8 * plane)) & 255]++;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count * Math.log2(count / values.length);
  return bits / values.length;
}

function mostFrequent(book: readonly number[], counts: ReadonlyMap<number, number>): number {
  let best = 0;
  for (let at = 1; at < book.length; at++) {
    if ((counts.get(book[at]) ?? 0) > (counts.get(book[best]) ?? 0)) best = at;
  }
  return best;
}

/** Multiples of the mean density between which rows and columns are told apart. */
const DENSITY_STEPS = [0.04, 0.12, 0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.5, 4];
const LEVELS = DENSITY_STEPS.length + 1;
const COLUMN_LIMIT = 4096;
const MASK_RATE = 0.005;
const MASK_WEIGHT = 0.15;
/** Observations that the density of the whole counts as in each context. */
const MASK_PRIOR = 16;

/**
 * Which elements are not the common value: from the density of their row and column so far, of the rows around, and from their
 * neighbors. Where rows or columns make a square, as the pixels of an image do, neighbors in the image count too.
 */
class MaskModel {
  readonly #coder: BitCoder;
  readonly #mask: Uint8Array;
  readonly #rowLength: number;
  readonly #density: number;
  readonly #columns: Uint32Array;
  readonly #rowTotals: Uint32Array;
  readonly #mixer: Mixer;
  readonly #near: number;
  readonly #far: number;
  readonly #imageRows: number;

  constructor(coder: BitCoder, elements: Elements, density: number) {
    const { values, rowLength, rows } = elements;
    this.#coder = coder;
    this.#mask = new Uint8Array(values.length);
    this.#rowLength = rowLength;
    this.#density = density;
    this.#columns = new Uint32Array(rowLength);
    this.#rowTotals = new Uint32Array(Math.ceil(values.length / rowLength));
    const side = (length: number): number =>
      length >= 64 && Number.isInteger(Math.sqrt(length)) ? Math.sqrt(length) : 0;
    const across = side(rowLength);
    const down = side(rows);
    this.#near = across > 0 ? 1 : rowLength;
    this.#far = across > 0 ? across : down > 0 ? down * rowLength : 1;
    this.#imageRows = across === 0 && down > 0 ? down : 1;
    const sizes = [
      1,
      LEVELS * LEVELS * 4,
      128,
      LEVELS * LEVELS * LEVELS,
      64 * 8,
      Math.min(rowLength, COLUMN_LIMIT),
      LEVELS * 4 * 8,
      LEVELS * LEVELS * 16,
    ];
    this.#mixer = new Mixer(
      sizes.map((size) => new Counters(size, density, MASK_PRIOR)),
      12,
      MASK_RATE,
      MASK_WEIGHT,
      true,
    );
  }

  code(at: number, isOther: boolean): boolean {
    const mask = this.#mask;
    const length = this.#rowLength;
    const row = Math.floor(at / length);
    const column = at - row * length;
    const past = (distance: number): number => (distance > 0 && at >= distance ? mask[at - distance] : 0);
    const totals = this.#rowTotals;
    const before = (rows: number): number => (row >= rows ? this.#level(totals[row - rows], length) : 5);
    const soFar = this.#level(totals[row], column);
    const below = this.#level(this.#columns[column], row);
    const left = past(1) + 2 * past(2) + 4 * past(3) + 8 * past(4);
    const above = past(length) + 2 * past(length - 1) + 4 * past(length + 1);
    const near = this.#near;
    const far = this.#far;
    const around =
      past(near) +
      2 * past(2 * near) +
      4 * past(far) +
      8 * past(2 * far) +
      16 * past(far + near) +
      32 * past(Math.abs(far - near));
    const above3 = past(length) + past(2 * length) + past(3 * length);
    const confidence = column < 4 ? 0 : column < 16 ? 1 : column < 64 ? 2 : 3;
    const { slots } = this.#mixer;
    slots[0] = 0;
    slots[1] = (below * LEVELS + soFar) * 4 + confidence;
    slots[2] = left * 8 + above;
    slots[3] = (before(1) * LEVELS + before(this.#imageRows)) * LEVELS + soFar;
    slots[4] = around * 8 + Math.min(7, past(1) + past(2) + past(3) + above3);
    slots[5] = Math.min(column, COLUMN_LIMIT - 1);
    slots[6] = (below * 4 + above3) * 8 + (past(1) + 2 * past(2) + 4 * past(3));
    slots[7] = (below * LEVELS + before(1)) * 16 + Math.min(15, past(1) + past(2) + past(3) + past(4) + above3 * 4);
    let about = past(near) + past(2 * near) + past(3 * near);
    for (let step = -2; step <= 2; step++) about += past(far + step * near);
    for (let step = -1; step <= 1; step++) about += past(2 * far + step * near);
    slots[8] = (about * LEVELS + below) * LEVELS + soFar;
    slots[9] = (about * LEVELS + before(1)) * 4 + confidence;
    const maturity = at < 512 ? 0 : at < 8192 ? 1 : 2;
    const found = this.#mixer.code(this.#coder, isOther ? 1 : 0, maturity * 4 + confidence);
    if (found === 0) return false;
    mask[at] = 1;
    totals[row]++;
    this.#columns[column]++;
    return true;
  }

  /** How dense `count` of `total` is against the whole, the whole counting as some observations more. */
  #level(count: number, total: number): number {
    const ratio = (count + 1) / (total * this.#density + 1);
    let level = 0;
    while (level < DENSITY_STEPS.length && ratio > DENSITY_STEPS[level]) level++;
    return level;
  }
}

const INDEX_RATE = 0.01;
const INDEX_WEIGHT = 0.15;
const INDEX_PRIOR = 2;
const INDEX_TABLE = 2 ** 16;

/** Which of the other values it is: from the value before it, the last one in its column, and the column. */
class IndexModel {
  readonly #coder: BitCoder;
  readonly #bits: number;
  readonly #rowLength: number;
  readonly #mixer: Mixer;
  readonly #lastInColumn: Uint8Array;
  #last = 0;

  constructor(coder: BitCoder, choices: number, rowLength: number) {
    this.#coder = coder;
    this.#bits = choices < 2 ? 0 : 32 - Math.clz32(choices - 1);
    this.#rowLength = rowLength;
    this.#lastInColumn = new Uint8Array(rowLength);
    const nodes = 2 ** this.#bits;
    const tables = [nodes, nodes * 256, nodes * 256, INDEX_TABLE, INDEX_TABLE].map(
      (size) => new Counters(size, 0.5, INDEX_PRIOR),
    );
    this.#mixer = new Mixer(tables, 1, INDEX_RATE, INDEX_WEIGHT, true);
  }

  code(at: number, index: number): number {
    const row = Math.floor(at / this.#rowLength);
    const column = at - row * this.#rowLength;
    const nodes = 2 ** this.#bits;
    const { slots } = this.#mixer;
    let node = 1;
    for (let bit = this.#bits - 1; bit >= 0; bit--) {
      slots[0] = node;
      slots[1] = this.#last * nodes + node;
      slots[2] = this.#lastInColumn[column] * nodes + node;
      slots[3] = (column * nodes + node) & (INDEX_TABLE - 1);
      slots[4] = (row * nodes + node) & (INDEX_TABLE - 1);
      node = node * 2 + this.#mixer.code(this.#coder, (index >> bit) & 1, 0);
    }
    const found = node - nodes;
    this.#last = found;
    this.#lastInColumn[column] = found;
    return found;
  }
}
