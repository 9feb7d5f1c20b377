// Rules that flip under a policy, at thresholds known by hand; depends on vitest and the room.
import { describe, expect, it } from "vitest";
import { readPack } from "../rules/pack.ts";
import type { Flip, Simulation } from "./result-schema.ts";
import { simulationSchema } from "./result-schema.ts";
import { runScenario } from "./run.ts";
import { parseScenario } from "./scenario.ts";

const pack = readPack();

// ENV-DE-PUE-EXIST: a yearly PUE of at most 1.5 from mid-2027 and of at most 1.3 from mid-2030.
const EVIDENCE = 'dc.country: DE, dc.nonRedundantKw: 1000, dc.startedOn: "2020-01-01"';

interface Change {
  readonly pue?: string;
  readonly levers?: string;
  readonly from?: number;
  readonly check?: string;
  readonly evidence?: string;
  readonly draws?: number;
}

const textOf = ({ pue = "1.45", levers, from = 2026, check = "", evidence = EVIDENCE, draws = 16 }: Change): string =>
  `title: Sites in Germany
currency: EUR
draws: ${draws}
from: 2026
to: 2030
check: { roles: [data-center-operator], evidence: { ${evidence} }${check} }
groups:
  - { id: colo, itEnergy: 10 GWh, pue: ${pue}, intensity: 200 g/kWh, powerPrice: 110 EUR/MWh, growth: 10 %/yr, water: 0.6 L/kWh }
  - { id: good, itEnergy: 10 GWh, pue: 1.2, intensity: 200 g/kWh, powerPrice: 110 EUR/MWh }
models:
  - { id: today, accuracy: 0.9, energy: 1, deviceTime: 1 }
policies:
  - { id: p, from: ${from}, levers: { ${levers ?? "carbonPrice: 150 EUR/t"} } }
`;

const run = async (change: Change): Promise<Simulation> => runScenario(await parseScenario(textOf(change)), { pack });
const flipsOf = async (change: Change): Promise<Flip[]> => (await run(change)).policies[0].flips!;
const briefly = (flips: readonly Flip[]): string[] =>
  flips.map(({ rule, group, before, after, share }) => `${rule} ${group} ${before} ${after} ${share}`);

const FLIPPED = ["ENV-DE-PUE-EXIST colo fail pass 1"];

describe("a rule at its threshold", () => {
  it("flips when a cap reaches it, and not a hair above it", async () => {
    expect(briefly(await flipsOf({ levers: "pueCap: { max: 1.3 }" }))).toEqual(FLIPPED);
    expect(await flipsOf({ levers: "pueCap: { max: 1.3000001 }" })).toEqual([]);
  });

  it("flips when a grant, or the share of public buyers, brings the mean below it", async () => {
    // 1.45 − 0.75 · 0.25 = 1.2625 and 1.45 − 0.5 · 0.25 = 1.325.
    const grant = (uptake: number): string => `retrofitGrant: { targetPue: 1.2, uptake: ${uptake}, rate: 100 EUR/tce }`;
    const [flip] = await flipsOf({ levers: grant(0.75) });
    expect(flip.moved).toEqual([{ field: "dc.pueAnnual", before: 1.45, after: expect.closeTo(1.2625, 12) as number }]);
    expect(flip.title.en).toBe("PUE of existing data centers");
    expect(await flipsOf({ levers: grant(0.5) })).toEqual([]);
    const gate = (share: number): string => `procurementGate: { share: ${share}, maxPue: 1.2 }`;
    expect(briefly(await flipsOf({ levers: gate(0.75) }))).toEqual(FLIPPED);
    expect(await flipsOf({ levers: gate(0.5) })).toEqual([]);
  });

  it("does not flip by levers that leave PUE and power alone", async () => {
    expect(await flipsOf({ levers: "carbonPrice: 150 EUR/t" })).toEqual([]);
    expect(await flipsOf({ levers: "adopt: { model: today }" })).toEqual([]);
  });

  it("is judged on the day that is asked for, under the draft that is named", async () => {
    const cap = "pueCap: { max: 1.3 }";
    expect(await flipsOf({ levers: cap, check: ", asOf: 2028-01-01" })).toEqual([]);
    expect(await flipsOf({ levers: cap, from: 2030, check: ", asOf: 2029-12-31", pue: "1.55" })).toEqual([]);
    expect(briefly(await flipsOf({ levers: cap, from: 2029, check: ", asOf: 2029-12-31", pue: "1.55" }))).toEqual(
      FLIPPED,
    );
    // The draft asks for 1.4 from mid-2030: 1.39 passes before and after, 1.45 flips by a cap of 1.4 already.
    const draft = ", proposals: [ENV-DE-DRAFT-2026]";
    expect(await flipsOf({ levers: cap, check: draft, pue: "1.39" })).toEqual([]);
    expect(briefly(await flipsOf({ levers: "pueCap: { max: 1.4 }", check: draft }))).toEqual(FLIPPED);
  });

  it("flips in the share of draws in which it is crossed", async () => {
    // 1.45 − κ · 0.25 ≤ 1.3 from κ = 0.6; κ is triangular on [0.4, 0.8] around 0.6: half of the draws.
    const levers = "pueCap: { max: 1.2, compliance: { value: 0.6, low: 0.4, high: 0.8 } }";
    const { policies, check } = await run({ levers, draws: 100 });
    expect(policies[0].flips?.[0].share).toBeCloseTo(0.5, 2);
    expect(check).toMatchObject({ draws: 100, asOf: "2030-12-31", rules: ["ENV-DE-PUE-EXIST"] });
  });
});

describe("direction", () => {
  // Beijing pays for retrofits of sites above a PUE, which a cap takes away, and asks for one, which it helps to keep.
  it("goes both ways under one cap in Beijing", async () => {
    const evidence = "dc.country: CN, dc.region: Beijing, dc.siteEnergyKwh: 5000000000";
    const flips = await flipsOf({ pue: "1.6", levers: "pueCap: { max: 1.15 }", evidence, check: ", asOf: 2027-12-31" });
    const colo = flips.filter(({ group }) => group === "colo");
    expect(briefly(colo)).toContain("INV-CN-BJ-RETRO colo pass fail 1");
    expect(briefly(colo)).toContain("TAX-CN-BJ-PUE colo fail pass 1");
  });

  it("takes a green-power share for the renewable share where one is declared, and never lowers it", async () => {
    // ENV-DE-RES asks for all of it from 2027.
    const green = "greenPower: { share: 1, additionality: 0.3 }";
    const declared = `${EVIDENCE}, dc.renewableShare: 0.5`;
    expect(briefly(await flipsOf({ levers: green, evidence: declared }))).toEqual([
      "ENV-DE-RES colo fail pass 1",
      "ENV-DE-RES good fail pass 1",
    ]);
    expect(await flipsOf({ levers: green })).toEqual([]);
    const less = "greenPower: { share: 0.4, additionality: 0.3 }";
    expect(await flipsOf({ levers: less, evidence: `${EVIDENCE}, dc.renewableShare: 1` })).toEqual([]);
  });
});

describe("what is not known", () => {
  it("is no flip: without the country no rule is judged", async () => {
    const { policies, check } = await run({ levers: "pueCap: { max: 1.1 }", evidence: "" });
    expect(policies[0].flips).toEqual([]);
    expect(check?.rules).toEqual([]);
  });

  it("is not asked without a check, and the document says null", async () => {
    const text = textOf({}).replace(/^check:.*\n/m, "");
    const result = runScenario(await parseScenario(text), { pack });
    expect([result.check, result.policies[0].flips]).toEqual([null, null]);
    expect(() => simulationSchema.parse(result)).not.toThrow();
  });

  it("cannot be declared wrongly, nor against the simulation", async () => {
    await expect(run({ evidence: "dc.pueAnnual: 1.3" })).rejects.toThrow(/evidence that cannot be/);
    await expect(run({ evidence: "dc.contry: DE" })).rejects.toMatchObject({
      findings: [
        { where: { path: "groups.colo.evidence.dc.contry" }, hint: "Did you mean 'dc.country'?" },
        { where: { path: "groups.good.evidence.dc.contry" } },
      ],
    });
    await expect(run({ check: ", asOf: 2031-01-01" })).rejects.toMatchObject({
      findings: [{ message: "found a day of 2031, expected one of 2026 to 2030" }],
    });
    await expect(run({ check: ", proposals: [ENV-NONE]" })).rejects.toThrow(/no proposal 'ENV-NONE'/);
  });

  it("same seed, same flips", async () => {
    const levers = "pueCap: { max: 1.2, compliance: { value: 0.6, low: 0.4, high: 0.8 } }";
    expect(await flipsOf({ levers })).toEqual(await flipsOf({ levers }));
  });
});
