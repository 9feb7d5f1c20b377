// The compute ledger by hand, along both routes, and the third as the guidelines have it; depends on the pack.
import { describe, expect, it } from "vitest";
import { checkCase } from "./check.ts";
import { flopOfRun } from "./compute-ledger.ts";
import { parseEvidence } from "./evidence.ts";
import { readPack } from "./pack.ts";

const pack = readPack();
const caseOf = (compute: string) =>
  parseEvidence(`roles: [downstream-modifier]\ncompute: ${compute}\n`, pack.vocabulary);
const outcomeOf = (compute: string, id: string): string | undefined =>
  checkCase(pack, caseOf(compute), { asOf: "2026-11-26" }).rules.find((rule) => rule.id === id)?.outcome;

describe("compute ledger", () => {
  it("is 6·N·D for training, 2·N·D forward, and devices × seconds × peak × utilization", () => {
    expect(flopOfRun({ parameters: 7e9, tokens: 2e12, passes: "training" })).toBe(8.4e22);
    expect(flopOfRun({ parameters: 7e9, tokens: 1e6, passes: "forward" })).toBe(1.4e16);
    // 8 H100 SXM5 with a dense bfloat16 peak of 989.4 TFLOP/s, 10 h, 40 %.
    const flop = flopOfRun({ hardware: "nvidia-h100-sxm5-80gb:8", hours: 10, precision: "bfloat16", utilization: 0.4 });
    expect(flop / (8 * 36_000 * 989.4e12 * 0.4)).toBeCloseTo(1, 3);
  });

  it("adds up every run, and a changed model's compute from the original's and the change's", () => {
    const { evidence } = caseOf(
      "{ base: [{ parameters: 7e9, tokens: 2e12 }], change: [{ flop: 1e20 }, { flop: 2e20 }] }",
    );
    expect(evidence.get("mod.flop")).toMatchObject({ value: 3e20, method: "declared" });
    expect(evidence.get("base.trainFlop")).toMatchObject({ value: 8.4e22, method: "modelled" });
    expect(evidence.get("model.trainFlop")?.value).toBe(8.4e22 + 3e20);
  });

  it("decides the third: 3.3e22 of 1e23 passes, 3.4e22 fails; quantizing with a million tokens is far below", () => {
    const third = (change: string) => outcomeOf(`{ base: [{ flop: 1e23 }], change: [${change}] }`, "AI-EU-MOD-THIRD");
    expect(third("{ flop: 3.3e22 }")).toBe("pass");
    expect(third("{ flop: 3.4e22 }")).toBe("fail");
    expect(third("{ parameters: 7e9, tokens: 1e6, passes: forward }")).toBe("pass");
    // The original unknown: a third of 1e23.
    expect(outcomeOf("{ change: [{ flop: 3.4e22 }] }", "AI-EU-MOD-THIRD")).toBe("fail");
  });

  it.each([
    ["AI-EU-51", "1e25", "1.001e25"],
    ["AI-KR-1E26", "9.99e25", "1e26"],
  ])("reaches the threshold of %s", (id, below, above) => {
    const at = (flop: string) => {
      const text = `roles: [model-provider]\ncompute: { model: [{ flop: ${flop} }] }\nevidence: { service.country: KR, model.commissionNotified: false, model.frontierDutiesMet: false }\n`;
      const subject = parseEvidence(text, pack.vocabulary);
      return checkCase(pack, subject, { asOf: "2026-11-26" }).rules.find((rule) => rule.id === id)?.outcome;
    };
    expect(at(below)).not.toBe("fail");
    expect(at(above)).toBe("fail");
  });

  it("tells where a device is not known, has no such peak, or a figure is given twice", () => {
    const run = (hardware: string, precision: string) =>
      caseOf(`{ change: [{ hardware: ${hardware}, hours: 1, precision: ${precision}, utilization: 1 }] }`);
    expect(() => run("nvidia-h1000", "bfloat16")).toThrow(/a mistake/);
    expect(() => run("nvidia-v100-sxm2-32gb", "float4")).toThrow(/a mistake/);
    const twice = "compute: { change: [{ flop: 1 }] }\nevidence: { mod.flop: 2 }\n";
    expect(() => parseEvidence(twice, pack.vocabulary)).toThrow(/a mistake/);
  });
});
