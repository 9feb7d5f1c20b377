// Tests of a search's words on the terminal: what the goal counts, what is slower, why the original is kept; depends on this room.
import { expect, it } from "vitest";
import { sampleDossier } from "../../test/fixtures/sample-dossier.ts";
import type { Candidate, SearchResult } from "../compress/candidate-schema.ts";
import type { Goal } from "../compress/search-options.ts";
import { exact } from "../quantity/figure.ts";
import { compressionText, compressionVerdict } from "./compression-text.ts";

function resultOf(goal: Goal, candidates: readonly Candidate[]): SearchResult {
  const { selectionRule, seed, data } = sampleDossier();
  const [first] = sampleDossier().candidates;
  return {
    schema: "lightfoot.compression/1",
    goal,
    metric: "accuracy",
    budget: { kind: "points", value: 0.5 },
    confidence: null,
    selectionRule,
    seed,
    data: [...data],
    ended: "complete",
    tried: candidates.length,
    planned: candidates.length,
    stoppedBefore: null,
    sensitivity: [],
    original: { ...first, id: "original", selected: false },
    candidates: [...candidates],
    front: [],
    selected: candidates.find(({ selected }) => selected)?.id ?? null,
  };
}

const [one] = sampleDossier().candidates;
const titles = (goal: Goal) => compressionText(resultOf(goal, [one])).head.map(({ title }) => title);

it("shows the figure that the goal makes small", () => {
  expect(titles("energy")).toEqual(
    expect.arrayContaining(["Energy per 1,000 inferences", "Processor time per inference"]),
  );
  expect(titles("memory")).toContain("Peak memory");
  expect(titles("size").join()).not.toMatch(/energy|memory/);
  const { head, rows } = compressionText(resultOf("memory", [{ ...one, peakMemory: exact(2 ** 20, "B", "made up") }]));
  const at = head.findIndex(({ title }) => title === "Peak memory");
  expect(rows.map((cells) => cells[at])).toEqual(["–", "1\u202fMiB"]);
});

it("says of the chosen one that it is smaller but slower", () => {
  const reasons = ["smaller but slower: 3.00 times the original's time at batch 1"];
  const said = (selected: boolean) =>
    compressionText(resultOf("size", [{ ...one, selected, reasons }])).paragraphs.join("\n");
  expect(said(true)).toContain(`${one.id} is smaller but slower: 3.00 times`);
  expect(said(false)).not.toContain("slower");
});

it.each([
  ["size", "no smaller"],
  ["latency", "not faster"],
  ["energy", "less energy"],
  ["memory", "less memory"],
] as const)("tells a lack of gain from a lack of accuracy: %s", (goal, words) => {
  const without = compressionVerdict(resultOf(goal, [{ ...one, selected: false }]));
  expect(without).toMatchObject({ holds: false, text: expect.stringContaining(words) });
  expect(without.hint).toContain("--goal");
  const { validation } = one;
  const worse = { ...validation!, loss: { ...validation!.loss, value: 0.02, low: 0.01, high: 0.03 } };
  const beyond = compressionVerdict(resultOf(goal, [{ ...one, selected: false, validation: worse }]));
  expect(beyond).toMatchObject({ holds: false, text: expect.stringContaining("No candidate stays within the budget") });
  expect(beyond.hint).toContain("--max-drop");
});

it("does not blame the budget when the time was up before anything ran", () => {
  const none = compressionVerdict(resultOf("size", []));
  expect(none).toMatchObject({ holds: false, text: "No candidate came to run: the original is kept." });
  expect(none.hint).toContain("--time-limit");
});

it("says that the far end fails where the estimate on test data holds the budget", () => {
  const { validation } = one;
  const judged = { ...validation!, split: "test" as const, allowedLoss: 0.01 };
  const verdictFor = (value: number) => {
    const test = { ...judged, loss: { ...judged.loss, value, low: 0, high: 0.03 } };
    return compressionVerdict(resultOf("size", [{ ...one, selected: true, accepted: false, test }])).text;
  };
  expect(verdictFor(0.01)).toContain("far end of that interval is beyond twice the budget");
  expect(verdictFor(0.02)).toContain(": beyond the budget");
});

it("counts what a limit left untried, and nothing where the limit was the plan", () => {
  const said = (ended: SearchResult["ended"], planned: number) =>
    compressionText({ ...resultOf("size", [one]), ended, planned, stoppedBefore: "packed" }).paragraphs.join("\n");
  expect(said("time-limit", 12)).toContain("1 of 12 were tried. It stopped before packed.");
  expect(said("candidate-limit", 1)).toContain(" 1 were tried. It stopped before packed.");
  expect(said("candidate-limit", 1)).not.toContain("1 of 1");
});
