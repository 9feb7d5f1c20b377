// Binary arithmetic coder with 32-bit bounds: one bit at a time under a probability, and bits without one; may depend on errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";

/** Probabilities are in 1/65536: 1 … 65535. */
export const PROBABILITY_BITS = 16;
const ONE = 2 ** PROBABILITY_BITS;

/** What models are written against, so that the same code encodes and decodes. */
export interface BitCoder {
  /** Codes one bit; when decoding, `bit` is ignored and the bit found is returned. @param p chance of a one, in 1/65536 */
  code(bit: number, p: number): number;
  /** Codes the low `count` (at most 24) bits of `value` as they are, outside the arithmetic code. */
  plain(value: number, count: number): number;
}

/** Bytes that grow. */
class Output {
  #bytes = new Uint8Array(1024);
  length = 0;

  push(byte: number): void {
    if (this.length === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.length++] = byte;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}

/**
 * Carry-free range coder: the interval [low, high] of 32-bit numbers shrinks to the part of the bit that came; leading bytes
 * on which both ends agree are written. Bits coded `plain` go to a row of their own, since they cannot be made shorter.
 */
export class BitEncoder implements BitCoder {
  #low = 0;
  #high = 0xffffffff;
  readonly #coded = new Output();
  readonly #plain = new Output();
  #pending = 0;
  #pendingBits = 0;

  code(bit: number, p: number): number {
    const middle = this.#low + Math.floor(((this.#high - this.#low) * p) / ONE);
    if (bit === 1) this.#high = middle;
    else this.#low = middle + 1;
    while (((this.#low ^ this.#high) & 0xff000000) === 0) {
      this.#coded.push(this.#high >>> 24);
      this.#low = (this.#low << 8) >>> 0;
      this.#high = ((this.#high << 8) | 255) >>> 0;
    }
    return bit;
  }

  plain(value: number, count: number): number {
    this.#pending |= value << this.#pendingBits;
    this.#pendingBits += count;
    while (this.#pendingBits >= 8) {
      this.#plain.push(this.#pending & 255);
      this.#pending >>>= 8;
      this.#pendingBits -= 8;
    }
    return value;
  }

  /** Ends the code with as few bytes as tell it: behind the end the decoder reads zeros. */
  finish(): { coded: Uint8Array; plain: Uint8Array } {
    for (let zeros = 24; this.#low > 0; zeros -= 8) {
      const unit = 2 ** zeros;
      const value = Math.ceil(this.#low / unit) * unit;
      if (value > this.#high) continue;
      for (let shift = 24; shift >= zeros; shift -= 8) this.#coded.push(Math.floor(value / 2 ** shift) & 255);
      break;
    }
    if (this.#pendingBits > 0) this.#plain.push(this.#pending & 255);
    return { coded: this.#coded.take(), plain: this.#plain.take() };
  }
}

/** The inverse. @throws LightfootError E_CONTAINER when it is asked for more than damage can explain */
export class BitDecoder implements BitCoder {
  readonly #coded: Uint8Array;
  readonly #plain: Uint8Array;
  #low = 0;
  #high = 0xffffffff;
  #value = 0;
  #next = 0;
  #nextPlain = 0;
  #pending = 0;
  #pendingBits = 0;

  constructor(coded: Uint8Array, plain: Uint8Array) {
    this.#coded = coded;
    this.#plain = plain;
    for (let i = 0; i < 4; i++) this.#shift();
  }

  code(_bit: number, p: number): number {
    const middle = this.#low + Math.floor(((this.#high - this.#low) * p) / ONE);
    const bit = this.#value <= middle ? 1 : 0;
    if (bit === 1) this.#high = middle;
    else this.#low = middle + 1;
    while (((this.#low ^ this.#high) & 0xff000000) === 0) {
      this.#low = (this.#low << 8) >>> 0;
      this.#high = ((this.#high << 8) | 255) >>> 0;
      this.#shift();
    }
    return bit;
  }

  plain(_value: number, count: number): number {
    while (this.#pendingBits < count) {
      if (this.#nextPlain === this.#plain.length) {
        throw new LightfootError("E_CONTAINER", "the container has fewer plain bits than its structure asks for");
      }
      this.#pending |= this.#plain[this.#nextPlain++] << this.#pendingBits;
      this.#pendingBits += 8;
    }
    const value = this.#pending & (2 ** count - 1);
    this.#pending >>>= count;
    this.#pendingBits -= count;
    return value;
  }

  #shift(): void {
    const byte = this.#next < this.#coded.length ? this.#coded[this.#next++] : 0;
    this.#value = ((this.#value << 8) | byte) >>> 0;
  }
}
