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
