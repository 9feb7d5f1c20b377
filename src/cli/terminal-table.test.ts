// Tests of the plain-text table.
import { expect, it } from "vitest";
import { formatTable } from "./terminal-table.ts";
import { screenWidth } from "./wrap-text.ts";

const HEAD = [{ title: "" }, { title: "Original", align: "right" as const }, { title: "New", align: "right" as const }];
const ROWS = [
  ["Size", "398.1 KiB", "\u001B[32m102.9 KiB\u001B[39m"],
  ["Parameters", "101,770", "25,450"],
];

it("aligns numbers to the right, whatever color they have", () => {
  const [head, rule, first, second] = formatTable(HEAD, ROWS, 80).split("\n");
  expect([head, rule, first, second].map((line) => screenWidth(line ?? ""))).toEqual([32, 32, 32, 32]);
  expect(second).toBe("Parameters    101,770     25,450");
});

it("puts intervals and long titles on lines of their own before it gives the table up", () => {
  const rows = [["Latency, batch 1, median of runs", "83.6 (80.7…89.0) µs", "49.7 (47.1…56.0) µs"]];
  expect(formatTable(HEAD, rows, 60).split("\n")).toEqual([
    "                      Original          New",
    "─────────────────  ───────────  ───────────",
    "Latency, batch 1,      83.6 µs      49.7 µs",
    "  median of runs   (80.7…89.0)  (47.1…56.0)",
  ]);
});

it("turns rows into blocks of lines where the table does not fit", () => {
  expect(formatTable(HEAD, ROWS, 24)).toBe(
    "Size\n  Original  398.1 KiB\n  New       \u001B[32m102.9 KiB\u001B[39m\n\nParameters\n  Original  101,770\n  New       25,450",
  );
});
