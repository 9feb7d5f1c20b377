// What verbs leave in a ledger and what `lightfoot ledger` says about it, as a user meets it; runs dist/cli/main.js.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ledgerListSchema, ledgerQuerySchema, ledgerRunSchema } from "../src/ledger/documents-schema.ts";
import { verificationSchema } from "../src/ledger/verify-schema.ts";
import { runRecord, testWriter, writeRun } from "./fixtures/sample-ledger.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const FOOTPRINT = ["footprint", "--energy", "12kWh", "--intensity", "300gCO2e/kWh", "--pue", "1.2"];

let folder = "";
const lightfoot = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: "utf8" });
  return { status, stdout, stderr };
};
const json = (...args: string[]): unknown => JSON.parse(lightfoot(...args, "--json").stdout);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lightfoot-ledger-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("verbs", () => {
  it("leave no ledger behind where there is none", () => {
    expect(lightfoot(...FOOTPRINT).status).toBe(0);
    expect(lightfoot("run", "no-such.yaml").status).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
    const none = lightfoot("ledger", "list");
    expect(none).toMatchObject({ status: 3, stdout: "" });
    expect(none.stderr).toContain("there is no ledger at .lightfoot");
  });

  it("append to one that is there: the command, its figures and how it ended", () => {
    mkdirSync(join(folder, ".lightfoot"));
    const document = json(...FOOTPRINT) as { emissions: { locationBased: { value: number } } };
    expect(lightfoot("analyze", "no-such.onnx").status).toBe(3);
    const { runs } = ledgerListSchema.parse(json("ledger", "list"));
    expect(runs.map(({ verb, outcome, exitCode, energy }) => ({ verb, outcome, exitCode, energy }))).toEqual([
      { verb: expect.stringMatching(/^footprint/), outcome: "completed", exitCode: 0, energy: null },
      { verb: "analyze", outcome: "failed", exitCode: 3, energy: null },
    ]);
    expect(runs[0].command.slice(0, 4)).toEqual(["lightfoot", "footprint", "--energy", "12kWh"]);
    const shown = ledgerRunSchema.parse(json("ledger", "show", runs[0].run));
    const emissions = shown.figures.find(({ name }) => name === "emissions.locationBased");
    expect(emissions?.figure.value).toBe(document.emissions.locationBased.value);
  });

  it("go on without evidence where the ledger cannot be written, and say so", () => {
    // A head of this very name is in the way of every writer: the folder is a file system that says no.
    const blocked = mkdtempSync(join(tmpdir(), "lightfoot-blocked-"));
    const script = `import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";
      fs.mkdirSync = () => { throw Object.assign(new Error("EROFS: read-only file system"), { code: "EROFS" }); };
      syncBuiltinESMExports();`;
    writeFileSync(join(blocked, "read-only.mjs"), script);
    mkdirSync(join(blocked, ".lightfoot"));
    const args = ["--import", join(blocked, "read-only.mjs"), MAIN, ...FOOTPRINT];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: blocked, encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout).toContain("gCO2e");
    expect(stderr).toContain("No evidence is kept");
    expect(readdirSync(join(blocked, ".lightfoot"))).toEqual([]);
    rmSync(blocked, { recursive: true });
  });
});

describe("run", () => {
  it("begins a ledger, with digests of what went in and what came out", () => {
    const manifest = `model: { mlp: { layers: [784, 8, 10] } }
data: { train: "mnist:train[:600]", validate: { split: 200 }, test: "mnist:test[:200]" }
train: { loss: cross-entropy, optimizer: adam, learningRate: 0.002, epochs: 1, batch: 32 }
budget: { metric: accuracy, maxDrop: 50pt }
goal: size
techniques: [dynamic-int8]
batch: [1]
seed: 3
`;
    rmSync(join(folder, ".lightfoot"), { recursive: true, force: true });
    writeFileSync(join(folder, "lightfoot.yaml"), manifest);
    expect(lightfoot("run", "lightfoot.yaml").stderr).not.toContain("error");
    expect(existsSync(join(folder, ".lightfoot"))).toBe(true);
    const shown = ledgerRunSchema.parse(json("ledger", "show", "latest"));
    expect(shown).toMatchObject({ verb: "run", energy: { unit: "J" }, sampledJoules: null });
    const dossier = JSON.parse(readFileSync(join(folder, "out/dossier.json"), "utf8")) as {
      models: { file: string; digest: string }[];
      manifest: { digest: string };
    };
    expect(shown.model).toBe(dossier.models[0].digest);
    expect(shown.inputs).toContainEqual({ name: "lightfoot.yaml", digest: dossier.manifest.digest });
    for (const { file, digest } of dossier.models) expect(shown.outputs).toContainEqual({ name: file, digest });
    expect(shown.figures.map(({ subject, name }) => `${subject}: ${name}`)).toContain("original: models.accuracy");
  });
});

describe("lightfoot ledger", () => {
  it("verifies with exit 0, and with exit 1, file and line after a change", () => {
    const writer = testWriter(join(folder, "evidence"));
    writeRun(writer, 200);
    writer.close();
    const good = lightfoot("ledger", "verify", "--ledger", "evidence", "--json");
    expect(good).toMatchObject({ status: 0, stderr: "" });
    expect(verificationSchema.parse(JSON.parse(good.stdout)).holds).toBe(true);
    const text = readFileSync(writer.file, "utf8");
    writeFileSync(writer.file, text.replace('"energyJoules":10,', '"energyJoules":11,'));
    const bad = lightfoot("ledger", "verify", "--ledger", "evidence");
    expect(bad.status).toBe(1);
    expect(bad.stderr).toMatch(/evidence\/\S+\.jsonl:3: line 3 of block 1 \(lines 1 to 255\) was changed/);
    const machine = lightfoot("ledger", "verify", "--ledger", "evidence", "--json");
    expect(verificationSchema.parse(JSON.parse(machine.stdout)).findings).toMatchObject([{ line: 3 }]);
    expect(JSON.parse(machine.stderr)).toMatchObject({ code: "E_LEDGER", findings: [{ where: { line: 3 } }] });
    writeFileSync(writer.file, text);
  });

  it("answers SQL as a table and as a document, and refuses the rest with exit 2", () => {
    const query = "SELECT domain, sum(energyJoules) AS joules FROM samples GROUP BY domain ORDER BY domain";
    expect(lightfoot("ledger", "sql", query, "--ledger", "evidence").stdout).toBe(
      "domain  joules\n──────  ──────\nc          800\ng         4000\np         2000\n\n".replace("\n\n", "\n"),
    );
    const found = ledgerQuerySchema.parse(json("ledger", "sql", query, "--ledger", "evidence"));
    expect(found.rows).toEqual([
      { domain: "c", joules: 800 },
      { domain: "g", joules: 4000 },
      { domain: "p", joules: 2000 },
    ]);
    const refused = lightfoot("ledger", "sql", "COPY samples TO 'stolen.csv'", "--ledger", "evidence");
    expect(refused).toMatchObject({ status: 2, stdout: "" });
    expect(existsSync(join(folder, "stolen.csv"))).toBe(false);
  });

  it("answers Prometheus' scrapes with the runs that go on, until it is stopped", async () => {
    const live = testWriter(join(folder, "live"), 3, () => new Date().toISOString());
    const run = live.newRun();
    live.append(runRecord(run, { at: new Date().toISOString() }));
    const sample = { atSeconds: Date.now() / 1000, elapsedSeconds: 1, domain: "p", energyJoules: 12, powerWatts: 12 };
    live.append({ record: "sample", run, ...sample });
    const writer = testWriter(join(folder, "live"), 4); // a run of last March
    writeRun(writer, 10);
    writer.close();
    const args = [MAIN, "ledger", "export", "--format", "prometheus", "--listen", "0", "--ledger", "live"];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    const ended = new Promise((resolve) => child.on("close", resolve));
    const url = await new Promise<string>((resolve) => {
      let text = "";
      child.stderr.on("data", (chunk: Buffer) => {
        const found = /http:\S+\/metrics/.exec((text += chunk.toString()));
        if (found !== null) resolve(found[0]);
      });
    });
    const first = await fetch(url);
    expect(first.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const joules = (text: string) =>
      /lightfoot_domain_energy_joules_total\{[^}]*domain="p"[^}]*\} (\S+)/.exec(text)?.[1];
    const text = await first.text();
    expect(joules(text)).toBe("12");
    expect(text).not.toContain('run="w0004"');
    expect(text).not.toContain("lightfoot_run_energy_joules_total"); // its share is known at its end
    live.append({ record: "sample", run, ...sample, elapsedSeconds: 2, energyJoules: 0.5 });
    expect(joules(await (await fetch(url)).text())).toBe("12.5");
    expect((await fetch(url.replace("/metrics", "/"))).status).toBe(404);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
    live.close();
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    const wrong = lightfoot("ledger", "export", "--format", "csv", "--listen", "0", "--ledger", "live");
    expect(wrong.status).toBe(2);
  });

  it("exports to stdout and to files", () => {
    const csv = lightfoot("ledger", "export", "--format", "csv", "--ledger", "evidence");
    expect(csv.stdout.trimEnd().split("\n")).toHaveLength(601);
    const file = lightfoot(
      "ledger",
      "export",
      "--format",
      "codecarbon",
      "--out",
      "emissions.csv",
      "--ledger",
      "evidence",
    );
    expect(file).toMatchObject({ status: 0, stdout: "" });
    expect(readFileSync(join(folder, "emissions.csv"), "utf8")).toMatch(/^timestamp,project_name,run_id,/);
    expect(lightfoot("verify", "emissions.csv").status).not.toBe(70);
    expect(lightfoot("ledger", "export", "--format", "xml").status).toBe(2);
    expect(lightfoot("ledger", "export", "--format", "csv", "--run", "zzz", "--ledger", "evidence").status).toBe(2);
  });
});
