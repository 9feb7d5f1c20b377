// Tests of wrapped prose.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { screenWidth, wrapText } from "./wrap-text.ts";

it("breaks between words, indents what follows, and does not count color", () => {
  expect(wrapText("one two three four", 9, "  ")).toEqual(["one two", "  three", "  four"]);
  expect(wrapText("\u001B[33mone\u001B[39m two", 7)).toEqual(["\u001B[33mone\u001B[39m two"]);
});

it("keeps every word, in order, and no line wider than the terminal unless one word is", () => {
  const word = fc.stringMatching(/^[a-z]{1,12}$/);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), fc.integer({ min: 5, max: 40 }), (words, columns) => {
      const lines = wrapText(words.join(" "), columns, "  ");
      expect(lines.join(" ").split(/\s+/).filter(Boolean)).toEqual(words);
      for (const line of lines) expect(screenWidth(line) <= columns || !line.trim().includes(" ")).toBe(true);
    }),
    { seed: 5 },
  );
});
