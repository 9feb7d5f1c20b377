// `lightfoot scan` and `check --scan` as a user meets them: exit codes, the document, evidence; runs dist/cli/main.js.
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkSchema } from "../src/policy/rules/check-schema.ts";
import { scanSchema } from "../src/policy/scan/scan-schema.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-scan-cli-"));
  await writeFile(join(folder, "bad.pkl"), "cposix\nsystem\n(S'id'\ntR.");
  await writeFile(join(folder, "escape.pkl"), "c\u001b[2Jevil\nname\n.");
  await writeFile(join(folder, "good.pkl"), "ccollections\nOrderedDict\n)R.");
  await writeFile(join(folder, "people.csv"), "name,mail\nJane,jane@example.org\n");
  await writeFile(join(folder, "evidence.yaml"), "evidence: { artifact.unsafeOpcodes: 0 }\n");
});
afterAll(() => rm(folder, { recursive: true }));

const lightfoot = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: "utf8" });

describe("lightfoot scan", () => {
  it("exits 1 with place and name of what is found, and 0 where nothing is, still called weak evidence", () => {
    const bad = lightfoot("scan", "bad.pkl");
    expect(bad.status).toBe(1);
    expect(bad.stdout).toMatch(/GLOBAL +posix\.system .*\[byte 0\]/);
    const good = lightfoot("scan", "good.pkl");
    expect(good).toMatchObject({ status: 0, stderr: expect.not.stringContaining("error") });
    expect(good.stdout).toContain("weak evidence");
  });

  it("writes a document that fits its schema, without the values", () => {
    const { status, stdout } = lightfoot("scan", ".", "--json");
    expect(status).toBe(1);
    expect(scanSchema.parse(JSON.parse(stdout)).counts).toMatchObject({
      checkpoints: 3,
      dataFiles: 1,
      directIdentifiers: 1,
    });
    expect(stdout).not.toContain("jane");
  });

  it("lets no name in a checkpoint reach the terminal as it is", () => {
    const { stdout, stderr } = lightfoot("scan", "escape.pkl");
    expect(stdout + stderr).not.toContain("\u001b[2J");
    expect(stdout).toContain("\\u001b[2Jevil.name");
  });

  it("exits 3 for a path that is not there", () => {
    const { status, stderr } = lightfoot("scan", "nothing-here.pkl");
    expect(status).toBe(3);
    expect(stderr).toContain("nothing-here.pkl");
  });
});

describe("lightfoot check --scan", () => {
  const outcome = (...args: string[]) => {
    const { rules } = checkSchema.parse(
      JSON.parse(lightfoot("check", ...args, "--role", "downstream-modifier", "--json").stdout),
    );
    const rule = rules.find(({ id }) => id === "SAF-PICKLE");
    return [rule?.outcome, rule?.evidence[0]?.value, rule?.evidence[0]?.method];
  };

  it("judges by what was scanned, not by what is declared", () => {
    expect(outcome("evidence.yaml")).toEqual(["pass", 0, "declared"]);
    expect(outcome("evidence.yaml", "--scan", "bad.pkl")).toEqual(["fail", 2, "measured"]);
    expect(outcome("--scan", "good.pkl")).toEqual(["pass", 0, "measured"]);
    expect(outcome("--scan", "people.csv")[0]).toBe("unknown");
  });

  it("verifies a model's signature, exits 1 for a changed file, and check takes both as evidence", async () => {
    const fixtures = fileURLToPath(new URL("./fixtures/signature/", import.meta.url));
    await cp(join(fixtures, "model"), join(folder, "signed"), { recursive: true });
    await cp(join(fixtures, "key.sig"), join(folder, "signed/model.sig"));
    const key = ["--public-key", join(fixtures, "key.pub.pem")];
    const signed = (...args: string[]): string | undefined => {
      const { stdout } = lightfoot("check", "--scan", "signed", ...args, "--role", "deployer", "--json");
      return checkSchema.parse(JSON.parse(stdout)).rules.find(({ id }) => id === "SAF-SIGN")?.outcome;
    };
    expect(lightfoot("scan", "signed", ...key)).toMatchObject({
      stdout: expect.stringContaining("valid (key ") as string,
    });
    expect(signed(...key)).toBe("pass");
    expect(signed()).toBe("unknown");
    await writeFile(join(folder, "signed/weights.bin"), "other");
    const changed = lightfoot("scan", "signed", "--json");
    expect(changed.status).toBe(1);
    expect(scanSchema.parse(JSON.parse(changed.stdout)).counts.invalidSignatures).toBe(1);
    expect(signed()).toBe("fail");
    expect(lightfoot("scan", "signed", "--public-key", join(folder, "people.csv")).status).toBe(2);
  });
});
