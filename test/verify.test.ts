// The verb `verify` on the built command: exit codes, both outputs, nothing but the document on stdout; depends on the build and vitest.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { verificationSchema } from "../src/footprint/verify/verification-schema.ts";

const folder = mkdtempSync(join(tmpdir(), "lightfoot-verify-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

function verify(name: string, text: string, ...flags: string[]) {
  const file = join(folder, name);
  writeFileSync(file, text);
  return spawnSync(process.execPath, ["dist/cli/main.js", "verify", file, ...flags], { encoding: "utf8" });
}

describe("lightfoot verify", () => {
  it("exits 1 for a wrong number, with the right one on stdout", () => {
    const { status, stdout, stderr } = verify(
      "a.md",
      "- Consumer SCI = 6,500 kg / 50 billion tokens = 0.13 g/million tokens\n",
    );
    expect(status).toBe(1);
    expect(stdout).toContain("recomputed  130 g/million tokens");
    expect(stderr).toContain("E_VERIFY");
  });

  it("checks an equation that stands without a label", () => {
    const { status, stdout } = verify("d.md", "6,500 kg / 50 billion tokens = 0.13 gCO2e per million tokens\n");
    expect(status).toBe(1);
    expect(stdout).toContain("recomputed  130 gCO2e per million tokens");
    expect(verify("e.md", "6,500 kg / 50 billion tokens = 130 gCO2e per million tokens\n").status).toBe(0);
  });

  const FACTORS = "PUE: 1.2\nIntensity: 400 g/kWh\nWUE: 0.3 L/kWh\n";
  const POWER = "Power: 1000 W\nDuration: 100 hours\n";
  it.each([
    ["either way where the energy does not say", "Energy: 100 kWh\nCarbon: 48 kg\nWater: 30 L\n", []],
    ["either way where the energy does not say", "Energy: 100 kWh\nCarbon: 40 kg\nWater: 25 L\n", []],
    ["water with PUE in it", "Energy: 100 kWh\nWater: 36 L\n", ["water"]],
    ["PUE squared", "Energy: 100 kWh\nCarbon: 57.6 kg\n", ["pue"]],
    ["IT energy without PUE", "IT energy: 100 kWh\nCarbon: 40 kg\n", ["pue"]],
    ["facility energy times PUE", "Facility energy: 100 kWh\nCarbon: 48 kg\nWater: 30 L\n", ["pue", "water"]],
    ["PUE in the energy and again in the carbon", `${POWER}Energy: 120 kWh\nCarbon: 57.6 kg\n`, ["pue"]],
    ["PUE in the energy once", `${POWER}Energy: 120 kWh\nCarbon: 48 kg\nWater: 30 L\n`, []],
  ])("counts PUE once and WUE on IT energy: %s", (_, text, codes) => {
    const { stdout } = verify("f.md", text + FACTORS, "--json");
    const { checks } = verificationSchema.parse(JSON.parse(stdout));
    expect(
      checks
        .filter(({ outcome }) => outcome !== "holds")
        .map(({ code }) => code)
        .toSorted(),
    ).toEqual(codes);
  });

  it.each([
    [41, []],
    [49, []], // (100 · 1.2 · 400 + 1000) / 1000
    [58.6, ["pue"]],
  ])("takes an SCI of %d g with PUE 1.2 beside its energy", (score, codes) => {
    const text = `energy: 100 kWh\npue: 1.2\nintensity: 400 g/kWh\nembodied: 1 kg\nfunctional_units: 1000\nsci: ${score} g\n`;
    const { checks } = verificationSchema.parse(JSON.parse(verify("g.yml", text, "--json").stdout));
    expect(checks.filter(({ outcome }) => outcome !== "holds").map(({ code }) => code)).toEqual(codes);
  });

  it("knows the functional units by the score's own noun", () => {
    const text = (score: string) => `- Total carbon: 6,500 kg CO2e\n- Tokens: 50 billion\n- SCI: ${score}\n`;
    expect(verify("h.md", text("0.13 gCO2e per million tokens")).stdout).toContain("recomputed  130 gCO2e per million");
    expect(verify("h.md", text("130 gCO2e per million tokens")).status).toBe(0);
  });

  it("exits 0 for a report that holds, and prints the document under --json", () => {
    const { status, stdout, stderr } = verify(
      "b.md",
      "- SCI = 6,500 kg / 50 billion tokens = 130 g/million tokens\n",
      "--json",
    );
    expect([status, stderr]).toEqual([0, ""]);
    const report = verificationSchema.parse(JSON.parse(stdout));
    expect(report).toMatchObject({ format: "statement", holds: true, counts: { holds: 1, errors: 0 } });
  });

  it("exits 3 for what is no report", () => {
    expect(verify("c.txt", "hello").status).toBe(3);
  });
});
