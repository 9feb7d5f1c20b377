// The built command line as a user meets it: streams, exit codes, suggestions, interruption; runs dist/cli/main.js.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

interface Finished {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command; `whenStderr` sees narration as it comes, for tests that interrupt. */
function lightfoot(args: readonly string[], whenStderr?: (text: string, kill: () => void) => void): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      whenStderr?.(stderr, () => child.kill("SIGINT"));
    });
    child.on("error", reject);
    child.on("close", (exit) => resolve({ exit, stdout, stderr }));
  });
}

const VERBS = [
  "track",
  "run",
  "analyze",
  "train",
  "evaluate",
  "export",
  "verify",
  "simulate",
  "check",
  "scan",
  "policy",
  "facts",
];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

const manifest = (epochs: number) => `model: { mlp: { layers: [784, 16, 10] } }
data: { train: "mnist:train[:3000]", validate: { split: 500 }, test: "mnist:test[:1000]" }
train: { loss: cross-entropy, optimizer: adam, learningRate: 0.002, epochs: ${epochs}, batch: 32 }
budget: { metric: accuracy, maxDrop: 2pt }
goal: size
techniques: [dynamic-int8]
batch: [1]
seed: 3
`;

it("the start file needs no other module of ours before a tracked command starts", () => {
  expect(readFileSync(MAIN, "utf8")).not.toMatch(/^import .*from "\.|^import "\./m);
});

describe("lightfoot", () => {
  it("prints help and version on stdout with exit 0", async () => {
    const help = await lightfoot(["--help"]);
    expect(help).toMatchObject({ exit: 0, stderr: "" });
    for (const verb of VERBS) expect(help.stdout).toMatch(new RegExp(`\\n {2}${verb}\\b`));
    expect(await lightfoot(["--version"])).toMatchObject({ exit: 0, stderr: "" });
  });

  it("shows examples and the global options in every verb's help", async () => {
    for (const verb of VERBS) {
      const { exit, stdout } = await lightfoot([verb, "--help"]);
      expect(exit).toBe(0);
      expect(stdout).toMatch(/Examples:\n {2}# .+\n {2}\$ lightfoot /);
      expect(stdout).toContain("--json");
    }
  });

  it("suggests what was meant and exits 2 with nothing on stdout", async () => {
    const option = await lightfoot(["analyze", "x.onnx", "--jsn"]);
    expect(option).toMatchObject({ exit: 2, stdout: "" });
    expect(option.stderr).toContain("unknown option '--jsn'");
    expect(option.stderr).toContain("Did you mean --json?");
    const verb = await lightfoot(["anlyze"]);
    expect(verb.exit).toBe(2);
    expect(verb.stderr).toContain("Did you mean analyze?");
    expect((await lightfoot([])).exit).toBe(2);
    expect((await lightfoot(["run", "a.yaml", "too-many"])).exit).toBe(2);
  });

  it("prints errors as one JSON document on stderr under --json", async () => {
    for (const args of [
      ["run", "none.yaml", "--json"],
      ["--json", "run"],
      ["run", "--json", "--otu", "x"],
    ]) {
      const { exit, stdout, stderr } = await lightfoot(args);
      expect(stdout).toBe("");
      const document: unknown = JSON.parse(stderr);
      expect(document).toMatchObject({ schema: "lightfoot.error/1", hint: expect.any(String) as string });
      expect([2, 3]).toContain(exit);
    }
  });

  it("shows the stack of an error only under --verbose", async () => {
    expect((await lightfoot(["run", "none.yaml"])).stderr).not.toContain("    at ");
    expect((await lightfoot(["run", "none.yaml", "--verbose"])).stderr).toContain("    at ");
  });
});

describe("lightfoot run", () => {
  it("writes models, dossier and report, prints one table, and takes trained models again the second time", async () => {
    const file = join(folder, "small.yaml");
    const out = join(folder, "small");
    await writeFile(file, manifest(1));
    const first = await lightfoot(["run", file, "--out", out]);
    expect(first).toMatchObject({ exit: 0 });
    expect(first.stdout).toContain("Accuracy on test data");
    expect(first.stdout).toContain("power-model.no-counter");
    const names = ["candidates", "compressed.onnx", "dossier.json", "original.onnx", "report.html"];
    expect(readdirSync(out).filter((name) => !name.startsWith("."))).toEqual(names);

    const second = await lightfoot(["run", file, "--out", out, "--json", "--strict"]);
    const dossier = JSON.parse(second.stdout) as { schema: string; stages: { stage: string; reused: boolean }[] };
    expect(dossier.schema).toBe("lightfoot.dossier/1");
    expect(dossier.stages.find(({ stage }) => stage === "train-original")?.reused).toBe(true);
    // The power model is assumed, which --strict does not let pass; the result is out all the same.
    expect(second.exit).toBe(1);
    expect(JSON.parse(second.stderr)).toMatchObject({ code: "E_ASSUMPTIONS" });
  });

  it("stops on Ctrl-C with exit 130 and leaves no half-written file", async () => {
    const file = join(folder, "long.yaml");
    const out = join(folder, "long");
    await writeFile(file, manifest(100_000));
    let asked = false; // a second Ctrl-C would end the process at once, without its tidy exit
    const stopped = await lightfoot(["run", file, "--out", out], (text, kill) => {
      if (!asked && text.includes("Training")) kill();
      asked ||= text.includes("Training");
    });
    expect(stopped.exit).toBe(130);
    expect(stopped.stdout).toBe("");
    expect(stopped.stderr).toContain("E_INTERRUPTED");
    expect(existsSync(join(out, "original.onnx"))).toBe(false);
    expect(readdirSync(out, { recursive: true }).filter((name) => String(name).endsWith(".tmp"))).toEqual([]);
  });

  it("gives every mistake of a manifest with its place, exit 3", async () => {
    const file = join(folder, "bad.yaml");
    await writeFile(file, manifest(1).replace("goal: size", "gaol: size").replace("2pt", "2"));
    const { exit, stderr } = await lightfoot(["run", file]);
    expect(exit).toBe(3);
    expect(stderr).toContain(`${file}:5:1 (gaol): unknown key 'gaol'`);
    expect(stderr).toContain("Did you mean 'goal'?");
    expect(stderr).toContain(`${file}:4:38 (budget.maxDrop)`);
  });
});
