// Exported documents: valid under the official schema, read back by our own codecs, held by verify, and caught when a unit slips; runs in process.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { LightfootError } from "../src/errors/lightfoot-error.ts";
import { findPlace } from "../src/facts/place.ts";
import { readCycloneDx } from "../src/footprint/exchange/cyclonedx.ts";
import { readModelCard } from "../src/footprint/exchange/model-card.ts";
import { sciSchema } from "../src/footprint/sci-schema.ts";
import { verifyReport } from "../src/footprint/verify/verify-report.ts";
import { inferenceFootprint, runFootprint } from "../src/pipeline/dossier-footprint.ts";
import type { Dossier } from "../src/pipeline/dossier-schema.ts";
import { figure } from "../src/quantity/figure.ts";
import { inUnit, significant, toBase, type FormatUnit } from "../src/footprint/exchange/crosswalk.ts";
import { exportDossier, readDossier } from "../src/report/exports/export-dossier.ts";
import { EXPORT_FORMATS, gpaiFormSchema, type ExportFormat } from "../src/report/exports/export-schema.ts";
import { inert } from "../src/report/exports/model-card.ts";
import { parseSupplement } from "../src/report/exports/supplement.ts";
import { sampleDossier } from "./fixtures/sample-dossier.ts";

/** The sample with real digests, counted at a real place, which verify can hold the intensity against. */
function placedDossier(where: string | null = "aws:eu-central-1"): Dossier {
  const sample = sampleDossier();
  const place = where === null ? undefined : findPlace(where);
  const context = { place, inferences: 1e6, thisYear: 2026 } as const;
  const models = sample.models.map((model, at) => ({
    ...model,
    digest: `sha256:${String(at + 1).repeat(64)}`,
    footprint: inferenceFootprint(model.energyPerInference, context),
  }));
  const candidates = sample.candidates.map((each) => (each.selected ? { ...each, digest: models[2].digest } : each));
  const run = runFootprint(sample.runEnergy, context);
  return { ...sample, where, models, candidates, runFootprint: run };
}

let folder = "";
let dossier: Dossier;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-export-"));
  dossier = placedDossier();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = (format: ExportFormat): string => join(folder, `${format}.${format === "model-card" ? "md" : "json"}`);

async function verified(format: ExportFormat, text: string) {
  await writeFile(file(format), text);
  return verifyReport(file(format));
}

/** The official 1.7 schema as the CycloneDX project ships it. */
async function officialSchema() {
  const entry = createRequire(import.meta.url).resolve("@cyclonedx/cyclonedx-library/package.json");
  const read = async (name: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(join(dirname(entry), "res/schema", `${name}.SNAPSHOT.schema.json`), "utf8")) as Record<
      string,
      unknown
    >;
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats.default(ajv);
  // Of international names, which ajv-formats does not know; no value here has any.
  ajv.addFormat("iri-reference", true);
  ajv.addFormat("idn-email", true);
  for (const name of ["spdx", "jsf-0.82", "cryptography-defs"])
    ajv.addSchema(await read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  return ajv.compile(await read("bom-1.7"));
}

interface Bom {
  components: {
    hashes: { alg: string; content: string }[];
    licenses?: unknown;
    modelCard: {
      properties: { name: string; value: string }[];
      quantitativeAnalysis: { performanceMetrics: { type: string; value: string; confidenceInterval: object }[] };
      considerations: {
        environmentalConsiderations: {
          energyConsumptions: {
            activity: string;
            activityEnergyCost: { unit: string };
            energyProviders: { organization: { name: string }; energySource: string }[];
            properties: { name: string; value: string }[];
          }[];
        };
      };
    };
  }[];
}

const bomOf = (text: string): Bom => JSON.parse(text) as Bom;
const consumptionsOf = (bom: Bom) =>
  bom.components[0].modelCard.considerations.environmentalConsiderations.energyConsumptions;

it("gives the compression rate of the coded container a line of its own, beside that of the file", () => {
  const compressed = dossier.models.find(({ role }) => role === "compressed")!;
  const { bytes } = compressed.container!;
  const { bytesOnDisk, codedContainer } = compressed.compressionRate!;
  const { text: card } = exportDossier(dossier, "model-card");
  expect(card).toContain(`| Compression rate, bytes on disk | ${significant(bytesOnDisk, 4)} |`);
  expect(card).toContain(`| Compression rate, coded container, bytes | ${significant(codedContainer!, 4)} (`);
  const { properties } = bomOf(exportDossier(dossier, "cyclonedx").text).components[0].modelCard;
  expect(properties).toEqual(
    expect.arrayContaining([
      { name: "lightfoot:compression-rate:bytes-on-disk", value: String(bytesOnDisk) },
      { name: "lightfoot:coded-container:bytes", value: String(bytes) },
      { name: "lightfoot:coded-container:holds", value: compressed.container!.holds },
      { name: "lightfoot:compression-rate:coded-container-bytes", value: String(codedContainer) },
    ]),
  );
  const models = dossier.models.map((model) => ({ ...model, container: null }));
  for (const format of ["model-card", "cyclonedx"] as const)
    expect(exportDossier({ ...dossier, models }, format).text).not.toMatch(/coded.container/i);
});

describe("CycloneDX", () => {
  it("is valid under the official 1.7 schema for every model, with and without supplement", async () => {
    const validate = await officialSchema();
    const supplements = [{}, { license: "Apache-2.0", provider: "A" }, { license: "our own terms" }];
    for (const supplement of supplements) {
      for (const { role } of dossier.models) {
        const bom = bomOf(exportDossier(dossier, "cyclonedx", supplement, role).text);
        expect(validate(bom), JSON.stringify(validate.errors)).toBe(true);
        // The schema bites: another unit is refused.
        consumptionsOf(bom)[0].activityEnergyCost.unit = "MWh";
        expect(validate(bom)).toBe(false);
      }
    }
  });

  it("is read back with the dossier's energy and carbon, and verify finds nothing wrong", async () => {
    const { text, model } = exportDossier(dossier, "cyclonedx");
    const compressed = dossier.models.find(({ role }) => role === "compressed")!;
    expect(model).toBe(compressed.digest);
    expect(bomOf(text).components[0].hashes).toEqual([{ alg: "SHA-256", content: model.slice(7) }]);
    const entries = readCycloneDx(JSON.parse(text), "bom.json");
    expect(entries.map(({ activity }) => activity)).toEqual(["training", "inference"]);
    for (const [at, footprint] of [dossier.runFootprint, compressed.footprint!].entries()) {
      const { energy, carbon } = entries[at];
      // By hand: 3.6e6 J a kWh, 1e6 g a tonne.
      expect((energy!.value as number) * 3.6e6).toBeCloseTo(footprint.energy.value, 9);
      expect(((carbon!.value as number) * 1e6) / footprint.emissions.locationBased.value).toBeCloseTo(1, 12);
    }
    expect(await verified("cyclonedx", text)).toMatchObject({ holds: true, counts: { errors: 0, warnings: 0 } });
  });

  it("keeps every interval: of metrics in their field, of energy and carbon in properties", () => {
    const bom = bomOf(exportDossier(dossier, "cyclonedx").text);
    const { accuracy } = dossier.models.find(({ role }) => role === "compressed")!;
    expect(bom.components[0].modelCard.quantitativeAnalysis.performanceMetrics[0]).toMatchObject({
      type: "accuracy",
      value: String(accuracy.value),
      confidenceInterval: { lowerBound: String(accuracy.low), upperBound: String(accuracy.high) },
    });
    for (const { properties } of consumptionsOf(bom)) {
      const names = properties.map(({ name }) => name);
      for (const end of ["energy:low", "energy:high", "emissions:low", "emissions:high", "energy:method"]) {
        expect(names).toContain(`lightfoot:${end}`);
      }
    }
    const [{ properties }] = consumptionsOf(bom);
    const high = properties.find(({ name }) => name === "lightfoot:energy:high")!.value;
    expect(high).toBe(`${dossier.runFootprint.energy.high / 3.6e6} kWh`);
  });

  it("is caught by verify when a number is in another unit", async () => {
    const slips: [RegExp, string][] = [
      [/"unit": "kWh"/, '"unit": "Wh"'],
      [/"unit": "tCO2eq"/, '"unit": "kgCO2eq"'],
    ];
    const { text } = exportDossier(dossier, "cyclonedx");
    for (const [from, to] of slips) {
      const { holds, checks } = await verified("cyclonedx", text.replace(from, to));
      expect(holds).toBe(false);
      expect(checks.filter(({ outcome }) => outcome === "fails").map(({ code }) => code)).toContain("unit-slip");
    }
    // The grams under the tonnes' name.
    const bom = JSON.parse(text) as never;
    const grams = JSON.parse(JSON.stringify(bom), (key, value: unknown) =>
      key === "co2CostEquivalent" ? { value: (value as { value: number }).value * 1e6, unit: "tCO2eq" } : value,
    ) as object;
    expect((await verified("cyclonedx", JSON.stringify(grams))).holds).toBe(false);
  });

  it("names the provider of electricity only where somebody said it", () => {
    const unknown = consumptionsOf(bomOf(exportDossier(dossier, "cyclonedx").text));
    expect(unknown[0].energyProviders[0]).toMatchObject({ organization: { name: "unknown" }, energySource: "unknown" });
    const energyProvider = { name: "Stadtwerke", source: "hydropower" as const };
    const told = consumptionsOf(bomOf(exportDossier(dossier, "cyclonedx", { energyProvider }).text));
    expect(told[0].energyProviders[0]).toMatchObject({
      organization: { name: "Stadtwerke" },
      energySource: "hydropower",
    });
    expect(told[1].energyProviders[0].organization.name).toBe("unknown");
  });
});

describe("model card", () => {
  it("gives grams, place and hardware, is read back, and verify finds nothing wrong", async () => {
    const { text } = exportDossier(dossier, "model-card", { license: "Apache-2.0" });
    const { emissions } = readModelCard(text, "README.md");
    const grams = dossier.runFootprint.emissions.locationBased.value;
    expect((emissions!.emissions as number) / grams).toBeCloseTo(1, 5);
    expect(emissions).toMatchObject({ trainingType: "pre-training", location: dossier.where });
    expect(emissions!.source).toContain("place of use");
    expect(emissions!.hardware).toContain(dossier.machine.cpuName);
    expect(text).toContain("license: apache-2.0");
    expect(await verified("model-card", text)).toMatchObject({
      holds: true,
      counts: { errors: 0, warnings: 0, notes: 0, notPossible: 0 },
    });
  });

  it("is caught by verify when grams become kilograms, kWh become Wh, or the intensity is per MWh", async () => {
    const { text } = exportDossier(dossier, "model-card");
    const grams = readModelCard(text, "README.md").emissions!.emissions as number;
    const slips: [string, string][] = [
      [`emissions: ${grams}\n`, `emissions: ${grams / 1e3}\n`],
      [" kWh\n", " Wh\n"],
      [" g CO2e/kWh", " kg CO2e/kWh"],
    ];
    for (const [from, to] of slips) {
      expect(text).toContain(from);
      expect((await verified("model-card", text.replace(from, to))).holds, to).toBe(false);
    }
  });

  it("counts the run anew where the supplement says it was trained", () => {
    const { text, assumptions } = exportDossier(dossier, "model-card", { trainingLocation: "FR" });
    const { emissions } = readModelCard(text, "README.md");
    const clean = emissions!.emissions as number;
    expect(emissions!.location).toBe("France");
    expect(clean).toBeLessThan(dossier.runFootprint.emissions.locationBased.value);
    expect(assumptions.map(({ key }) => key)).not.toContain("run.place");
  });

  it("leaves the place out where nobody said it, and says so; the supplement can say it", async () => {
    const nowhere = placedDossier(null);
    const { text, assumptions } = exportDossier(nowhere, "model-card");
    expect(readModelCard(text, "README.md").emissions!.location).toBeUndefined();
    expect(assumptions.map(({ key }) => key)).toContain("export.training-location");
    expect(await verified("model-card", text)).toMatchObject({ holds: true, counts: { warnings: 0 } });
    for (const format of ["cyclonedx", "sci"] as const) {
      expect(await verified(format, exportDossier(nowhere, format).text)).toMatchObject({ holds: true });
    }
    const told = exportDossier(nowhere, "model-card", { trainingLocation: "DE" });
    expect(readModelCard(told.text, "README.md").emissions!.location).toBe("Germany");
    expect(await verified("model-card", told.text)).toMatchObject({ holds: true, counts: { notPossible: 0 } });
  });

  it("states no emissions of a training that this run did not see", async () => {
    const stages = dossier.stages.map((stage) => ({ ...stage, reused: true }));
    const { text, assumptions } = exportDossier({ ...dossier, stages }, "model-card");
    expect(readModelCard(text, "README.md").emissions).toBeUndefined();
    expect(assumptions.map(({ key }) => key)).toContain("export.not-trained-here");
    const entries = readCycloneDx(JSON.parse(exportDossier({ ...dossier, stages }, "cyclonedx").text), "bom.json");
    expect(entries[0].activity).toBe("other");
    expect((await verified("model-card", text)).holds).toBe(true);
  });

  it("lets no title, source or license break out of its line or pass for a line of the account", async () => {
    const hostile = 'x\n---\n| a | b |\n- Energy: 5 GWh <script> = 3 "quoted": true';
    const evil = { ...dossier, title: hostile, machine: { ...dossier.machine, cpuName: hostile } };
    const { text } = exportDossier(evil, "model-card", { license: hostile, provider: hostile });
    const front = parse(text.split("\n---\n")[0].slice(4)) as { license_name: string };
    expect(front.license_name).toBe(hostile);
    expect(text.split("\n---\n").slice(1).join()).not.toContain("<script>");
    expect(await verified("model-card", text)).toMatchObject({ holds: true });
    fc.assert(
      fc.property(fc.string(), (any) => {
        expect(inert(any)).not.toMatch(/[\n|<`=]|:(?!\/\/)/);
      }),
    );
  });
});

describe("SCI", () => {
  it("is a lightfoot.sci/1 whose score is (E · I + M) / R, and verify finds nothing wrong", async () => {
    const { text } = exportDossier(dossier, "sci", { embodiedGramsPerInference: 1e-9 });
    const document = sciSchema.parse(JSON.parse(text));
    const { footprint } = dossier.models.find(({ role }) => role === "compressed")!;
    const operational = footprint!.emissions.locationBased.value / dossier.footprintInferences;
    expect(document.score.value / (operational + 1e-9)).toBeCloseTo(1, 9);
    expect(document).toMatchObject({ functionalUnit: "inference", ai: { persona: "consumer" } });
    expect(await verified("sci", text)).toMatchObject({ holds: true, counts: { errors: 0 } });
    const slipped = { ...document, energy: { ...document.energy, unit: "kJ" } };
    expect((await verified("sci", JSON.stringify(slipped))).holds).toBe(false);
  });

  it("says that making the hardware is missing, and refuses a model without energy", () => {
    expect(exportDossier(dossier, "sci").assumptions.map(({ key }) => key)).toContain("export.embodied");
    const models = dossier.models.map((model) => ({ ...model, footprint: null }));
    expect(() => exportDossier({ ...dossier, models }, "sci")).toThrow(LightfootError);
  });
});

describe("GPAI form", () => {
  it("gives training energy in MWh with two digits or more, FLOP, and unknown for what nobody said", () => {
    const form = gpaiFormSchema.parse(JSON.parse(exportDossier(dossier, "gpai-form").text));
    const field = (name: string) => form.fields.find((each) => each.field === name)!;
    const energy = field("training.energy");
    expect(energy.unit).toBe("MWh");
    expect(((energy.value as number) * 3.6e9) / dossier.runFootprint.energy.value).toBeCloseTo(1, 2);
    expect(energy.text).toMatch(/^0\.0*[1-9]\d+ MWh$/);
    for (const { value, low, high } of form.fields) {
      if (low !== undefined && high !== undefined) expect(low <= Number(value) && Number(value) <= high).toBe(true);
    }
    expect(energy.low! * 3.6e9).toBeCloseTo(dossier.runFootprint.energy.low, 6);
    const [original] = dossier.models;
    const samples = dossier.data.find(({ role }) => role === "train")!.sampleCount;
    const flop = 3 * original.flops * samples * original.training.length;
    expect((field("training.compute").value as number) / flop).toBeCloseTo(1, 2);
    expect(field("inference.compute")).toMatchObject({ unit: "FLOP", value: dossier.models[2].flops });
    expect(form.unknownFields).toEqual(expect.arrayContaining(["general.provider", "general.license"]));
    expect(form.fields.every(({ value }) => value !== "")).toBe(true);
  });

  it("knows the work, not the energy, of a training that an earlier run did", () => {
    const stages = dossier.stages.map((stage) => ({ ...stage, reused: true }));
    const form = gpaiFormSchema.parse(JSON.parse(exportDossier({ ...dossier, stages }, "gpai-form").text));
    expect(form.unknownFields).toEqual(expect.arrayContaining(["training.energy", "training.duration"]));
    expect(form.unknownFields).not.toContain("training.compute");
  });

  it("invents no training that this run did not do", () => {
    const models = dossier.models.map((model) => ({ ...model, training: [] }));
    const form = gpaiFormSchema.parse(JSON.parse(exportDossier({ ...dossier, models }, "gpai-form").text));
    expect(form.unknownFields).toEqual(
      expect.arrayContaining(["training.energy", "training.compute", "training.duration"]),
    );
  });
});

describe("all formats", () => {
  it("take a dossier full of hostile text", async () => {
    for (const format of EXPORT_FORMATS) {
      const { text } = exportDossier(sampleDossier(), format);
      if (format === "model-card") expect(text.split("\n---\n")[1]).not.toContain("<script");
      if (format !== "gpai-form") expect(await verified(format, text)).toMatchObject({ holds: true });
    }
  });

  it("come from the file that a run writes, and from nothing else", async () => {
    const path = join(folder, "dossier.json");
    await writeFile(path, JSON.stringify(dossier));
    expect(await readDossier(path)).toEqual(dossier);
    const bad = [
      "",
      "{}",
      "[]",
      "null",
      JSON.stringify({ ...dossier, models: 3 }),
      JSON.stringify(dossier).slice(0, 99),
    ];
    for (const text of bad) {
      await writeFile(path, text);
      await expect(readDossier(path), text.slice(0, 20)).rejects.toMatchObject({ code: "E_DATA" });
    }
    await expect(readDossier(join(folder, "none.json"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
  });

  it("give the same bytes twice, and refuse a model that the dossier has not", () => {
    for (const format of EXPORT_FORMATS) {
      expect(exportDossier(dossier, format).text).toBe(exportDossier(dossier, format).text);
      const models = dossier.models.filter(({ role }) => role !== "narrow");
      expect(() => exportDossier({ ...dossier, models }, format, {}, "narrow")).toThrow(/no narrow model/);
    }
  });
});

describe("crosswalk", () => {
  it("converts there and back, and refuses another quantity", () => {
    const units: [string, FormatUnit][] = [
      ["J", "kWh"],
      ["J", "MWh"],
      ["gCO2e", "tCO2eq"],
      ["gCO2e", "g"],
    ];
    fc.assert(
      fc.property(fc.double({ min: 1e-12, max: 1e18, noNaN: true }), fc.constantFrom(...units), (value, [unit, to]) => {
        const amount = inUnit(figure({ value, low: value / 2, high: value * 2, unit, method: "modelled" }), to);
        expect(toBase(amount.value, to) / value).toBeCloseTo(1, 12);
        expect(amount.low <= amount.value && amount.value <= amount.high).toBe(true);
      }),
    );
    const grams = figure({ value: 1, unit: "gCO2e", method: "modelled" });
    expect(() => inUnit(grams, "kWh")).toThrow(/kWh is made from J/);
  });

  it("keeps the digits asked for, without losing the value", () => {
    expect(significant(0.000012345, 3)).toBe("0.0000123");
    expect(significant(1.2e-8, 2)).toBe("0.000000012");
    expect(significant(120_000, 2)).toBe("120000");
    fc.assert(
      fc.property(fc.double({ min: 1e-20, max: 1e20, noNaN: true }), (value) => {
        expect(Math.abs(Number(significant(value, 6)) / value - 1)).toBeLessThan(1e-5);
      }),
    );
  });
});

describe("supplement", () => {
  it("lists every mistake with its line", () => {
    const text = "licence: MIT\ntrainingLocation: Atlantis\nreleaseDate: 2026-02-30\nembodiedGramsPerInference: -1\n";
    try {
      parseSupplement(text, "extra.yaml");
      expect.unreachable();
    } catch (error) {
      const { findings, code } = error as LightfootError;
      expect(code).toBe("E_MANIFEST");
      expect(findings.map(({ where }) => where.line)).toEqual([1, 2, 3, 4]);
      expect(findings[0].hint).toContain("license");
    }
  });

  it("says nothing when it is empty", () => {
    expect(parseSupplement("", "extra.yaml")).toEqual({});
  });
});
