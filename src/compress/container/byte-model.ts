// Bytes of a file's structure: names, tags and lengths of protobuf messages, predicted from the bytes before; may depend on mixing.
import type { BitCoder } from "./arithmetic-coder.ts";
import { Counters, Mixer } from "./mixing.ts";
import { PRIMER } from "./primer.ts";

/** Slots of one order's table: structure of a model with thousands of nodes fits with few collisions. */
const TABLE_BITS = 17;
const TABLE_MASK = 2 ** TABLE_BITS - 1;
const ORDERS = 5;
const RATE = 0.02;

/**
 * Order 0 to 4 and the word so far, mixed; the weights depend on the longest match with what came before.
 * A byte is coded from its highest bit on, each bit in the context of those before it.
 */
export class ByteModel {
  readonly #mixer: Mixer;
  readonly #hashes = new Int32Array(ORDERS + 1);
  #history = 0;
  #word = 0;
  #before = 0;
  // The last place that followed the same four bytes: what stood there is likely to come again.
  readonly #places = new Int32Array(2 ** 16).fill(-1);
  readonly #match = new Counters(512, 0.5);
  readonly #bytes: number[] = [];
  #matched = -1;
  #matchLength = 0;

  constructor() {
    const tables = Array.from({ length: ORDERS + 1 }, () => new Counters(2 ** TABLE_BITS));
    this.#mixer = new Mixer([...tables, this.#match], 3 * 8, RATE, 0.35);
  }

  /** A model that has seen the primer. Once in a process it is taught; later ones take over what that one learned. */
  static primed(): ByteModel {
    taught ??= new ByteModel().#teach(PRIMER);
    const model = new ByteModel();
    model.#mixer.learnFrom(taught.#mixer);
    model.#places.set(taught.#places);
    model.#bytes.push(...PRIMER);
    model.#history = taught.#history;
    model.#word = taught.#word;
    model.#before = taught.#before;
    model.#matched = taught.#matched;
    model.#matchLength = taught.#matchLength;
    return model;
  }

  #teach(bytes: Uint8Array): this {
    for (const byte of bytes) this.code(DEAF_CODER, byte);
    return this;
  }

  code(coder: BitCoder, byte: number): number {
    this.#contexts();
    const { slots } = this.#mixer;
    const expected = this.#matched >= 0 ? this.#bytes[this.#matched] : -1;
    const length = Math.min(this.#matchLength, 15);
    const set = this.#matchLength === 0 ? 0 : this.#matchLength < 8 ? 1 : 2;
    let node = 1;
    for (let at = 7; at >= 0; at--) {
      for (let i = 0; i <= ORDERS; i++) {
        slots[i] = (Math.imul(this.#hashes[i] + node * 0x9e3779b1, 0x2545f491) >>> 12) & TABLE_MASK;
      }
      const agrees = expected >= 0 && (expected | 256) >> (at + 1) === node;
      const next = agrees ? (expected >> at) & 1 : 0;
      slots[ORDERS + 1] = agrees ? 2 + length * 2 + next : 0;
      const bit = this.#mixer.code(coder, (byte >> at) & 1, set * 8 + at);
      node = node * 2 + bit;
    }
    const found = node & 255;
    this.#follow(found);
    return found;
  }

  #contexts(): void {
    const hashes = this.#hashes;
    hashes[0] = 0;
    for (let order = 1; order < ORDERS; order++) {
      const kept = order === 4 ? this.#history : this.#history & (2 ** (8 * order) - 1);
      hashes[order] = Math.imul(kept + order, 0x85ebca6b) ^ (order << 24);
    }
    hashes[ORDERS] = Math.imul(this.#word ^ (this.#before << 8), 0xc2b2ae35) | 0;
  }

  #follow(byte: number): void {
    this.#bytes.push(byte);
    this.#history = (this.#history << 8) | byte | 0;
    const isLetter = (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57);
    if (isLetter) this.#word = Math.imul(this.#word + byte, 0x2f0b4c47);
    else {
      this.#before = byte;
      this.#word = 0;
    }
    if (this.#matched >= 0 && this.#bytes[this.#matched] === byte) {
      this.#matched++;
      this.#matchLength++;
    } else {
      this.#matched = -1;
      this.#matchLength = 0;
    }
    const place = (Math.imul(this.#history & 0xffffff, 0x9e3779b1) >>> 16) & 0xffff;
    if (this.#matched < 0 && this.#places[place] >= 0) {
      this.#matched = this.#places[place];
      this.#matchLength = 1;
    }
    this.#places[place] = this.#bytes.length;
  }
}

/** Codes nothing: a model that is coded with it only learns. */
const DEAF_CODER: BitCoder = { code: (bit) => bit, plain: (value) => value };

let taught: ByteModel | undefined;
