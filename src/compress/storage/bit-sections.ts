// One blob of bits for all weights that are rebuilt from bits, and the operators that take it apart; may depend on decoder.
import { string } from "../../model/attributes.ts";
import type { Decoder } from "./decoder.ts";

/** First operator set with BitwiseAnd, which is shorter to write than a shift and a remainder. */
const BITWISE_OPSET = 18;
const HIGHEST_BIT_FIRST = [7, 6, 5, 4, 3, 2, 1, 0];

/** Bits one after another, the first one in the highest bit of the first byte. */
export class BitSections {
  readonly #sections: Uint8Array[] = [];

  /** Adds a section, one bit a byte, and gives its number. */
  add(bits: Uint8Array): number {
    this.#sections.push(bits);
    return this.#sections.length - 1;
  }

  /**
   * Writes the blob and the operators that expand it.
   * @returns the name of each section: int64 zeros and ones `[bits]`
   */
  emit(decoder: Decoder): string[] {
    const sizes = this.#sections.map(({ length }) => length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const bytes = new Uint8Array(Math.ceil(total / 8));
    let at = 0;
    for (const section of this.#sections) {
      for (const bit of section) {
        if (bit !== 0) bytes[at >> 3] |= 128 >> (at & 7);
        at++;
      }
    }
    const blob = decoder.constant({ dtype: "uint8", shape: [bytes.length, 1], data: bytes });
    const places = (values: number[]) =>
      decoder.constant({ dtype: "uint8", shape: [8], data: Uint8Array.from(values) });
    const zeroOrOne =
      decoder.opset >= BITWISE_OPSET
        ? decoder.apply("Sign", [decoder.apply("BitwiseAnd", [blob, places(HIGHEST_BIT_FIRST.map((bit) => 1 << bit))])])
        : decoder.apply("Mod", [
            decoder.apply("BitShift", [blob, places(HIGHEST_BIT_FIRST)], { direction: string("RIGHT") }),
            decoder.constant({ dtype: "uint8", shape: [], data: Uint8Array.of(2) }),
          ]);
    const flat = decoder.apply("Reshape", [decoder.cast(zeroOrOne, "int64"), decoder.sizes(-1)]);
    const rest = bytes.length * 8 - total;
    return decoder.split(flat, rest === 0 ? sizes : [...sizes, rest], 0).slice(0, sizes.length);
  }
}
