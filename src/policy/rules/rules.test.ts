// The pack and its engine: every fixture, both CEL engines, thresholds, and what is never a pass; depends on vitest, cel and the room.
import { isCelError, run } from "@bufbuild/cel";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkCase } from "./check.ts";
import { checkSchema } from "./check-schema.ts";
import { parseEvidence } from "./evidence.ts";
import { runFixtures } from "./fixtures.ts";
import { judgeRule, type Evidence } from "./judge.ts";
import { OWN_PACK, readPack } from "./pack.ts";
import { sarifOf } from "./sarif.ts";

const pack = readPack();
const ruleOf = (id: string) => pack.rules.find(({ rule }) => rule.id === id)!;
const evidenceOf = (values: Record<string, number | string | boolean>): Map<string, Evidence> =>
  new Map(Object.entries(values).map(([field, value]) => [field, { value, method: "declared" }]));

describe("the pack", () => {
  it("comes out as its fixtures say, each rule with three of them at least", () => {
    expect(runFixtures(pack).filter(({ asWritten }) => !asWritten)).toEqual([]);
    for (const { rule } of pack.rules) expect([rule.id, rule.fixtures.length >= 3]).toEqual([rule.id, true]);
  });

  it("has for every rule that can be computed a fixture that passes, one that fails, one that is unknown", () => {
    for (const { rule } of pack.rules.filter(({ require }) => require !== undefined)) {
      const outcomes = new Set(rule.fixtures.map(({ outcome }) => outcome));
      expect([rule.id, ["pass", "fail", "unknown"].every((outcome) => outcomes.has(outcome as "pass"))]).toEqual([
        rule.id,
        true,
      ]);
    }
  });

  it("says of every number where it stands and how far it was verified, in both languages", () => {
    for (const { rule } of pack.rules) {
      expect(rule.source.url).toMatch(/^https?:\/\//);
      expect(/[一-鿿]/.test(rule.title.zh + rule.explain.zh)).toBe(true);
      for (const { values } of Object.values(rule.parameters)) for (const { ref } of values) expect(ref).not.toBe("");
    }
  });

  it("gives what a second CEL engine gives, on every fixture", () => {
    let compared = 0;
    for (const { rule, when, require, enough, formula } of pack.rules) {
      for (const fixture of rule.fixtures) {
        const values = new Map(Object.entries(fixture.evidence));
        const numbers = Object.fromEntries(
          Object.entries(rule.parameters).flatMap(([name, { values: dated }]) => {
            const current = dated.findLast(({ from }) => from <= fixture.asOf);
            return current === undefined ? [] : [[name, current.value]];
          }),
        );
        if (Object.keys(numbers).length < Object.keys(rule.parameters).length) continue;
        for (const condition of [when, require, enough]) {
          if (condition === undefined) continue;
          const ours = condition.evaluate(values, numbers).truth;
          const theirs = run(condition.text, contextFor(values, numbers));
          expect([rule.id, fixture.name, isCelError(theirs) ? "unknown" : theirs]).toEqual([
            rule.id,
            fixture.name,
            ours,
          ]);
          compared++;
        }
        if (formula === undefined) continue;
        const ours = formula.evaluate(values, numbers);
        const theirs = run(formula.text, contextFor(values, numbers));
        if ("missing" in ours)
          expect([rule.id, fixture.name, isCelError(theirs)]).toEqual([rule.id, fixture.name, true]);
        else expect([rule.id, fixture.name, theirs]).toEqual([rule.id, fixture.name, ours.value]);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(150);
  });

  /** Plain maps by root, dates as timestamps, as the other engine takes them. */
  function contextFor(values: ReadonlyMap<string, number | string | boolean>, numbers: Record<string, number>) {
    const context: Record<string, Map<string, unknown>> = { param: new Map(Object.entries(numbers)) };
    for (const root of Object.keys(pack.vocabulary)) context[root] = new Map();
    for (const [path, value] of values) {
      const [root, name] = path.split(".");
      const isDate = pack.vocabulary[root][name].type === "date";
      context[root].set(name, isDate ? timestampFromDate(new Date(String(value))) : value);
    }
    return context as Parameters<typeof run>[1];
  }
});

describe("a rule", () => {
  it("passes exactly at its limit, fails a billionth above, and is unknown without evidence", () => {
    const site = { "dc.country": "DE", "dc.nonRedundantKw": 900, "dc.startedOn": "2026-08-01" };
    const outcome = (pue?: number) =>
      judgeRule(
        ruleOf("ENV-DE-PUE-NEW"),
        {
          roles: ["data-center-operator"],
          evidence: evidenceOf(pue === undefined ? site : { ...site, "dc.pueAnnual": pue }),
        },
        { asOf: "2026-11-23" },
      );
    expect(outcome(1.2).outcome).toBe("pass");
    expect(outcome(1.2 + 1e-9).outcome).toBe("fail");
    expect(outcome()).toMatchObject({ outcome: "unknown", missing: ["dc.pueAnnual"] });
  });

  it("uses the value of the day: half in 2026, all from 2027", () => {
    const of = (asOf: string) =>
      judgeRule(
        ruleOf("ENV-DE-RES"),
        {
          roles: ["data-center-operator"],
          evidence: evidenceOf({ "dc.country": "DE", "dc.nonRedundantKw": 900, "dc.renewableShare": 0.6 }),
        },
        { asOf },
      );
    expect(of("2026-12-31")).toMatchObject({ outcome: "pass", parameters: [{ value: 0.5 }] });
    expect(of("2027-01-01")).toMatchObject({ outcome: "fail", parameters: [{ value: 1 }] });
  });

  it("takes a draft law as an overlay, and says that it did", () => {
    const evidence = evidenceOf({
      "dc.country": "DE",
      "dc.nonRedundantKw": 900,
      "dc.startedOn": "2026-08-01",
      "dc.pueAnnual": 1.25,
    });
    const options = { asOf: "2026-11-23", overlays: pack.overlays };
    const found = judgeRule(ruleOf("ENV-DE-PUE-NEW"), { roles: ["data-center-operator"], evidence }, options);
    expect(found).toMatchObject({ outcome: "pass", parameters: [{ value: 1.3, overlay: "ENV-DE-DRAFT-2026" }] });
  });

  it("knows the third of the compute: 3.3e22 of 1e23 stays, 3.4e22 makes a provider", () => {
    const of = (flop: number) =>
      judgeRule(
        ruleOf("AI-EU-MOD-THIRD"),
        { roles: ["downstream-modifier"], evidence: evidenceOf({ "base.trainFlop": 1e23, "mod.flop": flop }) },
        { asOf: "2026-11-23" },
      ).outcome;
    expect([of(3.3e22), of(3.4e22)]).toEqual(["pass", "fail"]);
  });

  it("carries the worst quality of its evidence", () => {
    const evidence = new Map<string, Evidence>([
      ["evaluation.dropHigh", { value: 0.001, method: "measured" }],
      ["evaluation.accuracyFloor", { value: 0.9, method: "assumed" }],
      ["evaluation.accuracyLow", { value: 0.95, method: "measured" }],
    ]);
    const found = judgeRule(ruleOf("SAF-ACC-FLOOR"), { roles: ["deployer"], evidence }, { asOf: "2026-11-23" });
    expect(found).toMatchObject({ outcome: "pass", evidenceQuality: "assumed" });
  });
});

describe("a check", () => {
  const none = { roles: ["model-provider" as const], evidence: new Map<string, Evidence>() };

  it("never lets missing evidence pass", () => {
    const { rules, counts } = checkCase(pack, none, { asOf: "2027-06-01" });
    expect(rules.filter(({ outcome }) => outcome === "pass")).toEqual([]);
    expect(counts.pass).toBe(0);
    expect(counts.unknown).toBeGreaterThan(10);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(
      pack.rules.filter(({ rule }) => rule.status !== "proposal").length,
    );
  });

  it("leaves unverified numbers out on request, and asks for a role", () => {
    const all = checkCase(pack, none, { asOf: "2027-06-01" }).rules.length;
    const verified = checkCase(pack, none, { asOf: "2027-06-01", verifiedOnly: true });
    expect(verified.rules.length).toBeLessThan(all);
    expect(verified.rules.flatMap(({ parameters }) => parameters.map(({ mark }) => mark))).not.toContain("unverified");
    expect(() => checkCase(pack, { ...none, roles: [] }, { asOf: "2027-06-01" })).toThrow(
      expect.objectContaining({ code: "E_USAGE" }),
    );
    expect(() => checkCase(pack, none, { asOf: "2027-06-01", proposals: ["ENV-XX"] })).toThrow(/no proposal 'ENV-XX'/);
  });

  it("gives a document that its schema accepts, SARIF that calls only failures failures, and deadlines in order", () => {
    const document = checkCase(pack, { ...none, roles: ["data-center-operator"] }, { asOf: "2026-11-23" });
    expect(() => checkSchema.parse(document)).not.toThrow();
    const dates = document.deadlines.map(({ date }) => date);
    expect(dates).toEqual(dates.toSorted());
    expect(dates.every((date) => date > "2026-11-23")).toBe(true);
    const { runs } = sarifOf(document, "site.yaml", "0.1.0", "en") as {
      runs: [{ results: { kind: string; level: string }[] }];
    };
    expect(runs[0].results).toHaveLength(document.rules.length);
    expect(runs[0].results.filter(({ kind, level }) => kind !== "fail" && level !== "none")).toEqual([]);
  });
});

describe("files", () => {
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-pack-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("of evidence are told every mistake: unknown fields, wrong types, wrong roles", () => {
    const text = "roles: [operator]\nevidence:\n  dc.pueAnual: 1.2\n  dc.country: 3\n  dc.startedOn: soon\n";
    const error = (() => {
      try {
        return parseEvidence(text, pack.vocabulary);
      } catch (thrown) {
        return thrown as { code: string; findings: { message: string; hint?: string; where: { line: number } }[] };
      }
    })() as { code: string; findings: { message: string; hint?: string; where: { line: number } }[] };
    expect(error.code).toBe("E_POLICY");
    expect(error.findings.map(({ where }) => where.line)).toContain(1);
    const good = text.replace("operator]", "data-center-operator]");
    expect(() => parseEvidence(good, pack.vocabulary)).toThrow(
      expect.objectContaining({
        findings: [
          expect.objectContaining({
            message: "'dc.pueAnual' is no field of evidence",
            hint: "Did you mean 'dc.pueAnnual'?",
          }),
          expect.objectContaining({ message: "dc.country is 3, expected text" }),
          expect.objectContaining({ message: 'dc.startedOn is "soon", expected a date such as 2026-07-01' }),
        ],
      }),
    );
  });

  it("of rules are told misspelt fields, wrong types and values out of order, without touching TypeScript", () => {
    const rule = ruleOf("ENV-DE-PUE-NEW").rule;
    const write = (change: object): string => {
      writeFileSync(join(folder, "own.yaml"), JSON.stringify({ ...rule, id: "OWN-RULE", ...change }));
      try {
        readPack([OWN_PACK, folder]);
        return "";
      } catch (thrown) {
        return (thrown as { findings: { message: string }[] }).findings.map(({ message }) => message).join("\n");
      }
    };
    expect(write({})).toBe("");
    expect(write({ require: "dc.pueAnual <= param.pueMax" })).toMatch(/No such key: pueAnual/);
    expect(write({ require: "dc.country <= param.pueMax" })).toMatch(/no such overload/);
    expect(write({ require: "dc.pueAnnual" })).toMatch(/gives double, expected true or false/);
    const values = [...rule.parameters["pueMax"].values, { from: "2020-01-01", value: 2, ref: "x", mark: "verified" }];
    expect(write({ parameters: { pueMax: { unit: "1", values } } })).toMatch(/not in the order of their dates/);
    expect(write({ require: undefined })).toMatch(/needs 'manual'/);
    expect(write({ id: "ENV-DE-PUE-NEW" })).toMatch(/a second rule is called/);
  });

  it("knows the next yearly day: this year's before it, next year's on it and after", () => {
    const due = (asOf: string): string | undefined =>
      checkCase(pack, { roles: ["data-center-operator"], evidence: new Map() }, { asOf }).deadlines.find(
        ({ rule, what }) => rule === "ENV-EU-EED-12" && what.startsWith("is due"),
      )?.date;
    expect(due("2026-11-26")).toBe("2027-05-15");
    expect(due("2027-05-14")).toBe("2027-05-15");
    expect(due("2027-05-15")).toBe("2028-05-15");
    // The first report of all was due on the day the rule began.
    expect(due("2024-01-01")).toBe("2025-05-15");
  });
});
