// SCI and SCI for AI: the worked examples of both texts as golden sums, their slips named, and everything that is no score refused.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figure, sum, type Figure } from "../quantity/figure.ts";
import { checkSci } from "./verify/check-sci.ts";
import { readSciStatement } from "./exchange/sci-statement.ts";
import { reportAi } from "./sci-ai.ts";
import { sciDocument, type SciRequest } from "./sci-document.ts";
import { sciSchema } from "./sci-schema.ts";
import { embodiedEmissions, perUnit, readableScore, sci, sumSci, type SciInput } from "./sci.ts";

const of = (value: number, unit: string, spread = 0): Figure =>
  figure({ value, low: value * (1 - spread), high: value * (1 + spread), unit, method: "declared", sources: ["test"] });
const kg = (value: number) => of(value * 1000, "gCO2e");
const kwh = (value: number, spread = 0) => of(value * 3.6e6, "J", spread);

const input: SciInput = {
  energy: kwh(10, 0.1),
  intensity: of(400, "gCO2e/kWh"),
  intensityKind: "average",
  embodied: kg(1),
  units: { name: "request", count: 1000 },
};
const code = (name: string) => expect.objectContaining({ code: name });

describe("the standard's worked examples", () => {
  it("ISO/IEC 21031: 1,000 kg over four years, reserved for an hour, is 28.5 g", () => {
    const m = embodiedEmissions({ total: kg(1000), reservedSeconds: 3600, lifespanSeconds: 4 * 365 * 24 * 3600 });
    expect(m.value).toBeCloseTo(28.539, 3);
    expect(m.unit).toBe("gCO2e");
  });

  it("SCI for AI 9.1.1: 6,500 kg over 50 billion tokens is 130 g per million; the text prints 0.13 g", () => {
    const score = perUnit(sum([kg(5000), kg(1500)]), { name: "token", count: 50e9 });
    const { figure: shown, multiple } = readableScore({ score });
    expect(multiple).toBe(1e6);
    expect(shown.value).toBeCloseTo(130, 9);
    expect(shown.value / 0.13).toBeCloseTo(1000, 6); // grams taken for kilograms
  });

  it("SCI for AI 9.1.2: 200,000 kg over 5e22 FLOP is 4 g per 10^15; an earlier text prints 10^18", () => {
    const score = perUnit(kg(200_000), { name: "flop", count: 5e22 });
    expect(score.value).toBeCloseTo(4e-15, 27);
    expect(readableScore({ score })).toMatchObject({
      multiple: 1e15,
      figure: { value: expect.closeTo(4, 9) as number },
    });
  });

  it("SCI for AI 9.2.1: 3,200 kg over 40 million inferences is 0.08 g, as printed", () => {
    expect(perUnit(kg(3200), { name: "inference", count: 40e6 }).value).toBeCloseTo(0.08, 12);
  });

  it("SCI for AI 9.2.2: 75,000 kg over 2.5 billion parameters is 30,000 kg per billion; the text prints 3,000, then 30", () => {
    const score = perUnit(kg(75_000), { name: "parameter", count: 2.5e9 });
    expect(readableScore({ score }, 1e9).figure.value / 1000).toBeCloseTo(30_000, 6);
  });
});

describe("sci", () => {
  it("is ((E · I) + M) / R, with the interval of its parts", () => {
    const result = sci(input);
    expect(result.operational.value).toBe(4000);
    expect(result.total.value).toBe(5000);
    expect(result.score).toMatchObject({ value: 5, unit: "gCO2e/request", method: "declared" });
    expect([result.score.low, result.score.high]).toEqual([expect.closeTo(4.6, 9), expect.closeTo(5.4, 9)]);
  });

  it("falls when energy, intensity or embodied emissions fall, and halves when R doubles", () => {
    const positive = fc.double({ min: 0.001, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        positive,
        positive,
        positive,
        fc.integer({ min: 1, max: 1e9 }),
        (energy, intensity, embodied, count) => {
          const make = (e: number, i: number, m: number, r: number) =>
            sci({
              ...input,
              energy: kwh(e),
              intensity: of(i, "gCO2e/kWh"),
              embodied: of(m, "gCO2e"),
              units: { name: "call", count: r },
            }).score.value;
          const whole = make(energy, intensity, embodied, count);
          expect(whole).toBeCloseTo((energy * intensity + embodied) / count, -Math.floor(Math.log10(whole)) + 8);
          expect(make(energy / 2, intensity, embodied, count)).toBeLessThan(whole);
          expect(make(energy, intensity / 2, embodied, count)).toBeLessThan(whole);
          expect(make(energy, intensity, embodied / 2, count)).toBeLessThanOrEqual(whole);
          expect(make(energy, intensity, embodied, count * 2) * 2).toBeCloseTo(
            whole,
            -Math.floor(Math.log10(whole)) + 8,
          );
        },
      ),
    );
  });

  it("has no score without functional units", () => {
    for (const count of [0, -1, Number.NaN, Infinity]) {
      expect(() => sci({ ...input, units: { name: "request", count } })).toThrow(code("E_RANGE"));
    }
    expect(() => sci({ ...input, units: { name: "", count: 1 } })).toThrow(code("E_RANGE"));
    expect(() => sci({ ...input, units: { name: "a\nb", count: 1 } })).toThrow(code("E_RANGE"));
  });

  it("refuses other units and negative parts", () => {
    expect(() => sci({ ...input, energy: of(10, "kWh") })).toThrow(code("E_UNIT"));
    expect(() => sci({ ...input, intensity: of(400, "g/kWh") })).toThrow(code("E_UNIT"));
    expect(() => sci({ ...input, embodied: of(1, "kgCO2e") })).toThrow(code("E_UNIT"));
    expect(() => sci({ ...input, embodied: of(-1, "gCO2e") })).toThrow(code("E_RANGE"));
    expect(() => sci({ ...input, energy: of(-1, "J") })).toThrow(code("E_RANGE"));
  });

  it("takes shares of time and resources between 0 and 1 only", () => {
    const base = { total: kg(1000), reservedSeconds: 3600, lifespanSeconds: 7200 };
    expect(embodiedEmissions({ ...base, resources: { reserved: 8, total: 64 } }).value).toBe(62_500);
    for (const wrong of [
      { reservedSeconds: 0 },
      { reservedSeconds: 7201 },
      { lifespanSeconds: 0 },
      { resources: { reserved: 9, total: 8 } },
      { resources: { reserved: 0, total: 8 } },
      { resources: { reserved: 1, total: Number.NaN } },
    ]) {
      expect(() => embodiedEmissions({ ...base, ...wrong })).toThrow(code("E_RANGE"));
    }
  });

  it("adds components of one functional unit and one kind of intensity", () => {
    const part = sci(input);
    expect(sumSci([part, part]).value).toBe(10);
    expect(() => sumSci([part, sci({ ...input, units: { name: "user", count: 10 } })])).toThrow(code("E_BASIS"));
    expect(() => sumSci([part, sci({ ...input, intensityKind: "marginal" })])).toThrow(code("E_BASIS"));
    expect(() => sumSci([])).toThrow(code("E_RANGE"));
  });
});

const request: SciRequest = {
  ...input,
  intensityScope: "life-cycle",
  powerUsageEffectiveness: of(1.25, "1"),
  boundary: "inference servers, gateway",
};

describe("sciDocument", () => {
  it("holds its schema and is found right by the verifier of other people's statements", () => {
    const document = sciDocument(request);
    expect(sciSchema.parse(document)).toEqual(document);
    expect(document.score.value).toBe(6); // (12.5 kWh · 400 + 1000) / 1000
    expect(document.assumptions).toEqual([]);
    const read = readSciStatement(JSON.parse(JSON.stringify(document)) as unknown);
    expect(read?.terms.units?.value).toBe(1000);
    const checks = read === undefined ? [] : checkSci(read);
    expect(checks.length).toBeGreaterThan(3);
    expect(checks.filter(({ outcome }) => outcome !== "holds")).toEqual([]);
  });

  it("reads as a paragraph", () => {
    const { statement } = sciDocument({ ...request, subject: "chat v2", period: "November 2026" });
    expect(statement.replaceAll("\u202f", " ")).toBe(
      "The Software Carbon Intensity of chat v2 (November 2026) is 6.0 (5.5…6.5) gCO2e per request. ISO/IEC 21031:2024, SCI = ((E · I) + M) / R, " +
        "with E = 12.5 (11.3…13.8) kWh (declared), I = 400 gCO2e/kWh (declared; location-based, average, life-cycle), M = 1 kgCO2e (declared) and R = 1,000 requests. " +
        "No certificate, power purchase agreement or offset lowers it. Boundary: inference servers, gateway.",
    );
  });

  it("refuses a market-based intensity and says why", () => {
    expect(() => sciDocument({ ...request, intensityBasis: "market-based" })).toThrow(
      expect.objectContaining({ code: "E_BASIS", hint: expect.stringContaining("lower no score") as string }),
    );
    expect(() => sciDocument({ ...request, powerUsageEffectiveness: of(0.9, "1") })).toThrow(code("E_RANGE"));
  });

  it("names what it had to assume", () => {
    const { assumptions } = sciDocument({
      ...request,
      powerUsageEffectiveness: undefined,
      boundary: undefined,
      intensityScope: "undeclared",
      embodied: of(0, "gCO2e"),
    });
    expect(assumptions.map(({ key }) => key)).toEqual([
      "sci.overhead",
      "sci.intensity-scope",
      "sci.embodied-zero",
      "sci.boundary",
    ]);
  });

  it("states a provider's score per billion parameters and lists what is missing", () => {
    const document = sciDocument({
      ...request,
      units: { name: "parameters", count: 2.5e9 },
      ai: { persona: "provider", counted: ["training"], countBasis: "gross" },
    });
    expect(document).toMatchObject({ functionalUnit: "parameter", readableScore: { multiple: 1e9 } });
    expect(document.statement).toMatch(/per billion parameters.*R = 2,500,000,000 parameters/);
    expect(document.ai?.isComplete).toBe(false);
    expect(document.assumptions.map(({ key, text }) => `${key}: ${text}`)).toEqual([
      "sci-ai.disclosures: SCI for AI wants more disclosed: period, subject, boundary, reason, notes",
    ]);
  });
});

describe("reportAi", () => {
  const consumer = { persona: "consumer", unit: "tokens", period: "a week", subject: "chat v2" } as const;
  const everything = [
    "API",
    "orchestration",
    "observability",
    "data and feature",
    "storage",
    "user experience",
    "model tools",
  ];

  it("is complete when every required part is counted and everything is said", () => {
    expect(reportAi({ ...consumer, counted: everything })).toMatchObject({
      isComplete: true,
      functionalUnit: "token",
      isListedUnit: true,
    });
    expect(reportAi({ ...consumer, counted: everything.slice(1) }).isComplete).toBe(false);
    const without = { ...consumer, counted: everything.slice(0, -1), absent: ["model tools"] };
    expect(reportAi(without).isComplete).toBe(true);
    expect(() => reportAi({ ...without, counted: everything })).toThrow(/counted and to be absent/);
    const provider = {
      persona: "provider",
      unit: "FLOPs",
      period: "2026",
      subject: "model 1",
      counted: ["data collection", "synthetic", "training", "evaluation", "deployment"],
      countBasis: "effective",
      reason: "compute efficiency",
      notes: "30 % sparse",
    } as const;
    expect(reportAi(provider)).toMatchObject({ isComplete: true, functionalUnit: "flop" });
    for (const key of ["period", "subject", "countBasis", "reason", "notes"] as const) {
      expect(reportAi({ ...provider, [key]: undefined }).isComplete).toBe(false);
    }
    expect(reportAi({ ...provider, reason: "  " }).isComplete).toBe(false);
  });

  it("lets a consumer count what the service is billed by, and a provider only the three units", () => {
    expect(reportAi({ ...consumer, unit: "song", counted: [] })).toMatchObject({
      isListedUnit: false,
      functionalUnit: "song",
    });
    for (const unit of ["token", "request", "image", ""]) {
      expect(() => reportAi({ persona: "provider", unit, counted: [] })).toThrow(code("E_RANGE"));
    }
    expect(() => reportAi({ persona: "provider", unit: "paramter", counted: [] })).toThrow(
      expect.objectContaining({ hint: "Did you mean 'parameter'?" }),
    );
  });

  it("refuses parts that the persona's boundary does not have, and vague ones", () => {
    expect(() => reportAi({ ...consumer, counted: ["training"] })).toThrow(/no part of the consumer's boundary/);
    expect(() => reportAi({ ...consumer, counted: ["and"] })).toThrow(/several parts/);
    expect(() => reportAi({ ...consumer, counted: [""] })).toThrow(code("E_RANGE"));
  });
});
