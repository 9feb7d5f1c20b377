// Tests of the manifest: every mistake at once, each with its line and column.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { knownNames } from "./known-names.ts";
import { parseManifest, readManifest, type KnownNames } from "./manifest.ts";

const reject = (name: string) => {
  throw new LightfootError("E_HARDWARE_UNKNOWN", `no device '${name}'`, { hint: "Did you mean 'nvidia-h100'?" });
};
const known: KnownNames = {
  hardware: () => {},
  where: () => {},
  metric: () => {},
  technique: () => {},
  evidence: () => {},
};

const GOOD = `model:
  mlp:
    layers: [784, 128, 10]
data:
  train: mnist:train
  validate: { split: 5000 }
  test: mnist:test
train: { loss: cross-entropy, optimizer: adam, learningRate: 0.001, epochs: 10, batch: 32 }
budget:
  metric: accuracy
  maxDrop: 0.5pt
goal: size
`;

/** `line:column path message | hint` of each finding. */
function findingsOf(text: string, names = known): string[] {
  try {
    parseManifest(text, names);
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    expect(error.code).toBe("E_MANIFEST");
    return error.findings.map(
      ({ where, message, hint }) =>
        `${where.line}:${where.column} ${where.path ?? ""} ${message}${hint === undefined ? "" : ` | ${hint}`}`,
    );
  }
  return [];
}

describe("parseManifest", () => {
  it("fills in what may be left out", () => {
    expect(parseManifest(GOOD, known)).toMatchObject({
      model: { mlp: { layers: [784, 128, 10], activation: "relu", output: "softmax" } },
      budget: { metric: "accuracy", maxDrop: { kind: "points", value: 0.5 } },
      seed: 0,
    });
  });

  it("gives every mistake with line, column, path and a suggestion, in reading order", () => {
    const text = `model:
  fiel: net.onnx
data:
  train: mnist:train
  validate: true
  tset: mnist:test
train: { loss: cross-entropi, optimizer: adam, learningRate: -1, epochs: 1.5, batch: 32, momentum: 0.9 }
budget:
  maxDrop: 0.5
gaol: size
batch: [1, 0]
`;
    expect(findingsOf(text)).toEqual([
      "1:1 goal 'goal' is missing, expected one of size, latency, energy, memory",
      "1:1 model 'model' has neither of 'file' and 'mlp', expected one | Write file: net.onnx for a model you have, or mlp: {layers: [784, 128, 10]} for one to be trained.",
      "2:3 model.fiel unknown key 'fiel' | Did you mean 'file'?",
      "5:13 data.validate found true, expected text or a group of keys",
      "6:3 data.tset unknown key 'tset' | Did you mean 'test'?",
      "7:16 train.loss found 'cross-entropi', expected one of cross-entropy, mse | Did you mean 'cross-entropy'?",
      "7:62 train.learningRate found -1, expected more than 0",
      "7:74 train.epochs found 1.5, expected a whole number",
      "7:90 train.momentum 'momentum' has a meaning with optimizer: sgd only",
      "8:1 budget.metric 'metric' is missing, expected text",
      "9:12 budget.maxDrop the budget '0.5' has no meaning, expected a number with 'pt' or '%' | Write 0.5pt for half a percentage point, 0.5% for half a percent of the original's score, or the unit that your metric module exports: 2matches.",
      "10:1 gaol unknown key 'gaol' | Did you mean 'goal'?",
      "11:12 batch[1] found 0, expected at least 1",
    ]);
  });

  it("says what a training needs and does not have", () => {
    const text =
      "model: { mlp: { layers: [4, 2] } }\ndata: { validate: { split: 0.1 } }\nbudget: { metric: accuracy, maxDrop: 1% }\ngoal: size\n";
    expect(findingsOf(text)).toEqual([
      "1:10 model.mlp a model to be trained needs 'train' | Add train: {loss: cross-entropy, optimizer: adam, learningRate: 0.001, epochs: 10, batch: 32}.",
      "2:1 data a model to be trained needs 'data.train'",
      "2:28 data.validate.split a split is taken from 'data.train', which is missing",
    ]);
  });

  it("looks inside the branch of a union that fits, so that a mistake in a split is told as such", () => {
    expect(findingsOf(GOOD.replace("split: 5000", "splt: 5000"))).toEqual([
      "6:3 data.validate.split 'split' is missing, expected a number",
      "6:15 data.validate.splt unknown key 'splt' | Did you mean 'split'?",
    ]);
  });

  it("passes on what the catalogues say about a name, at its place", () => {
    expect(findingsOf(`${GOOD}hardware: nvidia-h10\n`, { ...known, hardware: reject })).toEqual([
      "13:11 hardware no device 'nvidia-h10' | Did you mean 'nvidia-h100'?",
    ]);
    expect(findingsOf(`${GOOD}where: Germny\n`, { ...known, where: knownNames.where })).toEqual([
      expect.stringMatching(/^13:8 where no place 'Germny' .*Did you mean DE/),
    ]);
  });

  it.each([
    ["model: [", "1:"],
    ["model: {file: a}\nmodel: {file: b}\n", "2:1"],
    ["", "1:1"],
    ["- 1\n- 2\n", "1:1"],
    ["just text", "1:1"],
  ])("reports %j as a mistake of the YAML, with its place", (text, place) => {
    const findings = findingsOf(text);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings[0]).toMatch(new RegExp(`^${place}`));
  });

  it("stops aliases that multiply without end", () => {
    const layers = Array.from({ length: 12 }, (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at},`.repeat(9)}]`);
    expect(findingsOf(`a0: &a0 [x]\n${layers.join("\n")}\n`)[0]).toMatch(/alias/i);
  });

  it("throws nothing but E_MANIFEST, whatever the text", () => {
    fc.assert(
      fc.property(fc.nat(GOOD.length - 1), fc.string({ maxLength: 4 }), (at, junk) => {
        const findings = findingsOf(GOOD.slice(0, at) + junk + GOOD.slice(at + junk.length));
        for (const finding of findings) expect(finding).toMatch(/^\d+:\d+ /);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe("readManifest", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-manifest-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("resolves paths against the manifest's own folder and leaves named data sets alone", async () => {
    await writeFile(join(folder, "net.onnx"), "");
    await writeFile(join(folder, "val.npz"), "");
    const file = join(folder, "lightfoot.yaml");
    const text =
      "model: { file: net.onnx }\ndata: { validate: 'val.npz#labels=y.npy[0:10]', test: mnist:test }\nbudget: { metric: mse, maxDrop: 1% }\ngoal: size\n";
    await writeFile(file, text);
    const { manifest, digest } = await readManifest(file, known);
    expect(manifest.model.file).toBe(join(folder, "net.onnx"));
    expect(manifest.data.validate).toBe(`${join(folder, "val.npz")}#labels=${join(folder, "y.npy")}[0:10]`);
    expect(manifest.data.test).toBe("mnist:test");
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it("reports files that do not exist where they are named", async () => {
    const file = join(folder, "missing.yaml");
    await writeFile(
      file,
      "model: { file: none.onnx }\ndata: { validate: none.npz }\nbudget: { metric: ./none.mjs, maxDrop: 1% }\ngoal: size\n",
    );
    await expect(readManifest(file, known)).rejects.toMatchObject({
      code: "E_MANIFEST",
      findings: [
        { where: { line: 1, column: 16, path: "model.file" } },
        { where: { line: 2, column: 19, path: "data.validate" } },
        { where: { line: 3, column: 19, path: "budget.metric" } },
      ],
    });
    await expect(readManifest(join(folder, "nothing.yaml"), known)).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
  });
});
