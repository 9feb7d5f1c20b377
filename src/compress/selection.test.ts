// Tests of the choosing rule, the verdict and its words, on made-up figures; depends on this room.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exact, figure } from "../quantity/index.ts";
import { candidateSchema, type Candidate, type Loss } from "./candidate-schema.ts";
import { select } from "./selection.ts";
import { conclude, refusedCandidate } from "./verdict.ts";

const share = (v: number) => figure({ value: v, unit: "1", method: "measured" });

function loss(split: Loss["split"], value: number, half = 0.001): Loss {
  const interval = { value, low: value - half, high: value + half };
  return {
    split,
    sampleCount: 10_000,
    original: share(0.98),
    candidate: share(0.98 - value),
    loss: figure({ ...interval, unit: "1", method: "measured" }),
    bound: null,
    allowedLoss: 0.005,
    mcnemarP: 0.5,
  };
}

const seconds = (value: number) =>
  figure({ value, low: value * 0.9, high: value * 1.1, unit: "s", method: "measured" });

function candidate(id: string, fileBytes: number, validationLoss: number, half?: number): Candidate {
  const bare = refusedCandidate({ id, title: id, steps: [{ technique: "weight-int8", options: {} }] }, "made up");
  return {
    ...bare,
    file: `candidates/${id}.onnx`,
    validation: loss("validation", validationLoss, half),
    fileBytes,
    parameters: 250,
    latency: [{ batch: 1, median: seconds(fileBytes / 1e9), p95: seconds(fileBytes / 5e8) }],
    peakMemory: exact(fileBytes * 10, "B", "made up"),
    // The watts behind the joules are known within a factor of two only.
    energyPerInference: figure({
      value: 1 / fileBytes,
      low: 0.5 / fileBytes,
      high: 2 / fileBytes,
      unit: "J",
      method: "modelled",
    }),
    processorTime: seconds(1e-3 / fileBytes),
  };
}

const original = candidate("original", 1000, 0);
const ids = (winner: Candidate | undefined) => winner?.id;

describe("select", () => {
  it("takes the smallest file whose interval holds the budget at its far end", () => {
    const field = [candidate("safe", 500, 0.001), candidate("edge", 300, 0.0045), candidate("bad", 100, 0.02)];
    expect(ids(select(field, original, "size"))).toBe("safe");
  });

  it("falls back to the estimate, with the far end within twice the budget, when nothing holds surely", () => {
    const field = [candidate("edge", 300, 0.0045, 0.004), candidate("vague", 200, 0.0045, 0.02)];
    expect(ids(select(field, original, "size"))).toBe("edge");
    expect(select([candidate("vague", 200, 0.0045, 0.02)], original, "size")).toBeUndefined();
  });

  it("chooses by what the goal names", () => {
    const field = [candidate("a", 500, 0), candidate("b", 700, 0)];
    expect(ids(select(field, original, "size"))).toBe("a");
    expect(ids(select(field, original, "latency"))).toBe("a");
    expect(ids(select(field, original, "memory"))).toBe("a");
    // Made-up energy falls as bytes grow: neither beats the original.
    expect(select(field, original, "energy")).toBeUndefined();
  });

  it("compares energy by the time that was measured, not by the watts that all have in common", () => {
    expect(ids(select([candidate("a", 1300, 0)], original, "energy"))).toBe("a");
    expect(select([candidate("a", 1100, 0)], original, "energy")).toBeUndefined();
  });

  it("takes none that is no improvement on the original", () => {
    expect(select([candidate("big", 1200, 0)], original, "size")).toBeUndefined();
  });

  it("does not take for faster what may be the noise of a measurement", () => {
    // Measured intervals are ±10 % here.
    expect(select([candidate("a", 850, 0)], original, "latency")).toBeUndefined();
    expect(ids(select([candidate("a", 850, 0)], original, "size"))).toBe("a");
    expect(ids(select([candidate("a", 800, 0)], original, "latency"))).toBe("a");
  });

  it("breaks ties by the better score, then by name, whatever the order", () => {
    const field = [candidate("b", 500, 0.001), candidate("c", 500, 0), candidate("a", 500, 0.001)];
    expect(ids(select(field, original, "size"))).toBe("c");
    expect(ids(select([field[0], field[2]], original, "size"))).toBe("a");
    expect(ids(select([field[2], field[0]], original, "size"))).toBe("a");
  });

  it("counts costs within 5 % as equal and then takes the one that computes in integers", () => {
    const integers = { int8Share: 1, int4Share: 0, floatShare: 0, leftoverQuantizeNodes: 1 };
    const field = [candidate("float", 500, 0), { ...candidate("integer", 520, 0.001), execution: integers }];
    expect(ids(select(field, original, "size"))).toBe("integer");
    const wide = [candidate("float", 500, 0), { ...candidate("integer", 530, 0.001), execution: integers }];
    expect(ids(select(wide, original, "size"))).toBe("float");
  });

  it("does not look at test data", () => {
    const lists = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 999 }), fc.double({ min: -0.01, max: 0.02, noNaN: true })),
      {
        minLength: 1,
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(lists, fc.double({ min: -0.1, max: 0.1, noNaN: true }), (list, testLoss) => {
        const field = list.map(([bytes, value], at) => candidate(`c${at}`, bytes, value));
        const judged = field.map((entry) => ({ ...entry, test: loss("test", testLoss), accepted: false }));
        expect(ids(select(judged, original, "size"))).toBe(ids(select(field, original, "size")));
      }),
    );
  });
});

const attempt = (entry: Candidate) => ({ candidate: entry, path: "x.onnx", notes: ["a note"] });
const verdict = (value: number) => ({ loss: loss("test", value), agreement: exact(0.99, "1", "made up") });

const found = (judged: ReturnType<typeof verdict> | undefined, selected: boolean) => ({
  original,
  verdict: judged,
  selected,
  rule: "the rule",
  metric: "accuracy",
  classes: null,
  container: { bytes: 125, holds: "file", file: null } as const,
});

describe("conclude", () => {
  it("gives a document that the schema takes", () => {
    const result = conclude(attempt(candidate("a", 500, 0)), found(verdict(0.001), true));
    expect(() => candidateSchema.parse(result)).not.toThrow();
  });

  it("keeps a chosen candidate chosen and refuses it when it fails on test data", () => {
    const result = conclude(attempt(candidate("a", 500, 0)), found(verdict(0.02), true));
    expect(result).toMatchObject({ selected: true, accepted: false });
    expect(result.reasons.join("\n")).toContain("not chosen again");
  });

  it("states estimate, interval and budget in points", () => {
    const { reasons } = conclude(attempt(candidate("a", 500, 0)), found(verdict(0.0012), true));
    expect(reasons.join("\n")).toContain(
      "accuracy lost 0.12 points (95 % interval 0.02…0.22) on 10,000 test samples, budget 0.50: within the budget",
    );
  });

  it("says which end fails when the estimate alone holds the budget", () => {
    const unsure = { ...verdict(0), loss: loss("test", 0.005, 0.0055) };
    const { accepted, reasons } = conclude(attempt(candidate("a", 500, 0)), found(unsure, false));
    expect(accepted).toBe(false);
    expect(reasons[0]).toMatch(/budget 0.50: the estimate is within the budget, the far end beyond twice the budget$/);
  });

  it("says smaller but slower in these words", () => {
    const slow = candidate("a", 500, 0);
    const before = original.latency[0].median.value;
    const median = figure({ value: before * 3, low: before * 2.5, high: before * 3.5, unit: "s", method: "measured" });
    const entry = { ...slow, latency: [{ ...slow.latency[0], median }] };
    const { reasons } = conclude(attempt(entry), found(verdict(0), false));
    expect(reasons.join("\n")).toContain("smaller but slower: 3.00 times the original's time at batch 1");
  });

  it("does not accept as int8 what runs in float", () => {
    const execution = { int8Share: 0.1, int4Share: 0, floatShare: 0.9, leftoverQuantizeNodes: 7 };
    const entry = { ...candidate("a", 500, 0), promisedInt8Share: 1, execution };
    const result = conclude(attempt(entry), found(verdict(0), false));
    expect(result.accepted).toBe(false);
    expect(result.reasons.join("\n")).toContain("not called int8: only 10 %");
  });

  it("says what the coded container takes, and its rate against the original's file", () => {
    const result = conclude(attempt(candidate("a", 500, 0)), found(verdict(0), true));
    expect(result.compressionRate).toMatchObject({ bytesOnDisk: 2, codedContainer: 8 });
    expect(result.reasons.join("\n")).toContain(
      "for transport a coded container of the file takes 125 bytes: CompressionRate 8.00 (coded container, bytes)",
    );
  });

  it.each([
    [0.2, 0.1, true],
    [0.2, 0.09, false],
    [0, 0, true],
  ])(
    "holds a recipe that promises %d of the work in int8 to half of it: %d",
    (promisedInt8Share, int8Share, accepted) => {
      const execution = { int8Share, int4Share: 0, floatShare: 1 - int8Share, leftoverQuantizeNodes: 7 };
      const entry = { ...candidate("a", 500, 0), promisedInt8Share, execution };
      const result = conclude(attempt(entry), found(verdict(0), false));
      expect(result.accepted).toBe(accepted);
      expect(result.reasons.join("\n").includes("not called int8")).toBe(!accepted);
    },
  );

  it("says when there was no test data", () => {
    const result = conclude(attempt(candidate("a", 500, 0)), found(undefined, true));
    expect(result.accepted).toBe(true);
    expect(result.reasons.join("\n")).toContain("validation data alone");
  });
});
