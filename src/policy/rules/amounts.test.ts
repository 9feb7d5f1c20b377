// Amounts, market prices that go stale, proposals as rules, and what changes between two days; depends on vitest and the room.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkCase } from "./check.ts";
import { diffPack } from "./diff.ts";
import { parseEvidence } from "./evidence.ts";
import { runFixtures } from "./fixtures.ts";
import { judgeRule, type Evidence } from "./judge.ts";
import { OWN_PACK, readPack } from "./pack.ts";
import type { Role } from "./roles.ts";
import { KINDS } from "./rule-schema.ts";
import { skeletonOf } from "./skeleton.ts";

const pack = readPack();
const folder = mkdtempSync(join(tmpdir(), "lightfoot-amounts-"));
afterAll(() => rmSync(folder, { recursive: true }));

const judge = (id: string, role: Role, values: Record<string, number | string | boolean>, asOf = "2026-11-23") => {
  const evidence = new Map(
    Object.entries(values).map(([field, value]): [string, Evidence] => [field, { value, method: "measured" }]),
  );
  const found = pack.rules.find(({ rule }) => rule.id === id);
  if (found === undefined) throw new Error(`no rule ${id}`);
  return judgeRule(found, { roles: [role], evidence }, { asOf });
};

describe("an amount", () => {
  it("is CNY 300,000 for 10 GWh at a PUE of 1.50 in Beijing, beside a failure", () => {
    const site = { "dc.country": "CN", "dc.region": "Beijing", "dc.pueAnnual": 1.5, "dc.itEnergyKwh": 1e7 };
    const { outcome, amount } = judge("TAX-CN-BJ-PUE", "data-center-operator", site);
    expect(outcome).toBe("fail");
    expect(amount?.value).toBeCloseTo(300_000, 6);
  });

  const site = { "site.inEu": true, "site.energyMwh": 13_600, "site.marginalTonnesPerMwh": 0.2 };

  it("is a point with a range while the price is fresh: 2,720 t at EUR 73.08, 0.8 passed on", () => {
    const fresh = judge("TAX-EU-ETS", "data-center-operator", site, "2026-05-13").amount;
    expect(fresh?.value).toBeCloseTo(2720 * 73.08 * 0.8, 6);
    expect(fresh?.low).toBeCloseTo(2720 * 73.08 * 0.5, 6);
    expect(fresh?.high).toBeCloseTo(2720 * 93, 6);
    expect(fresh?.stale).toEqual([]);
  });

  it("is never a point on the 91st day, and not even a range where none is known", () => {
    const stale = judge("TAX-EU-ETS", "data-center-operator", site, "2026-05-14").amount;
    expect(stale).toMatchObject({ value: undefined, stale: ["price"] });
    expect(stale?.low).toBeCloseTo(2720 * 73.08 * 0.5, 6);
    const british = { "site.country": "GB", "site.energyMwh": 13_600, "site.marginalTonnesPerMwh": 0.2 };
    expect(judge("TAX-UK-ETS", "data-center-operator", british).amount).toMatchObject({
      value: undefined,
      low: undefined,
      high: undefined,
      stale: ["price"],
    });
  });

  it("names the evidence it misses, and takes its quality from what it used", () => {
    const { amount, evidenceQuality } = judge("TAX-EU-ETS", "deployer", { "site.inEu": true });
    expect(amount).toMatchObject({ missing: ["site.energyMwh", "site.marginalTonnesPerMwh"], value: undefined });
    expect(evidenceQuality).toBe("measured");
  });

  it("is refreshed by an overlay of one's own", () => {
    const text = `overlay: OWN-PRICES
title: { en: "Prices of the day", zh: "当日价格" }
changes: { TAX-EU-ETS: { price: [{ from: 2026-11-20, value: 80, ref: "broker", mark: secondary }] } }
source: { url: "https://example.org", readOn: 2026-11-23, mark: secondary }
`;
    writeFileSync(join(folder, "prices.yaml"), text);
    const own = readPack([OWN_PACK, folder]);
    const entries = Object.entries(site).map(([field, value]): [string, Evidence] => [
      field,
      { value, method: "declared" },
    ]);
    const subject = { roles: ["deployer" as const], evidence: new Map(entries) };
    const { rules } = checkCase(own, subject, { asOf: "2026-11-23", proposals: ["OWN-PRICES"] });
    const amount = rules.find(({ id }) => id === "TAX-EU-ETS")?.amount;
    expect(amount?.value).toBeCloseTo(2720 * 80 * 0.8, 6);
    expect(amount?.stale).toEqual([]);
    rmSync(join(folder, "prices.yaml"));
  });

  it("is told where its formula is wrong, gives a whole number, or does not come out as a fixture says", () => {
    const { rule } = pack.rules.find(({ rule: each }) => each.id === "TAX-CN-BJ-PUE")!;
    const write = (formula: string, amount = 300_000) => {
      const fixtures = [{ ...rule.fixtures[0], amount }];
      const changed = { ...rule, id: "OWN-TAX", amount: { ...rule.amount, formula }, fixtures };
      writeFileSync(join(folder, "own.yaml"), JSON.stringify(changed));
      try {
        const results = runFixtures(readPack([OWN_PACK, folder]));
        return results.filter(({ asWritten }) => !asWritten).map(({ amount: told }) => JSON.stringify(told));
      } catch (thrown) {
        return (thrown as { findings: { message: string }[] }).findings.map(({ message }) => message);
      } finally {
        rmSync(join(folder, "own.yaml"));
      }
    };
    expect(write(rule.amount!.formula)).toEqual([]);
    expect(write(rule.amount!.formula, 300_001)[0]).toMatch(/"expected":300001,"found":(300000|299999\.9)/);
    expect(write("dc.itEnergiKwh * 2.0")[0]).toMatch(/No such key/);
    expect(write("1 + 2")[0]).toMatch(/gives int, expected a number with a decimal point/);
  });
});

describe("the pack", () => {
  it("has 80 rules and more, of every kind; each amount has a figure to hold it against", () => {
    expect(pack.rules.length).toBeGreaterThanOrEqual(80);
    expect(new Set(pack.rules.map(({ rule }) => rule.kind))).toEqual(new Set(KINDS));
    const withAmount = pack.rules.filter(({ rule }) => rule.amount !== undefined);
    expect(withAmount.length).toBeGreaterThanOrEqual(15);
    for (const { rule } of withAmount) {
      expect([rule.id, rule.fixtures.some(({ amount }) => typeof amount === "number")]).toEqual([rule.id, true]);
    }
  });

  it("is counted in its documentation as it is", () => {
    const fixtures = pack.rules.reduce((sum, { rule }) => sum + rule.fixtures.length, 0);
    const kinds = KINDS.map((kind) => pack.rules.filter(({ rule }) => rule.kind === kind).length);
    const text = readFileSync("docs/methodology/rules.md", "utf8").replaceAll(/\s+/g, " ");
    expect(text).toContain(`${pack.rules.length} rules with ${fixtures} fixtures`);
    const [environment, law, safety, privacy, tax, investment, research, procurement] = kinds;
    expect(text).toContain(
      `${environment} environment, ${law} AI law, ${safety} safety, ${privacy} privacy, ${tax} tax, ${investment} investment, ` +
        `${research} research, ${procurement} procurement`,
    );
  });

  it("has no field of evidence that no rule asks for", () => {
    const asked = new Set(
      pack.rules.flatMap(({ when, require, enough, formula }) =>
        [when, require, enough, formula].flatMap((expression) => expression?.fields ?? []),
      ),
    );
    const known = Object.entries(pack.vocabulary).flatMap(([root, fields]) =>
      Object.keys(fields).map((name) => `${root}.${name}`),
    );
    expect(known.filter((field) => !asked.has(field))).toEqual([]);
  });

  it("leaves proposals out unless they are asked for by name or all", () => {
    const nobody = { roles: ["data-center-operator" as const], evidence: new Map<string, Evidence>() };
    const ids = (proposals?: readonly string[] | "all") =>
      checkCase(pack, nobody, { asOf: "2026-11-23", ...(proposals !== undefined && { proposals }) }).rules.map(
        ({ id }) => id,
      );
    expect(ids()).not.toContain("ENV-EU-DC-LABEL");
    expect(ids(["ENV-EU-DC-LABEL"])).toContain("ENV-EU-DC-LABEL");
    expect(ids(["ENV-EU-DC-LABEL"])).not.toContain("ENV-EU-CADA-11");
    expect(ids("all")).toHaveLength(pack.rules.length);
  });

  it("takes no evidence that cannot be: a PUE below one is a mistake and not a pass", () => {
    const of = (line: string) => () => parseEvidence(`evidence: { ${line} }`, pack.vocabulary);
    const message = (text: string): unknown =>
      expect.objectContaining({ findings: [expect.objectContaining({ message: text })] });
    expect(of("dc.pueAnnual: 0.9")).toThrow(message("dc.pueAnnual is 0.9, expected at least 1"));
    expect(of("dc.renewableShare: 52")).toThrow(message("dc.renewableShare is 52, expected at least 0 and at most 1"));
    expect(of("dc.pueAnnual: 1")).not.toThrow();
    expect(of("dc.startedOn: 2026-02-30")).toThrow(
      message('dc.startedOn is "2026-02-30", expected a date such as 2026-07-01'),
    );
  });

  it("calls kilograms on a card a failure: 83.5 with 696 kWh at 120 g/kWh", () => {
    const card = { "card.energyKwh": 696, "card.gridGramsPerKwh": 120 };
    expect(judge("ENV-HF-CO2", "model-provider", { ...card, "card.emissionsGrams": 83.5 }).outcome).toBe("fail");
    expect(judge("ENV-HF-CO2", "model-provider", { ...card, "card.emissionsGrams": 83_500 }).outcome).toBe("pass");
  });
});

describe("a difference", () => {
  const change = (id: string, ...[before, after]: Parameters<typeof diffPack> extends [unknown, ...infer R] ? R : []) =>
    diffPack(pack, before, after).find((each) => each.id === id);

  it("between two days names what begins, ends and changes, and nothing between a day and itself", () => {
    const [today, later] = [
      { asOf: "2026-11-23", proposals: [] },
      { asOf: "2027-01-01", proposals: [] },
    ];
    expect(diffPack(pack, today, today)).toEqual([]);
    expect(change("ENV-DE-RES", today, later)).toMatchObject({
      what: "changes",
      parameters: [{ name: "shareMin", before: 0.5, after: 1 }],
    });
    expect(change("AI-US-NY-RAISE", today, later)?.what).toBe("begins");
    expect(change("INV-CN-BJ-RETRO", today, { asOf: "2028-01-01", proposals: [] })?.what).toBe("ends");
  });

  it("under a draft law names its values and its own rules", () => {
    const law = { asOf: "2027-07-01", proposals: [] };
    const draft = { asOf: "2027-07-01", proposals: ["ENV-DE-DRAFT-2026", "ENV-EU-DC-LABEL"] };
    expect(diffPack(pack, law, draft).map(({ id, what }) => [id, what])).toEqual([
      ["ENV-DE-PUE-EXIST", "changes"],
      ["ENV-DE-PUE-NEW", "changes"],
      ["ENV-EU-DC-LABEL", "begins"],
    ]);
  });
});

describe("a skeleton", () => {
  it("passes its own fixtures as it stands", () => {
    writeFileSync(join(folder, "own-pue-max.yaml"), skeletonOf("OWN-PUE-MAX", "2026-11-24"));
    const results = runFixtures(readPack([OWN_PACK, folder])).filter(({ rule }) => rule === "OWN-PUE-MAX");
    expect(results.map(({ asWritten }) => asWritten)).toEqual([true, true, true, true]);
  });

  it("is explained by a guide whose files are right", () => {
    const guide = readFileSync("docs/how-to/write-a-rule.md", "utf8");
    const blocks = Array.from(guide.matchAll(/```yaml\n(.*?)```/gs), ([, text]) => text);
    const own = mkdtempSync(join(folder, "guide-"));
    writeFileSync(join(own, "evidence.yaml"), blocks[0]);
    writeFileSync(join(own, "draft.yaml"), blocks[1]);
    const read = readPack([OWN_PACK, own]);
    expect(read.vocabulary["site"]).toHaveProperty("onsiteGenerators");
    const [law, draft] = [[], ["OWN-DRAFT"]].map((proposals) => ({ asOf: "2027-07-01", proposals }));
    expect(diffPack(read, law, draft)).toMatchObject([
      { id: "ENV-DE-PUE-EXIST", parameters: [{ before: 1.5, after: 1.4 }] },
    ]);
  });
});
