// The what-if model against hand-computed cases, its invariants, and what it says about bad scenarios; depends on vitest, fast-check and the room.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readScenario, parseScenario } from "./scenario.ts";
import { runScenario } from "./run.ts";
import type { PolicyResult } from "./result-schema.ts";
import { simulationSchema } from "./result-schema.ts";

/** EU colocation, 10 GWh of IT energy a year: the numbers of the worked check in docs/methodology/simulation.md. */
const scenario = (elasticity: number, policies: string, change: Record<string, string> = {}): string => {
  const fields = {
    itEnergy: "10 GWh",
    pue: "1.36",
    intensity: "200 g/kWh",
    powerPrice: "110 EUR/MWh",
    carbonPrice: "73 EUR/t",
    passThrough: "0.8",
    electricityShare: "0.1",
    deviceShare: "0.8",
    elasticity: String(elasticity),
    reoptimizing: "0",
    ...change,
  };
  const group = Object.entries(fields)
    .map(([key, value]) => `    ${key}: ${value}\n`)
    .join("");
  return `title: EU colocation
currency: EUR
draws: 16
from: 2026
to: 2026
groups:
  - id: colo
${group}models:
  - { id: today, accuracy: 0.9, energy: 1, deviceTime: 1 }
  - { id: compressed, accuracy: 0.89, energy: 0.6, deviceTime: 0.6 }
policies:
${policies}`;
};

const one = async (text: string): Promise<PolicyResult> => runScenario(await parseScenario(text)).policies[0];
const CARBON = "  - { id: p, levers: { carbonPrice: 150 EUR/t } }";
const CAP = "  - { id: p, levers: { pueCap: { max: 1.2 } } }";
const SWAP = "  - { id: p, levers: { adopt: { model: compressed } } }";

describe("the worked check", () => {
  it("starts from 13.6 GWh, 2,720 t and EUR 1.496 m of electricity", async () => {
    const { baseline } = runScenario(await parseScenario(scenario(-0.7, CARBON)));
    expect(baseline.energy.central / 1e6).toBeCloseTo(13.6, 9);
    expect(baseline.emissions.central).toBeCloseTo(2_720, 6);
    expect(baseline.electricityBill.central / 1e6).toBeCloseTo(1.496, 9);
  });

  it("carbon price 73 to 150 EUR/t: +11.2 % on power, demand −0.78 %, −21 t", async () => {
    const policy = await one(scenario(-0.7, CARBON));
    // 1 + 0.1 · (0.8 · 77 EUR/t · 0.2 t/MWh) / 110 EUR/MWh, to the power −0.7
    const demand = (1 + (0.1 * 0.8 * 77 * 0.2) / 110) ** -0.7;
    expect(policy.emissionsSaving.central).toBeCloseTo(2_720 * (1 - demand), 6);
    expect(policy.emissionsSaving.central).toBeCloseTo(21.1, 1);
    expect(policy.rebound).toBeNull();
    expect(policy.waterfall.engineering).toBeCloseTo(0, 9);
  });

  it("PUE cap of 1.2: −320 t by engineering, +20 t by behavior", async () => {
    const policy = await one(scenario(-0.7, CAP));
    expect(policy.waterfall.engineering).toBeCloseTo(-320, 6);
    expect(policy.emissionsSaving.central).toBeCloseTo(300, 0);
    expect(policy.rebound?.central).toBeCloseTo(0.0624, 3);
  });

  it.each([
    [-0.7, 0.82, 0.55],
    [-1.11, 0.985, 0.96],
    [-1.5, 1.172, 1.43],
  ])("model swap at elasticity %f: energy × %f, rebound %f", async (elasticity, energy, rebound) => {
    const policy = await one(scenario(elasticity, SWAP));
    expect(policy.energy.central / 13.6e6).toBeCloseTo(energy, 2);
    expect(policy.energy.central / 13.6e6).toBeCloseTo(0.6 * 0.64 ** elasticity, 9);
    expect(policy.rebound?.central).toBeCloseTo(rebound, 2);
    expect(policy.savingFraction).toBe(elasticity < -1.1446 ? 0 : 1);
    // Where 0.6 · 0.64^ε = 1.
    expect(policy.breakEvenElasticity).toBeCloseTo(-Math.log(0.6) / Math.log(0.64), 6);
    expect(policy.accuracyChange.central).toBeCloseTo(-0.01, 9);
  });

  it("surcharge above PUE 1.35: 10 GWh at PUE 1.50 pay 0.2 a kWh on 1.5 GWh", async () => {
    const lever = "  - { id: p, levers: { pueSurcharge: { limit: 1.35, rate: 0.2 EUR/kWh } } }";
    const policy = await one(scenario(0, lever, { pue: "1.5" }));
    expect(policy.publicRevenue.central).toBeCloseTo(300_000, 3);
  });

  it("retrofit grant: 10 GWh from PUE 1.5 to 1.3 are 245.8 tce", async () => {
    const lever = (cap: string) =>
      `  - { id: p, levers: { retrofitGrant: { targetPue: 1.3, uptake: 1, rate: "1,200 EUR/tce"${cap} } } }`;
    expect((await one(scenario(0, lever(""), { pue: "1.5" }))).publicSpend.central).toBeCloseTo(
      2e6 * 0.1229e-3 * 1200,
      3,
    );
    expect((await one(scenario(0, lever(", cap: 100000 EUR"), { pue: "1.5" }))).publicSpend.central).toBe(100_000);
    const uncertain = ", cap: { value: 100000 EUR, low: 50000 EUR, high: 150000 EUR }";
    const { p5, p95 } = (await one(scenario(0, lever(uncertain), { pue: "1.5" }))).publicSpend;
    expect(p5).toBeLessThan(80_000);
    expect(p95).toBeGreaterThan(120_000);
  });
});

describe("levers", () => {
  it("certificates change the market-based account and no emissions", async () => {
    const policy = await one(
      scenario(-0.7, "  - { id: p, levers: { greenPower: { share: 0.5, additionality: 0.4 } } }"),
    );
    expect(policy.emissionsSaving.central).toBe(0);
    expect(policy.waterfall.accounting).toBeCloseTo(-0.2 * 2_720, 6);
  });

  it("a standard moves everybody off a model that is over it, and an accuracy floor keeps them from one below it", async () => {
    const lever = "  - { id: p, levers: { efficiencyStandard: { maxEnergy: 0.8 } } }";
    expect((await one(scenario(0, lever))).energy.central).toBeCloseTo(0.6 * 13.6e6, 3);
    expect((await one(scenario(0, lever, { accuracyFloor: "0.895" }))).energy.central).toBeCloseTo(13.6e6, 3);
  });

  it("a gate moves the public buyers' share alone", async () => {
    const lever = "  - { id: p, levers: { procurementGate: { share: 0.25, maxEnergy: 0.7, maxPue: 1.2 } } }";
    const { energy } = await one(scenario(0, lever));
    expect(energy.central).toBeCloseTo(10e6 * (0.75 + 0.25 * 0.6) * (1.36 - 0.25 * 0.16), 3);
  });

  it("does nothing outside its groups and before its year", async () => {
    const text = scenario(-0.7, "  - { id: p, from: 2028, levers: { carbonPrice: 150 EUR/t } }").replace(
      "to: 2026",
      "to: 2029",
    );
    const { years, emissionsSaving } = await one(text);
    expect(years.slice(0, 2).map(({ emissions }) => emissions.central)).toEqual([
      expect.closeTo(2_720, 6),
      expect.closeTo(2_720, 6),
    ]);
    expect(emissionsSaving.central).toBeCloseTo(2 * 21.12, 1);
  });

  it("disclosure works only through those who choose anew", async () => {
    const lever = "  - { id: p, levers: { disclosure: { addedReoptimizing: 0.5 } } }";
    expect((await one(scenario(0, lever))).energy.central).toBeCloseTo(13.6e6 * (0.5 + 0.5 * 0.6), 3);
  });
});

describe("draws", () => {
  const uncertain = (seed: number): string =>
    scenario(-0.7, `${SWAP}\n${CAP.replace("id: p", "id: q")}`)
      .replace("elasticity: -0.7", "elasticity: { value: -0.7, low: -1.5, high: -0.2 }")
      .replace("draws: 16", `draws: 500\nseed: ${seed}`);

  it("give the same bytes for the same seed, other percentiles and the same center for another", async () => {
    const [first, again, other] = await Promise.all(
      [1, 1, 2].map(async (seed) => runScenario(await parseScenario(uncertain(seed)))),
    );
    expect(JSON.stringify(first)).toBe(JSON.stringify(again));
    expect(first.policies[0].emissionsSaving.p50).not.toBe(other.policies[0].emissionsSaving.p50);
    expect(first.policies[0].emissionsSaving.central).toBe(other.policies[0].emissionsSaving.central);
  });

  it("show in how many draws the saving survives, and that the swap hangs on the elasticity where the cap does not", async () => {
    const { policies } = runScenario(await parseScenario(uncertain(3)));
    const [swap, cap] = policies;
    // Triangular on [−1.5, −0.2] with mode −0.7: P(ε > −1.1446) = 1 − (0.3554)² / (1.3 · 0.8).
    expect(swap.savingFraction).toBeCloseTo(1 - 0.3554 ** 2 / (1.3 * 0.8), 2);
    expect(cap.savingFraction).toBe(1);
    expect(swap.tornado[0]).toMatchObject({ parameter: "groups.colo.elasticity", low: -1.5, high: -0.2 });
    expect(swap.tornado[0].savingAtLow).toBeLessThan(0);
  });

  it("keep the parts of the change adding up, whatever the numbers", async () => {
    const share = fc.integer({ min: 1, max: 99 }).map((percent) => percent / 100);
    await fc.assert(
      fc.asyncProperty(share, share, fc.integer({ min: -20, max: 0 }), async (energy, device, elasticity) => {
        const text = scenario(elasticity / 10, SWAP).replace(
          "energy: 0.6, deviceTime: 0.6",
          `energy: ${energy}, deviceTime: ${device}`,
        );
        const { waterfall, emissionsSaving, rebound, energySaving } = await one(text);
        expect(waterfall.baseline + waterfall.engineering + waterfall.behavior).toBeCloseTo(waterfall.policy, 6);
        expect(emissionsSaving.central).toBeCloseTo(waterfall.baseline - waterfall.policy, 6);
        const engineered = -waterfall.engineering / 0.2e-3;
        expect(rebound?.central).toBeCloseTo(1 - energySaving.central / engineered, 6);
      }),
      { seed: 31, numRuns: 60 },
    );
  });

  it("give a document that its schema accepts", async () => {
    expect(() => simulationSchema.parse(runScenario(defaultScenario))).not.toThrow();
  });
});

const defaultScenario = await readScenario("examples/policy/eu-colocation.yaml");

describe("a bad scenario", () => {
  const findings = async (text: string): Promise<string[]> =>
    parseScenario(text).then(
      () => [],
      (error: { findings: { where: { line: number }; message: string }[] }) =>
        error.findings.map(({ where, message }) => `${where.line}: ${message}`),
    );

  it("is told every mistake with its line", async () => {
    const text = scenario(
      -0.7,
      "  - { id: p, groups: [nobody], levers: { carbonPrise: 150 EUR/t, pueCap: { max: 0.9 } } }",
      {
        itEnergy: "10",
        pue: "1.36",
      },
    );
    const found = await findings(text);
    expect(found.join("\n")).toMatch(/8: .*found '10', expected a quantity such as 10 GWh: a bare number has no unit/);
    expect(found.join("\n")).toMatch(/unknown key 'carbonPrise'/);
    expect(found.join("\n")).toMatch(/found '0.9', expected at least 1/);
  });

  it("names groups and models that do not exist, shares beyond 1, prices below their carbon part, ranges upside down", async () => {
    expect(
      await findings(scenario(-0.7, "  - { id: p, groups: [nobody], levers: { carbonPrice: 150 EUR/t } }")),
    ).toEqual(["22: there is no group 'nobody'"]);
    expect((await findings(scenario(-0.7, SWAP.replace("compressed", "compresed"))))[0]).toMatch(
      /no model 'compresed'/,
    );
    expect((await findings(scenario(-0.7, CAP, { deviceShare: "0.95" })))[0]).toMatch(
      /reach 0.1 \+ 0.95, expected at most 1/,
    );
    expect((await findings(scenario(-0.7, CAP, { carbonPrice: "900 EUR/t" })))[0]).toMatch(
      /more than the whole powerPrice/,
    );
    expect((await findings(scenario(-0.7, CAP, { pue: "{ value: 1.3, low: 1.4, high: 1.5 }" })))[0]).toMatch(
      /low ≤ value ≤ high/,
    );
    expect((await findings(scenario(-0.7, CAP, { powerPrice: "110 USD/MWh" })))[0]).toMatch(
      /expected a quantity such as 110 EUR\/MWh/,
    );
  });
});
