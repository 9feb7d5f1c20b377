// Tests of the budget's notation; depends on the file beside it.
import { describe, expect, it } from "vitest";
import { allowedLoss, formatMaxDrop, parseMaxDrop } from "./budget.ts";

describe("parseMaxDrop", () => {
  it("reads points and percent, and prints them back", () => {
    for (const text of ["0.5pt", "0.5%", "0pt", "12%"]) expect(formatMaxDrop(parseMaxDrop(text))).toBe(text);
    expect(parseMaxDrop(" 1 pt ")).toEqual({ kind: "points", value: 1 });
  });

  it.each([
    "0.5",
    "",
    "pt",
    "-1pt",
    "1e2pt",
    ".5pt",
    "0.5 points",
    "0.5pts",
    "1pp",
    "3 percent",
    "2m²",
    "101%",
    "NaN%",
  ])("refuses %j with E_USAGE", (text) => {
    expect(() => parseMaxDrop(text)).toThrowError(expect.objectContaining({ code: "E_USAGE" }));
  });

  it("reads an amount in the metric's own unit, and prints it back", () => {
    expect(parseMaxDrop("2matches")).toEqual({ kind: "absolute", value: 2, unit: "matches" });
    expect(parseMaxDrop(formatMaxDrop(parseMaxDrop("0.05 px")))).toEqual({ kind: "absolute", value: 0.05, unit: "px" });
    expect(allowedLoss(parseMaxDrop("2matches"), 180)).toBe(2);
  });

  it("means percentage points, or a share of the original's score", () => {
    expect(allowedLoss(parseMaxDrop("0.5pt"), 0.8)).toBeCloseTo(0.005, 12);
    expect(allowedLoss(parseMaxDrop("0.5%"), 0.8)).toBeCloseTo(0.004, 12);
    expect(allowedLoss(parseMaxDrop("10%"), -2)).toBeCloseTo(0.2, 12);
  });
});
