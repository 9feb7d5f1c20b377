// The line below the scroll region, on a small terminal that understands what is sent to it; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLiveLine } from "./live-line.ts";

/** As much of a terminal as is needed: rows, a scroll region, a saved cursor. */
class Terminal {
  readonly rows: number;
  readonly columns: number;
  isOurs = true;
  lines: string[];
  readonly history: string[] = [];
  #row = 0;
  #column = 0;
  #saved = [0, 0];
  #last: number;

  constructor(rows: number, columns: number) {
    this.rows = rows;
    this.columns = columns;
    this.lines = Array.from({ length: rows }, () => "");
    this.#last = rows - 1;
  }

  get region(): number {
    return this.#last + 1;
  }

  write(text: string): void {
    // oxlint-disable-next-line no-control-regex -- escape sequences are what is to be read
    for (const token of text.match(/\u001B\[[\d;]*[A-Za-z]|\u001B[78D]|[\s\S]/gu) ?? []) this.#take(token);
  }

  #take(token: string): void {
    if (token === "\n") [this.#column] = [0, this.#down()];
    else if (token === "\r") this.#column = 0;
    else if (token === "\u001BD") this.#down();
    else if (token === "\u001B7") this.#saved = [this.#row, this.#column];
    else if (token === "\u001B8") [this.#row, this.#column] = this.#saved;
    else if (token === "\u001B[A") this.#row = Math.max(0, this.#row - 1);
    else if (token === "\u001B[2K") this.lines[this.#row] = "";
    else if (token.length === 1) this.#put(token);
    else if (token.endsWith("H")) [this.#row, this.#column] = [Number.parseInt(token.slice(2), 10) - 1, 0];
    else if (token.endsWith("r")) {
      this.#last = token === "\u001B[r" ? this.rows - 1 : Number(token.slice(2, -1).split(";")[1]) - 1;
      [this.#row, this.#column] = [0, 0];
    } else throw new Error(`unknown sequence ${JSON.stringify(token)}`);
  }

  #put(character: string): void {
    const line = this.lines[this.#row].padEnd(this.#column);
    this.lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
    this.#column += 1;
  }

  #down(): void {
    if (this.#row !== this.#last) {
      this.#row = Math.min(this.#row + 1, this.rows - 1);
      return;
    }
    this.history.push(this.lines[0]);
    this.lines.splice(0, 1);
    this.lines.splice(this.#last, 0, "");
  }
}

/** What the command wrote, as it stands on the terminal and in what scrolled away. */
const written = (terminal: Terminal): string[] =>
  [...terminal.history, ...terminal.lines].filter((line) => line !== "" && !line.startsWith("live"));

describe("the live line", () => {
  it("never takes a character from the command, whenever it is drawn, and leaves the terminal as it was", () => {
    const step = fc.oneof(fc.constantFrom("draw", "hide"), fc.stringMatching(/^[a-z]{1,12}\n?$/));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 5, max: 12 }), (steps, rows) => {
        const terminal = new Terminal(rows, 400);
        const alone = new Terminal(rows, 400);
        const line = createLiveLine(() => terminal);
        for (const [index, what] of steps.entries()) {
          if (what === "draw") line.show(`live ${index}`);
          else if (what === "hide") line.hide();
          else {
            terminal.write(what);
            alone.write(what);
          }
        }
        line.hide();
        terminal.write("end\n");
        alone.write("end\n");
        expect(written(terminal)).toEqual(written(alone));
        expect(terminal.region).toBe(rows);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it("stands in the last row, cut to the width, and only while the terminal is ours", () => {
    const terminal = new Terminal(6, 40);
    const line = createLiveLine(() => terminal);
    line.show(`live ${"x".repeat(100)}`);
    expect(terminal.lines[5]).toHaveLength(39);
    terminal.isOurs = false;
    line.show("live again");
    expect(terminal.lines[5]).toContain("xxx");
    line.hide();
    expect(terminal.lines[5]).toBe("");
  });

  it("is not drawn on a terminal too low for it", () => {
    const terminal = new Terminal(3, 80);
    createLiveLine(() => terminal).show("live");
    expect(terminal.lines).toEqual(["", "", ""]);
  });
});
