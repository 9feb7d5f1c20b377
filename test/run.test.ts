// The whole way on a small made-up task: every file is there, runs in ONNX Runtime, and says what the dossier says; depends on the build.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeNpz } from "../src/io/npz.ts";
import { dossierSchema, type Dossier } from "../src/pipeline/dossier-schema.ts";
import { loadDataset } from "../src/runtime/dataset.ts";
import { evaluate } from "../src/runtime/evaluate.ts";
import { seededRandom } from "../src/statistics/random.ts";

const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;
const runFile = promisify(execFile);

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where commands run, so that their evidence stays out of the repository. */
let folder: string;

async function lightfoot(...args: string[]): Promise<Outcome> {
  try {
    return { code: 0, ...(await runFile(process.execPath, [MAIN, ...args], { cwd: folder, maxBuffer: 1 << 26 })) };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

/** Three classes, each a bump at its own place in 64 numbers, with noise. */
async function writeTask(file: string, count: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const data = new Float32Array(count * 64);
  const labels = new BigInt64Array(count);
  for (let sample = 0; sample < count; sample++) {
    const label = random.integer(3);
    labels[sample] = BigInt(label);
    for (let at = 0; at < 64; at++) {
      data[sample * 64 + at] = Math.exp(-(((at - 16 - 16 * label) / 6) ** 2)) + 0.4 * random.normal();
    }
  }
  await writeNpz(file, [
    { name: "input", dtype: "float32", shape: [count, 64], data },
    { name: "labels", dtype: "int64", shape: [count], data: labels },
  ]);
}

const MANIFEST = `
model: { mlp: { layers: [64, 48, 3] } }
compare: { mlp: { layers: [64, 12, 3] } }
data: { train: train.npz, validate: { split: 0.25 }, test: test.npz }
train: { loss: cross-entropy, optimizer: adam, learningRate: 0.01, epochs: 3, batch: 32 }
retrain: { epochs: 3, batch: 32 }
budget: { metric: accuracy, maxDrop: 2pt }
goal: size
techniques: [dynamic-int8, static-int8, narrow]
batch: [1, 8]
seed: 7
where: aws:eu-central-1
`;

describe("lightfoot run", () => {
  let out: string;
  let dossier: Dossier;
  let first: Outcome;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-run-"));
    out = join(folder, "out");
    await writeTask(join(folder, "train.npz"), 1600, 1);
    await writeTask(join(folder, "test.npz"), 500, 2);
    await writeFile(join(folder, "lightfoot.yaml"), MANIFEST);
    first = await lightfoot("run", join(folder, "lightfoot.yaml"), "--out", out, "--json");
    dossier = dossierSchema.parse(JSON.parse(await readFile(join(out, "dossier.json"), "utf8")));
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("counts carbon, water and money at the manifest's place, and gains on one basis only", () => {
    expect(dossier.where).toBe("aws:eu-central-1");
    const [original] = dossier.models;
    for (const { role, accuracy, energyPerInference, footprint, efficiency } of dossier.models) {
      if (energyPerInference === null || footprint === null) continue;
      const { locationBased } = footprint.emissions;
      expect(footprint.place?.id).toBe("aws:eu-central-1");
      const kwh = (energyPerInference.value * dossier.footprintInferences) / 3.6e6;
      // Other IT equipment 1.12, then PUE, once.
      const facility = kwh * 1.12 * footprint.powerUsageEffectiveness.value;
      expect(locationBased.value / (facility * locationBased.intensity.value)).toBeCloseTo(1, 9);
      const perGram = efficiency.find(({ resource }) => resource === "emissions");
      if (perGram !== undefined) {
        const grams = locationBased.value / dossier.footprintInferences;
        expect(perGram.figure).toMatchObject({ unit: "1/gCO2e" });
        expect(perGram.figure.value / (accuracy.value / grams)).toBeCloseTo(1, 9);
        expect(perGram.basis.boundary).toContain("facility at aws:eu-central-1, average, life-cycle");
      }
      for (const { resource, gain, basis } of efficiency) {
        const before = original.efficiency.find((entry) => entry.resource === resource);
        expect(gain === null, `${role} ${resource}`).toBe(role === "original" || before === undefined);
        if (before !== undefined) expect(basis).toEqual(before.basis);
      }
    }
    expect(dossier.runFootprint.energyByBoundary[0].value).toBe(dossier.runEnergy.value);
    expect(dossier.assumptions.map(({ key }) => key)).toEqual(
      expect.arrayContaining(dossier.runFootprint.assumptions.map(({ key }) => key)),
    );
  });

  test("prints under --json the document that it writes", () => {
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toEqual(dossier);
  });

  test("writes each model with the bytes and the test accuracy that the dossier claims", async () => {
    const data = await loadDataset(join(folder, "test.npz"));
    expect(dossier.models.map(({ role }) => role)).toEqual(["original", "narrow", "compressed"]);
    for (const model of dossier.models) {
      const file = join(out, model.file);
      expect((await stat(file)).size).toBe(model.fileBytes);
      const { metrics } = await evaluate(file, data, { metrics: ["accuracy"] });
      expect(metrics["accuracy"].figure.value).toBe(model.accuracy.value);
    }
    expect(dossier.models[0].accuracy.value).toBeGreaterThan(0.8);
  });

  test("gives every candidate a reason, and the chosen one a file smaller than the original", async () => {
    for (const candidate of dossier.candidates) {
      expect(candidate.reasons.length).toBeGreaterThan(0);
      if (candidate.file !== null) await stat(join(out, candidate.file));
    }
    const chosen = dossier.candidates.find(({ id }) => id === dossier.selected);
    expect(chosen?.accepted).toBe(true);
    expect(chosen?.fileBytes).toBeLessThan(dossier.models[0].fileBytes);
    const { original, candidate, loss } = chosen!.test!;
    expect(loss.value).toBeCloseTo(original.value - candidate.value, 12);
  });

  test("writes a page that asks nothing of the network", async () => {
    const page = await readFile(join(out, "report.html"), "utf8");
    expect(page).toContain("</html>");
    expect(page).not.toMatch(/<(?:script|link|img|iframe)\b/);
  });

  test("takes trained models as they are in a second run, and chooses the same", async () => {
    const again = await lightfoot("run", join(folder, "lightfoot.yaml"), "--out", out, "--json");
    const second = dossierSchema.parse(JSON.parse(again.stdout));
    const reused = second.stages.filter(({ stage }) => stage.startsWith("train")).map((stage) => stage.reused);
    expect(reused).toEqual([true, true]);
    expect(second.models.map(({ digest }) => digest)).toEqual(dossier.models.map(({ digest }) => digest));
  }, 120_000);

  test("lists every mistake of a manifest with line and column, and exits 3", async () => {
    await writeFile(join(folder, "bad.yaml"), "modle: { file: a.onnx }\nbudget: { metric: acuracy, maxDrop: 0.5 }\n");
    const { code, stderr } = await lightfoot("run", join(folder, "bad.yaml"), "--out", out);
    expect(code).toBe(3);
    expect(stderr).toMatch(/bad\.yaml:1:1/);
    expect(stderr).toMatch(/bad\.yaml:2:\d+/);
    expect(stderr).toContain("0.5pt");
  });

  test("suggests the verb that was meant, and exits 2", async () => {
    const { code, stderr } = await lightfoot("rnu", "x.yaml");
    expect(code).toBe(2);
    expect(stderr).toContain("run");
  });
});
