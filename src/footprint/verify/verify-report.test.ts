// What `verify` finds in reports of every format, and that it leaves right ones alone; depends on vitest, fast-check and the room.
import fc from "fast-check";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CODECARBON_COLUMNS, formatCodeCarbon, type CodeCarbonColumn } from "../exchange/codecarbon.ts";
import { checkStatement } from "./check-statement.ts";
import type { Check } from "./check.ts";
import { verifyReport } from "./verify-report.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-verify-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function verifyText(name: string, text: string) {
  const file = join(folder, name);
  await writeFile(file, text);
  return verifyReport(file);
}

const failures = (checks: readonly Check[]) =>
  checks
    .filter(({ outcome }) => outcome === "fails")
    .map(({ code, where, recomputed }) => [code, where.line ?? where.path, recomputed]);

const fails = async (name: string, text: string) => failures((await verifyText(name, text)).checks);

describe("a written SCI statement", () => {
  // The numbers of the worked examples in SCI for AI, section 9, as two of its revisions print them.
  const example = (consumer: string, flops: string, parameters: string): string => `
## Language model

### Consumer
- Operational carbon: 5,000 kg CO₂e/week
- Embodied carbon: 1,500 kg CO₂e/week
- Total tokens: 50 billion tokens/week
- Consumer SCI = 6,500 kg CO₂e / 50 billion tokens = ${consumer}

### Provider
- Operational emissions: 180,000 kg CO₂e
- Embodied emissions: 20,000 kg CO₂e
- Total FLOPs: 5 × 10²² FLOPs
- Provider SCI = 200,000 kg CO₂e / (5 × 10²² FLOPs) = 4 × 10⁻¹⁸ kg CO₂e/FLOP = ${flops}

### Reporting
- **Consumer SCI**: ${consumer}
- **Provider SCI**: ${flops}

## Vision model

### Consumer
- Total Consumer emissions: 3,200 kg CO₂e/month
- Total inferences: 40 million/month
- Consumer SCI = 0.08 g CO₂e/inference

### Provider
- Total Provider emissions: 75,000 kg CO₂e
- Total parameters: 2.5 billion
- Provider SCI = ${parameters}
`;

  it("finds the unit slips in the worked examples of SCI for AI, with the right numbers", () => {
    const checks = checkStatement(
      example("0.13 g CO₂e/million tokens", "4 g CO₂e/10¹⁸ FLOPs", "3,000 kg CO₂e/billion parameters"),
    );
    expect(failures(checks)).toEqual([
      ["unit-slip", 8, "130 g CO₂e/million tokens"],
      ["unit-slip", 14, "4000 g CO₂e/10¹⁸ FLOPs"],
      ["unit-slip", 17, "130 g CO₂e/million tokens"],
      ["unit-slip", 18, "4000 g CO₂e/10¹⁸ FLOPs"],
      ["unit-slip", 30, "30000 kg CO₂e/billion parameters"],
    ]);
  });

  it("lets the corrected examples pass, every number looked at", () => {
    const checks = checkStatement(
      example("130 g CO₂e/million tokens", "4 g CO₂e/10¹⁵ FLOPs", "30,000 kg CO₂e/billion parameters"),
    );
    expect(failures(checks)).toEqual([]);
    expect(checks.filter(({ outcome }) => outcome === "holds").length).toBeGreaterThanOrEqual(7);
  });

  it("computes any score from its parts, and calls a thousandfold one a slip of units", () => {
    const amount = fc.integer({ min: 1, max: 999_999 });
    fc.assert(
      fc.property(
        amount,
        amount,
        amount,
        fc.constantFrom(1e-6, 1e-3, 1e3, 1e6),
        (operational, embodied, units, slip) => {
          const score = ((operational + embodied) * 1e3) / units;
          const text = (value: number): string =>
            `- Operational carbon: ${operational} kg\n- Embodied carbon: ${embodied} kg\n- Total requests: ${units} requests\n- SCI = ${value} g/request`;
          expect(failures(checkStatement(text(score)))).toEqual([]);
          expect(failures(checkStatement(text(score * slip))).map(([code]) => code)).toEqual(["unit-slip"]);
        },
      ),
      { seed: 21 },
    );
  });

  it("refuses a score over no functional unit, and periods that differ", () => {
    const none = "- Total emissions: 5 kg\n- Total requests: 0 requests\n- SCI = 5 g/request";
    expect(failures(checkStatement(none)).map(([code]) => code)).toEqual(["functional-unit"]);
    const mixed = "- Total emissions: 5 kg/week\n- Total requests: 10 requests/month\n- SCI = 500 g/request";
    expect(failures(checkStatement(mixed)).map(([code]) => code)).toEqual(["functional-unit"]);
  });

  it("names a provider boundary with the Prepare stage in it", () => {
    const text = "## Provider SCI\n\n**Boundary**: Prepare, Data Engineering, Model Training";
    expect(failures(checkStatement(text))).toEqual([["boundary", 3, null]]);
  });
});

describe("a model card", () => {
  const card = (emissions: string, body: string): string =>
    `---\nlicense: mit\nco2_eq_emissions:\n  emissions: ${emissions}\n  source: CodeCarbon\n  training_type: fine-tuning\n  geographical_location: Finland\n  hardware_used: 4 x A100\n---\n# Card\n${body}`;
  const body = "- Energy: 1,000 kWh\n- Carbon intensity: 120 gCO2eq/kWh\n- Carbon emitted: 120 kg CO2eq\n";

  it("finds kilograms in the place of grams", async () => {
    expect(await fails("README.md", card("120", body))).toEqual([["unit-slip", 4, "120000 g (120 kg CO2eq)"]]);
    expect(await fails("README.md", card("120000", body))).toEqual([]);
  });

  it("finds text, nothing and zero where a number of grams belongs", async () => {
    expect(await fails("README.md", card('"250 kg"', body))).toContainEqual(["unit-slip", 4, "250000"]);
    expect((await fails("README.md", card("0", body)))[0]).toEqual(["range", 4, null]);
    expect((await fails("README.md", card("", body)))[0]).toEqual(["incomplete", 4, null]);
  });

  it("tells GPU-hours that were multiplied by the GPUs again, a PUE counted twice, and one left out", async () => {
    const text = (energy: string): string =>
      `- Hardware: 3x L40S (350 W TDP)\n- GPU hours: 400\n- PUE: 1.5\n- Total energy: ${energy} kWh\n`;
    const energyFails = async (name: string, content: string) =>
      failures((await verifyText(name, content)).checks.filter(({ where }) => where.line === 14));
    expect(await energyFails("a.md", card("1", text("210")))).toEqual([]);
    expect(await energyFails("a.md", card("1", text("630")))).toEqual([["double-count", 14, "210 kWh"]]);
    expect(await energyFails("a.md", card("1", text("315")))).toEqual([["pue", 14, "210 kWh"]]);
    expect(await energyFails("a.md", card("1", text("140")))).toEqual([["pue", 14, "210 kWh"]]);
    expect(await energyFails("a.md", card("1", text("999")))).toEqual([["arithmetic", 14, "210 kWh"]]);
  });
});

describe("CodeCarbon's emissions.csv", () => {
  type Row = Record<CodeCarbonColumn, string | number>;
  /** A row that holds in every column; energies include PUE as the tool writes them. */
  const row = (change: Partial<Row> = {}): Row => {
    const duration = 3_600;
    const [cpu, gpu, ram] = [0.04, 0.3, 0.01];
    return {
      ...(Object.fromEntries(CODECARBON_COLUMNS.map((column) => [column, ""])) as Row),
      timestamp: "2026-03-01T12:00:00",
      run_id: "a",
      duration,
      cpu_power: 40,
      gpu_power: 300,
      ram_power: 10,
      cpu_energy: cpu,
      gpu_energy: gpu,
      ram_energy: ram,
      energy_consumed: cpu + gpu + ram,
      emissions: 0.35 * 0.38,
      emissions_rate: (0.35 * 0.38) / duration,
      ram_total_size: 30,
      tracking_mode: "process",
      gpu_count: 1,
      pue: 1.2,
      wue: 0.5,
      water_consumed: (0.5 * 0.35) / 1.2,
      ...change,
    };
  };

  it("lets a right row pass", async () => {
    const report = await verifyText("emissions.csv", formatCodeCarbon([row()]));
    expect(failures(report.checks)).toEqual([]);
    expect(report).toMatchObject({ format: "codecarbon", holds: true });
  });

  it.each([
    ["water on facility energy", { water_consumed: 0.5 * 0.35 }, "water", "water_consumed"],
    [
      "a sum that is none",
      { energy_consumed: 0.45, emissions: 0.171, emissions_rate: 0.171 / 3600, water_consumed: (0.5 * 0.45) / 1.2 },
      "sum",
      "energy_consumed",
    ],
    ["grams in the place of kilograms", { emissions: 133, emissions_rate: 133 / 3600 }, "unit-slip", "emissions"],
    ["a negative energy", { cpu_energy: -0.04 }, "range", "cpu_energy"],
    ["a rate per hour", { emissions_rate: 0.133 }, "arithmetic", "emissions_rate"],
    ["a PUE below 1", { pue: 0.8, water_consumed: (0.5 * 0.35) / 0.8 }, "pue", "pue"],
    [
      "a GPU whose counter was not read",
      {
        gpu_energy: 0,
        gpu_power: 0,
        energy_consumed: 0.05,
        emissions: 0.019,
        emissions_rate: 0.019 / 3600,
        water_consumed: (0.5 * 0.05) / 1.2,
      },
      "range",
      "gpu_energy",
    ],
    [
      "a spike",
      {
        cpu_energy: 2,
        energy_consumed: 2.31,
        emissions: 0.8778,
        emissions_rate: 0.8778 / 3600,
        water_consumed: (0.5 * 2.31) / 1.2,
      },
      "arithmetic",
      "cpu_energy",
    ],
    [
      "memory that dwarfs the rest",
      {
        ram_power: 378,
        ram_energy: 0.378,
        energy_consumed: 0.718,
        emissions: 0.27284,
        emissions_rate: 0.27284 / 3600,
        water_consumed: (0.5 * 0.718) / 1.2,
      },
      "model",
      "ram_power",
    ],
  ] as const)("finds %s", async (_, change, code, path) => {
    const { checks } = await verifyText("emissions.csv", formatCodeCarbon([row(change)]));
    const found = checks.filter(({ outcome }) => outcome === "fails");
    expect(found.map((check) => [check.code, check.where.path])).toEqual([[code, path]]);
  });

  it("holds the implied intensity against the grid of the place that is named", async () => {
    const of = async (change: Partial<Row>) =>
      (await verifyText("emissions.csv", formatCodeCarbon([row(change)]))).checks.filter(
        ({ code }) => code === "vintage",
      );
    expect(await of({ country_iso_code: "DEU" })).toMatchObject([{ outcome: "holds" }]);
    expect(await of({ country_iso_code: "FRA" })).toMatchObject([{ outcome: "fails", severity: "warning" }]);
    expect(await of({ country_iso_code: "SWE", cloud_provider: "aws", cloud_region: "eu-central-1" })).toMatchObject([
      { outcome: "holds" },
    ]);
    expect(await of({ country_iso_code: "XXX" })).toMatchObject([{ outcome: "not possible" }]);
    expect(await of({})).toEqual([]);
  });

  it("finds ranks of one job that each measured the whole machine", async () => {
    const ranks = ["a", "b", "c"].map((run_id) => row({ run_id, tracking_mode: "machine" }));
    const { checks } = await verifyText("emissions.csv", formatCodeCarbon(ranks));
    const found = checks.filter(({ code, outcome }) => code === "double-count" && outcome === "fails");
    expect(found).toMatchObject([{ where: { line: 3 }, count: 2 }]);
    const after = [
      row({ tracking_mode: "machine" }),
      row({ run_id: "b", tracking_mode: "machine", timestamp: "2026-03-01T13:00:00" }),
    ];
    expect((await fails("emissions.csv", formatCodeCarbon(after))).filter(([code]) => code === "double-count")).toEqual(
      [],
    );
  });

  it("reads files of older versions and complains about rows of another width", async () => {
    const old = "timestamp,duration,emissions,energy_consumed\n2021-01-01T00:00:00,60,0.5,1\n";
    expect(await fails("old.csv", old)).toEqual([]);
    await expect(verifyText("bad.csv", `${old}2021,60\n`)).rejects.toMatchObject({
      code: "E_DATA",
      where: { line: 3 },
    });
  });
});

describe("a CycloneDX bill", () => {
  const bill = (consumption: object): string =>
    JSON.stringify({
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      components: [
        {
          type: "machine-learning-model",
          name: "net",
          modelCard: { considerations: { environmentalConsiderations: { energyConsumptions: [consumption] } } },
        },
      ],
    });
  const right = {
    activity: "training",
    energyProviders: [
      { energySource: "wind", energyProvided: { value: 60, unit: "kWh" } },
      { energySource: "unknown", energyProvided: { value: 40, unit: "kWh" } },
    ],
    activityEnergyCost: { value: 100, unit: "kWh" },
    co2CostEquivalent: { value: 0.03, unit: "tCO2eq" },
    co2CostOffset: { value: 0.01, unit: "tCO2eq" },
  };

  it("holds units, sums, intensity and offsets", async () => {
    expect(await fails("bom.json", bill(right))).toEqual([]);
    const codes = async (change: object) =>
      (await fails("bom.json", bill({ ...right, ...change }))).map(([code]) => code);
    expect(await codes({ activityEnergyCost: { value: 120, unit: "kWh" } })).toEqual(["sum"]);
    expect(await codes({ co2CostEquivalent: { value: 30, unit: "tCO2eq" } })).toEqual(["unit-slip"]);
    expect(await codes({ co2CostEquivalent: { value: 30, unit: "kgCO2eq" } })).toEqual(["unit-slip"]);
    expect(await codes({ co2CostOffset: { value: 0.5, unit: "tCO2eq" } })).toEqual(["method"]);
    expect(await codes({ activity: "lunch" })).toEqual(["incomplete"]);
    expect(await codes({ activityEnergyCost: { value: "100", unit: "kWh" } })).toEqual(["range"]);
  });
});

describe("a structured SCI statement", () => {
  it("recomputes the score, from bare numbers and from quantities", async () => {
    expect(await fails("sci.yml", "energy_kwh: 10\ncarbon_intensity: 400\nembodied: 1000\nr: 1000\nsci: 5\n")).toEqual(
      [],
    );
    expect(await fails("sci.yml", "E: 10 kWh\nI: 0.4 kg/kWh\nM: 1 kg\nR: 1000\nSCI: 5 g\n")).toEqual([]);
    expect(await fails("sci.yml", "E: 10 kWh\nI: 400 g/kWh\nM: 1 kg\nR: 1000\nSCI: 0.005\n")).toEqual([
      ["unit-slip", "SCI", "5 g per functional unit"],
    ]);
    expect((await fails("sci.json", '{"E":1,"I":1,"M":1,"R":0,"sci":2}'))[0]?.[0]).toBe("functional-unit");
  });
});

describe("an Impact Framework manifest", () => {
  const recorded = "test/fixtures/impact-framework/arithmetic.if-run.yaml";

  it("holds when its outputs follow, and names the one that was altered", async () => {
    const text = await readFile(recorded, "utf8");
    const right = await verifyText("computed.yml", text);
    expect(right.format).toBe("impact-framework");
    expect(
      right.checks.filter(({ where, outcome }) => where.path?.includes(".outputs[") && outcome === "fails"),
    ).toEqual([]);
    const numbers = Array.from(
      text.slice(text.indexOf("outputs:")).matchAll(/: (\d+\.\d+)\n/g),
      ([, number]) => number,
    );
    const altered = text.replace(
      new RegExp(`(outputs:[^]*?: )${numbers[0]}\\n`),
      (_, head: string) => `${head}${Number(numbers[0]) * 1000}\n`,
    );
    const { holds, checks } = await verifyText("computed.yml", altered);
    expect(holds).toBe(false);
    const wrong = checks.filter(({ where }) => where.path?.includes(".outputs[") === true);
    expect(wrong.some(({ factor }) => Math.abs((factor ?? 0) - 1000) < 1e-6)).toBe(true);
  });

  it("finds a score over no functional unit, and says when there is nothing to hold", async () => {
    const manifest = `name: t
initialize:
  plugins:
    sci:
      method: Sci
      path: builtin
      config: { functional-unit: requests }
tree:
  children:
    web:
      pipeline: { compute: [sci] }
      inputs:
        - { timestamp: 2024-01-01T00:00:00Z, duration: 3600, carbon: 100, requests: 0 }
`;
    const { checks, holds } = await verifyText("pipeline.yml", manifest);
    expect(holds).toBe(false);
    expect(checks.map(({ code, outcome }) => [code, outcome])).toContainEqual(["functional-unit", "fails"]);
    expect(checks.map(({ code, outcome }) => [code, outcome])).toContainEqual(["incomplete", "not possible"]);
  });
});

describe("verifyReport", () => {
  it("says what it can read when it is given something else", async () => {
    await expect(verifyText("x.txt", "hello")).rejects.toMatchObject({ code: "E_FORMAT_UNKNOWN" });
    await expect(verifyText("x.txt", "")).rejects.toMatchObject({ code: "E_FORMAT_UNKNOWN" });
    await expect(verifyReport(join(folder, "none"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
    const binary = join(folder, "x.bin");
    await writeFile(binary, Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    await expect(verifyReport(binary)).rejects.toMatchObject({ code: "E_FORMAT_UNKNOWN" });
  });
});
